//! The later centres that may matter to the points of a centre.

use super::centers::{Apart, Centers};
use crate::bounds::lowest::up_to;
use crate::bounds::sketch::compare::{BLOCK, RELATIVE, Reach, blocks, lower_bound, lower_bounds, sketches_apart};
use crate::threads::Team;
use crate::{Result, Simd};
use std::ops::Range;

/// Links kept in all; beyond, distances between centres are bounded anew where they are needed.
const LINKS: usize = 4 << 20;

/// Centres whose links a thread adds at a time, at most.
const PART: usize = 1024;

/// A later centre that may be nearer to the points of a cell than the cell's own.
#[derive(Debug, Clone, Copy)]
struct Link {
    /// At most the distance between the two centres.
    bound: f32,
    /// The later centre.
    index: u32,
}

/// Which centres are near each other.
#[derive(Debug)]
pub struct Links {
    /// For each centre the later ones that may be nearer to points of its own.
    of: Vec<Vec<Link>>,
    /// Centres near most of those before them, ascending: not in the links, they count as near every one.
    everywhere: Vec<u32>,
    /// Links to be added.
    new: Vec<New>,
    /// Centres from here to `to` are linked wherever they matter.
    from: usize,
    to: usize,
    stored: usize,
}

/// A centre that is to be linked to some before it.
#[derive(Debug)]
struct New {
    index: u32,
    /// The farthest that matters.
    reach: f32,
    /// Those that may be within that, ascending.
    near: Vec<u32>,
}

impl Links {
    /// No links, and none wanted to the centres before `from`.
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
}

impl Centers {
    /// Measures how far all centres are from the newest, chosen at `radius`, as far as they may matter to it. Those within
    /// `share` of the farthest such will be linked to it; candidates must not be asked for beyond that later.
    pub fn meet_newest(&mut self, simd: Simd, radius: f32, share: f32, apart: &mut Apart) {
        let newest = self.len() - 1;
        let horizon = 2.0 * radius * (1.0 + RELATIVE);
        let reach = share * horizon;
        self.apart(simd, horizon, apart);
        if self.links.to != newest {
            return;
        }
        let mut near = Vec::new();
        // Where links may be missing, what the bytes say is near enough will do; elsewhere they must not rule any out.
        let limit = if share < 1.0 {
            (reach * apart.per).powi(2)
        } else {
            apart.limit(reach)
        };
        up_to(simd, &apart.squared, limit, &mut near);
        // The newest itself, and lanes without a centre where the limit is infinite.
        near.truncate(near.partition_point(|center| (*center as usize) < newest));
        // Bytes take too many for near: they are counted again where they seem to be most of all.
        let most = 2 * near.len() > newest && {
            let mut squared = Vec::new();
            let bounds = self.bounds(simd, newest, &near, &mut squared);
            2 * bounds.filter(|(_, bound)| *bound <= reach).count() > newest
        };
        let links = &mut self.links;
        if most {
            links.everywhere.push(newest as u32);
        } else if links.stored + near.len() <= LINKS {
            links.stored += near.len();
            links.new.push(New {
                index: newest as u32,
                reach,
                near,
            });
        } else {
            return;
        }
        links.to = newest + 1;
    }

