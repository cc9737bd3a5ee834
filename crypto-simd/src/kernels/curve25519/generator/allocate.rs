//! Registers: a value stays where it is until its place is needed by another whose next use is nearer. Operands in
//! memory (inputs, constants, stored values) are used from there where the instruction can.

use super::trace::{Graph, Id, Operation};
use crate::kernels::curve25519::STEP_ROOM;
use std::collections::HashMap;

const REGISTERS: usize = 16;
/// An operand in memory is loaded when it is used again within so many operations.
const REUSE_DISTANCE: usize = 6;
/// How many times as far away as another the next use of a value must be to be stored in its place.
const STORE_COST: usize = 4;

/// Instructions and the constants that they refer to.
pub(super) struct Code {
    pub(super) instructions: Vec<String>,
    pub(super) constants: Vec<u64>,
}

/// A place in memory.
#[derive(Clone, Copy)]
enum Memory {
    Points(usize),
    Room(usize),
    Constant(usize),
}

impl Memory {
    fn text(self) -> String {
        match self {
            Self::Points(index) => format!("ymmword ptr [rdi + {}]", 32 * index),
            Self::Room(index) => format!("ymmword ptr [rsi + {}]", 32 * index),
            Self::Constant(index) => format!("ymmword ptr [rip + .Lkatzensprung_curve25519_{index}]"),
        }
    }
}

struct Allocator<'a> {
    graph: &'a Graph,
    /// Positions of the uses of each value.
    uses: HashMap<Id, Vec<usize>>,
    registers: [Option<Id>; REGISTERS],
    memory: HashMap<Id, Memory>,
    free_room: Vec<usize>,
    rooms: usize,
    position: usize,
    code: Code,
}

/// Registers for the operations in the order in which they were recorded.
pub(super) fn allocate(graph: &Graph) -> Code {
    let order = (0..graph.operations.len()).filter(|id| !graph.operations[*id].is_given());
    let mut uses: HashMap<Id, Vec<usize>> = HashMap::new();
    for (position, id) in order.clone().enumerate() {
        for operand in graph.operations[id].operands() {
            uses.entry(operand).or_default().push(position);
        }
    }
    let code = Code { instructions: Vec::new(), constants: Vec::new() };
    let registers = [None; REGISTERS];
    let (memory, free_room) = (HashMap::new(), Vec::new());
    let mut allocator = Allocator { graph, uses, registers, memory, free_room, rooms: 0, position: 0, code };
    allocator.place_given();
    for (position, id) in order.enumerate() {
        allocator.position = position;
        allocator.compute(id);
    }
    assert!(allocator.rooms <= STEP_ROOM, "{} vectors of room are needed", allocator.rooms);
    allocator.code
}

