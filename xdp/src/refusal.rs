//! Why an interface is not bypassed.

use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use rustix::thread::{CapabilitySet, capabilities};
use std::fmt;

/// A right that a process needs beside those of everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// To open the socket.
    NetRaw,
    /// To load the program.
    Bpf,
    /// To attach it.
    NetAdmin,
}

impl Capability {
    fn set(self) -> CapabilitySet {
        match self {
            Self::NetRaw => CapabilitySet::NET_RAW,
            // The older, larger one holds it.
            Self::Bpf => CapabilitySet::BPF | CapabilitySet::SYS_ADMIN,
            Self::NetAdmin => CapabilitySet::NET_ADMIN,
        }
    }

    /// Those of the three that this thread lacks.
    pub(crate) fn missing() -> Vec<Self> {
        // A kernel that does not tell is taken to have refused for another reason.
        let has = capabilities(None).map_or(CapabilitySet::all(), |sets| sets.effective);
        [Self::NetRaw, Self::Bpf, Self::NetAdmin].into_iter().filter(|one| !has.intersects(one.set())).collect()
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NetRaw => "CAP_NET_RAW",
            Self::Bpf => "CAP_BPF",
            Self::NetAdmin => "CAP_NET_ADMIN",
        })
    }
}

/// What was being done when the kernel refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Asking what the interface is.
    Interface,
    /// Making the tables of the program.
    Tables,
    /// Loading the program.
    Program,
    /// Attaching it.
    Attach,
    /// Opening the socket.
    Socket,
    /// Registering the memory of frames.
    Memory,
    /// Making the rings.
    Rings,
    /// Binding the socket to a queue.
    Bind,
    /// Telling the program of the socket.
    Enter,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Interface => "asking what the interface is",
            Self::Tables => "making the program's tables",
            Self::Program => "loading the program",
            Self::Attach => "attaching the program",
            Self::Socket => "opening an AF_XDP socket",
            Self::Memory => "registering the memory of frames",
            Self::Rings => "making the rings",
            Self::Bind => "binding the socket to the queue",
            Self::Enter => "telling the program of the socket",
        })
    }
}

/// Why an interface is not bypassed, and what would help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// No such interface.
    #[error("there is no network interface {name:?}: `ip link` names them")]
    NoInterface {
        /// Its name.
        name: String,
    },
    /// Not a card of Ethernet, nor a virtual one.
    #[error("{name} has no addresses of Ethernet: name an interface of type \"ether\" (`ip link`)")]
    NotEthernet {
        /// Its name.
        name: String,
    },
    /// Its packets find no room in a frame.
    #[error("{name} has an MTU of {mtu}, and frames take {mtu_max}: `ip link set {name} mtu {mtu_max}`")]
    Mtu {
        /// Its name.
        name: String,
        /// What it has.
        mtu: u32,
        /// What it may have.
        mtu_max: u32,
    },
    /// No such queue.
    #[error("{name} has no queue {queue}: `ethtool -l {name}` shows how many it has")]
    NoQueue {
        /// The interface.
        name: String,
        /// The queue.
        queue: u32,
    },
    /// Another program is attached.
    #[error(
        "another XDP program is attached to {name}: `ip link show {name}` shows it, and `ip link set {name} xdp off` takes it away unless a running process holds it"
    )]
    Occupied {
        /// The interface.
        name: String,
    },
    /// Another socket has the queue.
    #[error("another AF_XDP socket has queue {queue} of {name}: end the process that holds it")]
    QueueOccupied {
        /// The interface.
        name: String,
        /// The queue.
        queue: u32,
    },
    /// The kernel or the driver cannot do it.
    #[error("{step} is not supported by this kernel or by the driver of {name} ({code})")]
    Unsupported {
        /// The interface.
        name: String,
        /// What was being done.
        step: Step,
        /// What the kernel said.
        code: Errno,
    },
    /// The process has too few rights.
    #[error("{step} needs {}, which this process lacks (AmbientCapabilities= of the unit)", list(.missing))]
    Capabilities {
        /// What was being done.
        step: Step,
        /// What it lacks of the three.
        missing: Vec<Capability>,
    },
    /// It has the rights, and may not all the same.
    #[error(
        "{step} is forbidden, though the process has CAP_NET_RAW, CAP_BPF and CAP_NET_ADMIN: is it in a user namespace, or confined by a security module or by SystemCallFilter= of the unit?"
    )]
    Forbidden {
        /// What was being done.
        step: Step,
    },
    /// The frames may not be locked in memory.
    #[error("{wanted_bytes} bytes of locked memory are wanted for the frames of a queue, and {} are allowed: give the process CAP_IPC_LOCK, or raise LimitMEMLOCK= of the unit", limit(*.limit_bytes))]
    LockedMemory {
        /// How many are wanted.
        wanted_bytes: u64,
        /// How many are allowed, all queues together; none without limit.
        limit_bytes: Option<u64>,
    },
    /// Something else.
    #[error("{step} failed: {code}")]
    Os {
        /// What was being done.
        step: Step,
        /// What the kernel said.
        code: Errno,
    },
}

fn list(capabilities: &[Capability]) -> String {
    capabilities.iter().map(Capability::to_string).collect::<Vec<_>>().join(", ")
}

fn limit(bytes: Option<u64>) -> String {
    bytes.map_or("all".into(), |bytes| bytes.to_string())
}

impl Refusal {
    /// What an error number means while this was done at that interface, to that queue if one has a part in it.
    pub(crate) fn of(code: Errno, step: Step, name: &str, queue: u32) -> Self {
        let name = name.to_owned();
        match (code, step) {
            (Errno::PERM | Errno::ACCESS, _) => match Capability::missing() {
                missing if missing.is_empty() => Self::Forbidden { step },
                missing => Self::Capabilities { step, missing },
            },
            (Errno::BUSY | Errno::EXIST, Step::Attach) => Self::Occupied { name },
            (Errno::BUSY, Step::Bind) => Self::QueueOccupied { name, queue },
            (Errno::INVAL, Step::Bind) => Self::NoQueue { name, queue },
            (Errno::NODEV, _) => Self::NoInterface { name },
            (Errno::OPNOTSUPP | Errno::NOSYS | Errno::AFNOSUPPORT | Errno::PROTONOSUPPORT, _) => {
                Self::Unsupported { name, step, code }
            }
            // The kernel's own number for it, which was never meant to leave it.
            (code, _) if code.raw_os_error() == 524 => Self::Unsupported { name, step, code },
            _ => Self::Os { step, code },
        }
    }

    /// Of the memory of frames.
    pub(crate) fn of_memory(code: Errno, wanted_bytes: u64, name: &str) -> Self {
        if code == Errno::NOBUFS {
            return Self::LockedMemory { wanted_bytes, limit_bytes: getrlimit(Resource::Memlock).current };
        }
        Self::of(code, Step::Memory, name, 0)
    }
}
