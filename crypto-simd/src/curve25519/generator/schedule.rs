//! The order of the operations: that of a machine with two pipes for multiply-and-add and two for additions, which
//! looks a limited number of operations ahead. A processor that looks further finds them in a good order; one far
//! ahead would need more registers.

use super::Tuning;
use super::trace::{Graph, Id, Operation};

const PIPES: usize = 2;

pub(super) fn schedule(graph: &Graph, tuning: &Tuning) -> Vec<Id> {
    let mut ready_at: Vec<Option<usize>> = graph.operations.iter().map(|op| op.is_given().then_some(0)).collect();
    let mut waiting: Vec<Id> = (0..graph.operations.len()).filter(|id| ready_at[*id].is_none()).collect();
    let mut order = Vec::new();
    let mut cycle = 0;
    while !waiting.is_empty() {
        let (mut multipliers, mut adders) = (PIPES, PIPES);
        let mut index = 0;
        while index < waiting.len().min(tuning.window) {
            let id = waiting[index];
            let operation = graph.operations[id];
            let (pipes, latency) = match operation {
                Operation::Add(..) | Operation::Sub(..) => (&mut adders, tuning.latency_add),
                Operation::Select(..) => (&mut multipliers, 1),
                _ => (&mut multipliers, tuning.latency_multiply_add),
            };
            let is_ready = |operand: Id| ready_at[operand].is_some_and(|at| at <= cycle);
            if *pipes > 0 && operation.operands().into_iter().all(is_ready) {
                *pipes -= 1;
                ready_at[id] = Some(cycle + latency);
                order.push(id);
                waiting.remove(index);
            } else {
                index += 1;
            }
        }
        cycle += 1;
    }
    order
}
