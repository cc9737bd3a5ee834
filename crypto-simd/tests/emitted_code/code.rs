//! Disassembly of an executable, and what is suspicious in it.

use iced_x86::{
    Decoder, DecoderOptions, FastFormatter, FlowControl, Instruction, InstructionInfoFactory, InstructionInfoOptions,
    MemorySize, Mnemonic, OpAccess, Register,
};
use object::{Object, ObjectSection, ObjectSymbol, SymbolKind};
use std::fmt;

/// Instructions before a use among which its definition is searched.
const WINDOW: usize = 200;
/// Copies and computations that are followed from a use back to where the value comes from.
const STEPS: usize = 12;

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
    let mut trace = Trace { instructions: &instructions, info: InstructionInfoFactory::new() };
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

/// Where a value comes from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    /// A vector or a mask register.
    Vector,
    /// A part of memory too small to be a pointer or a counter: a byte, a half word, bits cut out of a word.
    Part,
    /// A word of memory.
    Word,
    /// Counters, pointers, constants.
    Other,
}

struct Trace<'a> {
    instructions: &'a [Instruction],
    info: InstructionInfoFactory,
}

impl Trace<'_> {
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
        // A base is a pointer to which lengths, which are cut to multiples, have been added.
        let looks_up = self.origin(index, at, STEPS) <= Origin::Part || self.origin(base, at, STEPS) == Origin::Vector;
        looks_up.then_some(Suspicion::LookUp)
    }

    /// Whether the flags at `at` come from a comparison of vectors, or of what was in one.
    fn branches_on_vector(&mut self, at: usize) -> bool {
        let flags = self.instructions[at].rflags_read();
        let before = &self.instructions[at.saturating_sub(WINDOW)..at];
        let Some(back) = before.iter().rev().position(|instruction| instruction.rflags_modified() & flags != 0) else {
            return false;
        };
        let by = at - 1 - back;
        let registers: Vec<_> = self.reads(by).collect();
        registers.into_iter().any(|register| self.origin(register, by, STEPS) == Origin::Vector)
    }

    /// Where the value of `register` comes from when the instruction at `at` begins.
    fn origin(&mut self, register: Register, at: usize, steps: usize) -> Origin {
        if register.is_vector_register() || register.is_k() {
            return Origin::Vector;
        }
        if !register.is_gpr() || steps == 0 || matches!(register.full_register(), Register::RSP | Register::RBP) {
            return Origin::Other;
        }
        let register = register.full_register();
        let first = at.saturating_sub(WINDOW);
        let Some(by) = (first..at).rev().find(|by| self.writes(*by, register)) else { return Origin::Other };
        let instruction = &self.instructions[by];
        if matches!(instruction.flow_control(), FlowControl::Call | FlowControl::IndirectCall) {
            return Origin::Other;
        }
        let has_memory = instruction.memory_base() != Register::None || instruction.memory_index() != Register::None;
        if has_memory && instruction.mnemonic() != Mnemonic::Lea {
            let narrow = matches!(
                instruction.memory_size(),
                MemorySize::UInt8 | MemorySize::Int8 | MemorySize::UInt16 | MemorySize::Int16
            );
            return if narrow { Origin::Part } else { Origin::Word };
        }
        // A register cleared by itself.
        if instruction.mnemonic() == Mnemonic::Xor && instruction.op0_register() == instruction.op1_register() {
            return Origin::Other;
        }
        let sources: Vec<_> = self.reads(by).collect();
        let origins = sources.into_iter().map(|source| self.origin(source, by, steps - 1));
        match origins.min().unwrap_or(Origin::Other) {
            Origin::Word if cuts(instruction.mnemonic()) => Origin::Part,
            origin => origin,
        }
    }

    fn reads(&mut self, at: usize) -> impl Iterator<Item = Register> {
        let info = self.info.info_options(&self.instructions[at], InstructionInfoOptions::NO_MEMORY_USAGE);
        let used = info.used_registers().iter().filter(|used| {
            matches!(used.access(), OpAccess::Read | OpAccess::CondRead | OpAccess::ReadWrite | OpAccess::ReadCondWrite)
        });
        used.map(|used| used.register()).collect::<Vec<_>>().into_iter()
    }

    fn writes(&mut self, at: usize, register: Register) -> bool {
        let info = self.info.info_options(&self.instructions[at], InstructionInfoOptions::NO_MEMORY_USAGE);
        info.used_registers().iter().any(|used| {
            let written = matches!(
                used.access(),
                OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite
            );
            written && used.register().full_register() == register
        })
    }
}

/// Whether what results has fewer bits than the operand.
fn cuts(mnemonic: Mnemonic) -> bool {
    use Mnemonic::*;
    matches!(mnemonic, And | Shr | Shrx | Bextr | Pext | Movzx)
}

fn is_division(mnemonic: Mnemonic) -> bool {
    let name = format!("{mnemonic:?}");
    let name = name.trim_start_matches('V');
    ["Div", "Idiv", "Fdiv", "Sqrt", "Rsqrt", "Rcp"].iter().any(|prefix| name.starts_with(prefix))
}
