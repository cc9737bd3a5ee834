//! The order of the operations: that of a machine with two pipes for multiply-and-add and two for additions, which
//! looks a limited number of operations ahead. A processor that looks further finds them in a good order; one far
//! ahead would need more registers.

use super::Tuning;
use super::trace::{Graph, Id, Operation};

const PIPES: usize = 2;

pub(super) fn schedule(graph: &mut Graph, tuning: &Tuning) -> Vec<Id> {
    let one = graph.value(Operation::Constant(1.0f64.to_bits()));
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
            let ready = operation.operands().iter().all(|operand| ready_at[*operand].is_some_and(|at| at <= cycle));
            let latency = match operation {
                Operation::Add(..) | Operation::Sub(..) if adders > 0 && ready => {
                    adders -= 1;
                    tuning.latency_add
                }
                Operation::Add(a, b) if multipliers > 0 && ready && tuning.balance => {
                    multipliers -= 1;
                    graph.operations[id] = Operation::MultiplyAdd(a, one, b);
                    tuning.latency_multiply_add
                }
                Operation::Sub(a, b) if multipliers > 0 && ready && tuning.balance => {
                    multipliers -= 1;
                    graph.operations[id] = Operation::MultiplySub(b, one, a);
                    tuning.latency_multiply_add
                }
                Operation::MultiplyAdd(..) | Operation::MultiplySub(..) if multipliers > 0 && ready => {
                    multipliers -= 1;
                    tuning.latency_multiply_add
                }
                Operation::Select(..) if multipliers > 0 && ready => {
                    multipliers -= 1;
                    1
                }
                _ => {
                    index += 1;
                    continue;
                }
            };
            ready_at[id] = Some(cycle + latency);
            order.push(id);
            waiting.remove(index);
        }
        cycle += 1;
    }
    order
}
