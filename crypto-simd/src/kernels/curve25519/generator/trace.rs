//! A backend that records the operations.

use super::POINTS;
use crate::kernels::curve25519::doubles::{FieldDoubles, Reduced};
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
    AddBits(Id, Id),
    SubBits(Id, Id),
    AndBits(Id, Id),
    OrBits(Id, Id),
    ShiftLeftBits(Id, u32),
    ShiftRightBits(Id, u32),
    MultiplyWords(Id, Id),
    /// The second where the first has its sign bit set, else the third.
    Select(Id, Id, Id),
}

impl Operation {
    pub(super) fn operands(self) -> Vec<Id> {
        match self {
            Self::Input(_) | Self::Constant(_) => vec![],
            Self::ShiftLeftBits(a, _) | Self::ShiftRightBits(a, _) => vec![a],
            Self::Add(a, b)
            | Self::Sub(a, b)
            | Self::AddBits(a, b)
            | Self::SubBits(a, b)
            | Self::AndBits(a, b)
            | Self::OrBits(a, b)
            | Self::MultiplyWords(a, b) => vec![a, b],
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

    fn add_bits(self, a: Id, b: Id) -> Id {
        self.value(Operation::AddBits(a, b))
    }

    fn sub_bits(self, a: Id, b: Id) -> Id {
        self.value(Operation::SubBits(a, b))
    }

    fn and_bits(self, a: Id, b: Id) -> Id {
        self.value(Operation::AndBits(a, b))
    }

    fn or_bits(self, a: Id, b: Id) -> Id {
        self.value(Operation::OrBits(a, b))
    }

    fn multiply_words(self, a: Id, b: Id) -> Id {
        self.value(Operation::MultiplyWords(a, b))
    }

    fn shift_left_bits<const COUNT: u32>(self, a: Id) -> Id {
        self.value(Operation::ShiftLeftBits(a, COUNT))
    }

    fn shift_right_bits<const COUNT: u32>(self, a: Id) -> Id {
        self.value(Operation::ShiftRightBits(a, COUNT))
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
        a: Reduced(element(5)),
        b: Reduced(element(10)),
        c: Reduced(element(15)),
        d: Reduced(element(20)),
        swaps: vector(POINTS - 1),
    };
    step(FieldDoubles(tracer), &mut points);
    let outputs = [points.a.0, points.b.0, points.c.0, points.d.0];
    graph.borrow_mut().outputs = outputs.into_iter().flatten().chain([points.swaps]).zip(5..).collect();
    graph.into_inner()
}
