//! Which columns each query may use.

use crate::bounds::products::PANEL;
use crate::memory;

/// Queries looked at to put groups that are allowed together next to each other.
const ORDER_QUERIES: usize = 64;

/// Columns sorted by group, and for each query one bit a group.
#[derive(Debug)]
pub struct Mask<'a> {
    bits: &'a [u8],
    stride: usize,
    /// First and end column of each group.
    spans: Vec<(u32, u32)>,
    /// The target of each column.
    order: Vec<u32>,
}

impl<'a> Mask<'a> {
    /// `groups` are those of the targets, each below `count`; `bits` holds `count.div_ceil(8)` bytes a query.
    pub fn new(groups: &[i64], count: usize, bits: &'a [u8]) -> Self {
        let stride = count.div_ceil(8);
        let place = places(bits, stride, count);
        let mut order: Vec<u32> = memory::collected(0..groups.len() as u32);
        order.sort_unstable_by_key(|target| (place[groups[*target as usize] as usize], *target));
        let mut spans = memory::filled((0, 0), count);
        for (column, target) in order.iter().enumerate() {
            let span = &mut spans[groups[*target as usize] as usize];
            if span.1 == 0 {
                span.0 = column as u32;
            }
            span.1 = column as u32 + 1;
        }
        Self {
            bits,
            stride,
            spans,
            order,
        }
    }

    /// The target of each column.
    pub fn order(&self) -> &[u32] {
        &self.order
    }

    fn row(&self, query: usize) -> &'a [u8] {
        &self.bits[query * self.stride..][..self.stride]
    }

    /// Writes one bit per column for `query`; `before` is what the query before it was given.
    pub fn columns(&self, query: usize, before: Option<&[u32]>, out: &mut [u32]) {
        let row = self.row(query);
        if let Some(before) = before
            && query > 0
            && row == self.row(query - 1)
        {
            out.copy_from_slice(before);
            return;
        }
        out.fill(0);
        let (words, rest) = row.as_chunks::<8>();
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        for (i, word) in words.iter().chain([&last]).enumerate() {
            let mut word = u64::from_le_bytes(*word);
            while word != 0 {
                let group = i * 64 + word.trailing_zeros() as usize;
                word &= word - 1;
                // Bits beyond the last group are padding.
                if let Some((first, end)) = self.spans.get(group) {
                    set(out, *first as usize, *end as usize);
                }
            }
        }
    }
}

/// Sets bits `first`..`end`.
fn set(words: &mut [u32], first: usize, end: usize) {
    let mut bit = first;
    while bit < end {
        let (word, shift) = (bit / PANEL, bit % PANEL);
        let count = (end - bit).min(PANEL - shift);
        words[word] |= (u32::MAX >> (PANEL - count)) << shift;
        bit += count;
    }
}

/// A rank for each group, by the mean of the queries that allow it: queries come in the order of positions, so
/// groups of one place end up side by side.
fn places(bits: &[u8], stride: usize, count: usize) -> Vec<u32> {
    let queries = bits.len() / stride;
    let sample = queries.min(ORDER_QUERIES);
    let mut sums = memory::filled((0u64, 0u64), count);
    for i in 0..sample {
        let query = i * queries / sample;
        for (byte, sums) in bits[query * stride..][..stride].iter().zip(sums.chunks_mut(8)) {
            for (bit, (sum, times)) in sums.iter_mut().enumerate() {
                let allowed = u64::from(byte >> bit & 1);
                *sum += allowed * query as u64;
                *times += allowed;
            }
        }
    }
    let mean = |group: u32| {
        let (sum, times) = sums[group as usize];
        (sum << 8).checked_div(times).unwrap_or(u64::MAX)
    };
    let mut order: Vec<u32> = memory::collected(0..count as u32);
    order.sort_unstable_by_key(|group| (mean(*group), *group));
    let mut rank = memory::zeros(count);
    for (place, group) in order.iter().enumerate() {
        rank[*group as usize] = place as u32;
    }
    rank
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_reaches_the_columns_of_its_group() {
        for count in [1usize, 8, 13, 64, 130] {
            let targets = 3 * count + 40;
            let groups: Vec<i64> = (0..targets).map(|i| (i * i % 7 * 19 % count) as i64).collect();
            let stride = count.div_ceil(8);
            let bits: Vec<u8> = (0..9 * stride).map(|i| ((i / 3 * 89) ^ (i * 31)) as u8).collect();
            let mask = Mask::new(&groups, count, &bits);
            let mut seen = mask.order().to_vec();
            seen.sort_unstable();
            assert_eq!(seen, (0..targets as u32).collect::<Vec<_>>());
            let mut before: Option<Vec<u32>> = None;
            for query in 0..9 {
                let mut words = vec![u32::MAX; targets.div_ceil(PANEL)];
                mask.columns(query, before.as_deref(), &mut words);
                for (column, target) in mask.order().iter().enumerate() {
                    let group = groups[*target as usize] as usize;
                    let expected = bits[query * stride + group / 8] >> (group % 8) & 1;
                    assert_eq!(words[column / PANEL] >> (column % PANEL) & 1, u32::from(expected));
                }
                before = Some(words);
            }
        }
    }
}
