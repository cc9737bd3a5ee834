//! Keeps a data plane at work: starts one, gives it everything, looks whether it lives, and replaces it when it does not.
//!
//! | file | its job |
//! |---|---|
//! | `vigil` | decides, without I/O |
//! | `mod` | the thread that does what was decided, and owns the control channel |
//! | `begin` | lets a data plane begin, or tries whether one could |
//! | `process` | the data plane's process |
//! | `rolls` | who waits to be told of links |
//! | `handle` | what the rest of the control plane holds: a queue of orders, and their answers |

mod begin;
mod handle;
mod process;
mod rolls;
mod vigil;

pub use begin::rehearse;
pub use handle::{Ended, Order, PlaneHandle, Supervised};
pub use vigil::STOP_LIMIT;

use super::handed_back::greet;
use super::plane::{DataPlane, Letter, PlaneError};
use crate::health::Health;
use crate::logging::{Level, Log};
use crate::process::remedy::{remedy, unlocked};
use begin::{KILL_LIMIT, begin, one_line};
use handle::{Answer, Bell, HeldKeys};
use interplane::channel::{Channel, ChannelError, Received};
use interplane::counter::{Account, Counter, Counters};
use interplane::message::{self, Descriptor, ToControl, ToData};
use interplane::setup::Adjustable;
use pki::Epoch;
use process::Process;
use rolls::Rolls;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use vigil::{Beat, Do, Fault, Vigil};

const MODULE: &str = "dataplane";

/// How long the process may take to be gone after it has closed the channel.
const END_PAUSE: Duration = Duration::from_millis(200);

/// How long a data plane whose channel is lost may take to answer a new one.
const ADOPT_LIMIT: Duration = Duration::from_secs(2);

/// What the supervisor goes by.
pub struct Supervision {
    /// The control socket.
    pub socket: PathBuf,
    /// Whether the data plane is started by someone else.
    pub foreign: bool,
    /// What the data plane is given.
    pub plane: DataPlane,
    /// Told how the data plane fares.
    pub health: Arc<Health>,
    /// The log.
    pub log: Log,
}

/// Starts the supervisor, which starts a data plane or goes on with the one behind `resumed`.
pub fn start(supervision: Supervision, resumed: Option<Channel>) -> Result<Supervised, PlaneError> {
    let failed = |error: std::io::Error| {
        PlaneError::Refused(format!("its supervisor cannot be started: {error}{}", remedy(&error)))
    };
    let bell = Arc::new(Bell::new().map_err(failed)?);
    let (orders, ordered) = mpsc::channel();
    let (tell_start, started) = oneshot::channel();
    let (tell_end, ended) = oneshot::channel();
    let handle = PlaneHandle { orders, bell: bell.clone() };
    let link = match resumed {
        Some(channel) => Some(Link { process: Process::at(&channel)?, channel }),
        None => None,
    };
    let counters = supervision.plane.counters();
    let mut supervisor = Supervisor {
        vigil: Vigil::new(Instant::now()),
        counters,
        bell,
        orders: ordered,
        link,
        has_lost_one: false,
        waiting_for_keys: Vec::new(),
        waiting_for_documents: Vec::new(),
        waiting_for_adjustment: Vec::new(),
        rolls: Rolls::default(),
        started: Some(tell_start),
        supervision,
    };
    let run = move || {
        // Keys pass over the stack on their way into the descriptor.
        secret_memory::protect_stack();
        let (account, is_gone) = supervisor.run();
        let plane = is_gone.then_some(supervisor.supervision.plane);
        // Nobody waits any more if this fails.
        let _unheard = tell_end.send(Ended { account, plane });
    };
    std::thread::Builder::new().name("supervisor".into()).spawn(run).map_err(failed)?;
    Ok(Supervised { handle, started, ended })
}

/// A data plane that is, or was, at work.
struct Link {
    channel: Channel,
    process: Process,
}

