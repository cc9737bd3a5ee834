//! The rig's one loop: sends packets over the links to the node and checks what comes out behind it.

use super::check::{Checker, lateness_histogram};
use super::cpu::{self, CpuTime};
use super::guard::{Guard, Guarded, LATE_MAX, waited_by_this_thread};
use super::link::{Incoming, Presealed};
use super::mill::exponential;
use super::peers::{Accepted, Links};
use super::ready::{Ready, Side};
use super::supply::{Next, Supply};
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

/// When to stop waiting for packets that do not come out any more: more than the longest delay.
const QUIET_LIMIT: Duration = Duration::from_secs(8);
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
    /// Lateness of those for which the rig itself was in time.
    pub guarded: Guarded,
    /// How long after the moment at which they were due packets were sent: the link was full, or the rig did not run.
    pub held_up_us: Histogram<u64>,
    /// For how long a packet was due and none was made.
    pub without_packets: Duration,
}

impl Phase {
    /// Both together, with sending at the same load.
    pub fn add(&mut self, later: Self) -> Result<(), String> {
        self.packets += later.packets;
        self.duration += later.duration;
        self.packets_per_second = self.packets as f64 / self.duration.as_secs_f64();
        self.node_cpu = [self.node_cpu, later.node_cpu].into_iter().sum();
        self.rig_cpu = [self.rig_cpu, later.rig_cpu].into_iter().sum();
        self.guarded.discarded += later.guarded.discarded;
        self.without_packets += later.without_packets;
        let all = [
            (&mut self.lateness_us, later.lateness_us),
            (&mut self.guarded.lateness_us, later.guarded.lateness_us),
            (&mut self.held_up_us, later.held_up_us),
        ];
        all.into_iter().try_for_each(|(sum, more)| sum.add(more)).map_err(|error| error.to_string())
    }
}

/// Links, packets and what has become of them.
pub struct Drive {
    supply: Supply,
    checker: Checker,
    upstream: Vec<Presealed>,
    downstream: Vec<Option<Incoming>>,
    accepted: Accepted,
    ready: Ready,
    random: SeededRandom,
    held_up_us: Histogram<u64>,
    guard: Guard,
    /// The last moment at which a link took no packet that was due.
    blocked: Option<Instant>,
    /// Since when a packet is due and none is made.
    dry: Option<Instant>,
    without_packets: Duration,
    quiet_limit: Duration,
}

/// How far a phase has come.
struct Progress {
    /// Packets that it may send yet.
    left: usize,
    /// When the next one is due.
    due: Instant,
    is_over: bool,
}

impl Drive {
    /// Nothing sent yet. The frames of the supply are sealed for `links`.
    pub fn new(supply: Supply, links: Links) -> Result<Self, String> {
        let mut seed = [0; 32];
        OsRandom.fill(&mut seed);
        let ready = Ready::new()?;
        links.upstream.iter().enumerate().try_for_each(|(number, link)| ready.add_upstream(number, link))?;
        let downstream = links.downstream.iter().enumerate();
        downstream
            .flat_map(|(number, link)| Some((number, link.as_ref()?)))
            .try_for_each(|(number, link)| ready.add_downstream(number, link))?;
        Ok(Self {
            supply,
            checker: Checker::new(),
            upstream: links.upstream,
            downstream: links.downstream,
            accepted: links.accepted,
            ready,
            random: SeededRandom::new(&seed),
            held_up_us: lateness_histogram(),
            guard: Guard::new(Instant::now(), waited_by_this_thread),
            blocked: None,
            dry: None,
            without_packets: Duration::ZERO,
            quiet_limit: QUIET_LIMIT,
        })
    }

    /// What has become of the packets so far.
    pub fn checker(&self) -> &Checker {
        &self.checker
    }

    /// How many packets are made and not sent.
    pub fn stock(&self) -> usize {
        self.supply.stock()
    }

    /// Waits no longer from now on for packets that do not come out.
    pub fn set_quiet_limit(&mut self, limit: Duration) {
        self.quiet_limit = limit;
    }

