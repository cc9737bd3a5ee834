//! Disassembly of an executable, and what is suspicious in it.

use iced_x86::{
    Decoder, DecoderOptions, FastFormatter, FlowControl, Instruction, InstructionInfoFactory, InstructionInfoOptions,
    MemorySize, Mnemonic, OpAccess, Register,
};
use object::{Object, ObjectSection, ObjectSymbol, SymbolKind};
use std::collections::{HashMap, HashSet};
use std::fmt;

/// Instructions before a use, on all ways to it, among which its definitions are searched.
const WINDOW: usize = 1000;
/// Why an instruction may tell a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Suspicion {
    /// A conditional jump on a vector's contents.
    BranchOnVector,
    /// An address computed from a vector's contents or from a byte of memory.
    LookUp,
    /// One instruction that looks up several addresses.
    Gather,
    /// Takes longer for some operands.
    Division,
}

/// A suspicious instruction.
#[derive(Debug)]
pub struct Finding {
    pub suspicion: Suspicion,
    /// With its address.
    #[expect(dead_code, reason = "shown in failures")]
    pub instruction: String,
}

/// A function.
pub struct Symbol {
    pub name: String,
    pub instructions: usize,
    /// Conditional jumps.
    pub branches: usize,
    /// Addresses with an index register.
    indexed: usize,
    pub findings: Vec<Finding>,
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, instructions, branches, indexed, findings } = self;
        write!(f, "{instructions:6} instructions {branches:4} branches {indexed:4} indexed ")?;
        write!(f, "{:3} suspicious {name}", findings.len())
    }
}

/// The functions of an ELF file that has its symbols.
pub fn symbols(executable: &[u8]) -> Vec<Symbol> {
    let file = object::File::parse(executable).expect("an executable of this system");
    let functions = file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.size() > 0);
    let symbols = functions.filter_map(|symbol| {
        let name = format!("{:#}", rustc_demangle::demangle(symbol.name().ok()?));
        let section = file.section_by_index(symbol.section_index()?).ok()?;
        let code = section.data_range(symbol.address(), symbol.size()).ok()??;
        Some(read(name, code, symbol.address()))
    });
    symbols.collect()
}

fn read(name: String, code: &[u8], address: u64) -> Symbol {
    let instructions: Vec<_> = Decoder::with_ip(64, code, address, DecoderOptions::NONE).into_iter().collect();
    let mut trace = Trace::new(&instructions);
    let mut findings = Vec::new();
    let (mut branches, mut indexed) = (0, 0);
    for (at, instruction) in instructions.iter().enumerate() {
        branches += usize::from(instruction.flow_control() == FlowControl::ConditionalBranch);
        indexed += usize::from(instruction.memory_index() != Register::None);
        if let Some(suspicion) = trace.suspicion(at) {
            let mut text = format!("{:x} ", instruction.ip());
            FastFormatter::new().format(instruction, &mut text);
            findings.push(Finding { suspicion, instruction: text });
        }
    }
    Symbol { name, instructions: instructions.len(), branches, indexed, findings }
}

/// For each instruction those that may be executed just before it.
fn before(instructions: &[Instruction]) -> Vec<Vec<usize>> {
    let places: HashMap<u64, usize> = instructions.iter().enumerate().map(|(at, each)| (each.ip(), at)).collect();
    let mut before = vec![Vec::new(); instructions.len()];
    for (at, instruction) in instructions.iter().enumerate() {
        let flow = instruction.flow_control();
        let ends = matches!(flow, FlowControl::Return | FlowControl::UnconditionalBranch | FlowControl::IndirectBranch);
        if !ends && at + 1 < instructions.len() {
            before[at + 1].push(at);
        }
        if matches!(flow, FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch)
            && let Some(target) = places.get(&instruction.near_branch_target())
        {
            before[*target].push(at);
        }
    }
    before
}

/// Where a value comes from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    /// A vector or a mask register.
    Vector,
    /// A byte or a half word of memory, too small to be a pointer or a length.
    Narrow,
    /// Counters, pointers, constants, and words of memory, which mostly are one of these.
    Other,
}

struct Trace<'a> {
    instructions: &'a [Instruction],
    before: Vec<Vec<usize>>,
    /// Registers that each instruction reads, but for addresses, and those that it writes, whole ones.
    registers: Vec<(Vec<Register>, Vec<Register>)>,
    /// What is known of the results of instructions; a result that is being looked for counts as harmless, so that
    /// loops end.
    results: HashMap<usize, Origin>,
}

