//! The nearest of many centers, exactly, for points that may be picked next.

use super::centers::Centers;
use super::clusters::{Clusters, Found, Near, Question, TOGETHER};
use super::points::{Points, State};
use crate::Result;
use crate::Simd;
use crate::bounds::bytes::blocks::{POINTS, SketchBytes};
use crate::bounds::lowest::{lanes_up_to, lowest_lane};
use crate::bounds::root_above;
use crate::bounds::sketch::compare::{blocks, decisive, reach, squared_to};
use crate::distance::{squared, squared_within};
use crate::memory;
use crate::simd::lanes::LANES;
use crate::simd::prefetch;
use crate::threads::Team;
use std::ops::RangeInclusive;

/// Points a thread takes at a time.
const PARTS: RangeInclusive<usize> = 16..=TOGETHER;

/// For each point of `list`, finds a center nearer than `enough` (squared) or, where there is none, the nearest.
pub fn settle(
    points: &mut Points<'_>,
    list: &[u32],
    enough: f64,
    centers: &Centers,
    clusters: &Clusters,
    simd: Simd,
    team: &Team<'_>,
) -> Result<()> {
    let states = list
        .iter()
        .map(|point| (*point as usize, points.states[*point as usize]));
    let mut found: Vec<(usize, State)> = memory::collected(states);
    let shared: &Points<'_> = points;
    let fine = centers.fine_within(root_above(enough));
    let part = (found.len() / (8 * team.threads())).clamp(*PARTS.start(), *PARTS.end());
    team.each_chunk(&mut found, part, |_, found| {
        let mut buffer = Vec::new();
        for (point, state) in &mut *found {
            let row = shared.row(*point, shared.slack[*point], &mut buffer);
            // Until now this may have been an upper bound.
            state.best = squared(simd, row, centers.row(state.center as usize));
            state.seen = centers.len() as u32;
        }
        let mut left: Vec<_> = found.iter_mut().filter(|(_, state)| state.best >= enough).collect();
        if fine && clusters.hold(centers) {
            let (mut scratch, mut asked) = (Scratch::default(), Found::default());
            asked.ask(left.iter().map(|(point, state)| {
                let bytes = centers.bytes(simd, shared.sketch(*point));
                let limit = units_within(state, shared.slack[*point], &bytes, centers);
                Question { bytes, limit }
            }));
            // Nearly half have a center near enough in a cluster that is near itself.
            clusters.answer(simd, true, &mut asked);
            for ((point, state), near) in left.iter_mut().zip(&mut asked.near) {
                let one = One::new(*point, shared.slack[*point], shared, centers, simd, &mut buffer);
                one.cover_among(near, enough, state);
            }
            let open = left.iter().map(|(_, state)| state.best >= enough);
            asked.keep(open);
            left.retain(|(_, state)| state.best >= enough);
            clusters.answer(simd, false, &mut asked);
            for ((point, state), (question, near)) in left.into_iter().zip(asked.questions.iter().zip(&mut asked.near))
            {
                let one = One::new(*point, shared.slack[*point], shared, centers, simd, &mut buffer);
                one.find_among(&question.bytes, near, enough, state, &mut scratch);
            }
        } else if fine {
            let mut scratch = Scratch::default();
            for group in left.chunks_mut(POINTS) {
                by_bytes(group, enough, shared, centers, simd, &mut scratch);
            }
        } else {
            let mut bounds = Vec::new();
            for (point, state) in left {
                let one = One::new(*point, shared.slack[*point], shared, centers, simd, &mut buffer);
                one.bound(state, centers.blocks(), &mut bounds);
                // Lanes without a center, and the point's own.
                bounds[centers.len()..].fill(f32::INFINITY);
                bounds[state.center as usize] = f32::INFINITY;
                one.find(enough, state, &mut bounds, |lane| lane as u32);
            }
        }
    })?;
    for (point, state) in found {
        points.states[point] = state;
    }
    Ok(())
}

/// Buffers of one thread.
#[derive(Default)]
struct Scratch {
    squared: Vec<f32>,
    listed: Vec<u32>,
    bounds: Vec<f32>,
    row: Vec<f32>,
}

/// Settles up to four points: bytes leave few centers to be looked at more closely.
fn by_bytes(
    group: &mut [&mut (usize, State)],
    enough: f64,
    points: &Points<'_>,
    centers: &Centers,
    simd: Simd,
    scratch: &mut Scratch,
) {
    let Scratch {
        squared,
        listed,
        bounds,
        row,
    } = scratch;
    let view = centers.byte_blocks().from(0);
    let bytes: [SketchBytes; POINTS] = std::array::from_fn(|i| {
        let (point, _) = *group[i.min(group.len() - 1)];
        centers.bytes(simd, points.sketch(point))
    });
    view.compare(simd, &bytes, squared);
    let lanes = squared.len() / POINTS;
    for (((point, state), bytes), squared) in group.iter_mut().zip(&bytes).zip(squared.chunks_exact_mut(lanes)) {
        let one = One::new(*point, points.slack[*point], points, centers, simd, row);
        let limit = |state: &State| units_within(state, one.slack, bytes, centers);
        squared[state.center as usize] = f32::INFINITY;
        let nearest = lowest_lane(simd, squared);
        if squared[nearest] > limit(state) || squared[nearest] == f32::INFINITY {
            continue;
        }
        one.measure(nearest as u32, state);
        if state.best < enough {
            continue;
        }
        squared[nearest] = f32::INFINITY;
        listed.clear();
        lanes_up_to(simd, squared, limit(state), listed);
        // Lanes without a center are within an infinite limit.
        listed.truncate(listed.partition_point(|lane| (*lane as usize) < centers.len()));
        one.bound_some(listed, bounds);
        one.find(enough, state, bounds, |lane| listed[lane]);
    }
}

