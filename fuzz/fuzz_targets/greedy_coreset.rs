//! greedy_coreset and the scan, with and without centers to start from, against the plain selection.

#![no_main]

use arbitrary::{Arbitrary, Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use pni_core::coreset::{Request, full_scan, greedy, lazy, lazy_with};
use pni_fuzz::oracle::plain_coreset;
use pni_fuzz::{columns, every_way, matrix, view};

#[derive(Debug)]
struct Input {
    columns: usize,
    points: Vec<f32>,
    initial: Option<Vec<f32>>,
    size: usize,
    start: usize,
    assign: Option<usize>,
}

impl<'a> Arbitrary<'a> for Input {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let columns = columns(u)?;
        let initial = bool::arbitrary(u)?.then(|| matrix(u, columns, 5)).transpose()?;
        let (size, start, assign) = (u16::arbitrary(u)?, u16::arbitrary(u)?, Option::<u8>::arbitrary(u)?);
        let points = matrix(u, columns, 150)?;
        let rows = points.len() / columns;
        let size = 1 + usize::from(size) % rows;
        let centers = size + initial.as_ref().map_or(0, |initial| initial.len() / columns);
        Ok(Self {
            columns,
            points,
            initial,
            size,
            start: usize::from(start) % rows,
            assign: assign.map(|assign| 1 + usize::from(assign) % centers),
        })
    }
}

fuzz_target!(|input: Input| {
    let points = view("features", &input.points, input.columns);
    let initial = input
        .initial
        .as_ref()
        .map(|values| view("initial", values, input.columns));
    let request = Request {
        size: input.size,
        start: input.start,
        initial,
        assign: input.assign,
    };
    let picks = (input.initial.is_none()).then(|| plain_coreset(&input.points, input.columns, input.size, input.start));
    every_way(|context| {
        let plain = full_scan(&points, &request, context).expect("a good request");
        if let Some((indices, radii)) = &picks {
            assert_eq!(
                (&plain.indices, &plain.radii),
                (indices, radii),
                "scan, {}",
                context.simd
            );
        }
        let found = [
            greedy(&points, &request, context),
            lazy(&points, &request, context),
            // Few hot points take a few rows through all that many go through.
            lazy_with(&points, &request, 3, context),
        ];
        for found in found {
            let found = found.expect("a good request");
            assert_eq!(found, plain, "{}, {} threads", context.simd, context.threads);
        }
    });
});