struct Supervisor {
    supervision: Supervision,
    vigil: Vigil,
    counters: Counters,
    bell: Arc<Bell>,
    orders: mpsc::Receiver<Order>,
    link: Option<Link>,
    /// A process could not be seen to end.
    has_lost_one: bool,
    waiting_for_keys: Vec<oneshot::Sender<Answer>>,
    waiting_for_documents: Vec<oneshot::Sender<Answer>>,
    waiting_for_adjustment: Vec<oneshot::Sender<Answer>>,
    rolls: Rolls,
    started: Option<oneshot::Sender<Result<(), PlaneError>>>,
}

impl Supervisor {
    /// Works until the data plane was told to stop and has ended; gives its last account, and whether its process is gone.
    /// Ends at once if there never was one, which the starter has been told.
    fn run(&mut self) -> (Option<Account>, bool) {
        if self.link.is_some() {
            self.found_again();
        }
        loop {
            self.take_orders();
            if self.bell.is_stopping() {
                self.vigil.stop(Instant::now());
            }
            let beats = self.beats();
            while let Some(action) = self.vigil.poll(Instant::now(), &beats) {
                match action {
                    Do::Finish(account) => {
                        self.supervision.health.lost();
                        return (account, self.is_gone());
                    }
                    Do::Reach if self.started.is_some() => {
                        if let Err(error) = self.reach() {
                            self.tell_start(Err(error));
                            return (None, true);
                        }
                        self.reached("");
                    }
                    other => self.perform(other),
                }
            }
            self.wait();
            self.hear();
        }
    }

    fn perform(&mut self, action: Do) {
        match action {
            Do::Reach => match self.reach() {
                Ok(()) => self.reached("the data plane is back"),
                Err(error) => {
                    if !matches!(error, PlaneError::Stopping) {
                        self.log().error(MODULE, format_args!("cannot start a data plane: {error}"));
                    }
                    self.vigil.not_reached(Instant::now());
                }
            },
            Do::Adopt => self.adopt(),
            Do::Ping { number } => self.give(Some((ToData::Ping { number }, Vec::new()))),
            Do::GiveKeys => self.give(self.supervision.plane.keys()),
            Do::GiveDocuments => self.give(self.supervision.plane.documents()),
            Do::Adjust => self.give(Some(self.supervision.plane.adjustment())),
            Do::Replace(fault) => self.replace(fault),
            Do::Stop => self.give(Some((ToData::Stop, Vec::new()))),
            Do::Kill => {
                let log = self.log();
                log.error("server", format_args!("the data plane does not end within {STOP_LIMIT:?}: killing it"));
                if let Some(link) = &mut self.link {
                    link.process.kill();
                }
            }
            Do::Finish(_) => {}
        }
    }

    fn log(&self) -> &Log {
        &self.supervision.log
    }

    fn tell_start(&mut self, outcome: Result<(), PlaneError>) {
        if let Some(started) = self.started.take() {
            // A node that stops does not wait.
            let _unheard = started.send(outcome);
        }
    }

    /// A data plane is attached; the vigil sees to it that it gets keys and documents.
    fn reached(&mut self, news: &str) {
        let plane = &self.supervision.plane;
        let keys = Some(plane.key_epochs().to_vec()).filter(|epochs| !epochs.is_empty());
        let serial = Some(plane.serial()).filter(|serial| *serial > 0);
        self.vigil.reached(Instant::now(), self.counters.shards(), keys, serial);
        self.supervision.health.attached(self.link.as_ref().map_or(0, |link| link.process.number()));
        self.give(self.supervision.plane.to_remember());
        if !news.is_empty() {
            self.log().notice(MODULE, news);
        }
        self.tell_start(Ok(()));
    }

    /// A data plane that was at work before: it may go by other values.
    fn found_again(&mut self) {
        self.reached("");
        self.vigil.want_adjustment(self.supervision.plane.adjustment_number(), Instant::now());
    }

