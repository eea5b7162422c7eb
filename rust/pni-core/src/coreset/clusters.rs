//! Centers near a point, without a look at all of them.
//!
//! Centers lie in clusters of up to sixteen, side by side in bytes, around one of them, the head. A cluster none of whose
//! bytes can be within a distance is passed over whole: bytes are whole numbers, so the triangle inequality holds for them
//! exactly (BOUNDS.md, *Clusters*). The first centers are the heads: as farthest-first picks they lie evenly among all that
//! follow. A center whose cluster is full becomes a head itself.

use super::centers::Centers;
use crate::Simd;
use crate::bounds::bytes::blocks::ByteBlocks;
use crate::bounds::bytes::clusters;
pub use crate::bounds::bytes::clusters::{Near, Question, TOGETHER};
use crate::bounds::lowest::lowest_lane;
use crate::simd::lanes::LANES;
use crate::threads::Team;
use crate::{Result, memory};

/// Centers to a head when heads are chosen: so many more may come before they are chosen again as there are.
const TO_A_HEAD: usize = 8;

/// Centers that are given their heads at a time.
const PART: usize = 64;

/// All centers, in clusters.
#[derive(Debug)]
pub struct Clusters {
    /// Centers from which on it is worth it.
    from: usize,
    heads: ByteBlocks,
    /// For each lane of the heads, how far the bytes of its cluster are from the head's, at most.
    radii: Vec<[f32; LANES]>,
    /// Centers in each cluster.
    sizes: Vec<u8>,
    /// Sixteen lanes for each head.
    members: ByteBlocks,
    /// The centers in those lanes.
    indices: Vec<[u32; LANES]>,
    /// Centers whose bytes say nothing.
    doubtful: Vec<u32>,
    /// Centers when heads were chosen, and now.
    chosen_at: usize,
    len: usize,
}

/// Questions and what was found; buffers of one thread.
#[derive(Debug, Default)]
pub struct Found {
    open: Vec<[u64; LANES]>,
    pub questions: Vec<Question>,
    /// For each question the centers that may be within the distance; those in doubt have the squared distance −∞.
    pub near: Vec<Vec<Near>>,
}

impl Found {
    /// Takes other questions.
    pub fn ask(&mut self, questions: impl Iterator<Item = Question>) {
        self.questions.clear();
        questions.for_each(|question| memory::push(&mut self.questions, question));
    }

    /// Keeps only some questions.
    pub fn keep(&mut self, mut wanted: impl Iterator<Item = bool>) {
        self.questions.retain(|_| wanted.next().unwrap_or(false));
    }
}

impl Clusters {
    /// None yet: there will be where there are at least `from` centers.
    pub fn new(from: usize, width: usize) -> Self {
        Self {
            from: from.max(1),
            heads: ByteBlocks::new(width),
            radii: Vec::new(),
            sizes: Vec::new(),
            members: ByteBlocks::new(width),
            indices: Vec::new(),
            doubtful: Vec::new(),
            chosen_at: 0,
            len: 0,
        }
    }

    /// Whether these are all of `centers`.
    pub fn hold(&self, centers: &Centers) -> bool {
        self.len == centers.len() && !self.sizes.is_empty()
    }

    /// Takes the centers that are not here yet, where there are enough.
    pub fn keep_up(&mut self, centers: &Centers, simd: Simd, team: &Team<'_>) -> Result<()> {
        let count = centers.len();
        if count < self.from || centers.are_sketches() {
            return Ok(());
        }
        let bytes = centers.byte_blocks();
        let mut heads = 0;
        if count >= 2 * self.chosen_at {
            *self = Self::new(self.from, centers.width());
            self.chosen_at = count;
            heads = count.div_ceil(TO_A_HEAD);
        }
        let mut new = memory::with_room(count - self.len);
        for index in self.len..count {
            if bytes.in_doubt(index) {
                memory::push(&mut self.doubtful, index as u32);
            } else if self.sizes.len() < heads {
                self.lead(index, centers);
            } else {
                new.push(index);
            }
        }
        self.len = count;
        let mut places = memory::filled((0, 0.0), new.len());
        let view = self.heads.from(0);
        team.each_chunk(&mut places, PART, |part, places| {
            let mut squared = Vec::new();
            for (place, index) in places.iter_mut().zip(&new[part * PART..]) {
                view.compare_one(simd, centers.bytes_of(*index), &mut squared);
                let lane = lowest_lane(simd, &squared);
                *place = (lane, squared.get(lane).copied().unwrap_or(f32::INFINITY));
            }
        })?;
        for (index, (head, squared)) in new.into_iter().zip(places) {
            // Of those without a head only the first is infinitely far.
            if squared < f32::INFINITY && usize::from(self.sizes[head]) < LANES {
                self.put(index, head, squared, centers);
            } else {
                self.lead(index, centers);
            }
        }
        Ok(())
    }

