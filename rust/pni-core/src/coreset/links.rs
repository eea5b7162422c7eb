//! The later centers that may matter to the points of a center.

use super::centers::{Apart, Centers};
use crate::bounds::lowest::lanes_up_to;
use crate::bounds::sketch::compare::{Reach, blocks, horizon, lower_bound, lower_bounds, squared_to};
use crate::simd::lanes::LANES;
use crate::threads::Team;
use crate::{Result, Simd, memory};
use std::ops::Range;

/// Links kept in all; beyond, distances between centers are bounded anew where they are needed.
const LINKS: usize = 4 << 20;

/// Centers whose links a thread adds at a time, at most.
const PART: usize = 1024;

/// A later center that may be nearer to the points of a cell than the cell's own.
#[derive(Debug, Clone, Copy)]
struct Link {
    /// At most the distance between the two centers.
    bound: f32,
    /// The later center.
    index: u32,
}

/// Which centers are near each other.
#[derive(Debug)]
pub struct Links {
    /// For each center the later ones that may be nearer to points of its own.
    of: Vec<Vec<Link>>,
    /// Centers near most of those before them, ascending: not in the links, they count as near every one.
    everywhere: Vec<u32>,
    /// Links to be added.
    new: Vec<New>,
    /// Centers from here to `to` are linked wherever they matter.
    from: usize,
    to: usize,
    stored: usize,
}

/// A center that is to be linked to some before it.
#[derive(Debug)]
struct New {
    index: u32,
    /// The farthest that matters.
    reach: f32,
    /// Those that may be within that, ascending.
    near: Vec<u32>,
}

impl Links {
    /// No links, and none wanted to the centers before `from`.
    pub fn new(from: usize) -> Self {
        Self {
            of: Vec::new(),
            everywhere: Vec::new(),
            new: Vec::new(),
            from,
            to: from,
            stored: 0,
        }
    }

    /// Measures how far all centers are from the newest, chosen at the root of `squared`, as far as they may matter to it.
    /// Those within `share` of the farthest such will be linked to it; candidates must not be asked for beyond that later.
    pub fn meet_newest(&mut self, centers: &Centers, simd: Simd, squared: f64, share: f32, apart: &mut Apart) {
        let newest = centers.len() - 1;
        let horizon = horizon(squared);
        let reach = share * horizon;
        centers.apart(simd, horizon, apart);
        if self.to != newest {
            return;
        }
        let mut near = Vec::new();
        // Where links may be missing, what the bytes say is near enough will do; elsewhere they must not rule any out.
        let limit = if share < 1.0 {
            (reach * apart.scale).powi(2)
        } else {
            apart.limit(reach)
        };
        lanes_up_to(simd, &apart.squared, limit, &mut near);
        // The newest itself, and lanes without a center where the limit is infinite.
        near.truncate(near.partition_point(|center| (*center as usize) < newest));
        // Bytes take too many for near: they are counted again where they seem to be most of all.
        let most = 2 * near.len() > newest && {
            let mut squared = Vec::new();
            let distances = at_most(centers, simd, newest, &near, &mut squared);
            2 * distances.filter(|(_, bound)| *bound <= reach).count() > newest
        };
        if most {
            memory::push(&mut self.everywhere, newest as u32);
        } else if self.stored + near.len() <= LINKS {
            self.stored += near.len();
            let index = newest as u32;
            memory::push(&mut self.new, New { index, reach, near });
        } else {
            return;
        }
        self.to = newest + 1;
    }

    /// Links the centers that were met since the last time.
    pub fn make(&mut self, centers: &Centers, simd: Simd, team: &Team<'_>) -> Result<()> {
        let new = &self.new;
        let more = centers.len().saturating_sub(self.of.len());
        memory::reserve(&mut self.of, more);
        self.of.resize_with(centers.len(), Vec::new);
        let step = centers.len().div_ceil(2 * team.threads()).min(PART);
        team.each_chunk(&mut self.of, step, |part, links| {
            let mut squared = Vec::new();
            let range = (part * step) as u32..(part * step + links.len()) as u32;
            for New { index, reach, near } in new {
                let near = part_in(near, &range);
                for (center, bound) in at_most(centers, simd, *index as usize, near, &mut squared) {
                    if bound <= *reach {
                        memory::push(
                            &mut links[(center - range.start) as usize],
                            Link { bound, index: *index },
                        );
                    }
                }
            }
        })?;
        self.stored = self.of.iter().map(Vec::len).sum();
        self.new.clear();
        Ok(())
    }
}

