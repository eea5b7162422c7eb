//! The centres chosen so far: their rows, their sketches, and which of them lie near each other.

use super::bounds::{BLOCK, RELATIVE, Reach, blocks, lower_bounds};
use super::sketch_bytes::{BYTES, Bytes, Lanes};
use crate::Simd;
use crate::bytes::quantize::REACH;

/// Links kept in all; beyond, distances between centres are bounded anew where they are needed.
const LINKS: usize = 4 << 20;

/// How much finer the units are than the largest component of a sketch allows: only the leading ones come near it.
const FINER: f32 = 4.0;

/// A later centre that may be nearer to the points of a cell than the cell's own.
#[derive(Debug, Clone, Copy)]
struct Link {
    /// At most the distance between the two centres.
    bound: f32,
    /// The later centre.
    index: u32,
}

/// All centres, in the order they were chosen.
#[derive(Debug)]
pub struct Centers {
    cols: usize,
    width: usize,
    rows: Vec<f32>,
    sketches: Vec<f32>,
    slack: Vec<f32>,
    /// The largest of them.
    most_slack: f32,
    /// The sketches again, in blocks of 16 centres, component by component.
    blocks: Vec<f32>,
    /// And in bytes around 0, `per` units to one.
    lanes: Lanes,
    per: f32,
    /// For each centre the later ones that may be nearer to points of its own.
    links: Vec<Vec<Link>>,
    /// Centres near most of those before them, ascending: not in the links, they count as near every one.
    everywhere: Vec<u32>,
    /// Centres from here to `linked_to` are in the links wherever they matter.
    linked_from: usize,
    linked_to: usize,
    stored: usize,
    /// Buffer of `link`.
    near: Vec<u32>,
}

impl Centers {
    /// No centres yet; `linked_from` come without links. `largest` is about the largest component of a sketch.
    pub fn new(cols: usize, width: usize, linked_from: usize, largest: f32) -> Self {
        let mut lanes = Lanes::default();
        lanes.reset(width);
        Self {
            cols,
            width,
            rows: Vec::new(),
            sketches: Vec::new(),
            slack: Vec::new(),
            blocks: Vec::new(),
            lanes,
            per: f32::from(REACH) * if cols == width { 1.0 } else { FINER } / largest.max(1e-30),
            links: Vec::new(),
            everywhere: Vec::new(),
            most_slack: 0.0,
            linked_from,
            linked_to: linked_from,
            stored: 0,
            near: Vec::new(),
        }
    }

    pub fn len(&self) -> usize {
        self.slack.len()
    }

    pub fn width(&self) -> usize {
        self.width
    }

    pub fn row(&self, index: usize) -> &[f32] {
        &self.rows[index * self.cols..][..self.cols]
    }

    /// Those of all centres.
    pub fn rows(&self) -> &[f32] {
        &self.rows
    }

    pub fn sketch(&self, index: usize) -> &[f32] {
        &self.sketches[index * self.width..][..self.width]
    }

    /// See the field.
    pub fn lanes(&self) -> &Lanes {
        &self.lanes
    }

    /// See the field.
    pub fn blocks(&self) -> &[f32] {
        &self.blocks
    }

    /// See the field.
    pub fn per(&self) -> f32 {
        self.per
    }

    /// Whether the bytes around 0 are fine enough for points within `horizon` / 2 of a centre.
    pub fn coarse_within(&self, horizon: f32) -> bool {
        // Rounding leaves 0.29 units a component on average, on both sides.
        0.6 * (self.width as f32).sqrt() <= 0.15 * (horizon / 2.0) * self.per
    }

    /// See the field.
    pub fn most_slack(&self) -> f32 {
        self.most_slack
    }

    pub fn slack(&self) -> &[f32] {
        &self.slack
    }

    /// Adds a centre.
    pub fn push(&mut self, simd: Simd, row: &[f32], sketch: &[f32], slack: f32) {
        let index = self.len();
        self.rows.extend_from_slice(row);
        self.sketches.extend_from_slice(sketch);
        self.slack.push(slack);
        self.most_slack = self.most_slack.max(slack);
        self.links.push(Vec::new());
        if index.is_multiple_of(BLOCK) {
            self.blocks.resize(self.blocks.len() + BLOCK * self.width, 0.0);
        }
        let block = &mut self.blocks[index / BLOCK * BLOCK * self.width..];
        for (component, value) in sketch.iter().enumerate() {
            block[component * BLOCK + index % BLOCK] = *value;
        }
        let bytes = Bytes::of(simd, sketch, &[0.0; BYTES][..self.width], self.per);
        self.lanes.push(&bytes, slack * self.per);
    }