impl Allocator<'_> {
    fn place_given(&mut self) {
        for (id, operation) in self.graph.operations.iter().enumerate() {
            match operation {
                Operation::Input(index) => {
                    self.memory.insert(id, Memory::Points(*index));
                }
                Operation::Constant(bits) => {
                    self.memory.insert(id, Memory::Constant(self.code.constants.len()));
                    self.code.constants.push(*bits);
                }
                _ => {}
            }
        }
    }

    fn emit(&mut self, instruction: String) {
        self.code.instructions.push(instruction);
    }

    fn register_of(&self, id: Id) -> Option<usize> {
        self.registers.iter().position(|value| *value == Some(id))
    }

    /// The position of the next use after this operation.
    fn next_use(&self, id: Id) -> Option<usize> {
        self.uses.get(&id)?.iter().copied().find(|position| *position > self.position)
    }

    /// A register for a new value, that holds none of `keep`.
    fn free_register(&mut self, keep: &[Id]) -> usize {
        if let Some(register) = self.registers.iter().position(Option::is_none) {
            return register;
        }
        let distance = |id: Id| self.next_use(id).map_or(usize::MAX / 8, |at| at - self.position);
        let candidates = self.registers.iter().enumerate().filter_map(|(register, value)| Some((register, (*value)?)));
        let weight = |id: Id| distance(id) * if self.memory.contains_key(&id) { STORE_COST } else { 1 };
        let victim = candidates.filter(|(_, id)| !keep.contains(id)).max_by_key(|(_, id)| weight(*id));
        let (register, id) = victim.expect("an operation has fewer operands than there are registers");
        if !self.memory.contains_key(&id) {
            let room = self.free_room.pop().unwrap_or(self.rooms);
            self.rooms = self.rooms.max(room + 1);
            self.memory.insert(id, Memory::Room(room));
            self.emit(format!("vmovapd {}, ymm{register}", Memory::Room(room).text()));
        }
        self.registers[register] = None;
        register
    }

    /// The register of an operand, which is loaded if it is in memory.
    fn load(&mut self, id: Id, keep: &[Id]) -> usize {
        if let Some(register) = self.register_of(id) {
            return register;
        }
        let register = self.free_register(keep);
        self.emit(format!("vmovapd ymm{register}, {}", self.memory[&id].text()));
        self.registers[register] = Some(id);
        register
    }

    /// Loads what is used again soon.
    fn load_reused(&mut self, operands: &[Id]) {
        for id in operands {
            if self.next_use(*id).is_some_and(|at| at - self.position <= REUSE_DISTANCE) {
                self.load(*id, operands);
            }
        }
    }

    /// An operand from where it is.
    fn operand(&self, id: Id) -> String {
        match self.register_of(id) {
            Some(register) => format!("ymm{register}"),
            None => self.memory[&id].text(),
        }
    }

    fn dies(&self, id: Id) -> bool {
        self.next_use(id).is_none()
    }

    /// Forgets the operands that are not used any more.
    fn release(&mut self, operands: &[Id]) {
        for id in operands {
            if self.dies(*id) {
                if let Some(register) = self.register_of(*id) {
                    self.registers[register] = None;
                }
                if let Some(Memory::Room(room)) = self.memory.remove(id) {
                    self.free_room.push(room);
                }
            }
        }
    }

    fn compute(&mut self, id: Id) {
        let operation = self.graph.operations[id];
        let operands = operation.operands();
        self.load_reused(&operands);
        let register = match operation {
            Operation::Add(a, b) => self.commutative("vaddpd", a, b, &operands),
            Operation::Sub(a, b) => self.three_operands("vsubpd", a, b, &operands),
            Operation::AddBits(a, b) => self.commutative("vpaddq", a, b, &operands),
            Operation::SubBits(a, b) => self.three_operands("vpsubq", a, b, &operands),
            Operation::AndBits(a, b) => self.commutative("vpand", a, b, &operands),
            Operation::OrBits(a, b) => self.commutative("vpor", a, b, &operands),
            Operation::MultiplyWords(a, b) => self.commutative("vpmuludq", a, b, &operands),
            Operation::ShiftLeftBits(a, count) => self.shift("vpsllq", a, count, &operands),
            Operation::ShiftRightBits(a, count) => self.shift("vpsrlq", a, count, &operands),
            Operation::MultiplyAdd(a, b, c) => self.multiply_add(a, b, c),
            Operation::Select(mask, a, b) => {
                let (mask, b) = (self.load(mask, &operands), self.load(b, &operands));
                let a = self.operand(a);
                self.release(&operands);
                let register = self.free_register(&operands);
                self.emit(format!("vblendvpd ymm{register}, ymm{b}, {a}, ymm{mask}"));
                register
            }
            Operation::Input(_) | Operation::Constant(_) => panic!("{operation:?} is given"),
        };
        self.registers[register] = Some(id);
        if let Some(index) = self.graph.outputs.get(&id) {
            self.store_output(id, register, *index);
        }
    }

    fn commutative(&mut self, mnemonic: &str, a: Id, b: Id, operands: &[Id]) -> usize {
        let (a, b) = if self.register_of(a).is_none() { (b, a) } else { (a, b) };
        self.three_operands(mnemonic, a, b, operands)
    }

    fn shift(&mut self, mnemonic: &str, a: Id, count: u32, operands: &[Id]) -> usize {
        let a = self.load(a, operands);
        self.release(operands);
        let register = self.free_register(operands);
        self.emit(format!("{mnemonic} ymm{register}, ymm{a}, {count}"));
        register
    }

    fn three_operands(&mut self, mnemonic: &str, a: Id, b: Id, operands: &[Id]) -> usize {
        let a = self.load(a, operands);
        let b = self.operand(b);
        self.release(operands);
        let register = self.free_register(operands);
        self.emit(format!("{mnemonic} ymm{register}, ymm{a}, {b}"));
        register
    }

    /// a · b + c: one of the registers of the operands takes the result.
    fn multiply_add(&mut self, a: Id, b: Id, c: Id) -> usize {
        let operands = [a, b, c];
        // One of the factors may be in memory, not both.
        let (a, b) = if self.register_of(a).is_none() { (b, a) } else { (a, b) };
        self.load(a, &operands);
        let overwritten = operands.into_iter().find(|id| self.register_of(*id).is_some() && self.dies(*id));
        let register = match overwritten {
            Some(id) if id == c => {
                let register = self.load(c, &operands);
                self.emit(format!("vfmadd231pd ymm{register}, {}, {}", self.operand(a), self.operand(b)));
                register
            }
            Some(id) => {
                let register = self.load(id, &operands);
                let other = if id == a { b } else { a };
                if self.register_of(other).is_some() {
                    self.emit(format!("vfmadd213pd ymm{register}, {}, {}", self.operand(other), self.operand(c)));
                } else {
                    let c = self.load(c, &operands);
                    self.emit(format!("vfmadd132pd ymm{register}, ymm{c}, {}", self.operand(other)));
                }
                register
            }
            None => {
                let register = self.free_register(&operands);
                self.emit(format!("vmovapd ymm{register}, {}", self.operand(c)));
                self.emit(format!("vfmadd231pd ymm{register}, {}, {}", self.operand(a), self.operand(b)));
                register
            }
        };
        self.release(&operands);
        register
    }

    fn store_output(&mut self, id: Id, register: usize, index: usize) {
        let overwrites_input = |(other, operation): (Id, &Operation)| {
            *operation == Operation::Input(index) && self.next_use(other).is_some()
        };
        assert!(!self.graph.operations.iter().enumerate().any(overwrites_input), "vector {index} is still needed");
        self.emit(format!("vmovapd {}, ymm{register}", Memory::Points(index).text()));
        self.memory.insert(id, Memory::Points(index));
        if self.dies(id) {
            self.registers[register] = None;
        }
    }
}
