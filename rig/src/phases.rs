//! What is measured while packets flow: capacity, lateness, and new clients meanwhile.

use super::calls::Calls;
use super::cpu::CpuTime;
use super::drive::{Drive, Load, Phase};
use super::plan::{Plan, RAMP, Schedule, WARM_UP};
use super::process::NodeProcess;
use super::traffic::Traffic;
use super::{Failure, Options, Report, say};
use pki::neighbours::Role;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use testnet::session::unix_now;

/// A capacity over less than this is no figure.
const MEASURED_MIN: Duration = Duration::from_millis(300);

/// One run over links that are up.
pub struct Phases<'a> {
    /// How many packets, and for how long.
    pub plan: &'a Plan,
    /// What was asked for.
    pub options: &'a Options,
    /// Which way packets take.
    pub traffic: Traffic,
    /// Until when the node has the key.
    pub schedule: &'a Schedule<'a>,
    /// The node.
    pub node: &'a NodeProcess,
    /// New links.
    pub calls: Calls<'a>,
}

impl Phases<'_> {
    /// One after the other.
    pub fn measure(&self, drive: &mut Drive<'_>, report: &mut Report) -> Result<(), Failure> {
        self.node.data_plane_cpu()?;
        let (warm_up, capacity, open) = self.plan.parts(report.packets_made);
        let window = Load::Window(self.traffic.window());
        say(format_args!("warming up"));
        drive.run(window, warm_up, Duration::ZERO, WARM_UP, || self.node_cpu(), || ())?;
        self.schedule.check_key(unix_now(), "the warm-up")?;
        say(format_args!("measuring the capacity, and new links meanwhile"));
        let (phase, answers) = self.run_with(drive, window, capacity, |stop| self.calls.run(RAMP, stop))?;
        self.schedule.check_key(unix_now(), "the capacity")?;
        if phase.duration < MEASURED_MIN || phase.packets == 0 {
            return Err(Failure::NoFigure(format!(
                "the capacity could be measured for {:.2} s only, with {} packets: too few were made in time; run \
                 again, or with a smaller --payload",
                phase.duration.as_secs_f64(),
                report.packets_made
            )));
        }
        report.set_capacity(&phase);
        report.set_answers(answers);
        let rate = self.options.rate.map_or(phase.packets_per_second / 2.0, f64::from);
        say(format_args!("measuring lateness at {rate:.0} packets/s"));
        let load = Load::PacketsPerSecond(rate);
        let phase = drive.run(load, open, RAMP, self.plan.seconds(), || self.node_cpu(), || ())?;
        self.schedule.check_key(unix_now(), "lateness")?;
        report.set_lateness(rate, &phase);
        if self.traffic.role() == Role::Gateway {
            say(format_args!("measuring new clients at {rate:.0} packets/s"));
            let (phase, (answers, time)) =
                self.run_with(drive, load, usize::MAX, |stop| self.calls.run_flat_out(RAMP, stop))?;
            self.schedule.check_key(unix_now(), "new clients")?;
            report.set_new_clients(&phase, answers, time);
        }
        Ok(())
    }

    fn node_cpu(&self) -> CpuTime {
        self.node.data_plane_cpu().unwrap_or_default()
    }

    /// A phase of sending with something beside it that ends when all is sent.
    fn run_with<T: Send>(
        &self,
        drive: &mut Drive<'_>,
        load: Load,
        packets: usize,
        beside: impl FnOnce(&AtomicBool) -> Result<T, String> + Send,
    ) -> Result<(Phase, T), String> {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let beside = scope.spawn(|| beside(&stop));
            let all_sent = || stop.store(true, Ordering::Relaxed);
            let phase = drive.run(load, packets, RAMP, self.plan.seconds(), || self.node_cpu(), all_sent);
            all_sent();
            let outcome = beside.join().map_err(|_| "the caller ended badly".to_owned());
            Ok((phase?, outcome??))
        })
    }
}
