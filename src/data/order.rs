//! Which problem comes when.

use std::iter;
use std::sync::Arc;

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
///
/// The epoch that the last batch ended in is remembered, so a run shuffles each epoch once. A clone shares it.
#[derive(Debug, Clone)]
pub struct Order {
    seed: u64,
    len: usize,
    last: Option<Epoch>,
    #[cfg(test)]
    shuffles: usize,
}

/// The problems of an epoch in their order.
#[derive(Debug, Clone)]
struct Epoch {
    number: u64,
    indices: Arc<[usize]>,
}

impl Order {
    /// The order of `len` problems; `len` must not be 0.
    pub fn new(seed: u64, len: usize) -> Self {
        assert!(len > 0, "an order needs at least one problem");
        Self {
            seed,
            len,
            last: None,
            #[cfg(test)]
            shuffles: 0,
        }
    }

    /// The indices of the `count` problems from `position` on.
    pub fn take(&mut self, position: u64, count: usize) -> Vec<usize> {
        let mut number = position / self.len as u64;
        let mut place = (position % self.len as u64) as usize;
        let mut taken = Vec::with_capacity(count);
        while taken.len() < count {
            let epoch = self.epoch(number);
            taken.extend(epoch[place..].iter().take(count - taken.len()));
            (number, place) = (number + 1, 0);
        }
        taken
    }

    fn epoch(&mut self, number: u64) -> Arc<[usize]> {
        if let Some(last) = self.last.as_ref().filter(|last| last.number == number) {
            return last.indices.clone();
        }
        let indices: Arc<[usize]> = self.ordered(number).into();
        self.last = Some(Epoch { number, indices: indices.clone() });
        indices
    }

    fn ordered(&mut self, epoch: u64) -> Vec<usize> {
        let shuffled = self.shuffled(epoch);
        let Some(previous) = epoch.checked_sub(1) else {
            return shuffled;
        };
        let third = self.len / 3;
        let (rest, tail) = shuffled.split_at(self.len - third);
        let mut just_seen = vec![false; self.len];
        self.tail(previous).iter().for_each(|&i| just_seen[i] = true);
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

    /// The last third of an epoch.
    fn tail(&mut self, epoch: u64) -> Vec<usize> {
        let start = self.len - self.len / 3;
        match &self.last {
            Some(last) if last.number == epoch => last.indices[start..].to_vec(),
            _ => self.shuffled(epoch).split_off(start),
        }
    }

    fn mixed(&self, epoch: u64, middle: &[usize], late: &[usize]) -> Vec<usize> {
        let mut mixed = [middle, late].concat();
        self.stream(epoch, 1).shuffle(&mut mixed);
        mixed
    }

    fn shuffled(&mut self, epoch: u64) -> Vec<usize> {
        #[cfg(test)]
        {
            self.shuffles += 1;
        }
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
        let mut order = Order::new(4, 20);
        let epochs: Vec<Vec<usize>> = (0..5).map(|epoch| order.take(epoch * 20, 20)).collect();
        for epoch in &epochs {
            assert_eq!(epoch.iter().collect::<HashSet<_>>().len(), 20);
        }
        assert_eq!(epochs.iter().collect::<HashSet<_>>().len(), 5);
    }

    #[test]
    fn a_sequence_taken_in_pieces_is_the_sequence_taken_whole() {
        let mut order = Order::new(9, 7);
        let whole = order.take(0, 40);
        let pieces = (0..8).flat_map(|piece| order.take(piece * 5, 5));
        assert_eq!(pieces.collect::<Vec<_>>(), whole);
        // Backwards, so that no position finds its epoch remembered by the one before.
        let single = (0..40_u64).rev().flat_map(|position| Order::new(9, 7).take(position, 1));
        assert_eq!(single.collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>(), whole);
    }

    #[test]
    fn a_batch_of_a_third_never_holds_a_problem_twice() {
        for len in [3, 7, 24, 31] {
            let mut order = Order::new(2, len);
            for position in 0..(len as u64 * 6) {
                let batch: HashSet<usize> = order.take(position, len / 3).into_iter().collect();
                assert_eq!(batch.len(), len / 3, "{len} problems from position {position}");
            }
        }
    }

    #[test]
    fn a_run_shuffles_each_epoch_once_and_one_more_where_it_begins() {
        for (len, count) in [(20, 3), (20, 20), (7, 30), (1, 2)] {
            for start in [0, 5 * len as u64] {
                let mut order = Order::new(4, len);
                let takes = 30u64;
                (0..takes).for_each(|i| drop(order.take(start + i * count as u64, count)));
                let epochs = (takes as usize * count).div_ceil(len);
                // A run that begins later must know where the epoch before it ended.
                assert_eq!(order.shuffles, epochs + usize::from(start > 0), "{len}, {count}");
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
