//! What to do about errors of the operating system.

use super::listen::BUFFER_BYTES;
use rustix::io::Errno;
use secret_memory::{locked_bytes, protection};

/// Threads of the control plane that keys pass through: the main one, the supervisor, and those that sign, verify and
/// look up names beside them.
const CONTROL_THREADS: usize = 8;

/// Bytes that each process of a node with so many shards has to lock: the data plane has a thread more than shards, and
/// the limit counts for each process by itself.
pub fn locked_bytes_of_node(shards: usize) -> usize {
    locked_bytes(CONTROL_THREADS.max(shards + 1))
}

/// What to say where `what` cannot be kept out of swap, in a node of so many shards.
pub fn unlocked(what: &str, shards: usize) -> String {
    let bytes = locked_bytes_of_node(shards);
    let (mebibytes, kibibytes) = (bytes.div_ceil(1 << 20), bytes.div_ceil(1 << 10));
    let full = match protection().outside {
        0 => "",
        _ => "; what is set aside for keys is full, which no limit mends: please report it",
    };
    format!(
        "{what} cannot be locked in memory and may reach the swap: raise the limit of locked memory \
         (LimitMEMLOCK={mebibytes}M or more in a systemd unit, `ulimit -l {kibibytes}` in a shell), or turn swap off{full}"
    )
}

/// What to say of a UDP socket that may hold so few bytes.
pub fn small_buffer(bytes: usize) -> String {
    format!(
        "may hold {} kB of datagrams that wait, of {} kB that a busy node needs; more are lost and sent again: raise \
         net.core.rmem_max and net.core.wmem_max to {BUFFER_BYTES}",
        bytes >> 10,
        BUFFER_BYTES >> 10
    )
}

/// What to do about an error of the operating system that is about a limit.
pub fn remedy(error: &std::io::Error) -> &'static str {
    match Errno::from_io_error(error) {
        Some(Errno::AGAIN) => {
            "; raise the limit of tasks (LimitNPROC= or TasksMax= of the unit, ulimit -u, the container's limit of processes)"
        }
        Some(Errno::MFILE) => "; raise the limit of open files (LimitNOFILE= of the unit, ulimit -Hn)",
        Some(Errno::FBIG) => {
            "; raise the limit of file sizes (LimitFSIZE= of the unit, ulimit -f), which counts for shared memory too"
        }
        Some(Errno::PERM | Errno::NOSYS) => "; a sandbox (seccomp profile) seems to forbid it: allow it",
        Some(Errno::NOSPC | Errno::DQUOT) => "; free some space and start again",
        Some(Errno::NFILE) => "; raise fs.file-max",
        Some(Errno::NOMEM) => {
            "; give it more memory (MemoryMax=, LimitAS= of the unit, ulimit -v, the container's limit)"
        }
        _ => "",
    }
}

/// The same where it is about a file or socket under a name of the operator's choice.
pub fn remedy_at_path(error: &std::io::Error) -> &'static str {
    match Errno::from_io_error(error) {
        Some(Errno::NOENT) => "; check that the folder exists",
        Some(Errno::ACCESS | Errno::PERM) => "; give this user the right to write in that folder, or give another path",
        Some(Errno::ISDIR) => "; that is a folder: add the name of the file",
        Some(Errno::NOTDIR) => "; a part of the path is no folder: check the path",
        Some(Errno::ROFS) => "; that file system is read-only: give another path",
        Some(Errno::NXIO) => "; nobody reads that pipe: start its reader first",
        _ => remedy(error),
    }
}

/// The same where it is about an address to listen at.
pub fn remedy_at_address(error: &std::io::Error) -> &'static str {
    match Errno::from_io_error(error) {
        Some(Errno::ADDRINUSE) => "; another program listens there: stop it, or give another port",
        Some(Errno::ADDRNOTAVAIL) => "; no interface of this host has that address",
        Some(Errno::ACCESS) => "; ports below 1024 need a capability: give a port above",
        _ => remedy(error),
    }
}
