//! What a child writes to its standard output and its standard error: all of it is read, so that it does not stand still,
//! and no more of it a second than a node has time and disk for.

use crate::logging::Log;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt};
use tokio::time::{Instant, sleep_until};

/// Longest line that is logged in one piece.
pub const LINE_BYTES_MAX: u64 = 4096;
/// The time for which the numbers below are.
const WINDOW: Duration = Duration::from_secs(1);
/// Lines that are logged in that time.
const LINES: u64 = 100;
/// Bytes that are read in that time; who writes more waits.
const BYTES: u64 = 1 << 20;

/// Reads lines until there are no more, long ones in pieces, and logs them at DEBUG with the program as module.
pub async fn log_lines(from: impl AsyncBufReadExt + Unpin, log: Log, module: String) {
    let left_out = |count| log.debug(&module, format_args!("... and {count} more lines in a second"));
    read(from, |line| log.debug(&module, line), left_out).await;
}

/// Reads and forgets.
pub async fn forget(from: impl AsyncBufReadExt + Unpin) {
    read(from, |_| (), |_| ()).await;
}

async fn read(mut from: impl AsyncBufReadExt + Unpin, take: impl Fn(&str), left_out: impl Fn(u64)) {
    let mut line = Vec::new();
    let (mut began, mut lines, mut bytes) = (Instant::now(), 0, 0);
    let more = |lines: u64| Some(lines.saturating_sub(LINES)).filter(|more| *more > 0);
    loop {
        line.clear();
        let Ok(read @ 1..) = (&mut from).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await else { break };
        if began.elapsed() >= WINDOW {
            more(lines).into_iter().for_each(&left_out);
            (began, lines, bytes) = (Instant::now(), 0, 0);
        }
        lines += 1;
        bytes += read as u64;
        if lines <= LINES {
            take(String::from_utf8_lossy(&line).trim_end());
        }
        if bytes > BYTES {
            sleep_until(began + WINDOW).await;
        }
    }
    more(lines).into_iter().for_each(left_out);
}
