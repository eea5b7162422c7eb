//! Which centers are near each other: kept for each center, as others are chosen.

use super::centers::{Apart, Centers};
use super::clusters::{Clusters, Found, Question, TOGETHER};
use crate::bounds::lowest::lanes_up_to;
use crate::bounds::sketch::compare::{horizon, lower_bound, squared_to};
use crate::threads::Team;
use crate::{Result, Simd, memory};

/// Links kept in all, or so many to a point, or to a center but no more than the memory that the points take in half precision;
/// beyond, distances between centers are bounded anew where they are needed. Of several shards each has all centers, but
/// few of the points.
pub(super) const LINKS: usize = 4 << 20;
const TO_A_POINT: usize = 6;
const TO_A_CENTER: usize = 600;

/// Parts of all centers that links are added to.
const PARTS: usize = 4;

/// A later center that may be nearer to the points of a cell than the cell's own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Link {
    /// At most the distance between the two centers.
    pub bound: f32,
    /// The later center.
    pub index: u32,
}

/// Which centers are near each other.
#[derive(Debug)]
pub struct Links {
    /// For each center the later ones that may be nearer to points of its own.
    pub(super) of: Vec<Vec<Link>>,
    /// Centers near most of those before them, ascending: not in the links, they count as near every one.
    pub(super) everywhere: Vec<u32>,
    /// Links to be added.
    new: Vec<New>,
    /// Centers from here to `to` are linked wherever they matter.
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) stored: usize,
    /// How many there may be, with few centers and with many.
    room: [usize; 2],
}

/// A center that is to be linked to some before it.
#[derive(Debug)]
struct New {
    index: u32,
    /// The farthest that matters.
    reach: f32,
    /// Those before it that are within that.
    links: Vec<Link>,
}

impl Links {
    /// No links, and none wanted to the centers before `from`, of so many points of so many values.
    pub fn new(from: usize, points: usize, cols: usize) -> Self {
        let least = LINKS.max(TO_A_POINT * points);
        Self {
            of: Vec::new(),
            everywhere: Vec::new(),
            new: Vec::new(),
            from,
            to: from,
            stored: 0,
            room: [least, least.max(2 * points * cols / size_of::<Link>())],
        }
    }

    /// Takes a center, chosen at the root of `squared`: it will be linked to those before it within `share` of the farthest that
    /// may matter to it; candidates must not be asked for beyond that later.
    pub fn meet(&mut self, index: usize, squared: f64, share: f32) {
        let (index, reach, links) = (index as u32, share * horizon(squared), Vec::new());
        memory::push(&mut self.new, New { index, reach, links });
    }

    /// Links the centers that were met since the last time. No candidates farther than `most` will be asked for.
    pub fn make(
        &mut self,
        centers: &Centers,
        clusters: &Clusters,
        most: f32,
        simd: Simd,
        team: &Team<'_>,
    ) -> Result<()> {
        if self.new.first().is_some_and(|new| new.index as usize != self.to) {
            self.new.clear();
        }
        let part = (self.new.len() / (4 * team.threads())).clamp(1, TOGETHER);
        team.each_chunk(&mut self.new, part, |_, new| {
            let mut scratch = Scratch::default();
            near_each(new, centers, clusters, simd, &mut scratch);
            for (new, near) in new.iter_mut().zip(&mut scratch.near) {
                near.retain(|center| *center < new.index);
                let near = at_most(centers, simd, new.index as usize, near, &mut scratch.squared);
                let near = near.filter(|(_, bound)| *bound <= new.reach);
                near.for_each(|(index, bound)| memory::push(&mut new.links, Link { bound, index }));
            }
        })?;
        let [least, largest] = self.room;
        let room = (TO_A_CENTER * centers.len()).clamp(least, largest);
        let mut taken = 0;
        for New { index, links, .. } in &mut self.new {
            if 2 * links.len() > *index as usize {
                links.clear();
                memory::push(&mut self.everywhere, *index);
            }
            if self.stored + links.len() > room {
                break;
            }
            self.stored += links.len();
            taken += 1;
            self.to = *index as usize + 1;
        }
        self.new.truncate(taken);
        let more = centers.len().saturating_sub(self.of.len());
        memory::reserve(&mut self.of, more);
        self.of.resize_with(centers.len(), Vec::new);
        let new = &self.new;
        let full = self.stored > room / 2;
        let step = centers.len().div_ceil(PARTS);
        team.each_chunk(&mut self.of, step, |part, of| {
            if full {
                for links in &mut *of {
                    links.retain(|link| link.bound <= most);
                    links.shrink_to(2 * links.len());
                }
            }
            let first = (part * step) as u32;
            for New { index, links, .. } in new {
                for link in links {
                    if let Some(of) = link
                        .index
                        .checked_sub(first)
                        .and_then(|place| of.get_mut(place as usize))
                    {
                        let (bound, index) = (link.bound, *index);
                        memory::push(of, Link { bound, index });
                    }
                }
            }
        })?;
        self.stored = self.of.iter().map(Vec::len).sum();
        self.new.clear();
        Ok(())
    }
}

/// Buffers of one thread.
#[derive(Debug, Default)]
pub struct Scratch {
    apart: Apart,
    pub(super) found: Found,
    /// For each of some centers those near it.
    pub(super) near: Vec<Vec<u32>>,
    pub(super) squared: Vec<f32>,
}

/// Finds the centers before each of `new` that may be as near as matters, and maybe others.
fn near_each(new: &[New], centers: &Centers, clusters: &Clusters, simd: Simd, scratch: &mut Scratch) {
    let Scratch { apart, found, near, .. } = scratch;
    near.resize_with(new.len().max(near.len()), Vec::new);
    near.iter_mut().for_each(Vec::clear);
    // What the bytes say is near enough will do.
    if clusters.hold(centers) && new.iter().all(|new| centers.fine_within(new.reach)) {
        let questions = new.iter().map(|new| Question {
            bytes: *centers.bytes_of(new.index as usize),
            limit: (new.reach * centers.scale()).powi(2),
        });
        found.ask(questions);
        clusters.answer(simd, false, found);
        for (near, found) in near.iter_mut().zip(&found.near) {
            memory::reserve(near, found.len());
            near.extend(found.iter().map(|near| near.index));
        }
        return;
    }
    for (new, near) in new.iter().zip(near) {
        centers.apart(simd, new.index as usize, new.reach, apart);
        // Points that are their own sketches look for their nearest among what is linked: none may be ruled out.
        let limit = if centers.are_sketches() {
            apart.limit(new.reach)
        } else {
            (new.reach * apart.scale).powi(2)
        };
        lanes_up_to(simd, &apart.squared, limit, near);
    }
}

/// At most the distance of a center to each of `some` others.
pub(super) fn at_most<'a>(
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
