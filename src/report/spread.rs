//! In which order steps are taken when not all of them fit: each further one falls into the largest gap.

/// The places `0..count` so that any beginning of them is spread evenly: the last first, then halves, quarters
/// and so on (van der Corput's sequence).
pub(super) fn spread(count: usize) -> impl Iterator<Item = usize> {
    let bits = count.next_power_of_two().trailing_zeros();
    let reversed = move |at: usize| match bits {
        0 => 0,
        _ => at.reverse_bits() >> (usize::BITS - bits),
    };
    let places = (0..count.next_power_of_two()).map(reversed);
    // Counted from the end, so that the newest is the first.
    places.filter(move |place| *place < count).map(move |place| count - 1 - place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_comes_once() {
        for count in [0, 1, 2, 3, 8, 100] {
            let mut places: Vec<usize> = spread(count).collect();
            places.sort_unstable();
            assert_eq!(places, (0..count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_beginning_leaves_no_large_gap() {
        assert_eq!(spread(8).collect::<Vec<_>>(), [7, 3, 5, 1, 6, 2, 4, 0]);
        let mut first: Vec<usize> = spread(1000).take(100).collect();
        first.sort_unstable();
        assert!(first.windows(2).all(|pair| pair[1] - pair[0] <= 16), "{first:?}");
    }
}
