//! The nearest of many centers, exactly, for points that may be picked next.

use super::centers::Centers;
use super::points::Points;
use crate::bounds::sketch::Map;
use crate::distance::squared;
use crate::search::{FEW_TARGETS, Prepared, Scratch, Worker};
use crate::threads::Team;
use crate::{Context, Result, Simd, memory};
use std::ops::RangeInclusive;

/// Points a thread takes at a time.
const PARTS: RangeInclusive<usize> = 16..=256;

/// For each point of `list`, finds a center nearer than `enough` (squared) or, where there is none, the nearest.
pub fn settle(
    points: &mut Points<'_>,
    list: &[u32],
    enough: f64,
    centers: &Centers,
    simd: Simd,
    team: &Team<'_>,
) -> Result<()> {
    let mut prepared = Prepared::new(centers.rows(), points.matrix.cols(), None);
    if let Map::Project(basis) = &points.map
        && centers.len() >= FEW_TARGETS
    {
        prepared = prepared.with_known_sketches(basis, centers.sketches(), centers.slack(), simd, team)?;
    }
    let context = Context {
        simd,
        threads: team.threads(),
        control: team.control(),
    };
    let worker = Worker::new(&prepared, None, list.len(), enough, &context);
    let known = list.iter().map(|point| {
        let center = points.states[*point as usize].center;
        (*point, (f64::INFINITY, i64::from(center)))
    });
    let mut known: Vec<(u32, (f64, i64))> = memory::collected(known);
    let part = (known.len() / (8 * team.threads())).clamp(*PARTS.start(), *PARTS.end());
    let shared: &Points<'_> = points;
    team.each_chunk(&mut known, part, |_, known| {
        let (mut rows, mut buffer) = (memory::with_room(known.len() * centers.row(0).len()), Vec::new());
        for (point, (best, center)) in &mut *known {
            let row = shared.matrix.row(*point as usize, &mut buffer);
            // Until now this may have been an upper bound.
            *best = squared(simd, row, centers.row(*center as usize));
            if *best >= enough {
                memory::extend(&mut rows, row);
            }
        }
        let open = known.iter_mut().filter(|(_, (best, _))| *best >= enough);
        let mut open: Vec<&mut (f64, i64)> = memory::collected(open.map(|(_, known)| known));
        let mut found = memory::collected(open.iter().map(|known| **known));
        worker.part(&rows, 0, &mut found, &mut Scratch::default());
        open.iter_mut().zip(found).for_each(|(known, found)| **known = found);
    })?;
    for (point, (best, center)) in known {
        let state = &mut points.states[point as usize];
        (state.best, state.center, state.seen) = (best, center as u32, centers.len() as u32);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Control, Matrix};

    /// Rows of whole numbers, so that many are equally far: those of which no center is near enough get the nearest, the
    /// first among equals, and all others one that is near enough.
    #[test]
    fn the_nearest_is_found_or_one_that_is_near_enough() {
        let (rows, cols) = (600, 40);
        let mut state = 9u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            ((state >> 40) % 5) as f32
        };
        let kinds: Vec<f32> = (0..9 * cols).map(|_| 4.0 * next()).collect();
        let data: Vec<f32> = (0..rows * cols)
            .map(|i| kinds[i / cols % 9 * cols + i % cols] + if i % 7 == 0 { next() } else { 0.0 })
            .collect();
        let matrix = Matrix::from_f32("features", &data, rows, cols).unwrap();
        let control = Control::default();
        for simd in Simd::available() {
            let context = Context {
                simd,
                threads: 2,
                control: &control,
            };
            for count in [1, FEW_TARGETS - 1, FEW_TARGETS, 200] {
                Team::with(&context, |team| {
                    let mut points = Points::read(&matrix, &data[..cols], simd, team).unwrap();
                    let mut centers = Centers::new(cols, points.map.width(), points.largest());
                    (0..count).for_each(|point| points.add_to(simd, point * 3, &mut centers));
                    let nearest = |point: u32| {
                        let row = &data[point as usize * cols..][..cols];
                        let each = (0..count).map(|i| (squared(simd, row, centers.row(i)), i as u32));
                        each.min_by(|a, b| a.partial_cmp(b).unwrap()).unwrap()
                    };
                    let list: Vec<u32> = (0..rows as u32).filter(|point| point % 5 > 0).collect();
                    for enough in [0.0, 1.0, 60.0, f64::INFINITY] {
                        let before = points.states.clone();
                        settle(&mut points, &list, enough, &centers, simd, team).unwrap();
                        for (point, state) in (0..).zip(&points.states) {
                            if !list.contains(&point) {
                                assert_eq!(state.seen, before[point as usize].seen);
                                continue;
                            }
                            let (best, center) = nearest(point);
                            assert_eq!(state.seen as usize, count);
                            if best >= enough {
                                assert_eq!((state.best, state.center), (best, center), "{simd} {count} {enough}");
                            } else {
                                let row = &data[point as usize * cols..][..cols];
                                assert!(state.best < enough);
                                assert_eq!(state.best, squared(simd, row, centers.row(state.center as usize)));
                            }
                        }
                        points.states = before;
                    }
                });
            }
        }
    }
}
