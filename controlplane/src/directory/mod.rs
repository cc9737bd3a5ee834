//! The directory worker: carries out what `pki::publish` decides. It makes and prunes mix keys, uploads the
//! descriptor, fetches documents, and tells the data plane of each change.
//!
//! One task owns all state; what takes long (uploads, fetches, signatures, the data plane's answers) runs beside it and
//! reports back over a channel.
//!
//! | file | its job |
//! |---|---|
//! | `mod` | the task |
//! | `publish` | from the keys to the authorities' answers |
//! | `documents` | what is held, and what is said when nothing is |
//! | `clients` | documents as a gateway's clients get them |
//! | `fetch` | one pass over the authorities |
//! | `outside`, `session`, `driver` | the wall clock, one exchange with one authority, its connection |
//! | `plane` | the data plane as the worker sees it |
//! | `status` | what others may see |
//! | `greet` | a handshake with a node, for a tool |
//! | `once` | a document for a tool |

mod clients;
mod documents;
pub(crate) mod driver;
pub mod fetch;
pub mod greet;
pub mod once;
mod outside;
mod plane;
mod publish;
pub mod session;
mod status;
#[cfg(test)]
mod tests;

pub use outside::{Internet, Outside, Reached};
pub use plane::{Held, Plane, Stored};
pub use status::{DirectoryStatus, EpochCounts, Nodes};

use crate::keys::MixKeys;
use crate::logging::Log;
use crate::plugins::Offer;
use crypto_simd::random::OsRandom;
use crypto_simd::schemes::SignatureSigningKey;
use fetch::Fetched;
use interplane::loops::LoopCounts;
use pki::authority::{Authorities, DescriptorCode, DocumentVerifier};
use pki::descriptor::OwnProfile;
use pki::document::{DELAY_SLOT_NS, LeftOut, exceeds_delay_slots};
use pki::neighbours::{NeighbourMap, OwnNode};
use pki::publish::{Action, StoredUpload, Worker};
use pki::{Epoch, EpochClock, EpochTime};
use session::Skews;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::{mpsc, watch};
use wire::consensus2::Packed;

const MODULE: &str = "pki";

/// Longest sleep of the worker: whatever is due goes by the wall clock, which may be set while it sleeps.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// What the worker goes by.
pub struct DirectoryOptions {
    /// Epochs.
    pub clock: EpochClock,
    /// Whom to ask.
    pub authorities: Arc<Authorities>,
    /// The hash of the configured geometry.
    pub geometry_hash: [u8; 32],
    /// This node as documents must list it.
    pub own: OwnNode,
    /// Bytes of the chunks in which clients get documents; none if this node has no clients.
    pub client_chunk_bytes: Option<usize>,
    /// What its descriptors say besides.
    pub profile: OwnProfile,
    /// What they say of services, which come and go.
    pub offer: watch::Receiver<Offer>,
    /// How this node's own loops fared.
    pub loops: LoopCounts,
    /// The key that signs uploads.
    pub identity: Arc<dyn SignatureSigningKey>,
}

/// A verified document, and what this node makes of it.
struct Verified {
    /// Its bytes.
    raw: Arc<[u8]>,
    /// Nodes that it lists in vain.
    left_out: Vec<LeftOut>,
    /// Who is who, or why it is of no use here.
    map: Result<NeighbourMap, String>,
    /// The document for clients, if there are any.
    packed: Option<Packed>,
}

/// What work beside the worker has come to.
enum Report {
    Prepared { epoch: Epoch, payload: Result<Arc<[u8]>, String> },
    Uploaded { epoch: Epoch, authority: usize, answer: Result<DescriptorCode, String> },
    Fetched { epoch: Epoch, fetched: Fetched<Verified> },
}

/// The worker.
pub struct Directory<P, O> {
    options: Arc<DirectoryOptions>,
    outside: O,
    verifier: DocumentVerifier,
    schedule: Worker,
    keys: MixKeys,
    documents: BTreeMap<Epoch, clients::Held>,
    stored: Stored,
    /// What each authority said of the last upload, by its number.
    upload_said: BTreeMap<usize, String>,
    skews: Skews,
    /// The last epoch without a document that was told.
    missing_told: Option<Epoch>,
    /// The rate of delays in the last document that was gone by.
    mu_seen: Option<f64>,
    status: Arc<Mutex<DirectoryStatus>>,
    plane: P,
    reports: mpsc::UnboundedSender<Report>,
    reported: mpsc::UnboundedReceiver<Report>,
    log: Log,
}

impl<P: Plane, O: Outside> Directory<P, O> {
    /// A worker that goes on from what an earlier one stored, if the keys are still those of then.
    pub fn new(
        options: DirectoryOptions,
        outside: O,
        keys: MixKeys,
        stored: Stored,
        status: Arc<Mutex<DirectoryStatus>>,
        plane: P,
        log: Log,
    ) -> Self {
        let upload = stored.upload.as_ref().map(|(epoch, payload, published)| StoredUpload {
            epoch: Epoch(*epoch),
            payload: Arc::from(payload.as_slice()),
            published: *published,
        });
        let published = upload.as_ref().filter(|upload| upload.published).map(|upload| upload.epoch.0);
        status.lock().unwrap_or_else(PoisonError::into_inner).published = published;
        let (reports, reported) = mpsc::unbounded_channel();
        Self {
            verifier: DocumentVerifier {
                authorities: options.authorities.clone(),
                geometry_hash: options.geometry_hash,
            },
            schedule: Worker::new(options.authorities.list().len(), upload),
            options: Arc::new(options),
            outside,
            keys,
            documents: BTreeMap::new(),
            stored,
            upload_said: BTreeMap::new(),
            skews: Skews::default(),
            missing_told: None,
            mu_seen: None,
            status,
            plane,
            reports,
            reported,
            log,
        }
    }

