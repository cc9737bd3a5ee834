//! The attach thread's end of the control channel. One control plane is obeyed; another takes its place at a valid
//! `Hello` and not before, so that a connection which says nothing changes nothing.

use super::signals::Signals;
use super::{ProcessError, Work};
use interplane::channel::{Channel, ChannelListener, Received};
use interplane::message::{Descriptor, ToControl, ToData, VERSION};
use pki::Epoch;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

#[cfg(test)]
mod tests;

/// Connections that may be open before they have said who they are.
const CALLERS_MAX: usize = 4;

/// How long such a connection may say nothing.
const CALLER_LIMIT: Duration = Duration::from_secs(5);

/// Pause after a connection that could not be accepted.
const DEAF_PAUSE: Duration = Duration::from_secs(1);

/// Longest sleep of the attach thread.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// How long a data plane without usable keys waits for a control plane.
const ORPHAN_LIMIT: Duration = Duration::from_secs(10);

pub(super) struct Process {
    listener: ChannelListener,
    signals: Signals,
    control: Option<Channel>,
    callers: Vec<Caller>,
    /// No connection is accepted before this.
    deaf_until: Instant,
    /// When the last control plane was heard of.
    control_seen: Instant,
    work: Option<Work>,
}

/// A connection that has not yet said who it is.
struct Caller {
    channel: Channel,
    since: Instant,
}

enum Obeyed {
    Answer(ToControl, Vec<(Descriptor, OwnedFd)>),
    /// Answered once all shards go by it.
    Later,
    Stop,
}

/// What there is to read.
#[derive(Default)]
struct Ready {
    signals: bool,
    knocks: bool,
    control: bool,
    answers: bool,
    callers: bool,
}

impl Process {
    pub fn new(listener: ChannelListener, signals: Signals) -> Self {
        let now = Instant::now();
        Self { listener, signals, control: None, callers: Vec::new(), deaf_until: now, control_seen: now, work: None }
    }

    /// Waits for one thing to happen and reacts; true when the process is to end.
    pub fn round(&mut self) -> Result<bool, ProcessError> {
        let pause = match &mut self.work {
            Some(work) => work.look_after()?,
            None => PAUSE_MAX,
        };
        let ready = self.wait(pause.min(PAUSE_MAX))?;
        if let Some(work) = &mut self.work {
            work.announcements.announce(&work.shared, self.control.as_ref());
        }
        if ready.signals && self.signals.tell_to_end() {
            self.tell(&ToControl::Ending, &[]);
            return Ok(self.stop());
        }
        if ready.answers
            && let Some(work) = &self.work
        {
            work.bring_answers();
        }
        if ready.knocks {
            self.accept();
        }
        if ready.control && self.listen()? {
            return Ok(true);
        }
        if ready.callers && self.hear_callers()? {
            return Ok(true);
        }
        self.callers.retain(|caller| caller.since.elapsed() < CALLER_LIMIT);
        if self.control.is_some() {
            self.control_seen = Instant::now();
        }
        Ok(self.is_orphan() && self.stop())
    }

    fn wait(&self, pause: Duration) -> Result<Ready, ProcessError> {
        let mut fds = vec![PollFd::new(&self.signals, PollFlags::IN)];
        let listens = Instant::now() >= self.deaf_until;
        if listens {
            fds.push(PollFd::new(&self.listener, PollFlags::IN));
        }
        if let Some(control) = &self.control {
            fds.push(PollFd::new(control, PollFlags::IN));
        }
        let bell = self.work.as_ref().and_then(|work| work.answers.as_ref()).map(|(_, bell)| bell);
        fds.extend(bell.map(|bell| PollFd::new(bell, PollFlags::IN)));
        fds.extend(self.callers.iter().map(|caller| PollFd::new(&caller.channel, PollFlags::IN)));
        let limit = Timespec { tv_sec: pause.as_secs() as i64, tv_nsec: i64::from(pause.subsec_nanos()) };
        match poll(&mut fds, Some(&limit)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(std::io::Error::from(errno).into()),
        }
        let mut ready = fds.iter().map(|fd| !fd.revents().is_empty());
        Ok(Ready {
            signals: ready.next().unwrap_or(false),
            knocks: listens && ready.next().unwrap_or(false),
            control: self.control.is_some() && ready.next().unwrap_or(false),
            answers: bell.is_some() && ready.next().unwrap_or(false),
            callers: ready.any(|ready| ready),
        })
    }

    /// Lets a connection in, which is nobody's before it has said `Hello`. The oldest makes room.
    fn accept(&mut self) {
        match self.listener.accept() {
            Ok(channel) => {
                if self.callers.len() >= CALLERS_MAX {
                    self.callers.remove(0);
                }
                self.callers.push(Caller { channel, since: Instant::now() });
            }
            // Strangers are disconnected. Without descriptors the same connection would be reported at once again.
            Err(interplane::channel::ChannelError::Stranger { .. }) => {}
            Err(_) => self.deaf_until = Instant::now() + DEAF_PAUSE,
        }
    }

