//! max_likelihood against every allowed pair looked at.

#![no_main]

use arbitrary::{Arbitrary, Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use pni_core::likelihood::{Allowed, max_likelihood_with};
use pni_core::nearest::Few;
use pni_fuzz::oracle::plain_likelihood;
use pni_fuzz::{columns, every_way, matrix, view};

#[derive(Debug)]
struct Input {
    columns: usize,
    coreset: Vec<f32>,
    groups: Vec<i64>,
    count: usize,
    features: Vec<f32>,
    bits: Vec<u8>,
}

impl<'a> Arbitrary<'a> for Input {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let columns = columns(u)?;
        let count = u.int_in_range(1usize..=70)?;
        let pattern: [u8; 16] = u.arbitrary()?;
        let coreset = matrix(u, columns, 150)?;
        let features = matrix(u, columns, 90)?;
        let groups = (0..coreset.len() / columns)
            .map(|row| ((row * usize::from(pattern[row % 16] | 1)) % count) as i64)
            .collect();
        // The bits beyond the last group are padding and may be anything.
        let bits = (0..features.len() / columns * count.div_ceil(8))
            .map(|i| pattern[(i / 3) % 16].rotate_left((i % 8) as u32))
            .collect();
        Ok(Self {
            columns,
            coreset,
            groups,
            count,
            features,
            bits,
        })
    }
}

fuzz_target!(|input: Input| {
    let stride = input.count.div_ceil(8);
    let expected = plain_likelihood(
        &input.features,
        &input.coreset,
        input.columns,
        &input.groups,
        &input.bits,
        stride,
    );
    let features = view("features", &input.features, input.columns);
    let coreset = view("coreset", &input.coreset, input.columns);
    every_way(|context| {
        let allowed = Allowed {
            bits: &input.bits,
            groups: input.count,
        };
        for few in [Few::MEASURED, Few::NONE] {
            let found = max_likelihood_with(&features, &coreset, &input.groups, allowed, few, context);
            let found = found.expect("good groups");
            assert_eq!(
                found, expected,
                "{}, {} threads, {few:?}",
                context.simd, context.threads
            );
        }
    });
});