    /// Works until nobody can tell it any more whether to advertise. `advertising` says whether the node publishes.
    pub async fn run(mut self, mut advertising: watch::Receiver<bool>) -> &'static str {
        self.take_over_documents().await;
        loop {
            self.schedule.set_advertising(*advertising.borrow_and_update());
            let now = self.now();
            while let Some(action) = self.schedule.poll(&now, &mut OsRandom) {
                self.act(action, &now);
            }
            let sleep = self.schedule.next_deadline(&now).saturating_sub(now.unix);
            tokio::select! {
                () = tokio::time::sleep(sleep.clamp(Duration::from_millis(1), SLEEP_MAX)) => {}
                Some(report) = self.reported.recv() => self.take(report),
                changed = advertising.changed() => if changed.is_err() { return "the node is gone" },
            }
        }
    }

    fn now(&self) -> EpochTime {
        epoch_time_at(&self.options.clock, self.outside.unix())
    }

    fn act(&mut self, action: Action, now: &EpochTime) {
        match action {
            Action::MakeMixKeys { first, .. } => self.make_keys(first),
            Action::PruneMixKeys { before, after } => {
                if self.keys.prune(before, after) {
                    self.give_keys();
                }
            }
            Action::PrepareUpload { epoch } => self.prepare(epoch),
            Action::Upload { epoch, authority, payload, deadline } => {
                self.upload(epoch, authority, payload, deadline.saturating_sub(now.unix));
            }
            Action::Published { epoch } => self.published(epoch),
            Action::UploadEnded { epoch, outcome } => self.report_upload(epoch, outcome),
            Action::Fetch { epoch, deadline } => self.fetch(epoch, deadline.saturating_sub(now.unix)),
            Action::PruneDocuments { before } => self.prune_documents(before),
            Action::Announce { epoch } => {
                self.log.notice(MODULE, format_args!("Going by the document of epoch {}.", epoch.0));
                self.compare_slots(epoch);
            }
        }
    }

    fn take(&mut self, report: Report) {
        self.compare_clocks();
        match report {
            Report::Prepared { epoch, payload } => self.prepared(epoch, payload),
            Report::Uploaded { epoch, authority, answer } => self.uploaded(epoch, authority, answer),
            Report::Fetched { epoch, fetched: Fetched::Document(document) } => self.take_document(epoch, *document),
            Report::Fetched { epoch, fetched: Fetched::Nothing(answers, said) } => {
                self.take_nothing(epoch, answers, &said);
            }
        }
    }

    /// Tells once of each authority whose clock differs: uploads and documents go by these clocks.
    fn compare_clocks(&mut self) {
        for news in self.skews.compare(&self.outside.seconds_ahead()) {
            self.log.warning(MODULE, news);
        }
    }

    /// Tells once when the document's delays are short for the slots by which this node delays.
    fn compare_slots(&mut self, epoch: Epoch) {
        let Some(mu) = self.documents.get(&epoch).map(|held| held.map.mu) else { return };
        let is_news = self.mu_seen.replace(mu) != Some(mu);
        if let Some(mu_max) = exceeds_delay_slots(mu).filter(|_| is_news) {
            let (mean_ms, slot_us) = (1.0 / mu, DELAY_SLOT_NS / 1000);
            self.log.warning(
                MODULE,
                format_args!(
                    "the document's Mu of {mu} means delays of {mean_ms:.1} ms on average, and this node delays by slots of \
                     {slot_us} us: departures show the slots, and packets hide among fewer; tell the authorities' \
                     operators that Mu should be {mu_max} or less"
                ),
            );
        }
    }

    /// Work beside the worker.
    fn beside(&self, work: impl Future<Output = Report> + Send + 'static) {
        let reports = self.reports.clone();
        tokio::spawn(async move {
            let report = work.await;
            // The worker may be gone by then; nobody waits for the report.
            let _unheard = reports.send(report);
        });
    }

    /// What authorities said, each by its name.
    fn by_name(&self, said: &BTreeMap<usize, String>) -> String {
        let list = self.options.authorities.list();
        let lines = said.iter().filter_map(|(at, said)| Some(format!("{}: {said}", list.get(*at)?.name)));
        lines.collect::<Vec<_>>().join("; ")
    }

    // The status is whole after every statement, so a panic elsewhere cannot have torn it.
    fn status(&self) -> std::sync::MutexGuard<'_, DirectoryStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self, message: impl Display) {
        self.log.error(MODULE, message);
    }
}

/// The present moment by an epoch clock; before the first epoch began it counts as that.
pub fn epoch_time(clock: &EpochClock) -> EpochTime {
    epoch_time_at(clock, SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// A moment by an epoch clock.
fn epoch_time_at(clock: &EpochClock, unix: Duration) -> EpochTime {
    clock.now(unix).unwrap_or(EpochTime {
        unix,
        epoch: Epoch(0),
        elapsed: Duration::ZERO,
        till: clock.period(),
        period: clock.period(),
    })
}