    /// Looks whether a caller has said what makes it the control plane, or what nobody else may order; true when the
    /// process is to end.
    fn hear_callers(&mut self) -> Result<bool, ProcessError> {
        for caller in std::mem::take(&mut self.callers) {
            match caller.channel.try_recv::<ToData>() {
                Ok(None) => self.callers.push(caller),
                Ok(Some(Received { message: ToData::Hello { version }, .. })) => {
                    let (state, attachments) = self.state()?;
                    let borrowed: Vec<_> = attachments.iter().map(|(what, fd)| (what.clone(), fd.as_fd())).collect();
                    // One of another version learns ours and changes nothing.
                    if caller.channel.try_send(&state, &borrowed) == Ok(true) && version == VERSION {
                        self.control = Some(caller.channel);
                    }
                }
                // By hand, to a data plane that has lost its control plane.
                Ok(Some(Received { message: ToData::Stop, .. })) if self.control.is_none() => {
                    self.control = Some(caller.channel);
                    return Ok(self.stop());
                }
                Ok(Some(Received { message, .. })) => {
                    let reason = "say Hello first; a data plane with a control plane is stopped by that".into();
                    // It is disconnected in any case.
                    let _unheard = caller.channel.try_send(&ToControl::Failed { order: message.order(), reason }, &[]);
                }
                // Gone, or not of our kind.
                Err(_) => {}
            }
        }
        Ok(false)
    }

    fn listen(&mut self) -> Result<bool, ProcessError> {
        let Some(control) = &self.control else { return Ok(false) };
        let received = match control.try_recv::<ToData>() {
            Ok(Some(received)) => received,
            Ok(None) => return Ok(false),
            Err(_) => {
                // The control plane ended or speaks nonsense; the next one will connect.
                self.control = None;
                return Ok(false);
            }
        };
        let order = received.message.order();
        match self.obey(received) {
            Ok(Obeyed::Answer(answer, attachments)) => self.tell(&answer, &attachments),
            Ok(Obeyed::Later) => {}
            Ok(Obeyed::Stop) => return Ok(self.stop()),
            Err(error) => self.tell(&ToControl::Failed { order, reason: error.to_string() }, &[]),
        }
        Ok(false)
    }

    /// A control plane that does not take what it is told is let go: it finds its way back, or another one does.
    fn tell(&mut self, message: &ToControl, attachments: &[(Descriptor, OwnedFd)]) {
        let Some(control) = &self.control else { return };
        let borrowed: Vec<_> = attachments.iter().map(|(what, fd)| (what.clone(), fd.as_fd())).collect();
        if control.try_send(message, &borrowed) != Ok(true) {
            self.control = None;
        }
    }

    fn obey(&mut self, mut received: Received<ToData>) -> Result<Obeyed, ProcessError> {
        match received.message {
            ToData::Hello { .. } => self.state().map(|(state, attachments)| Obeyed::Answer(state, attachments)),
            ToData::Ping { number } => Ok(Obeyed::Answer(ToControl::Pong { number }, Vec::new())),
            ToData::Stop => Ok(Obeyed::Stop),
            ToData::Attach { ref setup, ref refused } => {
                if self.work.is_some() {
                    return Err(ProcessError::Order("a control plane has attached already"));
                }
                let (setup, refused) = (setup.as_ref().clone(), refused.clone());
                self.work = Some(Work::start(setup, refused, received.attachments)?);
                Ok(Obeyed::Answer(ToControl::Attached, Vec::new()))
            }
            ToData::Publish { serial } => {
                let (what, fd) = received
                    .take(|what| matches!(what, Descriptor::Snapshot { .. }))
                    .ok_or(ProcessError::Order("no snapshot came with Publish"))?;
                self.work()?.publish(serial, what, fd)?;
                Ok(Obeyed::Later)
            }
            ToData::Keys { epochs } => {
                self.work()?.load_keys(epochs, received.attachments)?;
                Ok(Obeyed::Later)
            }
            ToData::Adjust { number, ref to } => {
                self.work()?.adjust(number, to)?;
                Ok(Obeyed::Later)
            }
            ToData::CallRoll { number } => {
                self.work()?.call_roll(number);
                Ok(Obeyed::Later)
            }
            ToData::Remember => {
                let (what, fd) = received
                    .take(|what| matches!(what, Descriptor::Remembered))
                    .ok_or(ProcessError::Order("nothing came with Remember"))?;
                self.work()?.held.replace(what, fd);
                Ok(Obeyed::Answer(ToControl::Remembered, Vec::new()))
            }
        }
    }

    fn work(&mut self) -> Result<&mut Work, ProcessError> {
        self.work.as_mut().ok_or(ProcessError::Order("no control plane has attached yet"))
    }

    fn state(&self) -> Result<(ToControl, Vec<(Descriptor, OwnedFd)>), ProcessError> {
        let (setup, serial, epochs, attachments) = match &self.work {
            None => (None, 0, Vec::new(), Vec::new()),
            Some(work) => {
                let epochs = work.keys.mix_keys.iter().map(|key| key.epoch).collect();
                (Some(Box::new(work.setup.clone())), work.serial, epochs, work.held.copies()?)
            }
        };
        Ok((ToControl::State { version: VERSION, setup, serial, epochs }, attachments))
    }

    /// Whether nobody looks after this data plane any more and no packet can be for it: its last key was for an epoch
    /// that is over, and no control plane has come to give it another.
    fn is_orphan(&self) -> bool {
        let Some(work) = &self.work else { return false };
        if self.control.is_some() || self.control_seen.elapsed() < ORPHAN_LIMIT {
            return false;
        }
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = work.setup.epoch_clock().ok().and_then(|clock| clock.now(unix).ok());
        now.is_some_and(|now| have_run_out(work.keys.mix_keys.iter().map(|key| key.epoch), now.epoch))
    }

    /// Takes no more connections, lets held packets leave, ends the shards, tells the last account.
    fn stop(&mut self) -> bool {
        if let Some(work) = self.work.take() {
            let account = work.finish();
            // A control plane that is gone does not need the account.
            self.tell(&ToControl::Stopped { account }, &[]);
        }
        true
    }
}

/// Whether no key is for `now` or an epoch to come.
fn have_run_out(mut epochs: impl Iterator<Item = Epoch>, now: Epoch) -> bool {
    !epochs.any(|epoch| epoch >= now)
}
