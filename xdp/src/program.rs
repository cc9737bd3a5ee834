//! The program, instruction by instruction: which frames are ours.
//!
//! A frame goes to the socket of the queue at which it has arrived if it is a whole datagram over IPv4 without options or over IPv6
//! without extension headers, for an address and port in the table of endpoints, whose entry has the bit of that queue. Everything
//! else goes on to the kernel as if there were no program: other protocols, fragments, VLANs, ARP and the discovery of
//! neighbours, datagrams for others.

use std::net::{IpAddr, SocketAddr};

/// One instruction as the kernel takes it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    code: u8,
    registers: u8,
    offset: i16,
    immediate: i32,
}

/// Bytes of an endpoint in the table: address (IPv4 mapped into IPv6), port, zeros.
pub const ENDPOINT_BYTES: usize = 24;

/// An endpoint in the table.
pub fn endpoint(address: SocketAddr) -> [u8; ENDPOINT_BYTES] {
    let mut key = [0; ENDPOINT_BYTES];
    let ip = match address.ip() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    };
    key[..16].copy_from_slice(&ip.octets());
    key[16..18].copy_from_slice(&address.port().to_be_bytes());
    key
}

// Sizes of loads and stores.
const WORD: u8 = 0x00;
const HALF: u8 = 0x08;
const BYTE: u8 = 0x10;
const DOUBLE: u8 = 0x18;
// Conditions of jumps.
const EQUAL: u8 = 0x10;
const GREATER: u8 = 0x20;
const NOT_EQUAL: u8 = 0x50;
const ALWAYS: u8 = 0x00;

const XDP_PASS: i32 = 2;
const LOOKUP: i32 = 1;
const REDIRECT: i32 = 51;
/// Where the key lies on the stack.
const KEY: i16 = -(ENDPOINT_BYTES as i16);

/// A jump's target.
#[derive(Clone, Copy, PartialEq)]
enum Label {
    Ipv6,
    LookUp,
    Pass,
}

/// A program under way, with jumps that do not know yet how far.
#[derive(Default)]
struct Assembler {
    instructions: Vec<Instruction>,
    jumps: Vec<(usize, Label)>,
    labels: Vec<(Label, usize)>,
}

impl Assembler {
    fn put(&mut self, code: u8, target: u8, source: u8, offset: i16, immediate: i32) {
        self.instructions.push(Instruction { code, registers: source << 4 | target, offset, immediate });
    }

    fn load(&mut self, size: u8, target: u8, source: u8, offset: i16) {
        self.put(0x61 | size, target, source, offset, 0);
    }

    /// On the stack.
    fn store(&mut self, size: u8, offset: i16, source: u8) {
        self.put(0x63 | size, 10, source, offset, 0);
    }

    fn store_immediate(&mut self, size: u8, offset: i16, immediate: i32) {
        self.put(0x62 | size, 10, 0, offset, immediate);
    }

    fn copy(&mut self, target: u8, source: u8) {
        self.put(0xbf, target, source, 0, 0);
    }

    fn set(&mut self, target: u8, immediate: i32) {
        self.put(0xb7, target, 0, 0, immediate);
    }

    fn add(&mut self, target: u8, immediate: i32) {
        self.put(0x07, target, 0, 0, immediate);
    }

    fn and(&mut self, target: u8, immediate: i32) {
        self.put(0x57, target, 0, 0, immediate);
    }

    fn shift_right(&mut self, target: u8, source: u8) {
        self.put(0x7f, target, source, 0, 0);
    }

    fn table(&mut self, target: u8, descriptor: i32) {
        const IS_DESCRIPTOR: u8 = 1;
        self.put(0x18, target, IS_DESCRIPTOR, 0, descriptor);
        self.put(0, 0, 0, 0, 0);
    }

    fn call(&mut self, helper: i32) {
        self.put(0x85, 0, 0, 0, helper);
    }

    fn exit(&mut self) {
        self.put(0x95, 0, 0, 0, 0);
    }

