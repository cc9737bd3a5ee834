//! What figures have to come with: machine, date, level, clock, compiler.

use crypto_simd::cpu::Level;
use rig::probe::Probe;
use rustix::thread::{CpuSet, sched_getaffinity};
use serde::Serialize;

/// The circumstances of a table.
#[derive(Clone, Debug, Serialize)]
pub struct Host {
    /// The CPU's name, family and model.
    pub cpu: String,
    /// Processors of the machine.
    pub processors: usize,
    /// The date, UTC.
    pub date: String,
    /// The level of the kernels.
    pub level: &'static str,
    /// The best level of the processor.
    pub best_level: &'static str,
    /// The core's clock in GHz, by dependent adds.
    pub ghz: f64,
    /// The full width in independent adds per cycle.
    pub full_width: f64,
    /// The compiler.
    pub rustc: &'static str,
}

impl Host {
    /// Of this process.
    pub fn new(level: Level, probe: &mut Probe) -> Self {
        let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        Self {
            cpu: cpu(&info),
            processors: info.lines().filter(|line| line.starts_with("processor")).count(),
            date: chrono::Utc::now().format("%Y-%m-%d").to_string(),
            level: level.name(),
            best_level: crypto_simd::cpu::detect().name(),
            ghz: probe.read().ghz,
            full_width: probe.full_width(),
            rustc: env!("BENCH_RUSTC"),
        }
    }
}

pub(super) fn cpu(info: &str) -> String {
    let field = |name: &str| {
        info.lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(field, _)| field.trim() == name)
            .map_or("unknown", |(_, value)| value.trim())
    };
    format!("{}, family {} model {}", field("model name"), field("cpu family"), field("model"))
}

/// The processor that everything is measured on: the one asked for, or the last that this process may use, since
/// interrupts and other programs tend to prefer the first.
pub fn processor(asked: Option<usize>) -> Result<usize, String> {
    let allowed = sched_getaffinity(None).map_err(|error| format!("cannot ask for the processors: {error}"))?;
    let may = |processor: &usize| allowed.is_set(*processor);
    match asked {
        Some(asked) if asked < CpuSet::MAX_CPU && may(&asked) => Ok(asked),
        Some(asked) => {
            let list: Vec<_> = (0..CpuSet::MAX_CPU).filter(may).map(|processor| processor.to_string()).collect();
            Err(format!("--core {asked}: this process may use: {}", list.join(", ")))
        }
        None => (0..CpuSet::MAX_CPU).rfind(may).ok_or_else(|| "this process may use no processor".into()),
    }
}
