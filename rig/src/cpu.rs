//! Processors: which there are, who runs where, and how much of them somebody got. Node and rig must not share one while
//! anything is measured, nor with anybody else.

#[cfg(test)]
mod tests;

use rustix::process::setpriority_process;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity, set_current_timer_slack};
use std::collections::BTreeSet;
use std::fs;
use std::iter::Sum;
use std::num::NonZeroU64;
use std::path::Path;
use std::time::Duration;

/// What threads run with that give way.
const NICENESS: i32 = 10;

/// Where node and rig run, if there are processors for both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// One for each of the node's shards; none when there are too few.
    pub node: Vec<usize>,
    /// The rig's one loop; none when nothing is left beside the node.
    pub rig: Option<usize>,
    /// Who calls the node while it is under load: a third processor, else the rig's.
    pub caller: Option<usize>,
    /// Where packets are made while others are sent: all processors that are left, and the rig's if there is no other.
    pub mills: Vec<usize>,
    /// The rig's processor is the other half of one of the node's: each slows the other down.
    pub shares_core: bool,
}

impl Placement {
    /// Places a node of so many shards, and the rig, on the processors that this process may use.
    pub fn of_this_host(shards: usize) -> Self {
        let Ok(allowed) = sched_getaffinity(None) else { return Self::default() };
        let allowed: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|processor| allowed.is_set(*processor)).collect();
        Self::choose(&allowed, core_of, shards)
    }

    /// Cores first, their second halves only when nothing else is left. `core_of` gives what two halves have in common.
    fn choose(allowed: &[usize], core_of: impl Fn(usize) -> usize, shards: usize) -> Self {
        let mut cores = BTreeSet::new();
        let (mut order, halves): (Vec<usize>, Vec<usize>) =
            allowed.iter().partition(|processor| cores.insert(core_of(**processor)));
        order.extend(halves);
        if order.len() < shards {
            return Self::default();
        }
        let others = order.split_off(shards);
        let rig = others.first().copied();
        let shares_core = rig.is_some_and(|rig| order.iter().any(|node| core_of(*node) == core_of(rig)));
        let mills = if others.len() > 1 { others[1..].to_vec() } else { others.clone() };
        Self { node: order, rig, caller: others.get(1).copied().or(rig), mills, shares_core }
    }
}

/// The lowest processor of the same core: the name of the core.
fn core_of(processor: usize) -> usize {
    let path = format!("/sys/devices/system/cpu/cpu{processor}/topology/thread_siblings_list");
    // A list of numbers and ranges: the first number is the lowest. A kernel that does not say has no halves.
    let list = fs::read_to_string(path).unwrap_or_default();
    let first: String = list.chars().take_while(char::is_ascii_digit).collect();
    first.parse().unwrap_or(processor)
}

/// Pins the calling thread.
pub fn pin(processor: Option<usize>) -> Result<(), String> {
    let Some(processor) = processor else { return Ok(()) };
    let mut set = CpuSet::new();
    set.set(processor);
    sched_setaffinity(None, &set).map_err(|error| format!("cannot pin to processor {processor}: {error}"))
}

/// Lets sleeps of the calling thread end when they are over, and not up to 50 us later: that would be counted as the
/// node's lateness.
pub fn wake_in_time() {
    let _bearable = set_current_timer_slack(Some(NonZeroU64::MIN));
}

/// Lets the calling thread give way to the rig's loop, which may share its processor: packets must be sent when they are
/// due.
pub fn give_way() -> Result<(), String> {
    setpriority_process(None, NICENESS).map_err(|error| format!("cannot give way to others: {error}"))
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
        fs::read_dir(process.join("task"))?.map(|task| Self::of_thread(&task?.path())).sum()
    }

    /// What has come since `earlier`.
    pub fn since(self, earlier: Self) -> Self {
        Self { used: self.used.saturating_sub(earlier.used), waited: self.waited.saturating_sub(earlier.waited) }
    }

    fn of_thread(task: &Path) -> std::io::Result<Self> {
        let text = fs::read_to_string(task.join("schedstat"))?;
        let mut fields = text.split_whitespace().map(|field| Duration::from_nanos(field.parse().unwrap_or(0)));
        Ok(Self { used: fields.next().unwrap_or_default(), waited: fields.next().unwrap_or_default() })
    }
}

impl Sum for CpuTime {
    fn sum<I: Iterator<Item = Self>>(times: I) -> Self {
        times.fold(Self::default(), |sum, time| Self { used: sum.used + time.used, waited: sum.waited + time.waited })
    }
}
