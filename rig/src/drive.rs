//! The rig's one loop: sends packets of a pool over the links to the node and checks what comes out behind it.

use super::check::{Checker, lateness_histogram};
use super::cpu::CpuTime;
use super::link::{Incoming, Presealed};
use super::mill::{Pool, exponential};
use super::peers::{Accepted, Links};
use super::ready::{Ready, Side};
use crypto_simd::random::{OsRandom, Random, SeededRandom};
use hdrhistogram::Histogram;
use std::time::{Duration, Instant};

/// How packets are sent.
#[derive(Clone, Copy, Debug)]
pub enum Load {
    /// As many as keep so many packets inside the node: shows the capacity.
    Window(u64),
    /// At exponential distances, so many per second, whatever the node does.
    PacketsPerSecond(f64),
}

/// When to stop waiting for packets that do not come out any more.
const QUIET_LIMIT: Duration = Duration::from_secs(5);
/// Nothing may come out any more when everything has.
const QUIET_AT_END: Duration = Duration::from_millis(50);
/// Packets sent between two looks at the receiving side.
const BURST: usize = 32;

/// What a phase of sending brought.
pub struct Phase {
    /// Packets per second that came out between the end of the ramp and the end of sending.
    pub packets_per_second: f64,
    /// Packets that came out in that time.
    pub packets: u64,
    /// What the node got of its processor in that time.
    pub node_cpu: CpuTime,
    /// That time.
    pub duration: Duration,
    /// What the rig got of its processor in that time.
    pub rig_cpu: CpuTime,
    /// Lateness of all packets of the phase, in microseconds.
    pub lateness_us: Histogram<u64>,
    /// How long after the moment at which they were due packets were sent: the link was full, or the rig did not run.
    pub held_up_us: Histogram<u64>,
}

/// Links, packets and what has become of them.
pub struct Drive<'a> {
    pool: &'a Pool,
    checker: Checker<'a>,
    upstream: Vec<Presealed>,
    downstream: Vec<Option<Incoming>>,
    accepted: Accepted,
    ready: Ready,
    next: usize,
    random: SeededRandom,
    held_up_us: Histogram<u64>,
}

impl<'a> Drive<'a> {
    /// Nothing sent yet. The frames of `pool` are sealed for `links`.
    pub fn new(pool: &'a Pool, links: Links) -> Result<Self, String> {
        let mut seed = [0; 32];
        OsRandom.fill(&mut seed);
        let ready = Ready::new()?;
        links.upstream.iter().enumerate().try_for_each(|(number, link)| ready.add_upstream(number, link))?;
        let downstream = links.downstream.iter().enumerate();
        downstream
            .flat_map(|(number, link)| Some((number, link.as_ref()?)))
            .try_for_each(|(number, link)| ready.add_downstream(number, link))?;
        Ok(Self {
            pool,
            checker: Checker::new(pool),
            upstream: links.upstream,
            downstream: links.downstream,
            accepted: links.accepted,
            ready,
            next: 0,
            random: SeededRandom::new(&seed),
            held_up_us: lateness_histogram(),
        })
    }

