//! Who waits for a KEM operation: at most one is done between two looks at the wheel. Neighbours go first, but whoever
//! comes from a neighbour's address, or is one and means harm, must not keep all others waiting for ever: of
//! [`NEIGHBOURS_IN_A_ROW`] and one, the last is a stranger's if one waits.

#[cfg(test)]
mod tests;

use crate::link::outgoing::Waiter;
use std::collections::VecDeque;

/// Neighbours' operations between two of strangers.
const NEIGHBOURS_IN_A_ROW: u32 = 7;

/// Waiting connections, each at most once (their owners see to that).
#[derive(Default)]
pub struct Steps {
    neighbours: VecDeque<Waiter>,
    strangers: VecDeque<Waiter>,
    /// Neighbours that have gone first while a stranger waited.
    in_a_row: u32,
}

impl Steps {
    /// Adds one to the end.
    pub fn push(&mut self, waiter: Waiter, is_of_neighbour: bool) {
        let waiting = if is_of_neighbour { &mut self.neighbours } else { &mut self.strangers };
        waiting.push_back(waiter);
    }

    /// The one whose turn it is.
    pub fn pop(&mut self) -> Option<Waiter> {
        let is_strangers_turn = self.in_a_row >= NEIGHBOURS_IN_A_ROW || self.neighbours.is_empty();
        if is_strangers_turn && let Some(waiter) = self.strangers.pop_front() {
            self.in_a_row = 0;
            return Some(waiter);
        }
        self.in_a_row = if self.strangers.is_empty() { 0 } else { self.in_a_row + 1 };
        self.neighbours.pop_front()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.neighbours.is_empty() && self.strangers.is_empty()
    }
}
