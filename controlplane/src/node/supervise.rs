//! Keeps a data plane at work: starts one, gives it everything, and starts another when it ends without being told
//! to. Runs on a thread of its own, because the control channel is a blocking one.

use super::plane::{PlaneError, SharedPlane, greet};
use crate::health::Health;
use crate::logging::Log;
use interplane::channel::{Channel, ChannelError, Received};
use interplane::counter::Account;
use interplane::message::ToControl;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

const MODULE: &str = "dataplane";

/// How long a data plane may take from its start until it listens.
const START_LIMIT: Duration = Duration::from_secs(10);

/// Pause between two looks at a data plane that starts.
const START_PAUSE: Duration = Duration::from_millis(2);

/// Pause before starting again a data plane that could not be attached.
const RESTART_PAUSE: Duration = Duration::from_millis(500);

/// A data plane that ends sooner than this after its start may do so again.
const SHORT_LIFE: Duration = Duration::from_secs(1);

/// What the supervisor goes by.
pub struct Supervision {
    /// The control socket.
    pub socket: PathBuf,
    /// Whether the data plane is started by someone else.
    pub foreign: bool,
    /// Set before the data plane is told to stop.
    pub stopping: Arc<AtomicBool>,
    /// The data plane.
    pub plane: SharedPlane,
    /// Told of what becomes of it.
    pub health: Arc<Health>,
    /// The log.
    pub log: Log,
}

/// Starts a data plane and gives it everything, or goes on with the one behind `resumed`.
pub fn start(supervision: &Supervision, resumed: Option<Channel>) -> Result<Attached, PlaneError> {
    match resumed {
        Some(channel) => {
            let channel = Arc::new(channel);
            supervision.plane.lock().resume(channel.clone());
            Ok(Attached { channel, child: None })
        }
        None => attach_new(supervision),
    }
}

/// A data plane at work.
pub struct Attached {
    channel: Arc<Channel>,
    child: Option<Child>,
}

/// Watches until the data plane was told to stop and has ended; gives its last account.
pub fn watch(supervision: &Supervision, mut attached: Attached, ended: &mpsc::Sender<Option<Account>>) {
    let is_stopping = || supervision.stopping.load(Ordering::SeqCst);
    loop {
        let started = Instant::now();
        supervision.health.attached(process_at(&attached.channel));
        let account = listen(supervision, &attached.channel);
        supervision.health.lost();
        reap(&mut attached);
        if is_stopping() {
            if !supervision.foreign {
                // It is no longer there to be found; the file would only look as if it were.
                let _gone_already = std::fs::remove_file(&supervision.socket);
            }
            // Nobody waits any more if this fails.
            let _unheard = ended.send(account);
            return;
        }
        supervision.health.restarting();
        let lost = supervision.plane.lock().lost();
        supervision.log.error(MODULE, format_args!("the data plane ended; {lost} packets were lost; starting another"));
        if started.elapsed() < SHORT_LIFE {
            std::thread::sleep(RESTART_PAUSE);
        }
        attached = loop {
            match attach_new(supervision) {
                Ok(attached) => break attached,
                Err(error) => {
                    supervision.log.error(MODULE, format_args!("cannot start a data plane: {error}"));
                    std::thread::sleep(RESTART_PAUSE);
                }
            }
            if is_stopping() {
                let _unheard = ended.send(None);
                return;
            }
        };
        supervision.log.notice(MODULE, "the data plane is back");
        if is_stopping() {
            // The order to stop may have come while there was nobody to hear it.
            supervision.plane.lock().stop();
        }
    }
}

/// Takes messages until the channel ends.
fn listen(supervision: &Supervision, channel: &Channel) -> Option<Account> {
    let log = &supervision.log;
    loop {
        match channel.recv::<ToControl>() {
            Ok(Received { message, .. }) => match message {
                ToControl::Stopped { account } => return Some(account),
                ToControl::Failed { reason } => log.error(MODULE, format_args!("refused: {reason}")),
                ToControl::KeysLoaded { locked, .. } => {
                    let before = supervision.health.are_keys_locked();
                    supervision.health.keys_locked(locked);
                    if !locked && before != Some(false) {
                        log.warning(
                            MODULE,
                            "mix keys cannot be locked in memory and may be swapped out; raise the memlock limit \
                             (LimitMEMLOCK= of the unit, ulimit -l)",
                        );
                    }
                }
                other => log.debug(MODULE, format_args!("{other:?}")),
            },
            Err(ChannelError::Closed) => return None,
            Err(error) => {
                log.error(MODULE, format_args!("control channel: {error}"));
                return None;
            }
        }
    }
}

/// Starts a data plane and gives it everything. One that cannot be used is not left behind.
fn attach_new(supervision: &Supervision) -> Result<Attached, PlaneError> {
    let mut child = if supervision.foreign { None } else { Some(spawn(supervision)?) };
    let attached = find(supervision, &mut child).and_then(|channel| {
        let channel = Arc::new(channel);
        supervision.plane.lock().attach(channel.clone())?;
        Ok(channel)
    });
    match attached {
        Ok(channel) => Ok(Attached { channel, child }),
        Err(error) => {
            end(&mut child);
            Err(error)
        }
    }
}

/// Waits until a data plane listens.
fn find(supervision: &Supervision, child: &mut Option<Child>) -> Result<Channel, PlaneError> {
    let deadline = Instant::now() + START_LIMIT;
    loop {
        match greet(&supervision.socket) {
            Ok(Some((channel, _))) => return Ok(channel),
            Ok(None) if Instant::now() < deadline => {}
            Ok(None) => return Err(PlaneError::Refused(format!("it does not listen within {START_LIMIT:?}"))),
            Err(PlaneError::Channel(ChannelError::Closed)) if Instant::now() < deadline => {}
            Err(error) => return Err(error),
        }
        if let Some(child) = child
            && let Ok(Some(status)) = child.try_wait()
        {
            return Err(PlaneError::Refused(format!("it ended at once ({status})")));
        }
        std::thread::sleep(START_PAUSE);
    }
}

fn spawn(supervision: &Supervision) -> Result<Child, PlaneError> {
    // This very program, whatever stands under its name by now; called by a name that does not mean `server`.
    let mut command = Command::new("/proc/self/exe");
    command.arg0("katzensprung").arg("dataplane").arg("--socket").arg(&supervision.socket).stdin(Stdio::null());
    // A group of its own: an interrupt from the terminal is for the control plane, which lets packets leave first.
    let spawned = command.process_group(0).spawn();
    spawned.map_err(|error| PlaneError::Refused(format!("it cannot be started: {error}")))
}

fn process_at(channel: &Channel) -> i32 {
    rustix::net::sockopt::socket_peercred(channel).map_or(0, |credentials| credentials.pid.as_raw_nonzero().get())
}

fn reap(attached: &mut Attached) {
    // The channel is closed, so the process is gone or no longer of use.
    end(&mut attached.child);
}

fn end(child: &mut Option<Child>) {
    if let Some(child) = child {
        let _already_gone = child.kill();
        let _reaped = child.wait();
    }
}
