//! Why shards cannot run: what failed, on what, and what to do.

use interplane::counter::AcceptFailure;

/// Why a backend does not work on this host, or a shard ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DriverError {
    /// io_uring does not work.
    #[error("{call}: {}: {}", words(*.code), ring_remedy(*.code))]
    Ring {
        /// The system call.
        call: &'static str,
        /// Its error number.
        code: i32,
    },
    /// The kernel's io_uring is too old.
    #[error(
        "the kernel's io_uring has no {feature}: use Linux {since} or newer, or set dataplane.backend to \"epoll\""
    )]
    Feature {
        /// What it lacks.
        feature: &'static str,
        /// Since when it is there.
        since: &'static str,
    },
    /// glommio wants to lock more memory than it may.
    #[error(
        "glommio locks {needs} bytes of memory and this process may lock {may}: raise LimitMEMLOCK= (ulimit -l), or \
         set dataplane.backend to \"auto\""
    )]
    LockedMemory {
        /// What is needed.
        needs: u64,
        /// What is allowed.
        may: u64,
    },
    /// The processor is not there, or may not be used.
    #[error("dataplane.pin_cpus names processor {cpu}, which this process may not use: it may use {allowed}")]
    Processor {
        /// Which.
        cpu: usize,
        /// Those that may be used.
        allowed: String,
    },
    /// The operating system refused something else.
    #[error("shard {shard} cannot {what}: {}: {}", words(*.code), os_remedy(*.code))]
    Os {
        /// Which shard.
        shard: usize,
        /// What.
        what: &'static str,
        /// The error number; 0 if there is none.
        code: i32,
    },
    /// The backend's own words.
    #[error("shard {shard}: {backend}: {reason}")]
    Backend {
        /// Which shard.
        shard: usize,
        /// Which backend.
        backend: &'static str,
        /// What it says.
        reason: String,
    },
    /// The thread has not polled in time.
    #[error("shard {shard} has not begun to work within {seconds} s: give its processor time (dataplane.pin_cpus)")]
    NeverPolled {
        /// Which shard.
        shard: usize,
        /// How long was waited.
        seconds: u64,
    },
    /// The thread stands still, and no wake-up helps.
    #[error("shard {shard} has stood still for {seconds} s although it was woken")]
    Stuck {
        /// Which shard.
        shard: usize,
        /// How long.
        seconds: u64,
    },
    /// The thread panicked.
    #[error("shard {shard} panicked; what it said stands above")]
    Panicked {
        /// Which shard.
        shard: usize,
    },
    /// The thread returned although nobody asked it to.
    #[error("shard {shard} ended without an error although it was not asked to")]
    Returned {
        /// Which shard.
        shard: usize,
    },
}

impl DriverError {
    /// The operating system refused something to a shard.
    pub fn os(shard: usize, what: &'static str, error: &std::io::Error) -> Self {
        Self::Os { shard, what, code: error.raw_os_error().unwrap_or(0) }
    }

    /// io_uring refused something.
    pub fn ring(call: &'static str, error: &std::io::Error) -> Self {
        Self::Ring { call, code: error.raw_os_error().unwrap_or(0) }
    }
}

fn words(code: i32) -> String {
    std::io::Error::from_raw_os_error(code).to_string()
}

fn ring_remedy(code: i32) -> &'static str {
    match code {
        libc::EPERM | libc::EACCES => {
            "a seccomp profile or kernel.io_uring_disabled forbids io_uring: allow io_uring_setup, io_uring_enter and \
             io_uring_register, or set dataplane.backend to \"epoll\""
        }
        libc::ENOSYS => "this kernel has no io_uring: set dataplane.backend to \"epoll\"",
        libc::ENOMEM => "raise LimitMEMLOCK= (ulimit -l) or give it more memory, or set dataplane.backend to \"epoll\"",
        _ => os_remedy(code),
    }
}

fn os_remedy(code: i32) -> &'static str {
    match code {
        libc::EMFILE => "raise LimitNOFILE= (ulimit -n)",
        libc::ENFILE => "raise fs.file-max",
        libc::ENOMEM => "give it more memory",
        libc::EPERM | libc::ENOSYS => "a sandbox (seccomp profile) seems to forbid it: allow it",
        libc::EAGAIN => "raise LimitNPROC= or the container's limit of tasks",
        _ => "this is unexpected: please report it",
    }
}

/// What an error number of `accept` means.
pub(super) fn accept_failure(code: i32) -> AcceptFailure {
    match code {
        libc::EMFILE => AcceptFailure::ProcessDescriptors,
        libc::ENFILE => AcceptFailure::SystemDescriptors,
        libc::ENOMEM | libc::ENOBUFS => AcceptFailure::Memory,
        _ => AcceptFailure::Other,
    }
}
