//! Times and costs as reports give them.

use super::cpu::CpuTime;
use hdrhistogram::Histogram;
use serde::Serialize;
use std::fmt;

/// Some quantiles of times in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Latency {
    /// Half of them took longer.
    pub p50: f64,
    /// One in a hundred took longer.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

impl Latency {
    /// None of nothing.
    pub fn of(us: &Histogram<u64>) -> Option<Self> {
        let ms = |us: u64| us as f64 / 1000.0;
        let found =
            || Self { p50: ms(us.value_at_quantile(0.5)), p99: ms(us.value_at_quantile(0.99)), max: ms(us.max()) };
        (!us.is_empty()).then(found)
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "p50 {:.3} ms, p99 {:.3} ms, max {:.3} ms", self.p50, self.p99, self.max)
    }
}

/// Processor time for each of so many packets.
pub fn cpu_us_per_packet(cpu: CpuTime, packets: u64) -> f64 {
    cpu.used.as_secs_f64() * 1e6 / packets.max(1) as f64
}