    /// Starts a data plane and lets it begin. One that cannot be used is not left behind.
    fn reach(&mut self) -> Result<(), PlaneError> {
        let mut process = if self.supervision.foreign { None } else { Some(Process::spawn(&self.supervision.socket)?) };
        let waits = || !self.bell.is_stopping();
        match begin(&self.supervision.plane, &self.supervision.socket, process.as_mut(), waits) {
            Ok(channel) => {
                let process = match process {
                    Some(process) => process,
                    None => Process::at(&channel)?,
                };
                self.link = Some(Link { channel, process });
                Ok(())
            }
            Err(error) => {
                if let Some(mut process) = process {
                    process.kill();
                    process.end_within(KILL_LIMIT);
                    let _never_there = std::fs::remove_file(&self.supervision.socket);
                }
                Err(error)
            }
        }
    }

    /// The channel is lost. Goes on with the data plane if it lives and is the one that was given everything.
    fn adopt(&mut self) {
        let lives = self.link.as_mut().is_some_and(|link| link.process.end_within(Duration::ZERO).is_none());
        let waits = || !self.bell.is_stopping();
        if lives
            && let Ok(Some((channel, Some(handed_back)))) = greet(&self.supervision.socket, ADOPT_LIMIT, waits)
            && self.supervision.plane.is_held_by(&handed_back)
            && let Some(link) = &mut self.link
        {
            link.channel = channel;
            self.log().warning(MODULE, "the control channel was lost; going on with the data plane that is at work");
            self.found_again();
            return;
        }
        self.replace(Fault::Ended);
    }

    /// Ends what is left of a data plane, and settles what it leaves.
    fn replace(&mut self, fault: Fault) {
        let health = self.supervision.health.clone();
        health.lost();
        health.restarting();
        if fault.is_standstill() {
            health.stalled();
        }
        let number = self.link.as_ref().map_or(0, |link| link.process.number());
        if fault.is_standstill() {
            let log = self.log();
            log.error(MODULE, format_args!("the data plane (process {number}) stands still: {fault}; killing it"));
        }
        let status = self.bury(true);
        self.has_lost_one |= status.is_none();
        let status = status.unwrap_or_else(|| "its process is still there".into());
        let refused_before = self.supervision.plane.refused();
        let lost = self.supervision.plane.lost();
        let level = if fault == Fault::Told { Level::Notice } else { Level::Error };
        let news = format_args!("the data plane ended ({status}); {lost} packets were lost; starting another");
        self.log().write(level, MODULE, news);
        let refused = self.supervision.plane.refused();
        if refused > refused_before {
            let news = refused - refused_before;
            self.log().error(
                MODULE,
                format_args!(
                    "{news} packets were in flight at two such ends and are refused from now on (poison_packet)"
                ),
            );
        }
        self.vigil.gone(Instant::now());
        self.rolls.forget();
        // The next one begins with them.
        grant(&mut self.waiting_for_adjustment);
    }

    /// Whether no data plane uses what it was given any more.
    fn is_gone(&mut self) -> bool {
        // Without one at the end, all that were there have been seen to end, unless one could not be.
        (self.link.is_none() || self.bury(false).is_some()) && !self.has_lost_one
    }

    /// Makes sure that the process is gone; how it ended. One that somebody else looks after is killed only where it is
    /// known not to end by itself.
    fn bury(&mut self, must_go: bool) -> Option<String> {
        let mut link = self.link.take()?;
        // One that has closed the channel by ending is left to end as it does.
        let mut end = if link.channel.is_closed() { link.process.end_within(END_PAUSE) } else { None };
        if end.is_none() && (must_go || !self.supervision.foreign) {
            link.process.kill();
            end = link.process.end_within(KILL_LIMIT);
        }
        if !self.supervision.foreign && end.is_some() {
            // It is no longer there to be found; the file would only look as if it were.
            let _gone_already = std::fs::remove_file(&self.supervision.socket);
        }
        end
    }