    /// Writes to `out[i]` at most the distance of centre `index` to centre `first + i`, up to the last one; where
    /// that is beyond `limit`, something else beyond `limit`. The centres that are not beyond `share` of it are added to
    /// `near`.
    #[allow(clippy::too_many_arguments)]
    fn apart(
        &self,
        simd: Simd,
        index: usize,
        first: usize,
        limit: f32,
        share: f32,
        out: &mut Vec<f32>,
        near: &mut Vec<u32>,
    ) {
        let start = first / BLOCK;
        let own = self.slack[index];
        // Slack differs between centres: a block is given up only beyond the largest.
        let reach = (limit + own + self.most_slack) * (1.0 + 8.0 * RELATIVE) + 1e-15;
        out.clear();
        out.resize((self.len().div_ceil(BLOCK) - start) * BLOCK, 0.0);
        let lanes = &self.blocks[start * BLOCK * self.width..];
        blocks(simd, self.sketch(index), lanes, reach * reach, out);
        out.drain(..first - start * BLOCK);
        out.truncate(self.len() - first);
        let far = reach * reach * (1.0 + RELATIVE);
        let reach = Reach {
            far,
            own,
            near: limit * share,
        };
        lower_bounds(simd, reach, first, &self.slack[first..], out, near);
    }

    /// Links the newest centre, chosen at `radius`, to those before it that are within `share` of the distance at which it
    /// may still matter to their points; later calls must not ask for more than this share. `out` gets, for each of those and itself,
    /// at most the distance between them.
    pub fn link(&mut self, simd: Simd, radius: f32, share: f32, out: &mut Vec<f32>) {
        let newest = self.len() - 1;
        let horizon = 2.0 * radius * (1.0 + RELATIVE);
        let mut near = std::mem::take(&mut self.near);
        near.clear();
        self.apart(simd, newest, 0, horizon, share, out, &mut near);
        // The newest, the last of all, is near itself.
        near.pop_if(|center| *center as usize == newest);
        if self.linked_to == newest && self.stored + near.len() <= LINKS {
            if 2 * near.len() > newest {
                self.everywhere.push(newest as u32);
            } else {
                for center in &near {
                    self.links[*center as usize].push(Link {
                        bound: out[*center as usize],
                        index: newest as u32,
                    });
                }
                self.stored += near.len();
            }
            self.linked_to = newest + 1;
        }
        self.near = near;
    }

    /// Centres from `seen` on, among them all others within `horizon` of `center`.
    pub fn candidates(
        &self,
        simd: Simd,
        center: usize,
        seen: usize,
        horizon: f32,
        apart: &mut Vec<f32>,
        out: &mut Vec<u32>,
    ) {
        out.clear();
        if seen <= center {
            // Links lead to later centres only.
            return self.apart(simd, center, seen, horizon, 1.0, apart, out);
        }
        let unlinked = [
            (seen, self.linked_from.min(self.len())),
            (seen.max(self.linked_to), self.len()),
        ];
        for (first, end) in unlinked {
            if first < end {
                self.apart(simd, center, first, horizon, 1.0, apart, out);
                out.truncate(out.partition_point(|index| (*index as usize) < end));
            }
        }
        let start = self.everywhere.partition_point(|index| (*index as usize) < seen);
        out.extend_from_slice(&self.everywhere[start..]);
        let links = &self.links[center];
        let start = links.partition_point(|link| (link.index as usize) < seen);
        let near = links[start..].iter().filter(|link| link.bound <= horizon);
        out.extend(near.map(|link| link.index));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Centres on a line, the odd ones with some slack, linked within twice `radius`.
    fn line(linked_from: usize, stored: usize, radius: f32) -> Centers {
        let mut centers = Centers::new(1, 1, linked_from, 100.0);
        centers.stored = stored;
        for i in 0..100usize {
            let place = (i * 37 % 100) as f32;
            centers.push(Simd::best(), &[place], &[place], (i % 2) as f32 * 0.25);
            if i >= linked_from {
                centers.link(Simd::best(), radius, 1.0, &mut Vec::new());
            }
        }
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
                assert_eq!(find(&line(0, 0, 10.0), center, seen), expected);
                // No room for links from the start, or from some centre on; centres that came without.
                assert_eq!(find(&line(0, LINKS, 10.0), center, seen), expected);
                assert_eq!(find(&line(0, LINKS - 300, 10.0), center, seen), expected);
                assert_eq!(find(&line(60, 0, 10.0), center, seen), expected);
                // Near every other centre: all of them count.
                let all: Vec<u32> = (seen as u32..100).collect();
                assert_eq!(find(&line(0, 0, 50.0), center, seen), all);
            }
        }
    }
}
