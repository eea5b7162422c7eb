//! The centers that the points of a cell have not seen and that may matter to them: those near the cell's own center.

use super::centers::Centers;
use crate::Simd;
use crate::bounds::bytes::blocks::POINTS;
use crate::bounds::lowest::lanes_up_to;
use crate::bounds::sketch::compare::{Reach, blocks, lower_bounds};
use crate::memory;
use crate::simd::lanes::LANES;

/// Cells that are looked up together.
pub const TOGETHER: usize = POINTS;

/// Centers that are compared before what is near is taken from them: what four cells have of them stays in the first cache.
const SEGMENT: usize = 128 * LANES;

/// The centers from `seen` on that are within `horizon` of `center`.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    pub center: usize,
    pub seen: usize,
    pub horizon: f32,
}

/// Buffers of one thread.
#[derive(Debug, Default)]
pub struct Scratch {
    squared: Vec<f32>,
    lanes: Vec<u32>,
}

/// Writes to `out`, ascending, what is asked for, all of it, and hardly more.
pub fn all_within(centers: &Centers, asked: Asked, simd: Simd, scratch: &mut Scratch, out: &mut Vec<u32>) {
    debug_assert!(asked.center < asked.seen, "points have seen their own center");
    out.clear();
    if asked.seen >= centers.len() {
        return;
    }
    let Scratch { squared, .. } = scratch;
    let first = asked.seen / LANES * LANES;
    // Slack differs between centers: a block is given up only beyond the largest.
    let reach = Reach::new(asked.horizon, centers.slack()[asked.center], centers.most_slack());
    memory::resize(squared, (centers.len() - first).next_multiple_of(LANES), 0.0);
    let later = &centers.blocks()[first * centers.width()..];
    blocks(simd, centers.sketch(asked.center), later, reach.squared(), squared);
    let (slack, squared) = (&centers.slack()[asked.seen..], &mut squared[asked.seen - first..]);
    lower_bounds(simd, reach, asked.seen, slack, &mut squared[..slack.len()], out);
}

/// Writes to the lists of up to [`TOGETHER`] cells, ascending, what looks to be asked for: by bytes alone where those are fine
/// enough, which may miss some.
pub fn most_within<'a>(
    centers: &Centers,
    asked: &[Asked],
    simd: Simd,
    scratch: &mut Scratch,
    out: impl Iterator<Item = &'a mut Vec<u32>>,
) {
    if !asked.iter().all(|asked| centers.fine_within(asked.horizon)) {
        for (asked, out) in asked.iter().zip(out) {
            all_within(centers, *asked, simd, scratch, out);
        }
        return;
    }
    let mut cells: [_; TOGETHER] = std::array::from_fn(|_| None);
    for (cell, (asked, out)) in cells.iter_mut().zip(asked.iter().zip(out)) {
        out.clear();
        *cell = Some((asked, (asked.horizon * centers.scale()).powi(2), out));
    }
    let Scratch { squared, lanes } = scratch;
    let bytes = std::array::from_fn(|i| *centers.bytes_of(asked[i.min(asked.len() - 1)].center));
    let seen = asked.iter().map(|asked| asked.seen).min().unwrap_or(0);
    for first in (seen / LANES * LANES..centers.len()).step_by(SEGMENT) {
        let view = centers.byte_blocks().from(first).to(SEGMENT);
        view.compare(simd, &bytes, squared);
        let runs = squared.chunks_exact(squared.len() / TOGETHER);
        for ((asked, limit, out), squared) in cells.iter_mut().flatten().zip(runs) {
            lanes.clear();
            lanes_up_to(simd, squared, *limit, lanes);
            let indices = lanes.iter().map(|lane| first as u32 + lane);
            let later = indices.filter(|index| (asked.seen..centers.len()).contains(&(*index as usize)));
            later.for_each(|index| memory::push(out, index));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Centers on a line, of `cols` equal values, the odd ones with some slack.
    fn line(cols: usize) -> Centers {
        let mut centers = Centers::new(cols, 1, 100.0);
        for i in 0..100usize {
            let place = (i * 37 % 100) as f32;
            centers.push(Simd::best(), &vec![place; cols], &[place], (i % 2) as f32 * 0.25);
        }
        centers
    }

    fn gap(a: usize, b: usize) -> f32 {
        ((a * 37 % 100) as f32 - (b * 37 % 100) as f32).abs()
    }

    #[test]
    fn all_within_a_distance_are_found_and_no_others() {
        let (centers, mut scratch, mut out) = (line(1), Scratch::default(), Vec::new());
        for simd in Simd::available() {
            for (center, horizon) in [(0, 20.0), (7, 20.0), (40, 0.5), (40, 1e9)] {
                for seen in [center + 1, 41, 64, 99, 100] {
                    let asked = Asked { center, seen, horizon };
                    all_within(&centers, asked, simd, &mut scratch, &mut out);
                    let slack = |i: usize| (i % 2) as f32 * 0.25;
                    let near = |i: &usize| gap(center, *i) - slack(*i) - slack(center) <= horizon;
                    let expected: Vec<u32> = (seen..100).filter(near).map(|i| i as u32).collect();
                    assert_eq!(out, expected, "{simd} {asked:?}");
                }
            }
        }
    }

    #[test]
    fn cells_together_find_what_each_finds_by_its_bytes() {
        // Rows of two values are not their own sketches; a unit of the bytes is 0.8.
        let centers = line(2);
        let mut scratch = Scratch::default();
        for simd in Simd::available() {
            for count in 1..=TOGETHER {
                let asked: Vec<_> = (0..count)
                    .map(|i| Asked {
                        center: 11 * i,
                        seen: 11 * i + [1, 30, 50, 67][i],
                        horizon: [20.0, 40.0, 21.0, 30.0][i],
                    })
                    .collect();
                assert!(asked.iter().all(|asked| centers.fine_within(asked.horizon)));
                let mut out: [Vec<u32>; TOGETHER] = std::array::from_fn(|_| vec![7]);
                most_within(&centers, &asked, simd, &mut scratch, out.iter_mut());
                for (asked, out) in asked.iter().zip(&out) {
                    let within = |reach: f32| {
                        let near = move |i: &usize| gap(asked.center, *i) <= reach;
                        (asked.seen..100).filter(near).map(|i| i as u32).collect::<Vec<_>>()
                    };
                    // Whole units of 0.8 on both sides.
                    assert!(
                        within(asked.horizon - 0.9).iter().all(|index| out.contains(index)),
                        "{asked:?} {out:?}"
                    );
                    assert!(
                        out.iter().all(|index| within(asked.horizon + 0.9).contains(index)),
                        "{asked:?} {out:?}"
                    );
                    assert!(out.is_sorted());
                }
                assert!(out[count..].iter().all(|out| *out == [7]));
            }
        }
        // Bytes too coarse for what is asked: all are found.
        let (near, mut out) = (
            Asked {
                center: 3,
                seen: 4,
                horizon: 0.5,
            },
            [vec![7], Vec::new()],
        );
        let far = Asked {
            center: 3,
            seen: 98,
            horizon: 1e9,
        };
        assert!(!centers.fine_within(near.horizon));
        most_within(&centers, &[near, far], Simd::best(), &mut scratch, out.iter_mut());
        assert_eq!(out, [vec![], vec![98, 99]]);
    }
}
