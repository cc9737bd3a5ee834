use super::super::supervise::Order;
use super::*;
use crypto_simd::random::OsRandom;
use crypto_simd::schemes::{kem, signature};
use std::fs;
use std::path::PathBuf;
use std::sync::mpsc::Receiver;
use testnet::files::MainFile;
use testnet::network::{SIGNATURE_SCHEME, WIRE_KEM};

/// What changes, with a supervisor whose part the test plays.
struct Site {
    folder: tempfile::TempDir,
    live: Arc<Live>,
    ordered: Receiver<Order>,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let identity = signature::by_name(SIGNATURE_SCHEME).expect("built in");
        let identity = identity.load(&identity.generate(&mut OsRandom)).expect("a fresh key");
        let link = kem::by_name(WIRE_KEM).expect("built in");
        let link = link.load(&link.generate(&mut OsRandom)).expect("a fresh key");
        let text = MainFile {
            scheme: testnet::network::TCP,
            address: "127.0.0.1:30001".parse().expect("an address"),
            data_dir: &folder.path().join("data"),
            authority: "127.0.0.1:30002".parse().expect("an address"),
            authority_identity: identity.public_key(),
            authority_link: link.public_key(),
            geometry: &sphinx::Geometry::nike("x25519", 2000, 5, true).expect("a geometry"),
            server: "",
            logging: "  Level = \"NOTICE\"\n",
            sections: "[Debug]\n  SendSlack = 60\n",
        };
        let file = folder.path().join("katzenpost.toml");
        fs::write(&file, text.text().expect("a text")).expect("a file");
        let config = ServerConfig::load(&file, Strictness::Lenient).expect("a good file").config;
        let (plane, ordered) = PlaneHandle::of_test();
        let log = Log::to_file(Level::Debug, &folder.path().join("log")).expect("a log");
        let live = Arc::new(Live::new(config, plane, EpochClock::default(), Arc::default(), log));
        Self { folder, live, ordered }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("katzenpost.toml")
    }

    fn edit(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.file()).expect("the file");
        assert!(text.contains(from));
        fs::write(self.file(), text.replacen(from, to, 1)).expect("the file");
    }

    /// The next order, once there is one.
    async fn order(&self) -> (Adjustable, tokio::sync::oneshot::Sender<Result<(), String>>) {
        loop {
            match self.ordered.try_recv() {
                Ok(Order::Adjust(to, answer)) => return (*to, answer),
                Ok(_) => panic!("another order"),
                Err(_) => tokio::task::yield_now().await,
            }
        }
    }
}

/// Whatever has become of the order: the supervisor obeys in turn, so that the old values come after it.
#[tokio::test]
async fn values_that_are_not_taken_over_are_taken_back() {
    let site = Site::new();
    site.edit("SendSlack = 60", "SendSlack = 70");
    let reload = async { site.live.reload().await };
    let refuse = async {
        let (to, answer) = site.order().await;
        answer.send(Err("no".into())).expect("it waits");
        to
    };
    let (reloaded, to) = tokio::join!(reload, refuse);
    assert!(matches!(reloaded, Reloaded::Refused(json) if json["findings"][0]["problem"] == "no"));
    let (back, unheard) = site.order().await;
    assert_eq!((to.times.send_slack_ms, back.times.send_slack_ms), (70, 60));
    assert!(unheard.is_closed(), "nobody waits for that");

    // One that is not answered at all.
    tokio::time::pause();
    let answer = site.live.limit(Limit::Burst(7)).await;
    assert!(answer.starts_with("554 ") && answer.contains("does not take it over"), "{answer}");
    let ((to, _), (back, _)) = (site.order().await, site.order().await);
    assert_eq!((to.client_rate.burst_packets, back.client_rate.burst_packets), (Some(7), None));
    // The file is as it was: nothing is ordered.
    tokio::time::resume();
    site.edit("SendSlack = 70", "SendSlack = 60");
    assert!(matches!(site.live.reload().await, Reloaded::Done(json) if json["changed"] == json!([])));
    assert!(site.ordered.try_recv().is_err());
}

#[tokio::test]
async fn a_file_that_does_not_end_keeps_nobody() {
    let site = Site::new();
    let pipe = site.file();
    fs::remove_file(&pipe).expect("the file");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("a pipe");
    let Reloaded::Refused(json) = site.live.reload().await else { panic!("it was read") };
    assert_eq!(json["findings"][0]["problem"], "is no file");

    // Whatever else may not end: it is given up, and there is one such thread.
    tokio::time::pause();
    let (sender, receiver) = std::sync::mpsc::channel::<()>();
    let reader = Reader::default();
    let problem = reader.read(move || receiver.recv()).await.expect_err("it does not end");
    assert!(problem.contains("within 5 s"), "{problem}");
    assert!(reader.read(|| ()).await.expect_err("the first still reads").contains("an earlier RELOAD"));
    tokio::time::resume();
    drop(sender);
    while reader.is_reading.load(Ordering::SeqCst) {
        tokio::task::yield_now().await;
    }
    assert_eq!(reader.read(|| 5).await, Ok(5));
}

#[tokio::test]
async fn orders_whose_connections_have_ended_do_not_pile_up() {
    let site = Site::new();
    let limit = |packets| {
        let live = site.live.clone();
        site.live.carry_out(async move { live.limit(Limit::Burst(packets)).await })
    };
    // The connections have ended.
    (1..9).for_each(|packets| drop(limit(packets)));
    let last = limit(9);
    assert_eq!(limit(10).await, CROWDED);
    // All of them are carried out nevertheless, in turn.
    for packets in 1..=9 {
        let (to, answer) = site.order().await;
        assert_eq!(to.client_rate.burst_packets, Some(packets));
        assert!(site.ordered.try_recv().is_err(), "one after the other");
        answer.send(Ok(())).expect("it waits");
    }
    assert_eq!(last.await, "250 9");
    drop(limit(9));
    assert_eq!(limit(9).await, "250 9", "there is room again");
}

#[tokio::test]
async fn a_spoilt_file_does_not_fill_the_log() {
    let site = Site::new();
    let unknown: String = (0..50).map(|number| format!("[[Debug.Unknown{number}]]\n")).collect();
    fs::write(site.file(), unknown).expect("the file");
    let Reloaded::Refused(json) = site.live.reload().await else { panic!("the file is good") };
    let found = json["findings"].as_array().expect("a list").len();
    assert!(found > LOGGED_MAX, "{json}");
    assert!(site.live.log.flush(Duration::from_secs(5)));
    let log = fs::read_to_string(site.folder.path().join("log")).expect("the log");
    assert_eq!(log.matches("the configuration stays as it was").count(), LOGGED_MAX + 1, "{log}");
    assert!(log.contains(&format!("{} more findings", found - LOGGED_MAX)), "{log}");
}