/// At most the distance of a center to each of `some` others.
fn at_most<'a>(
    centers: &'a Centers,
    simd: Simd,
    center: usize,
    some: &'a [u32],
    squared: &'a mut Vec<f32>,
) -> impl Iterator<Item = (u32, f32)> + 'a {
    squared_to(simd, centers.sketch(center), centers.sketches(), some, squared);
    let slack = centers.slack()[center];
    some.iter()
        .zip(squared)
        .map(move |(other, squared)| (*other, lower_bound(*squared, slack + centers.slack()[*other as usize])))
}

/// Centers and the links between them.
#[derive(Clone, Copy)]
pub struct Linked<'a> {
    pub centers: &'a Centers,
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
        apart: &mut Vec<f32>,
        out: &mut Vec<u32>,
    ) {
        debug_assert!(center < seen, "points have seen their own center");
        out.clear();
        let (links, count) = (self.links, self.centers.len());
        let unlinked = [(seen, links.from.min(count)), (seen.max(links.to), count)];
        for (first, end) in unlinked {
            if first < end {
                unlinked_within(self.centers, simd, center, first, horizon, apart, out);
                out.truncate(out.partition_point(|index| (*index as usize) < end));
            }
        }
        let start = links.everywhere.partition_point(|index| (*index as usize) < seen);
        memory::extend(out, &links.everywhere[start..]);
        let links = &links.of[center];
        let start = links.partition_point(|link| (link.index as usize) < seen);
        let near = links[start..].iter().filter(|link| link.bound <= horizon);
        near.for_each(|link| memory::push(out, link.index));
    }
}

/// Adds to `out` the centers from `first` on within `horizon` of `center`.
fn unlinked_within(
    centers: &Centers,
    simd: Simd,
    center: usize,
    first: usize,
    horizon: f32,
    apart: &mut Vec<f32>,
    out: &mut Vec<u32>,
) {
    let start = first / LANES * LANES;
    // Slack differs between centers: a block is given up only beyond the largest.
    let reach = Reach::new(horizon, centers.slack()[center], centers.most_slack());
    apart.clear();
    memory::resize(apart, (centers.len() - start).next_multiple_of(LANES), 0.0);
    let later = &centers.blocks()[start * centers.width()..];
    blocks(simd, centers.sketch(center), later, reach.squared(), apart);
    let apart = &mut apart[first - start..centers.len() - start];
    lower_bounds(simd, reach, first, &centers.slack()[first..], apart, out);
}

/// Those of an ascending list that are in a range.
fn part_in<'a>(list: &'a [u32], range: &Range<u32>) -> &'a [u32] {
    let start = list.partition_point(|index| *index < range.start);
    let rest = &list[start..];
    &rest[..rest.partition_point(|index| *index < range.end)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Context, Control};

    /// Centers on a line, of `cols` equal values, the odd ones with some slack; from `from` on linked within twice `radius`.
    fn line(cols: usize, from: usize, stored: usize, radius: f32) -> (Centers, Links) {
        let simd = Simd::best();
        let mut centers = Centers::new(cols, 1, 100.0);
        let mut links = Links::new(from);
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
                    links.meet_newest(&centers, simd, f64::from(radius).powi(2), 1.0, &mut Apart::default());
                }
                // Some at a time.
                if i % 30 == 29 {
                    links.make(&centers, simd, team).unwrap();
                }
            }
            links.make(&centers, simd, team).unwrap();
        });
        (centers, links)
    }

    #[test]
    fn links_and_what_replaces_them_give_the_same_candidates() {
        let find = |(centers, links): &(Centers, Links), center, seen| {
            let linked = Linked { centers, links };
            let (mut apart, mut out) = (Vec::new(), Vec::new());
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
