//! Scores that a judge has given, by what it was asked.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// More are forgotten all at once: a run seldom asks again what was asked so long ago.
const MOST: usize = 1 << 18;

/// Scores by 128 bits of the request, which no two requests of a run share.
#[derive(Default)]
pub(super) struct Cache(Mutex<HashMap<[u64; 2], f64>>);

impl Cache {
    pub(super) fn get(&self, request: &[u8]) -> Option<f64> {
        self.known().get(&key(request)).copied()
    }

    pub(super) fn put(&self, request: &[u8], score: f64) {
        let mut known = self.known();
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(key(request), score);
    }

    fn known(&self) -> MutexGuard<'_, HashMap<[u64; 2], f64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(request: &[u8]) -> [u64; 2] {
    [0_u8, 1].map(|of| {
        let mut hasher = DefaultHasher::new();
        (of, request).hash(&mut hasher);
        hasher.finish()
    })
}
