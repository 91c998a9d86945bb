//! A value that is changed by consuming it.

use std::ops::Deref;

/// Holds a module that [`Held::change`] hands out by value, so that nobody else holds its tensors
/// meanwhile and they change in place.
#[derive(Debug)]
pub(super) struct Held<T>(Option<T>);

impl<T> Held<T> {
    pub(super) fn new(value: T) -> Self {
        Self(Some(value))
    }

    /// Replaces the value by what `change` makes of it.
    pub(super) fn change<R>(&mut self, change: impl FnOnce(T) -> (T, R)) -> R {
        let (value, result) = match self.0.take() {
            Some(value) => change(value),
            None => unreachable!("the value is only away during this call"),
        };
        self.0 = Some(value);
        result
    }
}

impl<T> Deref for Held<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &self.0 {
            Some(value) => value,
            None => unreachable!("the value is only away while it is changed"),
        }
    }
}
