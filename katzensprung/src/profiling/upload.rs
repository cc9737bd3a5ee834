//! Samples of what the threads of this process do, sent every quarter of a minute as lines `thread;function;... count`
//! (Pyroscope's `folded`), over a connection of its own.

#[cfg(test)]
mod tests;

use crate::commands::complain;
use nix::sys::signal::{SigSet, Signal};
use pprof::{ProfilerGuardBuilder, Report};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const PERIOD: Duration = Duration::from_secs(15);
/// Samples per second of processor time: no divisor of what happens each hundredth of a second.
const FREQUENCY: i32 = 99;
/// How long the server may take for each step.
const LIMIT: Duration = Duration::from_secs(10);
/// Bytes of one profile; what is rarest beyond is left out.
const PROFILE_BYTES_MAX: usize = 8 << 20;
const STATUS_BYTES_MAX: u64 = 1024;

/// Where profiles go.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    /// Host and port.
    authority: String,
    /// All of the path but its times.
    path: String,
}

/// Starts the thread. To be called by the thread that starts all others that are to be profiled.
pub fn start(address: &str, name: &str, tags: &[(&str, &str)]) -> Result<(), String> {
    let target = Target::new(address, name, tags)?;
    // A data plane keeps all signals for one that reads them; this one every thread has to take by itself.
    let own = SigSet::from(Signal::SIGPROF).thread_unblock();
    own.map_err(|errno| format!("cannot start the profiler: {errno}"))?;
    let thread = std::thread::Builder::new().name("pyroscope".into());
    thread.spawn(move || run(&target)).map(drop).map_err(|error| format!("cannot start the profiler: {error}"))
}

fn run(target: &Target) -> ! {
    let mut is_failing = false;
    loop {
        let from = unix_seconds();
        let sent = sample().and_then(|profile| target.send(&profile, from, unix_seconds()));
        if let (Err(problem), false) = (&sent, is_failing) {
            complain(format_args!(
                "WARNING: no profile is sent: {problem}; it is tried again every {} s",
                PERIOD.as_secs()
            ));
        }
        is_failing = sent.is_err();
    }
}

/// Takes a whole period, whatever happens.
fn sample() -> Result<String, String> {
    let guard = ProfilerGuardBuilder::default()
        .frequency(FREQUENCY)
        // What holds locks that a walk over the stack needs.
        .blocklist(&["libc", "libgcc", "pthread", "vdso"])
        .build();
    std::thread::sleep(PERIOD);
    let report = guard.and_then(|guard| guard.report().build());
    report.map(|report| folded(&report)).map_err(|error| error.to_string())
}

fn folded(report: &Report) -> String {
    let mut stacks: BTreeMap<String, isize> = BTreeMap::new();
    for (frames, count) in &report.data {
        let mut stack = clean(&frames.thread_name_or_id());
        for symbol in frames.frames.iter().rev().flat_map(|frame| frame.iter().rev()) {
            stack.push(';');
            stack.push_str(&clean(&symbol.name()));
        }
        *stacks.entry(stack).or_default() += count;
    }
    let mut stacks: Vec<_> = stacks.into_iter().collect();
    stacks.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let mut text = String::new();
    for (stack, count) in stacks {
        if text.len() + stack.len() > PROFILE_BYTES_MAX {
            break;
        }
        // Writing to a string cannot fail.
        let _written = writeln!(text, "{stack} {count}");
    }
    text
}

/// Without what ends a name or a line.
fn clean(name: &str) -> String {
    name.replace([';', '\n', '\r'], ":")
}

impl Target {
    fn new(address: &str, name: &str, tags: &[(&str, &str)]) -> Result<Self, String> {
        let wrong = || {
            format!(
                "PYROSCOPE_SERVER_ADDRESS is '{address}': write http://HOST:PORT, of a server in the own network or a proxy on \
                 this host (TLS is not spoken)"
            )
        };
        let rest = address.strip_prefix("http://").ok_or_else(wrong)?;
        let (authority, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.is_empty() || rest.contains(|byte: char| byte.is_control() || byte == ' ' || byte == '@') {
            return Err(wrong());
        }
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let authority = if has_port { authority.to_owned() } else { format!("{authority}:80") };
        let prefix = match prefix.trim_end_matches('/') {
            "" => String::new(),
            prefix => format!("/{prefix}"),
        };
        let tags = tags.iter().map(|(tag, value)| format!("{tag}={value}")).collect::<Vec<_>>().join(",");
        let name = encoded(&format!("{name}{{{tags}}}"));
        let how =
            format!("format=folded&sampleRate={FREQUENCY}&spyName=katzensprung&units=samples&aggregationType=sum");
        Ok(Self { authority, path: format!("{prefix}/ingest?name={name}&{how}") })
    }

    fn send(&self, profile: &str, from: u64, until: u64) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("{}: {error}", self.authority);
        let mut addresses = self.authority.to_socket_addrs().map_err(failed)?;
        let address = addresses.next().ok_or_else(|| format!("{} has no address", self.authority))?;
        let mut stream = TcpStream::connect_timeout(&address, LIMIT).map_err(failed)?;
        stream.set_read_timeout(Some(LIMIT)).and_then(|()| stream.set_write_timeout(Some(LIMIT))).map_err(failed)?;
        let head = format!(
            "POST {}&from={from}&until={until} HTTP/1.1\r\nHost: {}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n",
            self.path,
            self.authority,
            profile.len()
        );
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(profile.as_bytes())).map_err(failed)?;
        let mut status = String::new();
        BufReader::new(stream.take(STATUS_BYTES_MAX)).read_line(&mut status).map_err(failed)?;
        match status.split(' ').nth(1) {
            Some(code) if code.len() == 3 && code.starts_with('2') => Ok(()),
            _ => Err(format!("{} answers '{}'", self.authority, status.trim().escape_debug())),
        }
    }
}

/// As a value in a query.
fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => encoded.push(byte.into()),
            // Writing to a string cannot fail.
            _ => drop(write!(encoded, "%{byte:02X}")),
        }
    }
    encoded
}

fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
