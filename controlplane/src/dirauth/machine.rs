//! The thread that owns the state machine. Signatures may take seconds, and a disk its time: neither keeps the reactor
//! from its sockets. What the machine wants done beside is handed over a channel, in order.

use super::shared::Shared;
use super::store::{Store, StoreError};
use crate::directory::epoch_time;
use crate::logging::{Cut, Level, Log, Quota, Throttle};
use crypto_simd::random::OsRandom;
use pki::EpochClock;
use pki::document::Consensus;
use pki::voting::{Handled, Inspected, MessageKind, Notice, Output, Peer, Reply, State, Voting};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

const MODULE: &str = "authority";

/// Longest sleep: what is due goes by the wall clock, which may be set meanwhile.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// Shortest sleep, whatever the machine says.
const SLEEP_MIN: Duration = Duration::from_millis(1);

/// Orders that may wait while a signature is made: more than there are connections, so that nobody waits for room who
/// could be answered.
const ORDERS_MAX: usize = 4096;

const REFUSED_DESCRIPTORS: &str = "refused descriptors";

/// Lines about refusals that are written: one for each node of a large network.
const REFUSALS_TOLD: Quota = Quota { lines: 50, window: Duration::from_secs(60) };

/// Bytes of such a line: what was refused may be quoted in it.
const REFUSAL_BYTES_MAX: usize = 400;

/// Pause between two tries to write what the disk did not take.
const SAVE_PAUSE: Duration = Duration::from_secs(5);

/// Lines about a disk that takes nothing.
const FAILURES_TOLD: Quota = Quota { lines: 1, window: Duration::from_secs(60) };

/// What the machine is told.
pub enum Order {
    /// A peer has announced more than is read of it.
    TooLarge {
        /// Who it says it is.
        peer: Peer,
        /// So many bytes.
        bytes: usize,
        /// And so many it may send.
        bytes_max: usize,
    },
    /// A peer's request.
    Handle(Box<Inspected>, oneshot::Sender<Reply>),
    /// A document that was asked for.
    Fetched(Box<Consensus>),
    /// What an authority said to a message.
    Answered {
        /// Its number.
        from: usize,
        /// What it was sent.
        kind: MessageKind,
        /// The code.
        code: u8,
    },
}

/// What the machine wants of the network.
pub enum Errand {
    /// See [`Output::Send`].
    Send {
        /// To whom.
        to: Vec<usize>,
        /// What.
        message: pki::voting::Message,
        /// No try begins after this.
        last_try: Duration,
        /// All is given up then.
        deadline: Duration,
    },
    /// See [`Output::Fetch`].
    Fetch {
        /// The document's epoch.
        epoch: pki::Epoch,
        /// All is given up then.
        deadline: Duration,
    },
}

/// How to give the machine an order; cheap to clone.
#[derive(Clone)]
pub struct Orders(SyncSender<Order>);

impl Orders {
    /// Queues an order, or drops it when too much waits or the machine has ended, which ends the process.
    pub fn give(&self, order: Order) {
        let _machine_is_busy_or_gone = self.0.try_send(order);
    }
}

/// Why the machine ended.
pub type Ended = oneshot::Receiver<StoreError>;

/// What the machine works with.
pub struct Machine {
    /// The state machine.
    pub voting: Voting,
    /// What outlives it.
    pub store: Store,
    /// Epochs.
    pub clock: EpochClock,
    /// What others may see.
    pub shared: Arc<Shared>,
    /// The log.
    pub log: Log,
}

/// Starts the thread.
pub fn start(machine: Machine) -> std::io::Result<(Orders, mpsc::UnboundedReceiver<Errand>, Ended)> {
    let (orders, ordered) = sync_channel(ORDERS_MAX);
    let (errands, errand) = mpsc::unbounded_channel();
    let (end, ended) = oneshot::channel();
    std::thread::Builder::new().name("voting".into()).spawn(move || {
        secret_memory::protect_stack();
        let running = Running {
            machine,
            errands,
            state: None,
            throttle: Throttle::default(),
            began: Instant::now(),
            save_at: None,
        };
        if let Err(error) = running.run(&ordered) {
            // Nobody hears it only where the process ends anyway.
            let _unheard = end.send(error);
        }
    })?;
    Ok((Orders(orders), errand, ended))
}

struct Running {
    machine: Machine,
    errands: mpsc::UnboundedSender<Errand>,
    /// The state at the last look.
    state: Option<State>,
    throttle: Throttle,
    began: Instant,
    /// When to try again to write what is not on the disk.
    save_at: Option<Instant>,
}

