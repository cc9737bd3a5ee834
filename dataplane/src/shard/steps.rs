//! Who waits for a KEM operation: at most one is done between two looks at the wheel. Strangers wait until no neighbour
//! does.

use crate::link::outgoing::Waiter;
use std::collections::VecDeque;

/// Waiting connections, each at most once (their owners see to that).
#[derive(Default)]
pub struct Steps {
    neighbours: VecDeque<Waiter>,
    strangers: VecDeque<Waiter>,
}

impl Steps {
    /// Adds one to the end.
    pub fn push(&mut self, waiter: Waiter, is_of_neighbour: bool) {
        let waiting = if is_of_neighbour { &mut self.neighbours } else { &mut self.strangers };
        waiting.push_back(waiter);
    }

    /// The one whose turn it is.
    pub fn pop(&mut self) -> Option<Waiter> {
        self.neighbours.pop_front().or_else(|| self.strangers.pop_front())
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.neighbours.is_empty() && self.strangers.is_empty()
    }
}