    /// To the label if the register compares so with the number.
    fn jump(&mut self, condition: u8, register: u8, immediate: i32, label: Label) {
        self.jumps.push((self.instructions.len(), label));
        self.put(0x05 | condition, register, 0, 0, immediate);
    }

    /// To [`Label::Pass`] unless the frame has so many bytes. Register 2 is its beginning, 3 its end.
    fn need(&mut self, bytes: i32) {
        self.copy(4, 2);
        self.add(4, bytes);
        self.jumps.push((self.instructions.len(), Label::Pass));
        self.put(0x0d | GREATER, 4, 3, 0, 0);
    }

    fn label(&mut self, label: Label) {
        self.labels.push((label, self.instructions.len()));
    }

    fn finish(mut self) -> Vec<Instruction> {
        for (at, label) in self.jumps {
            let known = self.labels.iter().find(|(known, _)| *known == label);
            let target = known.map_or(at, |(_, target)| *target);
            // From the next instruction.
            self.instructions[at].offset = (target - at - 1) as i16;
        }
        self.instructions
    }
}

/// A number that the frame has in the order of bytes of networks, as a load gives it.
fn as_loaded(word: u16) -> i32 {
    i32::from(u16::from_ne_bytes(word.to_be_bytes()))
}

/// The program over tables with these descriptors: endpoints to sets of queues, queues to sockets.
pub fn program(endpoints: i32, sockets: i32) -> Vec<Instruction> {
    let mut to = Assembler::default();
    to.copy(6, 1);
    to.load(WORD, 2, 1, 0);
    to.load(WORD, 3, 1, 4);
    to.need(42);
    for at in 0..3 {
        to.store_immediate(DOUBLE, KEY + 8 * at, 0);
    }
    to.load(HALF, 5, 2, 12);
    to.jump(EQUAL, 5, as_loaded(0x86dd), Label::Ipv6);
    to.jump(NOT_EQUAL, 5, as_loaded(0x0800), Label::Pass);
    // Version 4, no options; UDP; not a fragment.
    to.load(BYTE, 5, 2, 14);
    to.jump(NOT_EQUAL, 5, 0x45, Label::Pass);
    to.load(BYTE, 5, 2, 23);
    to.jump(NOT_EQUAL, 5, 17, Label::Pass);
    to.load(HALF, 5, 2, 20);
    to.and(5, as_loaded(0x3fff));
    to.jump(NOT_EQUAL, 5, 0, Label::Pass);
    to.store_immediate(HALF, KEY + 10, 0xffff);
    to.load(WORD, 5, 2, 30);
    to.store(WORD, KEY + 12, 5);
    to.load(HALF, 5, 2, 36);
    to.store(HALF, KEY + 16, 5);
    to.jump(ALWAYS, 0, 0, Label::LookUp);
    to.label(Label::Ipv6);
    to.need(62);
    to.load(BYTE, 5, 2, 20);
    to.jump(NOT_EQUAL, 5, 17, Label::Pass);
    to.load(DOUBLE, 5, 2, 38);
    to.store(DOUBLE, KEY, 5);
    to.load(DOUBLE, 5, 2, 46);
    to.store(DOUBLE, KEY + 8, 5);
    to.load(HALF, 5, 2, 56);
    to.store(HALF, KEY + 16, 5);
    to.label(Label::LookUp);
    to.table(1, endpoints);
    to.copy(2, 10);
    to.add(2, i32::from(KEY));
    to.call(LOOKUP);
    to.jump(EQUAL, 0, 0, Label::Pass);
    // Whether the entry has the bit of the queue at which the frame has arrived.
    to.load(WORD, 2, 6, 16);
    to.jump(GREATER, 2, 63, Label::Pass);
    to.load(DOUBLE, 1, 0, 0);
    to.shift_right(1, 2);
    to.and(1, 1);
    to.jump(EQUAL, 1, 0, Label::Pass);
    to.table(1, sockets);
    // Where the queue has no socket (any more), the kernel takes the frame.
    to.set(3, XDP_PASS);
    to.call(REDIRECT);
    to.exit();
    to.label(Label::Pass);
    to.set(0, XDP_PASS);
    to.exit();
    to.finish()
}
