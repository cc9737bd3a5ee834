//! How many lines of one kind may be written in a while. What strangers do is logged, but whoever does it ten thousand
//! times a second must not write ten thousand lines a second.

use std::collections::BTreeMap;
use std::time::Duration;

/// Lines of one kind in a window of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Lines that are written.
    pub lines: u32,
    /// The window, from the first of them.
    pub window: Duration,
}

struct Window {
    began: Duration,
    length: Duration,
    admitted: u32,
    more: u64,
}

/// Counts by kind. Time comes in from outside, from any fixed moment on.
#[derive(Default)]
pub struct Throttle {
    windows: BTreeMap<&'static str, Window>,
}

impl Throttle {
    /// Whether a line of this kind may be written now; if not, it is counted.
    pub fn admits(&mut self, kind: &'static str, quota: Quota, now: Duration) -> bool {
        let window =
            self.windows.entry(kind).or_insert(Window { began: now, length: quota.window, admitted: 0, more: 0 });
        if window.admitted < quota.lines {
            window.admitted += 1;
            true
        } else {
            window.more += 1;
            false
        }
    }

    /// The kinds whose windows have ended with more than was written: how many more, in how many seconds.
    pub fn ended(&mut self, now: Duration) -> Vec<(&'static str, u64, u64)> {
        let is_over = |window: &Window| now.saturating_sub(window.began) >= window.length;
        let over = self.windows.iter().filter(|(_, window)| is_over(window) && window.more > 0);
        let more = over.map(|(kind, window)| (*kind, window.more, window.length.as_secs())).collect();
        self.windows.retain(|_, window| !is_over(window));
        more
    }
}
