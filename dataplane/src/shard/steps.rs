//! Who waits for a KEM operation: at most one is done between two looks at the wheel.

use crate::link::outgoing::Waiter;
use std::collections::VecDeque;

/// Waiting connections, each at most once (their owners see to that).
#[derive(Default)]
pub struct Steps {
    waiting: VecDeque<Waiter>,
}

impl Steps {
    /// Adds one to the end.
    pub fn push(&mut self, waiter: Waiter) {
        self.waiting.push_back(waiter);
    }

    /// The one whose turn it is.
    pub fn pop(&mut self) -> Option<Waiter> {
        self.waiting.pop_front()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}