    /// Counts as lost what has not come out.
    pub fn give_up(&mut self) {
        self.checker.give_up();
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
        cpu::wake_in_time();
        self.checker.take_lateness_us();
        let started = Instant::now();
        self.guard = Guard::new(started, waited_by_this_thread);
        let mut progress = Progress { left: packets, due: started, is_over: false };
        let mut from: Option<(Instant, u64, CpuTime, CpuTime)> = None;
        loop {
            let now = Instant::now();
            let elapsed = now - started;
            if from.is_none() && elapsed >= ramp {
                from = Some((now, self.checker.received(), node_cpu(), CpuTime::of_this_thread()));
            }
            if elapsed >= ramp + duration || progress.is_over {
                break;
            }
            let sent = self.send(load, now, &mut progress)?;
            if !self.receive(Duration::ZERO)? && sent == 0 {
                let limit = match load {
                    Load::PacketsPerSecond(_) => progress.due.saturating_duration_since(Instant::now()),
                    Load::Window(_) => Duration::from_millis(1),
                };
                self.receive(limit.min(Duration::from_millis(1)))?;
            }
        }
        self.end_dryness(Instant::now());
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
            guarded: self.guard.take(Instant::now()),
            held_up_us: std::mem::replace(&mut self.held_up_us, lateness_histogram()),
            without_packets: std::mem::take(&mut self.without_packets),
        })
    }

    /// Sends what is due, in a burst at most. Gives how many.
    fn send(&mut self, load: Load, now: Instant, progress: &mut Progress) -> Result<usize, String> {
        let mut sent = 0;
        while sent < BURST {
            let is_due = match load {
                Load::Window(window) => self.checker.in_flight() < window,
                Load::PacketsPerSecond(_) => progress.due <= now,
            };
            match self.supply.look() {
                Next::Packet if progress.left > 0 => {}
                Next::Packet | Next::Over => {
                    progress.is_over = true;
                    break;
                }
                Next::Wait => {
                    self.dry = self.dry.or(is_due.then_some(now));
                    break;
                }
            }
            if self.end_dryness(now) {
                // What could not be sent because it was not there is not made up for.
                progress.due = now;
            }
            if !is_due || !self.send_one(load, progress) {
                break;
            }
            sent += 1;
        }
        self.flush()?;
        Ok(sent)
    }

    /// Sends the next packet if its link takes it.
    fn send_one(&mut self, load: Load, progress: &mut Progress) -> bool {
        let (pool, number) = self.supply.packet();
        let link = pool.upstream_link(number, self.upstream.len());
        let sent_at = Instant::now();
        let Some(upstream) = self.upstream.get_mut(link).filter(|link| link.has_room()) else {
            self.blocked = Some(sent_at);
            return false;
        };
        let due = match load {
            Load::Window(_) => sent_at,
            Load::PacketsPerSecond(_) => progress.due,
        };
        // What a full link held up is the node's matter.
        let in_time = sent_at <= due + LATE_MAX || self.blocked.is_some_and(|blocked| due <= blocked);
        self.checker.handle_sent(pool.expected(number), due, sent_at, in_time);
        self.held_up_us.saturating_record(sent_at.saturating_duration_since(due).as_micros() as u64);
        upstream.push(pool, pool.frame(number));
        self.supply.advance();
        progress.left -= 1;
        if let Load::PacketsPerSecond(rate) = load {
            progress.due += Duration::from_secs_f64(exponential(&mut self.random) / rate);
        }
        true
    }

    /// There are packets again, or none is wanted any more. Gives whether there were none.
    fn end_dryness(&mut self, now: Instant) -> bool {
        let Some(since) = self.dry.take() else { return false };
        self.without_packets += now.saturating_duration_since(since);
        true
    }

    /// Takes what has come out, or comes out within `limit`. Gives whether any packet has: that clients hear heartbeats
    /// says nothing about those that are missing.
    fn receive(&mut self, limit: Duration) -> Result<bool, String> {
        let mut progress = false;
        self.guard.handle_look(Instant::now());
        let ready = self.ready.poll(limit)?;
        if !limit.is_zero() {
            self.guard.handle_waking(Instant::now());
        }
        for side in ready {
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
        match take_packets(incoming, number, &mut self.checker, &mut self.guard) {
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
        self.upstream.iter_mut().try_for_each(Presealed::flush)
    }

    fn drain(&mut self) -> Result<(), String> {
        let mut last_progress = Instant::now();
        while last_progress.elapsed() < if self.checker.in_flight() > 0 { self.quiet_limit } else { QUIET_AT_END } {
            self.flush()?;
            if self.receive(Duration::from_millis(10))? {
                last_progress = Instant::now();
            }
        }
        Ok(())
    }
}

fn take_packets(
    incoming: &mut Incoming,
    number: usize,
    checker: &mut Checker,
    guard: &mut Guard,
) -> Result<bool, String> {
    if !incoming.fill()? {
        return Ok(false);
    }
    let now = Instant::now();
    let mut any = false;
    while let Some(packet) = incoming.next_packet()? {
        any = true;
        if let Some((lateness_us, in_time)) = checker.handle_received(number, packet, now) {
            guard.handle_sample(lateness_us, in_time);
        }
    }
    incoming.acknowledge()?;
    Ok(any)
}
