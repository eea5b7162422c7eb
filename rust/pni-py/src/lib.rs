//! `pni_fast._core`: arrays in, the interpreter left, errors and interrupts mapped. The public functions with
//! their checks and conversions are in `pni_fast.kernels`.

mod arrays;
mod coreset;
mod counts;
mod errors;
mod histogram;
mod info;
mod leave;
mod likelihood;
mod maps;
mod nearest;
mod png;
mod sets;
mod shard;

use pyo3::prelude::*;

#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    info::watch_forks();
    module.add("version", env!("CARGO_PKG_VERSION"))?;
    module.add_function(wrap_pyfunction!(info::simd_level, module)?)?;
    module.add_function(wrap_pyfunction!(info::simd_levels, module)?)?;
    module.add_function(wrap_pyfunction!(info::num_threads, module)?)?;
    module.add_function(wrap_pyfunction!(coreset::greedy_coreset, module)?)?;
    module.add_function(wrap_pyfunction!(coreset::_scan_coreset, module)?)?;
    module.add_class::<shard::Shard>()?;
    module.add_function(wrap_pyfunction!(shard::pick_hot, module)?)?;
    module.add_function(wrap_pyfunction!(nearest::nearest, module)?)?;
    module.add_function(wrap_pyfunction!(histogram::position_histogram, module)?)?;
    module.add_function(wrap_pyfunction!(counts::window_counts, module)?)?;
    module.add_function(wrap_pyfunction!(counts::changed_histogram, module)?)?;
    module.add_function(wrap_pyfunction!(counts::changed_sets, module)?)?;
    module.add_function(wrap_pyfunction!(maps::enlarge, module)?)?;
    module.add_function(wrap_pyfunction!(png::decode_png, module)?)?;
    module.add_function(wrap_pyfunction!(sets::position_sets, module)?)?;
    module.add_function(wrap_pyfunction!(likelihood::max_likelihood, module)?)
}
