//! The calls of bpf(2) that load the program, fill its tables and hold it at an interface.
//!
//! What is attached is held by a descriptor of this process (a link): when the process ends, whichever way, the kernel detaches the
//! program. What is attached by netlink would stay.
#![allow(unsafe_code, reason = "no safe wrapper of bpf(2) is among our packages")]

use crate::program::Instruction;
use rustix::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use rustix::io::Errno;

const MAP_CREATE: libc::c_long = 0;
const MAP_UPDATE: libc::c_long = 2;
const MAP_DELETE: libc::c_long = 3;
const PROGRAM_LOAD: libc::c_long = 5;
const LINK_CREATE: libc::c_long = 28;

const PROGRAM_XDP: u32 = 6;
const ATTACH_XDP: u32 = 37;
/// What is shown of our program and tables in lists of them.
const NAME: [u8; 16] = *b"katzensprung\0\0\0\0";

/// The kinds of tables that we use.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub enum TableKind {
    /// By a key of any form.
    Hash = 1,
    /// AF_XDP sockets by the number of their queue.
    Sockets = 17,
}

#[repr(C)]
struct MapCreate {
    kind: u32,
    key_bytes: u32,
    value_bytes: u32,
    entries_max: u32,
    flags: u32,
    inner: u32,
    numa_node: u32,
    name: [u8; 16],
}

#[repr(C)]
struct MapElement {
    map: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[repr(C)]
struct ProgramLoad {
    kind: u32,
    instructions: u32,
    first_instruction: u64,
    license: u64,
    log_level: u32,
    log_bytes: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
    interface: u32,
    attach: u32,
}

#[repr(C)]
struct LinkCreate {
    program: u32,
    interface: u32,
    attach: u32,
    flags: u32,
}

/// Calls with attributes that hold pointers to memory of the caller, which must last until it returns.
fn call<T>(command: libc::c_long, attributes: &T) -> Result<libc::c_long, Errno> {
    let bytes = size_of::<T>() as libc::c_long;
    // SAFETY: the attributes are a prefix of the kernel's union, as long as is said, without padding; what they point to is
    // borrowed by the callers below for as long as this call takes.
    let answer = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attributes), bytes) };
    if answer < 0 {
        let code = std::io::Error::last_os_error();
        return Err(Errno::from_io_error(&code).unwrap_or(Errno::INVAL));
    }
    Ok(answer)
}

fn descriptor(answer: libc::c_long) -> Result<OwnedFd, Errno> {
    let fd = RawFd::try_from(answer).map_err(|_| Errno::BADF)?;
    // SAFETY: the kernel has just made it for us, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn number(fd: &OwnedFd) -> u32 {
    // Descriptors are never negative.
    fd.as_raw_fd() as u32
}

/// A table that the program reads.
pub struct Table<const KEY: usize, const VALUE: usize>(OwnedFd);

impl<const KEY: usize, const VALUE: usize> Table<KEY, VALUE> {
    /// An empty one.
    pub fn new(kind: TableKind, entries_max: u32) -> Result<Self, Errno> {
        let attributes = MapCreate {
            kind: kind as u32,
            key_bytes: KEY as u32,
            value_bytes: VALUE as u32,
            entries_max,
            flags: 0,
            inner: 0,
            numa_node: 0,
            name: NAME,
        };
        descriptor(call(MAP_CREATE, &attributes)?).map(Self)
    }

    /// Its descriptor's number, for instructions.
    pub fn number(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Sets what is there for the key.
    pub fn set(&self, key: &[u8; KEY], value: &[u8; VALUE]) -> Result<(), Errno> {
        self.element(MAP_UPDATE, key, value.as_ptr() as u64)
    }

    /// Takes away what is there.
    pub fn clear(&self, key: &[u8; KEY]) -> Result<(), Errno> {
        self.element(MAP_DELETE, key, 0)
    }

    fn element(&self, command: libc::c_long, key: &[u8; KEY], value: u64) -> Result<(), Errno> {
        let attributes = MapElement { map: number(&self.0), padding: 0, key: key.as_ptr() as u64, value, flags: 0 };
        call(command, &attributes).map(|_| ())
    }
}

/// Loads a program; the kernel verifies it.
pub fn load(instructions: &[Instruction]) -> Result<OwnedFd, Errno> {
    let license = c"AGPL-3.0-only";
    let attributes = ProgramLoad {
        kind: PROGRAM_XDP,
        instructions: instructions.len() as u32,
        first_instruction: instructions.as_ptr() as u64,
        license: license.as_ptr() as u64,
        log_level: 0,
        log_bytes: 0,
        log: 0,
        kernel_version: 0,
        flags: 0,
        name: NAME,
        interface: 0,
        attach: ATTACH_XDP,
    };
    descriptor(call(PROGRAM_LOAD, &attributes)?)
}

/// Attaches it to the interface for as long as what comes back is open.
pub fn attach(program: &OwnedFd, interface: u32, flags: u32) -> Result<OwnedFd, Errno> {
    let attributes = LinkCreate { program: number(program), interface, attach: ATTACH_XDP, flags };
    descriptor(call(LINK_CREATE, &attributes)?)
}