/// What the squared distance of bytes must exceed to prove a center no nearer to a point.
fn units_within(state: &State, slack: f32, bytes: &SketchBytes, centers: &Centers) -> f32 {
    let error = bytes.error + centers.byte_blocks().from(0).slack;
    decisive(reach(state.best, slack) * centers.scale() + error)
}

/// Centers whose rows are asked for before they are needed.
const AHEAD: usize = 4;

/// Centers that look near enough to keep a point from being hot, and are tried, at most.
const TRIES: usize = 3;

/// Centers that are looked for by their bound, the nearest first, before all others are gone through.
const NEAREST_FIRST: usize = 6;

/// A point, and what it is compared with.
pub struct One<'a> {
    sketch: &'a [f32],
    slack: f32,
    pub row: &'a [f32],
    centers: &'a Centers,
    simd: Simd,
}

impl<'a> One<'a> {
    /// A point and its slack; `buffer` holds its row where that must be converted.
    pub fn new(
        point: usize,
        slack: f32,
        points: &'a Points<'_>,
        centers: &'a Centers,
        simd: Simd,
        buffer: &'a mut Vec<f32>,
    ) -> Self {
        Self {
            sketch: points.sketch(point),
            slack,
            row: points.row(point, slack, buffer),
            centers,
            simd,
        }
    }

    /// Writes to `bounds` what the sketches say of the squared distances to the centers in `lanes` (as in
    /// [`blocks`]).
    pub fn bound(&self, state: &State, lanes: &[f32], bounds: &mut Vec<f32>) {
        memory::resize(bounds, lanes.len() / self.sketch.len(), 0.0);
        blocks(self.simd, self.sketch, lanes, self.limit(state), bounds);
    }

    /// The same of `some` centers; what follows them is infinite.
    pub fn bound_some(&self, some: &[u32], bounds: &mut Vec<f32>) {
        squared_to(self.simd, self.sketch, self.centers.sketches(), some, bounds);
        memory::resize(bounds, some.len().next_multiple_of(LANES), f32::INFINITY);
    }

    /// Lowers `state` to the nearest center, or to one nearer than `enough` (squared). `index` says which center has the
    /// bound in a lane; lanes whose bound is infinite are passed over.
    pub fn find(&self, enough: f64, state: &mut State, bounds: &mut [f32], index: impl Fn(usize) -> u32) {
        if bounds.is_empty() {
            return;
        }
        for _ in 0..NEAREST_FIRST {
            let lane = lowest_lane(self.simd, bounds);
            if bounds[lane] > self.limit(state) || bounds[lane] == f32::INFINITY {
                return;
            }
            self.measure(index(lane), state);
            if state.best < enough {
                return;
            }
            bounds[lane] = f32::INFINITY;
        }
        let mut limit = self.limit(state);
        let mut open = Vec::new();
        lanes_up_to(self.simd, bounds, limit.min(f32::MAX), &mut open);
        // Their rows lie anywhere: each is asked for a few before its turn.
        let fetch = |lane: &u32| prefetch(self.centers.row(index(*lane as usize) as usize));
        open.iter().take(AHEAD).for_each(fetch);
        for (i, lane) in open.iter().enumerate() {
            open.get(i + AHEAD).into_iter().for_each(fetch);
            if bounds[*lane as usize] <= limit {
                self.measure(index(*lane as usize), state);
                if state.best < enough {
                    return;
                }
                limit = self.limit(state);
            }
        }
    }

    /// Lowers `state` to what looks nearest by bytes, one center after the other, until one is nearer than `enough`.
    fn cover_among(&self, near: &mut [Near], enough: f64, state: &mut State) {
        let tries = TRIES.min(near.len());
        if tries < near.len() {
            near.select_nth_unstable_by(tries, |a, b| a.squared.total_cmp(&b.squared));
        }
        near[..tries]
            .iter()
            .for_each(|near| prefetch(self.centers.row(near.index as usize)));
        for near in &near[..tries] {
            self.measure(near.index, state);
            if state.best < enough {
                return;
            }
        }
    }

    /// Lowers `state` as [`One::find`] does, to one of the centers that were found near by bytes.
    fn find_among(
        &self,
        bytes: &SketchBytes,
        near: &mut Vec<Near>,
        enough: f64,
        state: &mut State,
        scratch: &mut Scratch,
    ) {
        near.retain(|near| near.index != state.center);
        let Some(nearest) = near.iter().copied().min_by(|a, b| a.squared.total_cmp(&b.squared)) else {
            return;
        };
        self.measure(nearest.index, state);
        if state.best < enough {
            return;
        }
        let (Scratch { listed, bounds, .. }, limit) = (scratch, units_within(state, self.slack, bytes, self.centers));
        listed.clear();
        for near in near {
            if near.squared <= limit && near.index != nearest.index {
                memory::push(listed, near.index);
            }
        }
        self.bound_some(listed, bounds);
        self.find(enough, state, bounds, |lane| listed[lane]);
    }

    /// What a bound must exceed to prove a center no nearer.
    fn limit(&self, state: &State) -> f32 {
        decisive(reach(state.best, self.slack + self.centers.most_slack()))
    }

    /// Lowers `state` to a center that is nearer.
    pub fn measure(&self, index: u32, state: &mut State) {
        let other = self.centers.row(index as usize);
        // Of few dimensions the bound has said it all.
        if self.row.len() > self.sketch.len()
            && self.centers.pair_bounds().of(self.simd, self.row, other).0 > state.best
        {
            return;
        }
        let distance = squared_within(self.simd, self.row, other, state.best);
        if distance < state.best || (distance == state.best && index < state.center) {
            (state.best, state.center) = (distance, index);
        }
    }
}
