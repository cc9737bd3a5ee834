//! A backend that records the operations.

use super::POINTS;
use crate::kernels::curve25519::doubles::{FieldDoubles, Reduced, Unreduced};
use crate::kernels::curve25519::ladder::{Points, step};
use crate::lanes::Doubles;
use std::cell::RefCell;
use std::collections::HashMap;

/// The index of a value: of the operation that gives it.
pub(super) type Id = usize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Operation {
    /// A vector of the points.
    Input(usize),
    /// The bits of a double.
    Constant(u64),
    Add(Id, Id),
    Sub(Id, Id),
    /// a · b + c
    MultiplyAdd(Id, Id, Id),
    /// The second where the first has its sign bit set, else the third.
    Select(Id, Id, Id),
}

impl Operation {
    pub(super) fn operands(self) -> Vec<Id> {
        match self {
            Self::Input(_) | Self::Constant(_) => vec![],
            Self::Add(a, b) | Self::Sub(a, b) => vec![a, b],
            Self::MultiplyAdd(a, b, c) | Self::Select(a, b, c) => vec![a, b, c],
        }
    }

    /// Whether nothing has to be computed for it.
    pub(super) fn is_given(self) -> bool {
        matches!(self, Self::Input(_) | Self::Constant(_))
    }
}

/// The operations of a step.
#[derive(Default)]
pub(super) struct Graph {
    pub(super) operations: Vec<Operation>,
    /// Which vector of the points a value becomes.
    pub(super) outputs: HashMap<Id, usize>,
    known: HashMap<Operation, Id>,
}

impl Graph {
    /// The value of an operation; the same operation twice is one value.
    pub(super) fn value(&mut self, operation: Operation) -> Id {
        *self.known.entry(operation).or_insert_with(|| {
            self.operations.push(operation);
            self.operations.len() - 1
        })
    }
}

#[derive(Clone, Copy)]
struct Tracer<'a>(&'a RefCell<Graph>);

impl Tracer<'_> {
    fn value(self, operation: Operation) -> Id {
        self.0.borrow_mut().value(operation)
    }
}

impl Doubles for Tracer<'_> {
    type Vector = Id;

    fn splat(self, value: f64) -> Id {
        self.value(Operation::Constant(value.to_bits()))
    }

    fn add(self, a: Id, b: Id) -> Id {
        self.value(Operation::Add(a, b))
    }

    fn sub(self, a: Id, b: Id) -> Id {
        self.value(Operation::Sub(a, b))
    }

    fn multiply_add(self, a: Id, b: Id, c: Id) -> Id {
        self.value(Operation::MultiplyAdd(a, b, c))
    }

    fn select(self, mask: Id, a: Id, b: Id) -> Id {
        self.value(Operation::Select(mask, a, b))
    }
}

/// The operations of a step of the ladder.
pub(super) fn step_graph() -> Graph {
    let graph = RefCell::new(Graph::default());
    let tracer = Tracer(&graph);
    let vector = |index| tracer.value(Operation::Input(index));
    let element = |first| std::array::from_fn(|limb| vector(first + limb));
    let mut points = Points {
        x_1: Reduced(element(0)),
        x_2: Unreduced(element(5)),
        z_2: Unreduced(element(10)),
        x_3: Unreduced(element(15)),
        z_3: Unreduced(element(20)),
        swap: vector(POINTS - 1),
    };
    step(FieldDoubles(tracer), &mut points);
    let outputs = [points.x_2.0, points.z_2.0, points.x_3.0, points.z_3.0];
    graph.borrow_mut().outputs = outputs.into_iter().flatten().zip(5..).collect();
    graph.into_inner()
}
