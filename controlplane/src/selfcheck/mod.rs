//! How many packets a second this host unwraps, one after the other and on all processors at once (server.md 1.9): for
//! the log and for the gauges that dashboards of the reference show. Nothing here is decided by it.
//!
//! The result is kept in `selfcheck.toml` in DataDir, in the reference's form, and measured again only on another host.

#[cfg(test)]
mod tests;

use crate::keys::Scheme;
use crate::logging::Log;
use crypto_simd::random::{OsRandom, Random};
use sphinx::path::{Terminal, compose};
use sphinx::{Geometry, MixKey, Sphinx, Unwrapper};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// Name of the file in DataDir.
pub const FILE_NAME: &str = "selfcheck.toml";

const MODULE: &str = "server";

/// Unwraps per thread after one to warm up.
const UNWRAPS: u32 = 5;

/// Bytes of the longest file that is read back.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// What was measured.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SelfCheck {
    /// Processors that took part.
    pub processors: u64,
    /// Unwraps per second of one processor while the others rest.
    pub solo_per_second: f64,
    /// Unwraps per second of all processors together.
    pub saturated_per_second: f64,
    hostname: String,
    measured_at: String,
    iteration: Duration,
}

/// What is known of this host, or is measured now and kept in the folder for later.
pub fn known_or_measured(data_dir: &Path, geometry: &Geometry, log: &Log) -> SelfCheck {
    let path = data_dir.join(FILE_NAME);
    let (hostname, processors) = (hostname(), processors());
    match read(&path) {
        Ok(Some(known)) if known.is_of(&hostname, processors) => return known,
        Ok(_) => {}
        Err(error) => log.warning(MODULE, format_args!("{}: {error}; measuring again", path.display())),
    }
    let measured = match measure(geometry, processors) {
        Ok(measured) => SelfCheck { hostname, ..measured },
        Err(error) => {
            log.warning(MODULE, format_args!("the Sphinx self-check failed: {error}"));
            return SelfCheck { processors, ..SelfCheck::default() };
        }
    };
    if let Err(error) = write(&path, &measured) {
        log.warning(
            MODULE,
            format_args!("{} cannot be written: {error}; the next start measures again", path.display()),
        );
    }
    measured
}

impl SelfCheck {
    fn is_of(&self, hostname: &str, processors: u64) -> bool {
        let same_host = self.hostname.is_empty() || hostname.is_empty() || self.hostname == hostname;
        same_host && self.processors == processors
    }

    fn to_toml(&self) -> String {
        format!(
            "Hostname = {}\nMeasuredAt = {}\nNumCPU = {}\nOpsPerSecPerCore = {:?}\nOpsPerSecSaturated = {:?}\n\
             IterationTime = \"{}\"\n",
            toml::Value::from(self.hostname.as_str()),
            self.measured_at,
            self.processors,
            self.solo_per_second,
            self.saturated_per_second,
            go_duration(self.iteration),
        )
    }

    fn of_toml(text: &str) -> Option<Self> {
        let table: toml::Table = text.parse().ok()?;
        // The reference writes a float without a fraction as one; hands may not.
        let number = |key: &str| match table.get(key)? {
            toml::Value::Float(number) => Some(*number),
            toml::Value::Integer(number) => Some(*number as f64),
            _ => None,
        };
        let rate = |key: &str| number(key).filter(|rate| rate.is_finite() && *rate >= 0.0);
        Some(Self {
            processors: table.get("NumCPU")?.as_integer()?.try_into().ok()?,
            solo_per_second: rate("OpsPerSecPerCore")?,
            saturated_per_second: rate("OpsPerSecSaturated")?,
            hostname: table.get("Hostname").and_then(toml::Value::as_str).unwrap_or_default().into(),
            ..Self::default()
        })
    }
}

fn read(path: &Path) -> Result<Option<SelfCheck>, String> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("cannot be read: {error}")),
        Ok(metadata) if !metadata.is_file() || metadata.len() > FILE_BYTES_MAX => {
            return Err("is not a self-check's file".into());
        }
        Ok(_) => {}
    }
    let text = fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))?;
    SelfCheck::of_toml(&text).map(Some).ok_or_else(|| "is not a self-check's file".into())
}