impl<'a> Trace<'a> {
    fn new(instructions: &'a [Instruction]) -> Self {
        let mut info = InstructionInfoFactory::new();
        let registers = instructions.iter().map(|instruction| {
            let (mut reads, mut writes) = (Vec::new(), Vec::new());
            for used in info.info_options(instruction, InstructionInfoOptions::NO_MEMORY_USAGE).used_registers() {
                use OpAccess::*;
                if matches!(used.access(), Read | CondRead | ReadWrite | ReadCondWrite) {
                    reads.push(used.register());
                }
                if matches!(used.access(), Write | CondWrite | ReadWrite | ReadCondWrite) {
                    writes.push(used.register().full_register());
                }
            }
            (reads, writes)
        });
        let registers = registers.collect();
        Self { instructions, before: before(instructions), registers, results: HashMap::new() }
    }

    fn suspicion(&mut self, at: usize) -> Option<Suspicion> {
        let instruction = &self.instructions[at];
        if is_division(instruction.mnemonic()) {
            return Some(Suspicion::Division);
        }
        if instruction.is_vsib() {
            return Some(Suspicion::Gather);
        }
        if instruction.flow_control() == FlowControl::ConditionalBranch && self.branches_on_vector(at) {
            return Some(Suspicion::BranchOnVector);
        }
        if matches!(instruction.mnemonic(), Mnemonic::Lea | Mnemonic::Nop) {
            return None;
        }
        let (base, index) = (instruction.memory_base(), instruction.memory_index());
        // A base is a pointer, to which lengths of a few bytes may have been added.
        let looks_up = self.origin(index, at) <= Origin::Narrow || self.origin(base, at) == Origin::Vector;
        looks_up.then_some(Suspicion::LookUp)
    }

    /// Whether the flags at `at` may come from a comparison of vectors, or of what was in one.
    fn branches_on_vector(&mut self, at: usize) -> bool {
        let flags = self.instructions[at].rflags_read();
        let definitions = self.definitions(at, |trace, by| trace.instructions[by].rflags_modified() & flags != 0);
        definitions.into_iter().any(|by| self.origin_of_reads(by) == Origin::Vector)
    }

    /// The last instructions before the one at `at` that define something, on all ways to it.
    fn definitions(&self, at: usize, defines: impl Fn(&Self, usize) -> bool) -> Vec<usize> {
        let (mut found, mut seen) = (Vec::new(), HashSet::new());
        let mut open = self.before[at].clone();
        while let Some(by) = open.pop() {
            if seen.len() > WINDOW || !seen.insert(by) {
                continue;
            }
            if defines(self, by) {
                found.push(by);
            } else {
                open.extend(&self.before[by]);
            }
        }
        found
    }

    /// Where the value of `register` may come from when the instruction at `at` begins: the worst of all ways.
    fn origin(&mut self, register: Register, at: usize) -> Origin {
        if register.is_vector_register() || register.is_k() {
            return Origin::Vector;
        }
        let register = register.full_register();
        if !register.is_gpr() || matches!(register, Register::RSP | Register::RBP) {
            return Origin::Other;
        }
        let definitions = self.definitions(at, |trace, by| trace.registers[by].1.contains(&register));
        definitions.into_iter().map(|by| self.origin_of_result(by)).min().unwrap_or(Origin::Other)
    }

    fn origin_of_result(&mut self, by: usize) -> Origin {
        if let Some(origin) = self.results.get(&by) {
            return *origin;
        }
        self.results.insert(by, Origin::Other);
        let instruction = &self.instructions[by];
        let has_memory = instruction.memory_base() != Register::None || instruction.memory_index() != Register::None;
        let origin = if matches!(instruction.flow_control(), FlowControl::Call | FlowControl::IndirectCall) {
            Origin::Other
        } else if has_memory && instruction.mnemonic() != Mnemonic::Lea {
            let size = instruction.memory_size();
            use MemorySize::*;
            if matches!(size, UInt8 | Int8 | UInt16 | Int16) { Origin::Narrow } else { Origin::Other }
        } else if instruction.mnemonic() == Mnemonic::Xor && instruction.op0_register() == instruction.op1_register() {
            // A register cleared by itself.
            Origin::Other
        } else {
            self.origin_of_reads(by)
        };
        self.results.insert(by, origin);
        origin
    }

    fn origin_of_reads(&mut self, by: usize) -> Origin {
        let reads = self.registers[by].0.clone();
        reads.into_iter().map(|register| self.origin(register, by)).min().unwrap_or(Origin::Other)
    }
}

fn is_division(mnemonic: Mnemonic) -> bool {
    let name = format!("{mnemonic:?}");
    let name = name.trim_start_matches('V');
    ["Div", "Idiv", "Fdiv", "Sqrt", "Rsqrt", "Rcp"].iter().any(|prefix| name.starts_with(prefix))
}
