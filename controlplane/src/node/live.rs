//! What of a configuration may change while the node runs: RELOAD, SEND_RATE and SEND_BURST. Which keys these are, `config`
//! knows (`config::server::live`).

#[cfg(test)]
mod tests;

use super::setup::adjustable;
use super::supervise::PlaneHandle;
use super::version::findings_of_limits;
use crate::directory::{DirectoryStatus, epoch_time};
use crate::logging::{Level, Log};
use crate::management::{CROWDED, FAILED, Limit, Line, SHUT_OFF};
use config::server::{Changes, OWN_FILE_NAME};
use config::{Finding, ServerConfig, Severity, Strictness};
use interplane::setup::{Adjustable, ClientRate, OrderedRate};
use pki::{Epoch, EpochClock};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot};

const MODULE: &str = "config";

/// How long the data plane may take to go by other values; one that takes longer is replaced.
const UPTAKE_LIMIT: Duration = Duration::from_secs(8);

/// How long reading the files may take.
const READ_LIMIT: Duration = Duration::from_secs(5);
const READ_AGAIN: &str = "look after the file, and give RELOAD again";

/// Findings that are logged of one RELOAD; its answer has all of them.
const LOGGED_MAX: usize = 10;

/// Orders that may be under way: one at work, and those that wait for it.
const ORDERS_MAX: usize = 9;

/// Who carries changes out, one after the other.
pub struct Live {
    state: tokio::sync::Mutex<State>,
    plane: PlaneHandle,
    clock: EpochClock,
    status: Arc<Mutex<DirectoryStatus>>,
    log: Log,
    reader: Reader,
    places: Arc<Semaphore>,
}

/// By what the node goes now.
struct State {
    config: ServerConfig,
    ordered: Option<OrderedRate>,
    burst_packets: Option<u32>,
}

impl State {
    fn adjustable(&self) -> Adjustable {
        let debug = &self.config.debug;
        let (is_unlimited, ordered, burst_packets) = (debug.disable_rate_limit, self.ordered, self.burst_packets);
        adjustable(debug, ClientRate { is_unlimited, ordered, burst_packets })
    }
}

/// What became of RELOAD, as JSON.
pub enum Reloaded {
    /// The file counts, as far as it can without a restart.
    Done(Value),
    /// It changes nothing.
    Refused(Value),
}

impl Live {
    /// The node was started with this configuration.
    pub fn new(
        config: ServerConfig,
        plane: PlaneHandle,
        clock: EpochClock,
        status: Arc<Mutex<DirectoryStatus>>,
        log: Log,
    ) -> Self {
        let state = State { config, ordered: None, burst_packets: None };
        Self {
            state: tokio::sync::Mutex::new(state),
            plane,
            clock,
            status,
            log,
            reader: Reader::default(),
            places: Arc::new(Semaphore::new(ORDERS_MAX)),
        }
    }

    /// Has an order carried out in a task of its own: it is not half done where the connection ends. Those whose connections
    /// have ended count, too.
    pub fn carry_out(&self, order: impl Future<Output = String> + Send + 'static) -> Line {
        let Ok(place) = self.places.clone().try_acquire_owned() else {
            return Box::pin(std::future::ready(CROWDED.into()));
        };
        let done = tokio::spawn(async move {
            let answer = order.await;
            drop(place);
            answer
        });
        Box::pin(async { done.await.unwrap_or_else(|_| FAILED.into()) })
    }

    /// Reads the files again, and goes by what may change.
    pub async fn reload(&self) -> Reloaded {
        let mut state = self.state.lock().await;
        let file = state.config.file.clone();
        let read = self.reader.read(move || load(&file)).await;
        let read =
            read.unwrap_or_else(|problem| Err(vec![refusal(&state.config.file, "not-read", problem, READ_AGAIN)]));
        let file = state.config.file.display().to_string();
        let refused = |findings: &[Finding]| {
            for finding in findings.iter().take(LOGGED_MAX) {
                self.log.warning(MODULE, format_args!("the configuration stays as it was: {}", finding.text()));
            }
            if findings.len() > LOGGED_MAX {
                let more = findings.len() - LOGGED_MAX;
                self.log.warning(MODULE, format_args!("the configuration stays as it was: {more} more findings"));
            }
            Reloaded::Refused(json!({ "file": &file, "findings": json_of(findings) }))
        };
        let (new, findings) = match read {
            Ok(read) => read,
            Err(findings) => return refused(&findings),
        };
        let changes = state.config.changes(&new);
        let mut config = state.config.clone();
        config.take_live(&new);
        let values = state.adjustable();
        let before = std::mem::replace(&mut state.config, config);
        if let Err(problem) = self.adjust(values, state.adjustable()).await {
            state.config = before;
            let remedy = "nothing has changed; look at the log";
            return refused(&[refusal(&state.config.file, "not-taken-over", problem, remedy)]);
        }
        self.log.set_level(Level::of(state.config.logging.level));
        self.tell(&changes);
        let changed =
            changes.live.iter().map(|change| json!({ "key": change.key, "from": &change.from, "to": &change.to }));
        Reloaded::Done(json!({
            "file": &file,
            "changed": changed.collect::<Vec<_>>(),
            "needs_restart": &changes.needs_restart,
            "findings": json_of(&findings),
        }))
    }

