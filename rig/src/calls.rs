//! New links while the node is under load: a peer that has lost its link must get a new one then, too.
//!
//! The caller is a thread of its own with one call at a time, so that neither the rig's loop nor an earlier call delays
//! it. What it waited for a processor is counted beside: that is the host's doing, not the node's.

use super::check::lateness_histogram;
use super::cpu::{self, CpuTime};
use hdrhistogram::Histogram;
use std::cell::Cell;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use testnet::network::Network;
use testnet::session::Session;
use wire::{PeerCredentials, Role};

/// From the beginning of one call to that of the next: often enough for a p99, seldom enough to cost no capacity.
const INTERVAL: Duration = Duration::from_millis(25);
/// Limit of one dial.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Whom to call, as whom, and where the caller runs.
pub struct Calls<'a> {
    /// The network with the caller in it.
    pub network: &'a Network,
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

impl Calls<'_> {
    /// Calls from `after` on until `stop` is set; the last call ends by itself.
    pub fn run(&self, after: Duration, stop: &AtomicBool) -> Result<Answers, String> {
        cpu::pin(self.processor)?;
        std::thread::sleep(after);
        let mut answers = Answers {
            answered_us: lateness_histogram(),
            answered_without_wait_us: lateness_histogram(),
            up_us: lateness_histogram(),
            made: 0,
            failed: 0,
            first_failure: None,
        };
        let mut next = Instant::now();
        while !stop.load(Ordering::Relaxed) {
            if let Err(reason) = self.call(&mut answers) {
                answers.failed += 1;
                answers.first_failure.get_or_insert(reason);
            }
            next = (next + INTERVAL).max(Instant::now());
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        Ok(answers)
    }

    fn call(&self, answers: &mut Answers) -> Result<(), String> {
        let config = self.network.mixnet_session(Role::Initiator);
        let waited = || CpuTime::of_this_thread().waited;
        let (started, waited_before) = (Instant::now(), waited());
        let answered = Cell::new(None);
        let stream = TcpStream::connect_timeout(&self.address, CONNECT_LIMIT).map_err(|error| error.to_string())?;
        // The initiator judges its peer when message 2, the first answer, is there.
        Session::establish(stream, &config, &self.network.caller.identity, |peer| {
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
            times.record_correct(within, us(INTERVAL)).map_err(|error| error.to_string())
        };
        record(&mut answers.answered_us, answered)?;
        record(&mut answers.answered_without_wait_us, without_wait)?;
        record(&mut answers.up_us, up)?;
        Ok(())
    }
}