impl Running {
    /// Until nobody is left to give orders.
    fn run(mut self, ordered: &Receiver<Order>) -> Result<(), StoreError> {
        loop {
            let (now, began) = (epoch_time(&self.machine.clock), Instant::now());
            let outputs = self.machine.voting.poll(&now, &mut OsRandom);
            self.act(outputs)?;
            self.save_again()?;
            self.look(began);
            self.tell_left_out();
            let sleep = self.machine.voting.next_deadline().saturating_sub(epoch_time(&self.machine.clock).unix);
            match ordered.recv_timeout(sleep.clamp(SLEEP_MIN, SLEEP_MAX)) {
                Ok(order) => self.obey(order)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    fn obey(&mut self, order: Order) -> Result<(), StoreError> {
        let now = epoch_time(&self.machine.clock);
        match order {
            Order::Handle(inspected, answer) => {
                let Handled { outputs, reply } = self.machine.voting.handle(*inspected, &now);
                self.act(outputs)?;
                // The peer may be gone.
                let _unheard = answer.send(reply);
            }
            Order::Fetched(consensus) => {
                let outputs = self.machine.voting.handle_fetched(*consensus);
                self.act(outputs)?;
            }
            Order::Answered { from, kind, code } => {
                let outputs = self.machine.voting.handle_answer(from, kind, code);
                self.act(outputs)?;
            }
            Order::TooLarge { peer, bytes, bytes_max } => self.tell_too_large(&peer, bytes, bytes_max),
        }
        Ok(())
    }

    fn act(&mut self, outputs: Vec<Output>) -> Result<(), StoreError> {
        for output in outputs {
            match output {
                Output::Store { key, value } => {
                    self.machine.store.put(key, value);
                    // While the disk takes nothing, one try in a while is enough.
                    if self.save_at.is_none() {
                        self.save()?;
                    }
                }
                Output::Prune { before } => self.prune(before),
                // The senders end only with the process.
                Output::Send { to, message, last_try, deadline } => {
                    let _unheard = self.errands.send(Errand::Send { to, message, last_try, deadline });
                }
                Output::Fetch { epoch, deadline } => {
                    let _unheard = self.errands.send(Errand::Fetch { epoch, deadline });
                }
                Output::Published { .. } => self.machine.shared.metrics.consensus_reached.inc(),
                Output::Notice(notice) => self.tell(&notice),
            }
        }
        Ok(())
    }

    fn save_again(&mut self) -> Result<(), StoreError> {
        if self.save_at.is_some_and(|at| at <= Instant::now()) { self.save() } else { Ok(()) }
    }

    /// A disk that is full, or fails, does not end an authority that others count on: what is not written is kept, and
    /// lost only if this process ends before it can be written.
    fn save(&mut self) -> Result<(), StoreError> {
        let Machine { store, shared, log, .. } = &mut self.machine;
        let outcome = store.save();
        let unsaved = store.unsaved();
        shared.metrics.unsaved.set(i64::try_from(unsaved).unwrap_or(i64::MAX));
        match outcome {
            Ok(()) => {
                if self.save_at.take().is_some() {
                    log.notice(MODULE, "what could not be written to the store is written");
                }
                Ok(())
            }
            Err(error @ StoreError::Io { .. }) => {
                self.save_at = Some(Instant::now() + SAVE_PAUSE);
                shared.metrics.store_failures.inc();
                if self.throttle.admits("failures of the store", FAILURES_TOLD, self.began.elapsed()) {
                    log.error(
                        MODULE,
                        format_args!(
                            "{error}; {unsaved} values are in memory only and lost if this authority ends: it goes on, \
                             and tries again every {} s",
                            SAVE_PAUSE.as_secs()
                        ),
                    );
                }
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// What cannot be deleted is in nobody's way (pki.md 11).
    fn prune(&mut self, before: pki::Epoch) {
        if let Err(error) = self.machine.store.prune(before) {
            self.machine.log.warning(MODULE, format_args!("cannot delete what is older than epoch {before}: {error}"));
        }
    }

    fn tell_too_large(&mut self, peer: &Peer, bytes: usize, bytes_max: usize) {
        if !self.throttle.admits(REFUSED_DESCRIPTORS, REFUSALS_TOLD, self.began.elapsed()) {
            return;
        }
        let configuration = self.machine.voting.configuration();
        let name = match peer {
            Peer::Node(id) | Peer::Replica(id) => configuration.node_name(id),
            Peer::Authority(number) => configuration
                .authorities
                .list()
                .get(*number)
                .map_or_else(String::new, |authority| authority.name.clone()),
            Peer::Client => "a client".into(),
        };
        self.machine.log.warning(
            MODULE,
            format_args!("{name}: {bytes} bytes in one message, {bytes_max} may be: the connection is closed"),
        );
    }

    /// Refusals are what strangers can provoke: only so many lines of them.
    fn tell(&mut self, notice: &Notice) {
        let kind = match notice {
            Notice::DescriptorRefused { .. } => Some(REFUSED_DESCRIPTORS),
            Notice::MessageRefused { .. } => Some("refused messages of authorities"),
            _ => None,
        };
        if kind.is_some_and(|kind| !self.throttle.admits(kind, REFUSALS_TOLD, self.began.elapsed())) {
            return;
        }
        let level = match notice.level() {
            pki::voting::Level::Error => Level::Error,
            pki::voting::Level::Warning => Level::Warning,
            pki::voting::Level::Notice => Level::Notice,
            pki::voting::Level::Info => Level::Info,
        };
        match kind {
            Some(_) => self.machine.log.write(level, MODULE, format_args!("{}", Cut(notice, REFUSAL_BYTES_MAX))),
            None => self.machine.log.write(level, MODULE, format_args!("{notice}")),
        }
    }

    /// Says how many lines were left out.
    fn tell_left_out(&mut self) {
        for (kind, more, seconds) in self.throttle.ended(self.began.elapsed()) {
            self.machine.log.warning(MODULE, format_args!("{more} more {kind} within {seconds} s"));
        }
    }

    /// Shows others what there is now.
    fn look(&mut self, began: Instant) {
        let (voting, shared) = (&self.machine.voting, &self.machine.shared);
        let (state, round) = (voting.state(), voting.round());
        let before = self.state.replace(state);
        if before.is_some_and(|before| before != state) {
            shared.metrics.step_took(began.elapsed());
            shared.metrics.phase_ended(before, &round);
        }
        shared.show(voting.documents(), state, voting.voting_epoch(), round);
    }
}