    /// Makes a center a head.
    fn lead(&mut self, index: usize, centers: &Centers) {
        let head = self.sizes.len();
        self.heads.push_from(centers.byte_blocks(), index);
        memory::resize(&mut self.radii, head / LANES + 1, [0.0; LANES]);
        memory::push(&mut self.sizes, 0);
        memory::push(&mut self.indices, [0; LANES]);
        self.members.open_block();
        self.put(index, head, 0.0, centers);
    }

    fn put(&mut self, index: usize, head: usize, squared: f32, centers: &Centers) {
        let lane = usize::from(self.sizes[head]);
        self.members
            .fill_from(head * LANES + lane, centers.byte_blocks(), index);
        self.indices[head][lane] = index as u32;
        let radius = &mut self.radii[head / LANES][head % LANES];
        *radius = radius.max(squared.sqrt());
        self.sizes[head] += 1;
    }

    /// Answers up to [`TOGETHER`] questions: all centers whose bytes are within each limit, or those of clusters whose heads are.
    pub fn answer(&self, simd: Simd, only_near: bool, found: &mut Found) {
        let Found { open, questions, near } = found;
        for question in &mut *questions {
            // Lanes without a center are infinitely far.
            question.limit = question.limit.min(f32::MAX);
        }
        near.resize_with(questions.len().max(near.len()), Vec::new);
        for near in &mut near[..questions.len()] {
            near.clear();
            for index in &self.doubtful {
                let (squared, index) = (f32::NEG_INFINITY, *index);
                memory::push(near, Near { squared, index });
            }
        }
        open.clear();
        memory::resize(open, self.radii.len(), [0; LANES]);
        let share = if only_near { 0.0 } else { 1.0 };
        clusters::open(simd, questions, self.heads.from(0), &self.radii, share, open);
        let open = &open.as_flattened()[..self.sizes.len()];
        clusters::answer(simd, questions, self.members.from(0), &self.indices, open, near);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Context, Control};

    /// Centers in a cube, some of them far out and some so long that their bytes say nothing.
    fn center(index: usize) -> [f32; 3] {
        let value = |step: usize| (index * step % 101) as f32 / 101.0;
        let far = if index % 17 == 3 { 40.0 } else { 1.0 };
        [value(37) * far, value(59), value(83)]
    }

    #[test]
    fn clusters_leave_out_nothing_and_find_nothing_more() {
        let control = Control::default();
        for simd in Simd::available() {
            let context = Context {
                simd,
                threads: 2,
                control: &control,
            };
            let (mut centers, mut clusters) = (Centers::new(9, 3, 2.0), Clusters::new(5, 3));
            let mut found = Found::default();
            Team::with(&context, |team| {
                for count in 0..400 {
                    let slack = if count % 31 == 7 { 1e9 } else { 0.01 };
                    centers.push(simd, &[0.0; 9], &center(count), slack);
                    if count % 13 != 12 {
                        assert!(!clusters.hold(&centers));
                        continue;
                    }
                    clusters.keep_up(&centers, simd, team).unwrap();
                    assert!(clusters.hold(&centers));
                    let questions = (0..TOGETHER).map(|i| Question {
                        bytes: centers.bytes(simd, &center(i * 7 + 1)),
                        limit: [0.0, 9.0, 300.0, 2_000.0, f32::INFINITY][i % 5],
                    });
                    found.ask(questions);
                    clusters.answer(simd, false, &mut found);
                    for (question, near) in found.questions.iter().zip(&found.near) {
                        let mut squared = Vec::new();
                        let view = centers.byte_blocks().from(0);
                        view.compare_one(simd, &question.bytes, &mut squared);
                        let mut near: Vec<_> = near.iter().map(|near| (near.index, near.squared)).collect();
                        near.sort_unstable_by_key(|(index, _)| *index);
                        let all = squared[..centers.len()].iter().enumerate();
                        let within = all.filter(|(_, squared)| **squared <= question.limit);
                        let expected: Vec<_> = within.map(|(index, squared)| (index as u32, *squared)).collect();
                        assert_eq!(near, expected, "{simd} {count}");
                    }
                }
            });
        }
    }
}
