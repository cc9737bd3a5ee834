//! New links while the node is under load: a peer that has lost its link must get a new one then, too.
//!
//! A caller is a thread of its own with one call at a time, so that neither the rig's loop nor an earlier call delays
//! it. What it waited for a processor is counted beside: that is the host's doing, not the node's.

use super::check::lateness_histogram;
use super::cpu::{self, CpuTime};
use hdrhistogram::Histogram;
use std::cell::Cell;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use testnet::network::Network;
use testnet::session::{Identity, Session};
use wire::{PeerCredentials, Role, SessionConfig};

/// From the beginning of one call to that of the next: often enough for a p99, seldom enough to cost no capacity.
const INTERVAL: Duration = Duration::from_millis(25);
/// Limit of one dial.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Callers that call as fast as they are answered: as many calls are under way at a time.
const CALLERS: u64 = 4;

/// As whom to call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// As a node of the layer before the node.
    Node,
    /// As a client, each time as another one.
    Client,
}

/// Whom to call, as whom, and where the caller runs.
pub struct Calls<'a> {
    /// The network with the caller in it.
    pub network: &'a Network,
    /// Who calls.
    pub caller: Caller,
    /// Who must answer.
    pub node: &'a PeerCredentials,
    /// Where it listens.
    pub address: SocketAddr,
    /// The caller's processor.
    pub processor: Option<usize>,
}

/// How the calls went, in microseconds from the dial on. Calls that were not made because an earlier one was not answered
/// yet are among the times, as long as they would have waited: otherwise a node that stands still once would look well.
pub struct Answers {
    /// Until the node's first message was there.
    pub answered_us: Histogram<u64>,
    /// The same without what the caller waited for a processor.
    pub answered_without_wait_us: Histogram<u64>,
    /// Until the link was up.
    pub up_us: Histogram<u64>,
    /// Calls that brought a link.
    pub made: u64,
    /// Calls that brought none.
    pub failed: u64,
    /// Why the first of them did not.
    pub first_failure: Option<String>,
}

impl Answers {
    /// No call.
    pub(super) fn none() -> Self {
        Self {
            answered_us: lateness_histogram(),
            answered_without_wait_us: lateness_histogram(),
            up_us: lateness_histogram(),
            made: 0,
            failed: 0,
            first_failure: None,
        }
    }

    /// Adds other calls to these.
    pub(super) fn add(&mut self, other: Self) -> Result<(), String> {
        let sums = [
            (&mut self.answered_us, &other.answered_us),
            (&mut self.answered_without_wait_us, &other.answered_without_wait_us),
            (&mut self.up_us, &other.up_us),
        ];
        for (sum, other) in sums {
            sum.add(other).map_err(|error| error.to_string())?;
        }
        self.made += other.made;
        self.failed += other.failed;
        self.first_failure = self.first_failure.take().or(other.first_failure);
        Ok(())
    }
}

impl Calls<'_> {
    /// Calls now and then from `after` on until `stop` is set; the last call ends by itself.
    pub fn run(&self, after: Duration, stop: &AtomicBool) -> Result<Answers, String> {
        cpu::pin(self.processor)?;
        std::thread::sleep(after);
        let mut answers = Answers::none();
        let mut next = Instant::now();
        for number in 0.. {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            self.call(number, Some(INTERVAL), &mut answers);
            next = (next + INTERVAL).max(Instant::now());
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        Ok(answers)
    }

    /// Some callers call as fast as they are answered, from `after` on until `stop` is set. Gives for how long they did.
    pub fn run_flat_out(&self, after: Duration, stop: &AtomicBool) -> Result<(Answers, Duration), String> {
        std::thread::sleep(after);
        let started = Instant::now();
        let one = |caller: u64| {
            cpu::pin(self.processor)?;
            cpu::give_way()?;
            let mut answers = Answers::none();
            for number in (caller..).step_by(CALLERS as usize) {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                self.call(number, None, &mut answers);
            }
            Ok::<_, String>(answers)
        };
        let mut all = Answers::none();
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..CALLERS).map(|caller| scope.spawn(move || one(caller))).collect();
            threads.into_iter().try_for_each(|thread| all.add(thread.join().map_err(|_| "a caller ended badly")??))
        })?;
        Ok((all, started.elapsed()))
    }

    fn call(&self, number: u64, interval: Option<Duration>, answers: &mut Answers) {
        if let Err(reason) = self.try_call(number, interval, answers) {
            answers.failed += 1;
            answers.first_failure.get_or_insert(reason);
        }
    }

    fn own(&self, number: u64) -> (SessionConfig, Identity) {
        let own = self.network.caller.identity.clone();
        match self.caller {
            Caller::Node => (self.network.mixnet_session(Role::Initiator), own),
            Caller::Client => {
                let mut id = own.id;
                id[..8].copy_from_slice(&number.to_le_bytes());
                (self.network.client_session(), Identity { id, ..own })
            }
        }
    }

    fn try_call(&self, number: u64, interval: Option<Duration>, answers: &mut Answers) -> Result<(), String> {
        let (config, own) = self.own(number);
        let waited = || CpuTime::of_this_thread().waited;
        let (started, waited_before) = (Instant::now(), waited());
        let answered = Cell::new(None);
        let stream = TcpStream::connect_timeout(&self.address, CONNECT_LIMIT).map_err(|error| error.to_string())?;
        // The initiator judges its peer when message 2, the first answer, is there.
        Session::establish(stream, &config, &own, |peer| {
            answered.set(Some((started.elapsed(), waited().saturating_sub(waited_before))));
            peer == self.node
        })?;
        let up = started.elapsed();
        let (answered, waited) = answered.get().ok_or("a link without a peer")?;
        let us = |time: Duration| time.as_micros() as u64;
        let without_wait = answered.saturating_sub(waited);
        answers.made += 1;
        let record = |times: &mut Histogram<u64>, time: Duration| {
            let within = us(time).min(times.high());
            let recorded = match interval {
                Some(interval) => times.record_correct(within, us(interval)),
                None => times.record(within),
            };
            recorded.map_err(|error| error.to_string())
        };
        record(&mut answers.answered_us, answered)?;
        record(&mut answers.answered_without_wait_us, without_wait)?;
        record(&mut answers.up_us, up)?;
        Ok(())
    }
}
