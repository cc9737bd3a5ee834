//! Which backend does input and output on this host.

use super::driver::{Clock, Driver, Plan, Task};
use super::half::Lanes;
use super::{DriverError, epoll, glommio, uring};
use interplane::setup::Backend as Wanted;
use quic::Common;

/// A backend that works here.
pub enum Choice {
    /// io_uring, with a ring per shard.
    Uring(uring::Fabric),
    /// Plain readiness.
    Epoll(epoll::Fabric),
    /// glommio's executors.
    Glommio(glommio::Fabric),
}

impl Choice {
    /// Tries what is wanted; `Auto` is io_uring, else epoll. Gives why it is not the first, if so.
    pub fn make(wanted: Wanted, shards: usize, clock: Clock) -> Result<(Self, Option<DriverError>), DriverError> {
        match wanted {
            Wanted::Uring => Ok((Self::Uring(uring::Fabric::new(shards, clock)?), None)),
            Wanted::Epoll => Ok((Self::Epoll(epoll::Fabric::new(shards, clock)?), None)),
            Wanted::Glommio => Ok((Self::Glommio(glommio::Fabric::new(shards, clock)?), None)),
            Wanted::Auto => match uring::Fabric::new(shards, clock) {
                Ok(fabric) => Ok((Self::Uring(fabric), None)),
                Err(refusal) => Ok((Self::Epoll(epoll::Fabric::new(shards, clock)?), Some(refusal))),
            },
        }
    }

    /// Its name, as the configuration has it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Uring(_) => "uring",
            Self::Epoll(_) => "epoll",
            Self::Glommio(_) => "glommio",
        }
    }

    /// Whether datagrams can go past the kernel with it.
    pub fn can_bypass(&self) -> bool {
        // glommio has nothing that waits for a socket of another kind.
        !matches!(self, Self::Glommio(_))
    }

    /// Shards have connections over QUIC too, which have this in common. Their datagrams go over the lanes, where there are
    /// some.
    pub fn with_quic(self, common: Common, lanes: Lanes) -> Self {
        match self {
            Self::Uring(fabric) => Self::Uring(fabric.with_quic(common, lanes)),
            Self::Epoll(fabric) => Self::Epoll(fabric.with_quic(common, lanes)),
            Self::Glommio(fabric) => Self::Glommio(fabric.with_quic(common)),
        }
    }

    /// Starts the shards.
    pub fn spawn<T: Task>(self, clock: Clock, plans: Vec<Plan<T>>) -> Result<Driver, DriverError> {
        match self {
            Self::Uring(fabric) => Driver::spawn(fabric, clock, plans),
            Self::Epoll(fabric) => Driver::spawn(fabric, clock, plans),
            Self::Glommio(fabric) => Driver::spawn(fabric, clock, plans),
        }
    }
}

/// To be called before the first thread starts: executors use expedited membarriers, and registering later costs each of
/// them 5 to 9 ms. A kernel without it works too.
pub fn register_membarrier() {
    const REGISTER_PRIVATE_EXPEDITED: libc::c_int = 1 << 4;
    // SAFETY: the call takes two integers and touches no memory of this process.
    let _unsupported = unsafe { libc::syscall(libc::SYS_membarrier, REGISTER_PRIVATE_EXPEDITED, 0, 0) };
}
