//! Processors: which there are, and who runs where. Node and rig must not share one while anything is measured.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// Where node and rig run, if there are processors for both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// The node's one shard.
    pub node: Option<usize>,
    /// The rig's one loop.
    pub rig: Option<usize>,
}

/// The first two processors that this process may use.
pub fn placement() -> Placement {
    let Ok(allowed) = sched_getaffinity(None) else { return Placement::default() };
    let mut processors = (0..CpuSet::MAX_CPU).filter(|processor| allowed.is_set(*processor));
    match (processors.next(), processors.next()) {
        (Some(node), Some(rig)) => Placement { node: Some(node), rig: Some(rig) },
        _ => Placement::default(),
    }
}

/// Pins the calling thread.
pub fn pin(processor: Option<usize>) -> Result<(), String> {
    let Some(processor) = processor else { return Ok(()) };
    let mut set = CpuSet::new();
    set.set(processor);
    sched_setaffinity(None, &set).map_err(|error| format!("cannot pin to processor {processor}: {error}"))
}

/// CPU time of the calling thread.
pub fn thread_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}
