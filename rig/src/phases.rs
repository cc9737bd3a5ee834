//! What is measured while packets flow: capacity, lateness, and new clients meanwhile.

use super::calls::{Answers, Calls};
use super::cpu::CpuTime;
use super::drive::{Drive, Load, Phase};
use super::plan::{FLOOR, HIGH_LOAD, Parts, Plan, Schedule, WARM_UP};
use super::probe::Probe;
use super::process::NodeProcess;
use super::report::{OpenLoop, Turn};
use super::traffic::Traffic;
use super::{Failure, Options, Report, on_processor, say};
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
    pub fn measure(&self, drive: &mut Drive, report: &mut Report) -> Result<(), Failure> {
        self.node.data_plane_cpu()?;
        let Parts { warm_up, capacity, open, high } = self.plan.parts(report.packets_made);
        say(format_args!("warming up"));
        drive.run(self.window(), warm_up, Duration::ZERO, WARM_UP, || self.node_cpu(), || ())?;
        self.schedule.check_key(unix_now(), "the warm-up")?;
        self.measure_capacity(drive, capacity, report)?;
        if self.options.only_capacity {
            return Ok(());
        }
        let rate = self.options.rate.map_or(report.packets_per_second / 2.0, f64::from);
        report.open_loop = self.measure_lateness(drive, rate, open)?;
        if self.options.rate.is_none() {
            let rate = report.packets_per_second * HIGH_LOAD;
            report.at_80_percent = Some(self.measure_lateness(drive, rate, high)?);
        }
        if self.traffic.role() == Role::Gateway {
            say(format_args!("measuring new clients at {rate:.0} packets/s"));
            let load = Load::PacketsPerSecond(rate);
            let (phase, (answers, time)) = self.run_with(drive, load, usize::MAX, self.plan.seconds(), |stop| {
                self.calls.run_flat_out(self.plan.pace.ramp, stop)
            })?;
            self.schedule.check_key(unix_now(), "new clients")?;
            report.set_new_clients(&phase, answers, time);
        }
        Ok(())
    }

    /// Lateness at a rate.
    fn measure_lateness(&self, drive: &mut Drive, rate: f64, packets: usize) -> Result<OpenLoop, Failure> {
        say(format_args!("measuring lateness at {rate:.0} packets/s"));
        let (load, ramp) = (Load::PacketsPerSecond(rate), self.plan.pace.ramp);
        let phase = drive.run(load, packets, ramp, self.plan.seconds(), || self.node_cpu(), || ())?;
        self.schedule.check_key(unix_now(), "lateness")?;
        Ok(OpenLoop::of(rate, phase, self.options.shards))
    }

    fn window(&self) -> Load {
        Load::Window(self.traffic.window(self.options.network_delays, self.plan.capacity_max))
    }

    /// Floor and capacity in turns, as long as there are packets.
    fn measure_capacity(&self, drive: &mut Drive, mut packets: usize, report: &mut Report) -> Result<(), Failure> {
        say(format_args!("measuring the capacity in turns with the floor, and new links meanwhile"));
        let processor = self.plan.placement.node.first().copied();
        let (mut turns, mut answers) = (Vec::new(), Answers::none());
        let mut probe = on_processor(processor, || Ok::<_, String>(Probe::new()))?;
        for _ in 0..self.plan.turns {
            let floor = on_processor(processor, || {
                let before = probe.read().width;
                let floor = self.plan.floor.measure(FLOOR)?;
                Ok::<_, String>((floor, before.min(probe.read().width)))
            });
            let (floor, width) = floor?;
            let sent_before = drive.checker().sent();
            let ramp = self.plan.pace.ramp;
            let (phase, more) =
                self.run_with(drive, self.window(), packets, self.plan.turn(), |stop| self.calls.run(ramp, stop))?;
            self.schedule.check_key(unix_now(), "the capacity")?;
            packets = packets.saturating_sub((drive.checker().sent() - sent_before) as usize);
            answers.add(more)?;
            let needed = (ramp + MEASURED_MIN / self.plan.turns).as_secs_f64() * phase.packets_per_second;
            turns.push(Turn { floor, width, phase });
            if needed > packets as f64 {
                break;
            }
        }
        let measured: Duration = turns.iter().map(|turn| turn.phase.duration).sum();
        let passed: u64 = turns.iter().map(|turn| turn.phase.packets).sum();
        if measured < MEASURED_MIN || passed == 0 {
            return Err(Failure::NoFigure(format!(
                "the capacity could be measured for {:.2} s only, with {} packets: too few were made in time; run again, \
                 or with a smaller --payload",
                measured.as_secs_f64(),
                report.packets_made
            )));
        }
        report.set_capacity(&turns, probe.full_width());
        report.set_answers(answers);
        Ok(())
    }

    fn node_cpu(&self) -> CpuTime {
        self.node.data_plane_cpu().unwrap_or_default()
    }

    /// A phase of sending with something beside it that ends when all is sent.
    fn run_with<T: Send>(
        &self,
        drive: &mut Drive,
        load: Load,
        packets: usize,
        duration: Duration,
        beside: impl FnOnce(&AtomicBool) -> Result<T, String> + Send,
    ) -> Result<(Phase, T), String> {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let beside = scope.spawn(|| beside(&stop));
            let all_sent = || stop.store(true, Ordering::Relaxed);
            let phase = drive.run(load, packets, self.plan.pace.ramp, duration, || self.node_cpu(), all_sent);
            all_sent();
            let outcome = beside.join().map_err(|_| "the caller ended badly".to_owned());
            Ok((phase?, outcome??))
        })
    }
}