    /// Sends without waiting: a data plane that takes nothing is noticed by its silence.
    fn give(&self, letter: Option<Letter<'_>>) {
        if let (Some((message, attachments)), Some(link)) = (letter, &self.link)
            && let Err(error) = link.channel.try_send(&message, &attachments)
        {
            self.log().debug(MODULE, format_args!("cannot send {:?} now: {error}", message.order()));
        }
    }

    fn take_orders(&mut self) {
        self.bell.still();
        while let Ok(order) = self.orders.try_recv() {
            let (plane, now) = (&mut self.supervision.plane, Instant::now());
            match order {
                // The key of an epoch never changes: those that are held are not given again.
                Order::Keys(keys, answer)
                    if keys.iter().map(|(epoch, _)| Epoch(*epoch)).eq(plane.key_epochs().iter().copied()) =>
                {
                    self.waiting_for_keys.push(answer);
                    if self.vigil.holds_keys() {
                        grant(&mut self.waiting_for_keys);
                    }
                }
                Order::Keys(keys, answer) => match plane.store_keys(&keys) {
                    Ok(()) => {
                        self.vigil.want_keys(plane.key_epochs().to_vec(), now);
                        self.waiting_for_keys.push(answer);
                    }
                    Err(error) => {
                        refuse(&self.supervision.log, "mix keys", vec![answer], &PlaneError::from(error).to_string())
                    }
                },
                Order::Documents(view, for_clients, answer) => match plane.store_documents(&view, for_clients) {
                    Ok(()) => {
                        self.vigil.want_documents(plane.serial(), now);
                        self.waiting_for_documents.push(answer);
                    }
                    Err(error) => {
                        refuse(&self.supervision.log, "documents", vec![answer], &PlaneError::from(error).to_string())
                    }
                },
                Order::Adjust(to, answer) => self.adjust(&to, answer),
                Order::CallRoll(answer) if self.vigil.is_at_work() => {
                    let number = self.rolls.call(answer);
                    self.give(Some((ToData::CallRoll { number }, Vec::new())));
                }
                // Whoever asks is told so by the end of the answer.
                Order::CallRoll(_) => {}
                Order::ListKeys(answer) => {
                    drop(answer.send(HeldKeys { fills: plane.fills(), has_manager: plane.has_manager() }))
                }
                Order::Services(services) => match plane.store_services(services) {
                    Ok(true) => self.vigil.want_documents(plane.serial(), now),
                    Ok(false) => {}
                    Err(error) => {
                        refuse(&self.supervision.log, "services", Vec::new(), &PlaneError::from(error).to_string())
                    }
                },
                Order::Remember(stored) => match plane.store_remembered(&stored) {
                    Ok(()) => self.give(self.supervision.plane.to_remember()),
                    Err(error) => refuse(
                        &self.supervision.log,
                        "what is to be remembered",
                        Vec::new(),
                        &PlaneError::from(error).to_string(),
                    ),
                },
            }
        }
    }

    /// Other values, for this data plane if there is one, and for those after it.
    fn adjust(&mut self, to: &Adjustable, answer: oneshot::Sender<Answer>) {
        if let Err(error) = self.supervision.plane.store_adjustment(to) {
            return refuse(self.log(), "other values", vec![answer], &error.to_string());
        }
        self.vigil.want_adjustment(self.supervision.plane.adjustment_number(), Instant::now());
        self.waiting_for_adjustment.push(answer);
        if !self.vigil.is_at_work() {
            grant(&mut self.waiting_for_adjustment);
        }
    }

    fn beats(&self) -> Vec<Beat> {
        let beat = |shard| Beat {
            heartbeat: self.counters.get(shard, Counter::HEARTBEAT),
            parked: self.counters.get(shard, Counter::PARKED) != 0,
        };
        (0..self.counters.shards()).map(beat).collect()
    }

