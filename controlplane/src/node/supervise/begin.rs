//! A data plane's beginning: it listens, is given its setup, and works; and the rehearsal of it for one that is to take
//! the place of another.

use super::super::handed_back::{ANSWER_LIMIT, await_message, end, greet};
use super::super::plane::{DataPlane, PlaneError};
use super::STOP_LIMIT;
use super::process::Process;
use interplane::channel::{Channel, ChannelError, Received};
use interplane::message::ToControl;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a data plane may take from its start until it listens, and from then until it works.
const START_LIMIT: Duration = Duration::from_secs(10);

/// Pause between two looks at a data plane that starts.
const START_PAUSE: Duration = Duration::from_millis(2);

/// How long a process that was killed may take to be gone.
pub const KILL_LIMIT: Duration = Duration::from_secs(2);

/// Longest reason of the data plane that goes into the log.
const REASON_CHARS_MAX: usize = 400;

/// Lets a data plane begin, ours in `process` or one that somebody else starts, for as long as `waits` says.
pub fn begin(
    plane: &DataPlane,
    socket: &Path,
    process: Option<&mut Process>,
    waits: impl Fn() -> bool,
) -> Result<Channel, PlaneError> {
    let channel = find(socket, process, &waits)?;
    attach(plane, &channel, &waits)?;
    Ok(channel)
}

/// Tries whether a data plane of this setup would work here, with one that is ended at once and listens for nobody. What
/// is at work is ended only for what works.
pub fn rehearse(plane: &DataPlane, socket: &Path) -> Result<(), PlaneError> {
    let mut process = Process::spawn(socket)?;
    let begun = begin(plane, socket, Some(&mut process), || true);
    let outcome = begun.map(|channel| end(&channel, STOP_LIMIT));
    process.kill();
    process.end_within(KILL_LIMIT);
    let _gone_already = std::fs::remove_file(socket);
    outcome
}

/// Waits until a data plane listens.
fn find(socket: &Path, mut process: Option<&mut Process>, waits: &impl Fn() -> bool) -> Result<Channel, PlaneError> {
    let deadline = Instant::now() + START_LIMIT;
    while waits() {
        match greet(socket, ANSWER_LIMIT, waits) {
            Ok(Some((channel, _))) => return Ok(channel),
            Ok(None) if Instant::now() < deadline => {}
            Ok(None) if process.is_none() => return Err(PlaneError::NotStarted(socket.into())),
            Ok(None) => return Err(PlaneError::Refused(format!("it does not listen within {START_LIMIT:?}"))),
            Err(PlaneError::Channel(ChannelError::Closed)) if Instant::now() < deadline => {}
            Err(error) => return Err(error),
        }
        let ended = process.as_mut().and_then(|process| process.end_within(Duration::ZERO));
        if let Some(status) = ended {
            return Err(PlaneError::Refused(format!("it ended at once ({status})")));
        }
        std::thread::sleep(START_PAUSE);
    }
    Err(PlaneError::Stopping)
}

fn attach(plane: &DataPlane, channel: &Channel, waits: &impl Fn() -> bool) -> Result<(), PlaneError> {
    let (message, attachments) = plane.attach();
    channel.send(&message, &attachments)?;
    match await_message(channel, START_LIMIT, waits)? {
        Some(Received { message: ToControl::Attached, .. }) => Ok(()),
        Some(Received { message: ToControl::Failed { reason, .. }, .. }) => Err(PlaneError::Refused(one_line(&reason))),
        Some(Received { message, .. }) => Err(PlaneError::Refused(format!("it answered {message:?}"))),
        None if !waits() => Err(PlaneError::Stopping),
        None => Err(PlaneError::Refused(format!("it has not begun to work within {START_LIMIT:?}"))),
    }
}

/// The data plane's words as one line of the log, whatever is in them.
pub fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(REASON_CHARS_MAX).collect()
}
