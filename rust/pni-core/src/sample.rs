//! Which rows stand for all, where only speed depends on it.

/// Up to `most` (at least 1, below 2³¹) of `count` (below 2³²) rows, ascending: one of each of as many equal parts, at a place in it
/// that has no order. Rows are patches of pictures, line by line: an even step is often a multiple of a picture's width,
/// and would see the same column of all of them.
pub fn sample(count: usize, most: usize) -> impl ExactSizeIterator<Item = usize> {
    let parts = count.min(most);
    (0..parts).map(move |part| {
        let start = part * count / parts;
        let length = (part + 1) * count / parts - start;
        start + (((mixed(part as u64) >> 32) * length as u64) >> 32) as usize
    })
}

/// A number that looks like chance (`SplitMix64`: Steele, Lea and Flood 2014).
fn mixed(number: u64) -> u64 {
    let mut mixed = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn one_of_each_part(count in 0usize..100_000, most in 1usize..5_000) {
            let rows: Vec<usize> = sample(count, most).collect();
            prop_assert_eq!(rows.len(), count.min(most));
            prop_assert!(rows.is_sorted_by(|a, b| a < b));
            for (part, row) in rows.iter().enumerate() {
                prop_assert!((part * count / rows.len()..(part + 1) * count / rows.len()).contains(row));
            }
        }
    }

    #[test]
    fn columns_of_pictures_are_seen_alike() {
        for (pictures, height, width) in [(1, 64, 64), (48, 64, 64), (48, 60, 60), (200, 32, 128), (3, 28, 28)] {
            let rows = pictures * height * width;
            for most in [256, 1024] {
                let mut seen = vec![0; width];
                sample(rows, most).for_each(|row| seen[row % width] += 1);
                let found = seen.iter().filter(|count| **count > 0).count();
                assert!(5 * found >= 4 * width, "{pictures} {width} {most}: {seen:?}");
                let share = most / width;
                let much = seen.iter().filter(|count| **count > 4 * share).count();
                assert_eq!(much, 0, "{pictures} {width} {most}: {seen:?}");
            }
        }
    }
}