    fn wait(&self) {
        let now = Instant::now();
        let rest = self.vigil.next_look(now).saturating_duration_since(now);
        let mut fds = vec![PollFd::new(&*self.bell, PollFlags::IN)];
        fds.extend(self.link.as_ref().map(|link| PollFd::new(&link.channel, PollFlags::IN)));
        let limit = Timespec { tv_sec: rest.as_secs() as i64, tv_nsec: i64::from(rest.subsec_nanos()) };
        if let Err(errno) = poll(&mut fds, Some(&limit))
            && errno != rustix::io::Errno::INTR
        {
            std::thread::sleep(rest);
        }
    }

    /// Takes what the data plane says until it says nothing more.
    fn hear(&mut self) {
        while let Some(link) = &self.link {
            match link.channel.try_recv::<ToControl>() {
                Ok(Some(Received { message, attachments })) => self.take(&message, &attachments),
                Ok(None) => return,
                Err(error) => {
                    if error != ChannelError::Closed {
                        self.log().error(MODULE, format_args!("control channel: {error}"));
                    }
                    self.vigil.cut(Instant::now());
                    return;
                }
            }
        }
    }

    fn take(&mut self, message: &ToControl, attachments: &[(Descriptor, OwnedFd)]) {
        self.vigil.heard(message, Instant::now());
        match message {
            ToControl::KeysLoaded { .. } if self.vigil.holds_keys() => grant(&mut self.waiting_for_keys),
            ToControl::Applied { .. } if self.vigil.holds_documents() => grant(&mut self.waiting_for_documents),
            ToControl::Adjusted { .. } if self.vigil.is_adjusted() => grant(&mut self.waiting_for_adjustment),
            ToControl::Roll { number } => self.rolls.take(*number, attachments),
            ToControl::Failed { order, reason } => {
                let (what, waiting) = match order {
                    message::Order::Keys => ("mix keys", std::mem::take(&mut self.waiting_for_keys)),
                    message::Order::Publish => ("documents", std::mem::take(&mut self.waiting_for_documents)),
                    message::Order::Remember => ("what is to be remembered", Vec::new()),
                    message::Order::Adjust => ("other values", std::mem::take(&mut self.waiting_for_adjustment)),
                    message::Order::Attach | message::Order::CallRoll | message::Order::Other => {
                        ("an order", Vec::new())
                    }
                };
                refuse(self.log(), what, waiting, &one_line(reason));
            }
            ToControl::Ending => self.log().notice(MODULE, "the data plane was told to end by a signal"),
            ToControl::Pong { .. } => {}
            other => self.log().debug(MODULE, format_args!("{other:?}")),
        }
        if let ToControl::KeysLoaded { locked, .. } = message {
            self.note_locked(*locked);
        }
    }

    /// Both processes hold the keys that were just loaded.
    fn note_locked(&self, theirs: bool) {
        let health = &self.supervision.health;
        let (own, before) = (secret_memory::protection(), health.are_keys_locked());
        health.keys_locked(theirs && own.locked);
        if before != Some(false) && !(theirs && own.locked) {
            let what = if theirs { "private keys" } else { "mix keys" };
            self.log().warning(MODULE, unlocked(what, self.counters.shards()));
        }
    }
}

fn grant(waiting: &mut Vec<oneshot::Sender<Answer>>) {
    for answer in waiting.drain(..) {
        // Whoever has given up waiting does not need it.
        let _unheard = answer.send(Ok(()));
    }
}

fn refuse(log: &Log, what: &str, waiting: Vec<oneshot::Sender<Answer>>, reason: &str) {
    log.error(MODULE, format_args!("the data plane cannot be given {what}: {reason}"));
    for answer in waiting {
        let _unheard = answer.send(Err(format!("the data plane cannot be given {what}: {reason}")));
    }
}