    /// At most the distance of a centre to each of `some` others.
    fn bounds<'a>(
        &'a self,
        simd: Simd,
        center: usize,
        some: &'a [u32],
        squared: &'a mut Vec<f32>,
    ) -> impl Iterator<Item = (u32, f32)> + 'a {
        sketches_apart(simd, self.sketch(center), self.sketches(), some, squared);
        let slack = self.slack()[center];
        some.iter()
            .zip(squared)
            .map(move |(other, squared)| (*other, lower_bound(*squared, slack + self.slack()[*other as usize])))
    }

    /// Links the centres that were met since the last time.
    pub fn link(&mut self, simd: Simd, team: &Team<'_>) -> Result<()> {
        let mut links = std::mem::take(&mut self.links.of);
        links.resize_with(self.len(), Vec::new);
        let (centers, new) = (&*self, &self.links.new);
        let step = self.len().div_ceil(2 * team.threads()).min(PART);
        team.each_chunk(&mut links, step, |part, links| {
            let mut squared = Vec::new();
            let range = (part * step) as u32..(part * step + links.len()) as u32;
            for New { index, reach, near } in new {
                let near = within(near, &range);
                for (center, bound) in centers.bounds(simd, *index as usize, near, &mut squared) {
                    if bound <= *reach {
                        links[(center - range.start) as usize].push(Link { bound, index: *index });
                    }
                }
            }
        })?;
        self.links.stored = links.iter().map(Vec::len).sum();
        self.links.of = links;
        self.links.new.clear();
        Ok(())
    }

    /// Writes to `out` centres from `seen` (later than `center`) on, among them all others within `horizon` of `center`.
    pub fn candidates(
        &self,
        simd: Simd,
        center: usize,
        seen: usize,
        horizon: f32,
        apart: &mut Vec<f32>,
        out: &mut Vec<u32>,
    ) {
        debug_assert!(center < seen, "points have seen their own centre");
        out.clear();
        let links = &self.links;
        let unlinked = [(seen, links.from.min(self.len())), (seen.max(links.to), self.len())];
        for (first, end) in unlinked {
            if first < end {
                self.unlinked(simd, center, first, horizon, apart, out);
                out.truncate(out.partition_point(|index| (*index as usize) < end));
            }
        }
        let start = links.everywhere.partition_point(|index| (*index as usize) < seen);
        out.extend_from_slice(&links.everywhere[start..]);
        let links = &links.of[center];
        let start = links.partition_point(|link| (link.index as usize) < seen);
        let near = links[start..].iter().filter(|link| link.bound <= horizon);
        out.extend(near.map(|link| link.index));
    }

    /// Adds to `out` the centres from `first` on within `horizon` of `center`.
    fn unlinked(
        &self,
        simd: Simd,
        center: usize,
        first: usize,
        horizon: f32,
        apart: &mut Vec<f32>,
        out: &mut Vec<u32>,
    ) {
        let start = first / BLOCK * BLOCK;
        let own = self.slack()[center];
        // Slack differs between centres: a block is given up only beyond the largest.
        let reach = (horizon + own + self.most_slack()) * (1.0 + 8.0 * RELATIVE) + 1e-15;
        apart.clear();
        apart.resize((self.len() - start).next_multiple_of(BLOCK), 0.0);
        let lanes = &self.blocks()[start * self.width()..];
        blocks(simd, self.sketch(center), lanes, reach * reach, apart);
        let apart = &mut apart[first - start..self.len() - start];
        let far = reach * reach * (1.0 + RELATIVE);
        let reach = Reach {
            far,
            own,
            near: horizon,
        };
        lower_bounds(simd, reach, first, &self.slack()[first..], apart, out);
    }
}

/// Those of an ascending list that are in a range.
fn within<'a>(list: &'a [u32], range: &Range<u32>) -> &'a [u32] {
    let start = list.partition_point(|index| *index < range.start);
    let rest = &list[start..];
    &rest[..rest.partition_point(|index| *index < range.end)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Context, Control};

    /// Centres on a line, of `cols` equal values, the odd ones with some slack; from `from` on linked within twice `radius`.
    fn line(cols: usize, from: usize, stored: usize, radius: f32) -> Centers {
        let simd = Simd::best();
        let mut centers = Centers::new(cols, 1, from, 100.0);
        centers.links.stored = stored;
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
                    centers.meet_newest(simd, radius, 1.0, &mut Apart::default());
                }
                // Some at a time.
                if i % 30 == 29 {
                    centers.link(simd, team).unwrap();
                }
            }
            centers.link(simd, team).unwrap();
        });
        centers
    }

    #[test]
    fn links_and_what_replaces_them_give_the_same_candidates() {
        let find = |centers: &Centers, center, seen| {
            let (mut apart, mut out) = (Vec::new(), Vec::new());
            centers.candidates(Simd::best(), center, seen, 20.0, &mut apart, &mut out);
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
                    // No room for links from the start, or from some centre on; centres that came without.
                    assert_eq!(find(&line(cols, 0, LINKS, 10.0), center, seen), expected);
                    assert_eq!(find(&line(cols, 0, LINKS - 300, 10.0), center, seen), expected);
                    assert_eq!(find(&line(cols, 60, 0, 10.0), center, seen), expected);
                    // Near every other centre: all of them count.
                    let all: Vec<u32> = (seen as u32..100).collect();
                    assert_eq!(find(&line(cols, 0, 0, 50.0), center, seen), all);
                }
            }
        }
    }
}