    /// What has become of the packets so far.
    pub fn checker(&self) -> &Checker<'a> {
        &self.checker
    }

    /// Sends until `duration` or `packets` have passed, then waits until everything has come out or nothing more comes.
    /// Figures begin after `ramp`; `node_cpu` gives what the node got so far; `all_sent` is called when sending ends.
    pub fn run(
        &mut self,
        load: Load,
        packets: usize,
        ramp: Duration,
        duration: Duration,
        node_cpu: impl Fn() -> CpuTime,
        all_sent: impl FnOnce(),
    ) -> Result<Phase, String> {
        let last = self.pool.count().min(self.next.saturating_add(packets));
        self.checker.take_lateness_us();
        let started = Instant::now();
        let mut due = started;
        let mut from: Option<(Instant, u64, CpuTime, CpuTime)> = None;
        loop {
            let now = Instant::now();
            let elapsed = now - started;
            if from.is_none() && elapsed >= ramp {
                from = Some((now, self.checker.received(), node_cpu(), CpuTime::of_this_thread()));
            }
            if elapsed >= ramp + duration || self.next >= last {
                break;
            }
            let sent = self.send(load, last, now, &mut due)?;
            if !self.receive(Duration::ZERO)? && sent == 0 {
                let limit = match load {
                    Load::PacketsPerSecond(_) => due.saturating_duration_since(Instant::now()),
                    Load::Window(_) => Duration::from_millis(1),
                };
                self.receive(limit.min(Duration::from_millis(1)))?;
            }
        }
        all_sent();
        let rig_cpu = CpuTime::of_this_thread();
        let (from, packets_before, node_cpu_before, rig_cpu_before) =
            from.ok_or("there were not enough packets to begin measuring")?;
        let duration = from.elapsed();
        let packets = self.checker.received() - packets_before;
        let node_cpu = node_cpu().since(node_cpu_before);
        self.drain()?;
        Ok(Phase {
            packets_per_second: packets as f64 / duration.as_secs_f64(),
            packets,
            node_cpu,
            duration,
            rig_cpu: rig_cpu.since(rig_cpu_before),
            lateness_us: self.checker.take_lateness_us(),
            held_up_us: std::mem::replace(&mut self.held_up_us, lateness_histogram()),
        })
    }

    /// Sends what is due, in a burst at most. Gives how many.
    fn send(&mut self, load: Load, last: usize, now: Instant, due: &mut Instant) -> Result<usize, String> {
        let first = self.next;
        while self.next < last && self.next - first < BURST {
            let is_due = match load {
                Load::Window(window) => self.checker.in_flight() < window,
                Load::PacketsPerSecond(_) => *due <= now,
            };
            let link = self.pool.upstream_link(self.next, self.upstream.len());
            let Some(upstream) = self.upstream.get_mut(link).filter(|link| is_due && link.has_room()) else { break };
            let sent_at = Instant::now();
            let was_due = match load {
                Load::Window(_) => sent_at,
                Load::PacketsPerSecond(_) => *due,
            };
            self.checker.handle_sent(self.next, was_due, sent_at);
            self.held_up_us.saturating_record(sent_at.saturating_duration_since(was_due).as_micros() as u64);
            upstream.push(self.pool.frame(self.next));
            self.next += 1;
            if let Load::PacketsPerSecond(rate) = load {
                *due += Duration::from_secs_f64(exponential(&mut self.random) / rate);
            }
        }
        self.flush()?;
        Ok(self.next - first)
    }

    /// Takes what has come out, or comes out within `limit`. Gives whether anything has.
    fn receive(&mut self, limit: Duration) -> Result<bool, String> {
        let mut progress = false;
        for side in self.ready.poll(limit)? {
            match side {
                Side::Upstream(number) => {
                    let silence = self.upstream[number].check_silence();
                    silence.map_err(|reason| format!("link {number} to the node: {reason}"))?;
                }
                Side::Downstream(number) => progress |= self.receive_from(number)?,
            }
        }
        while let Ok((number, newer)) = self.accepted.try_recv() {
            self.replace(number, newer)?;
        }
        Ok(progress)
    }

    fn receive_from(&mut self, number: usize) -> Result<bool, String> {
        let Some(incoming) = &mut self.downstream[number] else { return Ok(false) };
        match take_packets(incoming, number, &mut self.checker) {
            Ok(any) => Ok(any),
            // The node may end a link when it has made a newer one.
            Err(reason) => match self.accepted.try_recv() {
                Ok((replaced, newer)) if replaced == number => self.replace(number, newer).map(|()| false),
                _ => Err(format!("link {number} from the node: {reason}")),
            },
        }
    }

    fn replace(&mut self, number: usize, newer: Incoming) -> Result<(), String> {
        self.ready.add_downstream(number, &newer)?;
        self.downstream[number] = Some(newer);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), String> {
        self.upstream.iter_mut().try_for_each(|upstream| upstream.flush(self.pool.frames()))
    }

    fn drain(&mut self) -> Result<(), String> {
        let mut last_progress = Instant::now();
        while last_progress.elapsed() < if self.checker.in_flight() > 0 { QUIET_LIMIT } else { QUIET_AT_END } {
            self.flush()?;
            if self.receive(Duration::from_millis(10))? {
                last_progress = Instant::now();
            }
        }
        Ok(())
    }
}

fn take_packets(incoming: &mut Incoming, number: usize, checker: &mut Checker<'_>) -> Result<bool, String> {
    if !incoming.fill()? {
        return Ok(false);
    }
    let now = Instant::now();
    while let Some(packet) = incoming.next_packet()? {
        checker.handle_received(number, packet, now);
    }
    incoming.acknowledge()?;
    Ok(true)
}
