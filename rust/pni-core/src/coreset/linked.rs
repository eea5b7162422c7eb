//! The later centers that may matter to a center's points: from its links, and by a look at those that have none.

use super::centers::Centers;
use super::clusters::{Clusters, Question};
use super::links::{Links, Scratch, at_most};
use crate::bounds::sketch::compare::{Reach, blocks, decisive, lower_bounds};
use crate::simd::lanes::LANES;
use crate::{Simd, memory};
use std::ops::Range;

/// Centers and the links between them.
#[derive(Clone, Copy)]
pub struct Linked<'a> {
    pub centers: &'a Centers,
    pub clusters: &'a Clusters,
    pub links: &'a Links,
}

impl Linked<'_> {
    /// Writes to `out` centers from `seen` (later than `center`) on, among them all others within `horizon` of `center`.
    pub fn candidates(
        &self,
        simd: Simd,
        center: usize,
        seen: usize,
        horizon: f32,
        scratch: &mut Scratch,
        out: &mut Vec<u32>,
    ) {
        debug_assert!(center < seen, "points have seen their own center");
        out.clear();
        let (links, count) = (self.links, self.centers.len());
        let unlinked = [(seen, links.from.min(count)), (seen.max(links.to), count)];
        for (first, end) in unlinked {
            if first < end {
                self.unlinked_within(simd, center, first..end, horizon, scratch, out);
            }
        }
        let start = links.everywhere.partition_point(|index| (*index as usize) < seen);
        memory::extend(out, &links.everywhere[start..]);
        let links = &links.of[center];
        let start = links.partition_point(|link| (link.index as usize) < seen);
        let near = links[start..].iter().filter(|link| link.bound <= horizon);
        near.for_each(|link| memory::push(out, link.index));
    }

    /// Adds to `out` those of some centers that are within `horizon` of `center`.
    fn unlinked_within(
        &self,
        simd: Simd,
        center: usize,
        range: Range<usize>,
        horizon: f32,
        scratch: &mut Scratch,
        out: &mut Vec<u32>,
    ) {
        let centers = self.centers;
        let Scratch {
            found, near, squared, ..
        } = scratch;
        if self.clusters.hold(centers) && centers.fine_within(horizon) {
            let bytes = centers.bytes_of(center);
            let slack = centers.slack()[center] * centers.scale() + bytes.error + centers.byte_blocks().from(0).slack;
            let (bytes, limit) = (*bytes, decisive(horizon * centers.scale() + slack));
            found.ask([Question { bytes, limit }].into_iter());
            self.clusters.answer(simd, false, found);
            near.resize_with(near.len().max(1), Vec::new);
            let near = &mut near[0];
            near.clear();
            let indices = found.near[0].iter().map(|near| near.index);
            indices
                .filter(|index| range.contains(&(*index as usize)))
                .for_each(|index| memory::push(near, index));
            let near = at_most(centers, simd, center, near, squared).filter(|(_, bound)| *bound <= horizon);
            near.for_each(|(index, _)| memory::push(out, index));
            return;
        }
        let start = range.start / LANES * LANES;
        // Slack differs between centers: a block is given up only beyond the largest.
        let reach = Reach::new(horizon, centers.slack()[center], centers.most_slack());
        squared.clear();
        memory::resize(squared, (centers.len() - start).next_multiple_of(LANES), 0.0);
        let later = &centers.blocks()[start * centers.width()..];
        blocks(simd, centers.sketch(center), later, reach.squared(), squared);
        let squared = &mut squared[range.start - start..range.end - start];
        lower_bounds(
            simd,
            reach,
            range.start,
            &centers.slack()[range.start..range.end],
            squared,
            out,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::links::LINKS;
    use super::*;
    use crate::threads::Team;
    use crate::{Context, Control};

    /// Centers on a line, of `cols` equal values, the odd ones with some slack; from `from` on linked within twice `radius`.
    fn line(cols: usize, from: usize, stored: usize, radius: f32) -> (Centers, Clusters, Links) {
        let simd = Simd::best();
        let mut centers = Centers::new(cols, 1, 100.0);
        let clusters = Clusters::new(usize::MAX, 1);
        let mut links = Links::new(from, 100, 0);
        links.stored = stored;
        let control = Control::default();
        let context = Context {
            simd,
            threads: 2,
            control: &control,
        };
        Team::with(&context, |team| {
            for i in 0..100usize {
                let place = (i * 37 % 100) as f32;
                centers.push(simd, &vec![place; cols], &[place], (i % 2) as f32 * 0.25);
                if i >= from {
                    links.meet(i, f64::from(radius).powi(2), 1.0);
                }
                // Some at a time.
                if i % 30 == 29 {
                    links.make(&centers, &clusters, f32::INFINITY, simd, team).unwrap();
                }
            }
            links.make(&centers, &clusters, f32::INFINITY, simd, team).unwrap();
        });
        (centers, clusters, links)
    }

    #[test]
    fn links_and_what_replaces_them_give_the_same_candidates() {
        let find = |(centers, clusters, links): &(Centers, Clusters, Links), center, seen| {
            let linked = Linked {
                centers,
                clusters,
                links,
            };
            let (mut apart, mut out) = (Scratch::default(), Vec::new());
            linked.candidates(Simd::best(), center, seen, 20.0, &mut apart, &mut out);
            out.sort_unstable();
            out
        };
        for center in [0, 7, 40] {
            for seen in [center + 1, 41, 64, 99, 100] {
                let near = |i: &usize| {
                    let gap = ((i * 37 % 100) as f32 - (center * 37 % 100) as f32).abs();
                    gap - (i % 2) as f32 * 0.25 - (center % 2) as f32 * 0.25 <= 20.0
                };
                let expected: Vec<u32> = (seen..100).filter(near).map(|i| i as u32).collect();
                for cols in [1, 2] {
                    assert_eq!(find(&line(cols, 0, 0, 10.0), center, seen), expected);
                    // No room for links from the start, or from some center on; centers that came without.
                    assert_eq!(find(&line(cols, 0, LINKS, 10.0), center, seen), expected);
                    assert_eq!(find(&line(cols, 0, LINKS - 300, 10.0), center, seen), expected);
                    assert_eq!(find(&line(cols, 60, 0, 10.0), center, seen), expected);
                    // Near every other center: all of them count.
                    let all: Vec<u32> = (seen as u32..100).collect();
                    assert_eq!(find(&line(cols, 0, 0, 50.0), center, seen), all);
                }
            }
        }
    }
}
