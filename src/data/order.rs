//! Which problem comes when.

use std::iter;

use super::purpose;
use crate::random::Stream;

/// The endless training sequence: a fresh random order of all problems each epoch.
///
/// What stands at a position is a function of seed, length and position alone, so a run resumes
/// anywhere by remembering one number.
///
/// ```text
/// position = epoch · len + place,   epoch order = head | middle | tail
/// ```
/// The head, a third of an epoch, holds none of the tail of the epoch before. So a batch of at most
/// a third of the problems never holds one twice, even where it crosses into a new epoch: a step learns
/// most from problems that differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    seed: u64,
    len: usize,
}

impl Order {
    /// The order of `len` problems; `len` must not be 0.
    pub fn new(seed: u64, len: usize) -> Self {
        assert!(len > 0, "an order needs at least one problem");
        Self { seed, len }
    }

    /// The index of the problem at `position`; works out a whole epoch, so prefer [`Order::take`].
    pub fn index(&self, position: u64) -> usize {
        self.epoch(position / self.len as u64)[self.place(position)]
    }

    /// The indices of the `count` problems from `position` on.
    pub fn take(&self, position: u64, count: usize) -> Vec<usize> {
        let first_epoch = position / self.len as u64;
        let epochs = (first_epoch..).flat_map(|epoch| self.epoch(epoch));
        epochs.skip(self.place(position)).take(count).collect()
    }

    fn place(&self, position: u64) -> usize {
        (position % self.len as u64) as usize
    }

    fn epoch(&self, epoch: u64) -> Vec<usize> {
        let shuffled = self.shuffled(epoch);
        let Some(previous) = epoch.checked_sub(1) else {
            return shuffled;
        };
        let third = self.len / 3;
        let (rest, tail) = shuffled.split_at(self.len - third);
        let mut just_seen = vec![false; self.len];
        self.shuffled(previous)[self.len - third..].iter().for_each(|&i| just_seen[i] = true);
        let (late, early): (Vec<usize>, Vec<usize>) = rest.iter().partition(|&&i| just_seen[i]);
        // The tail stays as it was shuffled, so the next epoch can know it without this one's head.
        let (head, middle) = early.split_at(third);
        iter::empty()
            .chain(head)
            .chain(&self.mixed(epoch, middle, &late))
            .chain(tail)
            .copied()
            .collect()
    }

    fn mixed(&self, epoch: u64, middle: &[usize], late: &[usize]) -> Vec<usize> {
        let mut mixed = [middle, late].concat();
        self.stream(epoch, 1).shuffle(&mut mixed);
        mixed
    }

    fn shuffled(&self, epoch: u64) -> Vec<usize> {
        self.stream(epoch, 0).permutation(self.len)
    }

    fn stream(&self, epoch: u64, part: u32) -> Stream {
        // Epochs beyond 2^31 would repeat; no run sees that many.
        Stream::with_index(self.seed, purpose::ORDER, (epoch as u32) << 1 | part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_epoch_holds_every_problem_once_in_another_order() {
        let order = Order::new(4, 20);
        let epochs: Vec<Vec<usize>> = (0..5).map(|epoch| order.take(epoch * 20, 20)).collect();
        for epoch in &epochs {
            assert_eq!(epoch.iter().collect::<HashSet<_>>().len(), 20);
        }
        assert_eq!(epochs.iter().collect::<HashSet<_>>().len(), 5);
    }

    #[test]
    fn a_sequence_taken_in_pieces_is_the_sequence_taken_whole() {
        let order = Order::new(9, 7);
        let whole = order.take(0, 40);
        let pieces = (0..8).flat_map(|piece| order.take(piece * 5, 5));
        assert_eq!(pieces.collect::<Vec<_>>(), whole);
        let single: Vec<usize> = (0..40).map(|position| order.index(position)).collect();
        assert_eq!(single, whole);
    }

    #[test]
    fn a_batch_of_a_third_never_holds_a_problem_twice() {
        for len in [3, 7, 24, 31] {
            let order = Order::new(2, len);
            for position in 0..(len as u64 * 6) {
                let batch: HashSet<usize> = order.take(position, len / 3).into_iter().collect();
                assert_eq!(batch.len(), len / 3, "{len} problems from position {position}");
            }
        }
    }

    #[test]
    fn a_batch_may_be_longer_than_the_data() {
        assert_eq!(Order::new(0, 1).take(5, 3), [0, 0, 0]);
    }

    #[test]
    fn another_seed_gives_another_order() {
        assert_ne!(Order::new(1, 50).take(0, 50), Order::new(2, 50).take(0, 50));
    }
}
