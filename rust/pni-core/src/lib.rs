//! The kernels of pni-fast: everything that is search, counting or memory traffic.
//!
//! Every result is exact and the same for any number of threads and any SIMD level: decisions are made only on
//! the canonical squared distance of [`distance`], whose order of operations is fixed. Anything faster may bound
//! a distance, never decide.

mod bounds;
pub mod context;
pub mod coreset;
pub mod counts;
pub mod distance;
pub mod error;
pub mod histogram;
mod labels;
pub mod likelihood;
pub mod maps;
pub mod matrix;
mod memory;
pub mod nearest;
mod sample;
mod search;
pub mod sets;
pub mod simd;
pub mod threads;

pub use context::{Context, Control};
pub use error::{Error, Result};
pub use matrix::Matrix;
pub use simd::Simd;
