//! Every operation by every path, against itself written plainly.

use super::*;
use crate::Simd;
use crate::simd::multiversion;

/// What every operation makes of two vectors of lanes.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    exact: Vec<[f32; LANES]>,
    fused: [f32; LANES],
    sum: f32,
    above: u32,
    fold: u64,
}

#[inline(always)]
fn see_body<I: Isa>(isa: I, a: &[f32; LANES], b: &[f32; LANES], seen: &mut Seen) {
    let (x, y) = (isa.load(a), isa.load(b));
    for value in [isa.splat(a[3]), isa.add(x, y), isa.sub(x, y), isa.load_part(&a[..5])] {
        seen.exact.push([0.0; LANES]);
        isa.store(value, seen.exact.last_mut().expect("just pushed"));
    }
    isa.store(isa.mul_add(x, y, y), &mut seen.fused);
    if b.iter().all(|b| !b.is_nan()) {
        seen.exact.push([0.0; LANES]);
        isa.store(isa.min(x, y), seen.exact.last_mut().expect("just pushed"));
    }
    assert_eq!(isa.lowest(x), a.iter().copied().fold(f32::INFINITY, f32::min));
    for bits in [0, 1, 0x8001, 0xffff, 0x1_5a5a] {
        let mut numbers = [0; LANES];
        let count = isa.numbers(bits, 7, &mut numbers);
        let by_hand: Vec<u32> = (0..16).filter(|i| bits >> i & 1 == 1).map(|i| 7 + i).collect();
        assert_eq!(numbers[..count], by_hand);
    }
    seen.sum = isa.sum(x);
    seen.above = isa.above(x, y);
    seen.fold = isa
        .fold(isa.add_square(isa.add_square(isa.zero(), x, y), y, isa.splat(0.5)))
        .to_bits();
    let byte = |x: f32| x.clamp(-63.0, 63.0) as i8;
    let (a, b): ([i8; 64], [i8; 64]) = (
        std::array::from_fn(|i| if i == 0 { 63 } else { byte(a[i % 16] + i as f32) }),
        std::array::from_fn(|i| if i == 0 { -63 } else { byte(b[(i + 3) % 16]) }),
    );
    // Each lane its own four bytes; the largest products, of both signs, in one and in both halves of a pair.
    let bytes: [[u8; 64]; 2] = [
        std::array::from_fn(|i| if i < 8 { 127 } else { (i * 37 % 128) as u8 }),
        std::array::from_fn(|i| if i % 16 < 8 { 127 } else { (i * 91 % 128) as u8 }),
    ];
    for fours in [
        [[63, 63, 63, 63], [63; 4]],
        [[-63; 4], [-63; 4]],
        [[63, -63, 5, 0], [-1, 63, -63, 17]],
    ] {
        let lane = |part: usize, lane: usize| -> i32 {
            let product = |i: usize| i32::from(bytes[part][4 * lane + i]) * i32::from(fours[part][i]);
            (0..4).map(product).sum()
        };
        let one = isa.dot(isa.dot(isa.zero_int(), &bytes[0], fours[0]), &bytes[0], fours[0]);
        for (sums, by_hand) in [
            (one, std::array::from_fn(|i| 2 * lane(0, i))),
            (
                isa.dot_two(isa.zero_int(), &bytes, fours),
                std::array::from_fn(|i| lane(0, i) + lane(1, i)),
            ),
        ] {
            let mut found = [0.0; LANES];
            isa.store(isa.to_float(sums), &mut found);
            let by_hand: [i32; LANES] = by_hand;
            assert_eq!(found, by_hand.map(|sum| sum as f32));
        }
    }
    let sums = isa.add_byte_squares(isa.add_byte_squares(isa.zero_int(), &a, &b), &b, &[63; 64]);
    let by_hand = |a: &[i8], b: &[i8]| -> i32 {
        let square = |(a, b): (&i8, &i8)| (i32::from(*a) - i32::from(*b)).pow(2);
        a.iter().zip(b).map(square).sum()
    };
    assert_eq!(
        isa.sum(isa.to_float(sums)),
        (by_hand(&a, &b) + by_hand(&b, &[63; 64])) as f32
    );
}

multiversion! {
    fn see(a: &[f32; LANES], b: &[f32; LANES], seen: &mut Seen) = see_body
}

#[test]
fn every_operation_does_what_its_name_says() {
    // Sums of these round, so that another order of the canonical ones would show.
    let a: [f32; LANES] = std::array::from_fn(|i| (i as f32 * 1.7).sin() * 10f32.powi(i as i32 % 5));
    let mut b: [f32; LANES] = std::array::from_fn(|i| (i as f32 * 0.9).cos() * 100.0);
    b[6] = a[6];
    b[9] = f32::NAN;
    for (b, nan) in [(b, true), (b.map(|x| if x.is_nan() { 7.25 } else { x }), false)] {
        let mut plain = Seen::default();
        see_body(Portable, &a, &b, &mut plain);
        let by_hand = (0..LANES).filter(|i| a[*i] > b[*i]).fold(0, |bits, i| bits | 1 << i);
        assert_eq!(plain.above, by_hand);
        for simd in Simd::available() {
            let mut seen = Seen::default();
            see(simd, &a, &b, &mut seen);
            assert_eq!(seen.above, by_hand, "{simd}");
            assert!((seen.sum - a.iter().sum::<f32>()).abs() < 1.0, "{simd}");
            for i in 0..LANES {
                let expected = f64::from(a[i]) * f64::from(b[i]) + f64::from(b[i]);
                let error = (f64::from(seen.fused[i]) - expected).abs();
                assert!(b[i].is_nan() || error <= expected.abs() * 1e-5, "{simd} {i} {error}");
            }
            if !nan {
                assert_eq!((&seen.exact, seen.fold), (&plain.exact, plain.fold), "{simd}");
            }
        }
    }
}
