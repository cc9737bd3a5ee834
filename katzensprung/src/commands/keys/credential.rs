//! An encrypted credential, opened by `systemd-creds`: a child with a time limit, whose output has one, too.

use config::sealing::{CREDENTIAL, KEY_BYTES_MAX, SealKey};
use secret_memory::within;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

const TOOL: &str = "systemd-creds";
/// A TPM takes a second or two.
const LIMIT: Duration = Duration::from_secs(10);
/// Between two looks whether it has ended.
const STEP: Duration = Duration::from_millis(20);
/// Bytes of what it complains of that are told.
const COMPLAINT_BYTES_MAX: usize = 500;

/// The key in the file.
pub fn open(file: &Path) -> Result<SealKey, String> {
    let name = format!("--name={CREDENTIAL}");
    let mut child = Command::new(TOOL)
        .args(["decrypt", &name, "--"])
        .arg(file)
        .arg("-")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| match error.kind() {
            ErrorKind::NotFound => format!(
                "cannot open {}: there is no {TOOL} on the PATH; it comes with systemd since version 250",
                file.display()
            ),
            _ => format!("cannot open {}: {TOOL} cannot be run: {error}", file.display()),
        })?;
    let content = reading(child.stdout.take(), KEY_BYTES_MAX + 1);
    let complaint = reading(child.stderr.take(), COMPLAINT_BYTES_MAX);
    let deadline = Instant::now() + LIMIT;
    let hangs = || format!("cannot open {}: {TOOL} has not answered within {} s", file.display(), LIMIT.as_secs());
    let rest = || deadline.saturating_duration_since(Instant::now());
    // Its output may be open longer than it lives, where it has children.
    let content = content.recv_timeout(rest());
    let status = wait(&mut child, deadline).ok_or_else(hangs)?;
    if !status.success() {
        let complaint = complaint.recv_timeout(STEP).unwrap_or_default();
        let complaint = String::from_utf8_lossy(&complaint).trim().replace(char::is_control, " ");
        return Err(format!(
            "cannot open {}: {TOOL} ended with {status} ({complaint}); it opens what was encrypted on this machine, with this \
             name ({CREDENTIAL}), and for root alone",
            file.display()
        ));
    }
    let content = content.map_err(|_| hangs())?;
    SealKey::new(&content, &file.display().to_string()).map_err(|error| error.to_string())
}

/// The first bytes of an output, once there are so many or it has ended. Nobody waits for who reads them.
fn reading(from: Option<impl Read + Send + 'static>, most: usize) -> Receiver<Zeroizing<Vec<u8>>> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut bytes = within(|| Zeroizing::new(Vec::with_capacity(most + 1)));
        if let Some(from) = from {
            // What came before an error is what there is.
            let _rest = from.take(most as u64).read_to_end(&mut bytes);
        }
        let _nobody_waits = sender.send(bytes);
    });
    receiver
}

/// How it ended; none if it has not by then, and was killed.
fn wait(child: &mut Child, deadline: Instant) -> Option<ExitStatus> {
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        if Instant::now() >= deadline {
            let _gone = child.kill().and_then(|()| child.wait());
            return None;
        }
        std::thread::sleep(STEP);
    }
}