    /// Has clients send at another rate, or save up another number of packets; gives the answer's line.
    pub async fn limit(&self, limit: Limit) -> String {
        let mut state = self.state.lock().await;
        if state.config.debug.disable_rate_limit {
            return SHUT_OFF.into();
        }
        let (values, before) = (state.adjustable(), (state.ordered, state.burst_packets));
        let (what, number) = match limit {
            Limit::PerMinute(per_minute) => {
                state.ordered = Some(OrderedRate { per_minute, epoch: self.document_epoch() });
                ("send packets in a minute", per_minute)
            }
            Limit::Burst(packets) => {
                state.burst_packets = Some(packets);
                ("save up packets", packets)
            }
        };
        match self.adjust(values, state.adjustable()).await {
            Ok(()) => {
                self.log
                    .notice(MODULE, format_args!("told over the management socket how clients may {what}: {number}"));
                format!("250 {number}")
            }
            Err(problem) => {
                (state.ordered, state.burst_packets) = before;
                format!("554 Transaction failed: {problem}")
            }
        }
    }

    /// The document by which clients are limited now: one before this epoch's, where that is not there.
    fn document_epoch(&self) -> Epoch {
        let now = epoch_time(&self.clock).epoch;
        let status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        status.documents.iter().rev().find(|epoch| **epoch <= now.0).map_or(now, |epoch| Epoch(*epoch))
    }

    /// Has the data plane go by other values; returns when it does.
    async fn adjust(&self, from: Adjustable, to: Adjustable) -> Result<(), String> {
        if from == to {
            return Ok(());
        }
        let taken_over = tokio::time::timeout(UPTAKE_LIMIT, self.plane.adjust(to)).await.unwrap_or_else(|_| {
            Err(format!("the data plane does not take it over within {} s; see the log", UPTAKE_LIMIT.as_secs()))
        });
        if taken_over.is_err() {
            // The order is carried out later, or was kept for each data plane to come: this one takes its place. Orders
            // are obeyed in turn, and nobody has to wait for this.
            drop(self.plane.adjust(from));
        }
        taken_over
    }

    fn tell(&self, changes: &Changes) {
        for change in &changes.live {
            self.log.notice(MODULE, format_args!("{}: {} instead of {}", change.key, change.to, change.from));
        }
        if !changes.needs_restart.is_empty() {
            let keys = changes.needs_restart.join(", ");
            self.log.warning(MODULE, format_args!("changed in the file, and waits for a restart: {keys}"));
        }
        if changes.live.is_empty() && changes.needs_restart.is_empty() {
            self.log.notice(MODULE, "the configuration was read again, and says what it said before");
        }
    }
}

/// Reads in a thread of its own. A read that does not end keeps nobody from anything, not even the node from its end; there
/// is one such thread at most.
#[derive(Default)]
struct Reader {
    is_reading: Arc<AtomicBool>,
}

impl Reader {
    async fn read<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
        if self.is_reading.swap(true, Ordering::SeqCst) {
            return Err("is being read since an earlier RELOAD, and that does not end".into());
        }
        let (tell, read) = oneshot::channel();
        let is_reading = self.is_reading.clone();
        let work = move || {
            secret_memory::protect_stack();
            let read = work();
            is_reading.store(false, Ordering::SeqCst);
            let _given_up = tell.send(read);
        };
        if let Err(error) = std::thread::Builder::new().name("reload".into()).spawn(work) {
            self.is_reading.store(false, Ordering::SeqCst);
            return Err(format!("cannot be read: {error}"));
        }
        let late = || format!("cannot be read within {} s", READ_LIMIT.as_secs());
        let read = tokio::time::timeout(READ_LIMIT, read).await.map_err(|_| late())?;
        // The thread has ended without an answer.
        read.map_err(|_| "cannot be read".into())
    }
}

/// The configuration that a start would go by, with what is worth telling; or why it would not.
fn load(file: &Path) -> Result<(ServerConfig, Vec<Finding>), Vec<Finding>> {
    // A pipe may have no end, and gives what it has once.
    let is_other = |path: &PathBuf| path.metadata().is_ok_and(|metadata| !metadata.is_file());
    if let Some(path) = [file.to_path_buf(), file.with_file_name(OWN_FILE_NAME)].into_iter().find(is_other) {
        return Err(vec![refusal(&path, "not-read", "is no file".into(), "give a file, or start the node again")]);
    }
    let loaded = ServerConfig::load(file, Strictness::Lenient)?;
    let limits = findings_of_limits(file, &loaded.config);
    let fatal: Vec<_> = limits.filter(|limit| limit.severity == Severity::Error).collect();
    if fatal.is_empty() { Ok((loaded.config, loaded.findings)) } else { Err(fatal) }
}

fn refusal(file: &Path, code: &'static str, problem: String, remedy: &str) -> Finding {
    Finding {
        severity: Severity::Error,
        code,
        file: file.to_path_buf(),
        line: None,
        key: String::new(),
        problem,
        remedy: remedy.into(),
    }
}

fn json_of(findings: &[Finding]) -> Vec<Value> {
    let findings = findings.iter().map(|finding| {
        json!({
            "severity": finding.severity.to_string(),
            "file": finding.file.display().to_string(),
            "line": finding.line,
            "key": finding.key,
            "problem": finding.problem,
            "remedy": finding.remedy,
        })
    });
    findings.collect()
}
