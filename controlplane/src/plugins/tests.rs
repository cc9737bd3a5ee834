//! Plugins that are real processes: this test binary, told how to behave. The other end of the rings is a shard's.

mod child;
mod http;
mod keyserver;
mod parameters;

use super::*;
use crate::logging::{Level, Log};
use config::server::{BuiltIn, BuiltInService, PluginService};
use interplane::requests::{Request, RequestId, ShardEnd};
use interplane::snapshot::{Handler, Service};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

const PAYLOAD_BYTES: usize = 100;
const SURB_BYTES: usize = 40;
/// Long enough for a loaded host.
const CALL_LIMIT: Duration = Duration::from_millis(800);
/// Nothing here takes so long; a loaded host may.
const PATIENCE: Duration = Duration::from_secs(60);

type Announced = Arc<Mutex<Vec<Vec<Service>>>>;

/// A node with plugins, without the node.
struct Site {
    folder: TempDir,
    shard: ShardEnd,
    plugins: Plugins,
    board: Arc<Board>,
    announced: Announced,
    numbers: u64,
}

fn plugin(folder: &TempDir, capability: &str, behaviour: &str) -> PluginService {
    let socket = folder.path().join(format!("{capability}.sock"));
    PluginService {
        capability: capability.into(),
        endpoint: format!("+{capability}"),
        command: child::script(folder.path()),
        arguments: vec![("behaviour".into(), behaviour.into()), ("socket".into(), socket.display().to_string())],
        advertised: Some(std::collections::BTreeMap::from([(
            "about".to_string(),
            config::reader::Value::Text(behaviour.into()),
        )])),
        protocol: match behaviour.starts_with("http-") {
            true => PluginProtocol::Http { processes: 1 },
            false => PluginProtocol::Stream { asks_parameters: false },
        },
    }
}

async fn start(folder: TempDir, plugins: Vec<PluginService>) -> Result<Site, ChildError> {
    let built_in = vec![BuiltIn { service: BuiltInService::Echo, endpoint: "+echo".into() }];
    start_node(folder, ServiceNode { built_in, plugins, keyserver: None }).await
}

async fn start_node(folder: TempDir, node: ServiceNode) -> Result<Site, ChildError> {
    let (rings, _fd) = PluginRings::create(1, PAYLOAD_BYTES).expect("memfds work");
    let [requests, answers] = [(); 2].map(|()| Bell::new().expect("eventfds work"));
    let shard = rings.shard(0, requests.clone()).expect("the only one");
    let announced = Announced::default();
    let board = {
        let announced = announced.clone();
        Board::new(&node, Box::new(move |services| announced.lock().expect("nobody panics").push(services)))
    };
    let board = Arc::new(board);
    let settings = Settings {
        surb_bytes: SURB_BYTES,
        payload_bytes: PAYLOAD_BYTES,
        launcher: None,
        kaetzchen_delay: Duration::from_secs(30),
        call_limit: CALL_LIMIT,
    };
    let log = Log::to_file(Level::Debug, &folder.path().join("log")).expect("a log");
    let plugins = Plugins::start(&node, &settings, Wires { rings, requests, answers }, board.clone(), &log).await?;
    Ok(Site { folder, shard, plugins, board, announced, numbers: 0 })
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970")
}

impl Site {
    fn ask_at(&mut self, plugin: u16, payload: &[u8], received_at: Duration) -> RequestId {
        self.numbers += 1;
        let id = RequestId::new(0, plugin, self.numbers);
        let delay = Duration::from_millis(5);
        assert!(self.shard.ask(&Request { id, received_at, delay, wants_reply: true, payload }), "the ring is full");
        id
    }

    fn ask(&mut self, plugin: u16, payload: &[u8]) -> RequestId {
        self.ask_at(plugin, payload, now())
    }

    /// Waits for so many answers.
    async fn answers(&mut self, count: usize) -> Vec<(RequestId, Vec<u8>)> {
        let mut found = Vec::new();
        let began = Instant::now();
        while found.len() < count {
            assert!(began.elapsed() < PATIENCE, "{} of {count} answers; {}", found.len(), self.log());
            self.shard.answers(100, |id, payload| found.push((id, payload.to_vec())));
            sleep(Duration::from_millis(1)).await;
        }
        found
    }

