//! Processors: which there are, who runs where, and how much of them somebody got. Node and rig must not share one while
//! anything is measured, nor with anybody else.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::path::Path;
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

/// What somebody got of the processors, as the kernel counts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuTime {
    /// Time in which it ran.
    pub used: Duration,
    /// Time in which it could have run, and somebody else did.
    pub waited: Duration,
}

impl CpuTime {
    /// Of the calling thread, so far.
    pub fn of_this_thread() -> Self {
        Self::of_thread(Path::new("/proc/thread-self")).unwrap_or_default()
    }

    /// Of all threads of the process with that folder in /proc, so far.
    pub fn of_process(process: &Path) -> std::io::Result<Self> {
        let mut sum = Self::default();
        for task in std::fs::read_dir(process.join("task"))? {
            let time = Self::of_thread(&task?.path())?;
            sum = Self { used: sum.used + time.used, waited: sum.waited + time.waited };
        }
        Ok(sum)
    }

    /// What has come since `earlier`.
    pub fn since(self, earlier: Self) -> Self {
        Self { used: self.used.saturating_sub(earlier.used), waited: self.waited.saturating_sub(earlier.waited) }
    }

    fn of_thread(task: &Path) -> std::io::Result<Self> {
        let text = std::fs::read_to_string(task.join("schedstat"))?;
        let mut fields = text.split_whitespace().map(|field| Duration::from_nanos(field.parse().unwrap_or(0)));
        Ok(Self { used: fields.next().unwrap_or_default(), waited: fields.next().unwrap_or_default() })
    }
}