fn write(path: &Path, measured: &SelfCheck) -> io::Result<()> {
    let mut suffix = [0; 4];
    OsRandom.fill(&mut suffix);
    let temporary = path.with_file_name(format!("{FILE_NAME}.{}.tmp", u32::from_le_bytes(suffix)));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    let written = file.write_all(measured.to_toml().as_bytes()).and_then(|()| fs::rename(&temporary, path));
    written.inspect_err(|_| {
        // The first error is the one to tell.
        let _gone = fs::remove_file(&temporary);
    })
}

fn measure(geometry: &Geometry, processors: u64) -> Result<SelfCheck, String> {
    let (key, packet) = key_and_packet(geometry)?;
    let time = |warm_up: u32| -> Result<Duration, String> {
        let mut unwrapper = Unwrapper::new(geometry, 1).map_err(|error| error.to_string())?;
        let mut once = || {
            let mut copy = packet.clone();
            unwrapper.unwrap(&key, &mut copy).map(|_| ()).map_err(|error| error.to_string())
        };
        (0..warm_up).try_for_each(|_| once())?;
        let started = Instant::now();
        (0..UNWRAPS).try_for_each(|_| once())?;
        Ok(started.elapsed())
    };
    let solo = time(1)?;
    let started = Instant::now();
    std::thread::scope(|scope| {
        let spawn = |_| std::thread::Builder::new().spawn_scoped(scope, || time(0));
        let threads = (0..processors).map(spawn).collect::<io::Result<Vec<_>>>();
        let threads = threads.map_err(|error| format!("a thread cannot be started: {error}"))?;
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a thread ended badly")?.map(|_| ()))
    })?;
    let saturated = started.elapsed();
    let rate = |count: f64, time: Duration| count / time.as_secs_f64().max(1e-9);
    Ok(SelfCheck {
        processors,
        solo_per_second: rate(f64::from(UNWRAPS), solo),
        saturated_per_second: rate(processors as f64 * f64::from(UNWRAPS), saturated),
        hostname: String::new(),
        measured_at: chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Nanos, true),
        iteration: solo / UNWRAPS,
    })
}

/// A packet over the longest path, and the key of its first hop.
fn key_and_packet(geometry: &Geometry) -> Result<(MixKey, Vec<u8>), String> {
    let scheme = Scheme::of(geometry).map_err(|error| error.to_string())?;
    let (mut nodes, mut first) = (Vec::new(), None);
    for _ in 0..geometry.nr_hops {
        let private = scheme.generate(&mut OsRandom);
        let mut id = [0; 32];
        OsRandom.fill(&mut id);
        nodes.push((id, scheme.public_key(&private).map_err(|error| error.to_string())?));
        first.get_or_insert(private);
    }
    let first = first.ok_or("a geometry without hops")?;
    let mut recipient = [0; 32];
    OsRandom.fill(&mut recipient);
    let delays = vec![1; geometry.nr_hops.saturating_sub(1)];
    let path = compose(nodes, &delays, &Terminal { recipient, surb_id: None, delay_ms: None });
    let path = path.ok_or("a geometry without hops")?;
    let sphinx = Sphinx::new(geometry.clone()).map_err(|error| error.to_string())?;
    let payload = vec![0; geometry.forward_payload_length];
    let packet = sphinx.new_packet(&path, &payload, &mut OsRandom).map_err(|error| error.to_string())?;
    Ok((MixKey::new(geometry, &first).map_err(|error| error.to_string())?, packet))
}

fn processors() -> u64 {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN).get() as u64
}

fn hostname() -> String {
    let read = fs::read_to_string("/proc/sys/kernel/hostname");
    read.map(|name| name.trim().to_owned()).unwrap_or_default()
}

/// The text of a duration as Go writes it: the largest unit that gives a number from 1 on, without trailing zeros.
fn go_duration(time: Duration) -> String {
    let nanos = time.as_nanos();
    let (unit, name, digits) = match nanos {
        0..1_000 => return format!("{nanos}ns"),
        1_000..1_000_000 => (1_000, "µs", 3),
        1_000_000..1_000_000_000 => (1_000_000, "ms", 6),
        _ => (1_000_000_000, "s", 9),
    };
    let text = format!("{}.{:0digits$}", nanos / unit, nanos % unit);
    format!("{}{name}", text.trim_end_matches('0').trim_end_matches('.'))
}