    /// Waits until the data plane was told so.
    async fn until_told(&self, what: &str, is: impl Fn(&[Service]) -> bool) {
        let began = Instant::now();
        while !self.announced.lock().expect("nobody panics").last().is_some_and(|services| is(services)) {
            assert!(began.elapsed() < PATIENCE, "{what} did not happen; {}", self.log());
            sleep(Duration::from_millis(1)).await;
        }
    }

    async fn until_counted(&self, plugin: usize, outcome: Outcome, count: u64) {
        let began = Instant::now();
        while self.plugins.tallies[plugin].get(outcome) < count {
            assert!(began.elapsed() < PATIENCE, "{outcome:?} was not counted; {}", self.log());
            sleep(Duration::from_millis(1)).await;
        }
    }

    async fn until_logged(&self, text: &str) {
        let began = Instant::now();
        while !self.log().contains(text) {
            assert!(began.elapsed() < PATIENCE, "no '{text}' in {}", self.log());
            sleep(Duration::from_millis(1)).await;
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn process(&self, capability: &str) -> i32 {
        let text = std::fs::read_to_string(self.folder.path().join(format!("{capability}.sock.pid")));
        text.expect("the plugin wrote it").parse().expect("a number")
    }
}

fn is_running(process: i32) -> bool {
    std::path::Path::new(&format!("/proc/{process}")).exists()
}

fn has_plugin(number: u16) -> impl Fn(&[Service]) -> bool {
    move |services| services.iter().any(|service| service.handler == Handler::Plugin { number })
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

#[tokio::test]
async fn answers_come_in_any_order_and_by_their_requests() {
    let folder = folder();
    let entry = plugin(&folder, "mirror", "backwards");
    let mut site = start(folder, vec![entry]).await.expect("it starts");
    site.until_told("the start", has_plugin(0)).await;
    let offer = site.board.offer().borrow().clone();
    let endpoint = offer.services["mirror"].as_ref().expect("parameters")["endpoint"].clone();
    assert_eq!(endpoint, pki::cbor::Value::from("+mirror"));
    assert_eq!(offer.services.keys().collect::<Vec<_>>(), ["echo", "mirror"]);
    let about = offer.advertized_data["mirror"].as_ref().expect("data")["about"].clone();
    assert_eq!(about, pki::cbor::Value::from("backwards"));
    // It answers each ten in the other order.
    let payloads: Vec<Vec<u8>> = (0..50u8).map(|number| vec![number; PAYLOAD_BYTES]).collect();
    let ids: Vec<_> = payloads.iter().map(|payload| site.ask(0, payload)).collect();
    let answers = site.answers(50).await;
    assert_eq!(answers[0].0, ids[9]);
    for (id, answer) in answers {
        let at = ids.iter().position(|asked| *asked == id).expect("one of them");
        assert_eq!(answer, payloads[at]);
    }
    site.until_counted(0, Outcome::Answered, 50).await;
    assert_eq!(site.plugins.tallies[0].get(Outcome::Sent), 50);
    let process = site.process("mirror");
    assert!(is_running(process));
    site.plugins.shut_down().await;
    assert!(!is_running(process), "it is ended and waited for");
}

#[tokio::test]
async fn one_that_dies_or_speaks_nonsense_is_gone_at_once_and_comes_back() {
    for behaviour in ["dies", "nonsense", "closes"] {
        let folder = folder();
        let entry = plugin(&folder, "fickle", behaviour);
        let mut site = start(folder, vec![entry]).await.expect("it starts");
        site.until_told("the start", has_plugin(0)).await;
        let first = site.process("fickle");
        // It does it at the first request of its first life.
        site.ask(0, b"go");
        site.until_told("its end", |services| !has_plugin(0)(services)).await;
        assert!(!site.board.offer().borrow().services.contains_key("fickle"), "the next descriptor is without it");
        site.until_told("its return", has_plugin(0)).await;
        assert_ne!(site.process("fickle"), first);
        let id = site.ask(0, b"again");
        assert_eq!(site.answers(1).await, [(id, b"again".to_vec())], "{behaviour}");
        assert!(site.log().contains("does not answer any more"), "{}", site.log());
        site.plugins.shut_down().await;
    }
}

#[tokio::test]
async fn operators_stop_and_start() {
    let folder = folder();
    let entry = plugin(&folder, "mirror", "echo");
    let mut site = start(folder, vec![entry]).await.expect("it starts");
    let services = site.plugins.services();
    assert!(!services.start("mirror").await, "it runs");
    assert!(!services.start("nothing").await && !services.stop("nothing").await);
    let process = site.process("mirror");
    assert!(services.stop("mirror").await);
    site.until_told("the stop", |services| !has_plugin(0)(services)).await;
    assert!(!services.stop("mirror").await, "it does not run");
    assert!(services.start("mirror").await);
    assert_ne!(site.process("mirror"), process);
    let id = site.ask(0, b"hello");
    assert_eq!(site.answers(1).await, [(id, b"hello".to_vec())]);
    // The same with one that is built in.
    assert!(!services.start("echo").await);
    assert!(services.stop("echo").await && !services.stop("echo").await);
    site.until_told("the stop", |services| {
        services.iter().all(|service| matches!(service.handler, Handler::Plugin { .. }))
    })
    .await;
    assert!(services.start("echo").await);
    site.plugins.shut_down().await;
}

#[tokio::test]
async fn what_is_wrong_with_an_answer_is_counted() {
    let folder = folder();
    let entries = ["long", "strange", "without"].map(|behaviour| plugin(&folder, behaviour, behaviour));
    let mut site = start(folder, entries.into()).await.expect("they start");
    for number in 0..3 {
        site.ask(number, b"go");
    }
    site.until_counted(0, Outcome::AnswerTooLong, 1).await;
    site.until_counted(1, Outcome::AnswerUnknown, 1).await;
    // Without what stands for a reply block nothing is sent; the answer to the next request shows that it was read.
    let id = site.ask(2, b"second");
    assert_eq!(site.answers(1).await, [(id, b"second".to_vec())]);
    site.plugins.shut_down().await;
}

/// What it writes beyond that goes nowhere: the ring for answers is everybody's.
#[tokio::test]
async fn a_plugin_gives_as_many_answers_as_it_was_asked_for() {
    let folder = folder();
    let entry = plugin(&folder, "repeats", "repeats");
    let mut site = start(folder, vec![entry]).await.expect("it starts");
    let id = site.ask(0, b"once");
    site.until_counted(0, Outcome::AnswerUnknown, 99).await;
    assert_eq!(site.answers(1).await, [(id, b"once".to_vec())]);
    assert_eq!(site.plugins.tallies[0].get(Outcome::Answered), 1);
    site.plugins.shut_down().await;
}

/// One plugin that reads nothing, and one that answers.
#[tokio::test]
async fn a_stalled_plugin_loses_its_own_requests_only() {
    let folder = folder();
    let entries =
        [("stalled", "stalled"), ("mirror", "echo")].map(|(name, behaviour)| plugin(&folder, name, behaviour));
    let mut site = start(folder, entries.into()).await.expect("they start");
    let mut asked = 0;
    while site.plugins.tallies[0].get(Outcome::QueueFull) == 0 {
        assert!(asked < 100_000, "its queue has an end");
        for _ in 0..100 {
            site.ask(0, &[7; PAYLOAD_BYTES]);
        }
        asked += 100;
        sleep(Duration::from_millis(1)).await;
    }
    let id = site.ask(1, b"still here");
    assert_eq!(site.answers(1).await, [(id, b"still here".to_vec())]);
    site.plugins.shut_down().await;
}

/// One plugin that writes without end what answers nothing, and one that answers.
#[tokio::test]
async fn a_babbling_plugin_keeps_no_other_waiting() {
    let folder = folder();
    let entries = ["babbles", "echo"].map(|behaviour| plugin(&folder, behaviour, behaviour));
    let mut site = start(folder, entries.into()).await.expect("they start");
    for number in 0..100_u8 {
        site.ask(0, b"are you there");
        let id = site.ask(1, &[number]);
        assert_eq!(site.answers(1).await, [(id, vec![number])]);
    }
    // Between two requests it may write so much and no more; then it is started again.
    site.until_told("its end", |services| !has_plugin(0)(services)).await;
    site.until_logged("messages that answer nothing").await;
    assert_eq!(site.plugins.tallies[0].get(Outcome::Answered), 0);
    site.plugins.shut_down().await;
}

/// A shell script that starts programs without `exec` leaves them to the node's end of the plugin.
#[tokio::test]
async fn what_a_plugin_has_started_ends_with_it() {
    let folder = folder();
    let mut entry = plugin(&folder, "mirror", "echo");
    let (pid_file, wrapper) = (folder.path().join("left.pid"), folder.path().join("wrapper.sh"));
    let program = entry.command.display();
    let text = format!("#!/bin/sh\nsleep 1000 &\necho $! > '{}'\nexec '{program}' \"$@\"\n", pid_file.display());
    std::fs::write(&wrapper, text).expect("the folder is ours");
    std::fs::set_permissions(&wrapper, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("the file is ours");
    entry.command = wrapper;
    let mut site = start(folder, vec![entry]).await.expect("it starts");
    let id = site.ask(0, b"hello");
    assert_eq!(site.answers(1).await, [(id, b"hello".to_vec())]);
    let left: i32 = std::fs::read_to_string(pid_file).ok().and_then(|text| text.trim().parse().ok()).expect("a number");
    // Whoever inherits it may leave its remains.
    let is_alive = || {
        let stat = std::fs::read_to_string(format!("/proc/{left}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
    };
    assert!(is_alive());
    site.plugins.shut_down().await;
    let began = Instant::now();
    while is_alive() {
        assert!(began.elapsed() < PATIENCE, "it runs on");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_request_that_is_too_old_is_not_handed_over() {
    let folder = folder();
    let entry = plugin(&folder, "mirror", "echo");
    let mut site = start(folder, vec![entry]).await.expect("it starts");
    site.ask_at(0, b"old", now() - Duration::from_secs(31));
    let id = site.ask(0, b"new");
    assert_eq!(site.answers(1).await, [(id, b"new".to_vec())]);
    assert_eq!(site.plugins.tallies[0].get(Outcome::DwellExceeded), 1);
    site.plugins.shut_down().await;
}

#[tokio::test]
async fn what_cannot_be_started_says_why() {
    let folder = folder();
    let mut missing = plugin(&folder, "missing", "echo");
    missing.command = PathBuf::from("/nonexistent/plugin");
    let error = start(folder, vec![missing]).await.err().expect("there is no such program");
    assert!(matches!(&error, ChildError::Start { .. }) && error.to_string().contains("/nonexistent/plugin"), "{error}");
    let folder = self::folder();
    let entry = plugin(&folder, "short", "ends");
    let error = start(folder, vec![entry]).await.err().expect("it ends at once");
    assert!(matches!(error, ChildError::EndedEarly { .. }), "{error}");
    let folder = self::folder();
    let entry = plugin(&folder, "empty", "empty");
    let error = start(folder, vec![entry]).await.err().expect("it gives no path");
    assert!(matches!(error, ChildError::Line { .. }), "{error}");
    let folder = self::folder();
    let entry = plugin(&folder, "prints", "prints-first");
    let error = start(folder, vec![entry]).await.err().expect("its first line has no end");
    assert!(matches!(error, ChildError::Line { .. }), "{error}");
}

/// Both outputs of one plugin, without end; it answers meanwhile, and the log stays small.
#[tokio::test]
async fn a_plugin_that_prints_without_end_is_heard_in_part() {
    let folder = folder();
    let entries = ["prints", "echo"].map(|behaviour| plugin(&folder, behaviour, behaviour));
    let mut site = start(folder, entries.into()).await.expect("they start");
    let began = Instant::now();
    let mut asked = 0_u8;
    while began.elapsed() < Duration::from_secs(3) {
        asked += 1;
        for number in 0..2 {
            let id = site.ask(number, &[asked]);
            assert_eq!(site.answers(1).await, [(id, vec![asked])]);
        }
        sleep(Duration::from_millis(100)).await;
    }
    site.plugins.shut_down().await;
    let log = std::fs::read_to_string(site.folder.path().join("log")).expect("a log");
    let lines = log.matches("what nobody wants to know").count() as u64;
    // A hundred lines a second, and one for the rest.
    assert!(lines >= 100 && lines <= 100 * (began.elapsed().as_secs() + 2), "{lines} lines");
    assert!(log.contains("more lines"), "what was left out is told");
}
