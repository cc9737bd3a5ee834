//! Against a real PostgreSQL, and the data plane's end of the rings.

use super::*;
use crate::users::change::Change;
use config::server::DataSource;
use interplane::requests::{Bell, PluginRings, ShardEnd};
use std::time::Instant;
use testhost::postgres::Postgres;

const ALICE: UserId = UserId([1; 32]);
const BOB: UserId = UserId([2; 32]);
const ASKS: RequestId = RequestId(1 << 40);

struct Site {
    postgres: Postgres,
    mail: Mail,
    tally: Arc<Tally>,
    shard: ShardEnd,
    writer: tokio::task::JoinHandle<String>,
}

impl Site {
    /// Alice is registered, Bob is not.
    async fn new() -> Option<Self> {
        let postgres = Postgres::start()?;
        postgres.load(include_str!("../../../../deploy/sql/schema.sql"));
        let store = Sql::open(&DataSource::new(postgres.source()), true, &Log::silent()).expect("a source");
        while store.change(Change::Add(ALICE, b"key".into())).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let tally = Arc::new(Tally::default());
        let mail = Mail::new(tally.clone());
        let (rings, _fd) = PluginRings::create(1, 4096).expect("memfds work");
        let bell = || Bell::new().expect("eventfds work");
        let answers = Arc::new(Mutex::new(rings.answers(bell())));
        let shard = rings.shard(0, bell()).expect("a shard");
        let writer = tokio::spawn(mail.clone().run(store, answers, Log::silent()));
        Some(Self { postgres, mail, tally, shard, writer })
    }

    fn keep(&self, user: UserId, number: u8) {
        self.mail.take(ASKS, &Record::Keep { user, surb_id: [number; 16], payload: &[number; 100] });
    }

    fn gone(&self, number: u8) {
        self.mail.take(ASKS, &Record::Gone { user: ALICE, surb_id: [number; 16] });
    }

    /// The reply blocks of the letters that are given back.
    async fn fetched(&mut self) -> Vec<u8> {
        self.mail.take(ASKS, &Record::Fetch { user: ALICE });
        self.settle().await;
        let mut letters = Vec::new();
        self.shard.answers(1000, |id, bytes| {
            assert_eq!(id, ASKS);
            let Some(Record::Keep { user: ALICE, surb_id, payload }) = Record::read(bytes) else { panic!("a letter") };
            assert_eq!(payload, [surb_id[0]; 100]);
            letters.push(surb_id[0]);
        });
        letters
    }

    /// On a host that has other things to do, too.
    async fn settle(&self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.mail.is_idle() {
            assert!(Instant::now() < deadline, "it does not come to an end");
            self.mail.settle().await;
        }
    }

    fn count(&self, outcome: LetterOutcome) -> u64 {
        self.tally.letters.get(outcome)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.writer.abort();
    }
}

#[tokio::test]
async fn letters_are_kept_given_back_and_removed() {
    let Some(mut site) = Site::new().await else { return };
    (1..=5).for_each(|number| site.keep(ALICE, number));
    site.keep(BOB, 9);
    // What is acknowledged at once is never written.
    site.gone(2);
    assert_eq!(site.fetched().await, [1, 3, 4, 5]);
    let outcomes = [LetterOutcome::Kept, LetterOutcome::Spared, LetterOutcome::UnknownUser].map(|of| site.count(of));
    assert_eq!(outcomes, [4, 1, 1]);
    assert_eq!(site.postgres.query("SELECT count(*) FROM spool"), "4");
    // They stay until they are gone, and are there once however often they are given.
    site.keep(ALICE, 3);
    site.gone(1);
    site.gone(77);
    assert_eq!(site.fetched().await, [3, 4, 5]);
    // A removed user's letters go with it.
    site.postgres.query("DELETE FROM users");
    assert_eq!(site.postgres.query("SELECT count(*) FROM spool"), "0");
    assert_eq!((site.mail.queue().bytes, site.tally.letters.waiting_bytes()), (0, 0));
}

#[tokio::test]
async fn nobody_has_more_letters_than_there_is_room_for() {
    let Some(site) = Site::new().await else { return };
    for number in 0..600_u32 {
        let mut surb_id = [0; 16];
        surb_id[..4].copy_from_slice(&number.to_le_bytes());
        site.mail.take(ASKS, &Record::Keep { user: ALICE, surb_id, payload: b"letter" });
    }
    site.settle().await;
    assert_eq!((site.count(LetterOutcome::Kept), site.count(LetterOutcome::Full)), (512, 88));
    // And here neither.
    let large = vec![0; BYTES_MAX / 8];
    for number in 0..10 {
        site.mail.take(ASKS, &Record::Keep { user: BOB, surb_id: [number; 16], payload: &large });
    }
    assert_eq!(site.count(LetterOutcome::Overflowed), 2);
}

/// Killed while letters come: what was written is there, what was not waits and is written when it is back.
#[tokio::test]
async fn no_letter_is_lost_with_the_database_away() {
    let Some(mut site) = Site::new().await else { return };
    (1..=50).for_each(|number| site.keep(ALICE, number));
    site.settle().await;
    assert_eq!(site.count(LetterOutcome::Kept), 50);
    site.postgres.kill();
    (51..=60).for_each(|number| site.keep(ALICE, number));
    site.gone(1);
    let deadline = Instant::now() + Duration::from_secs(30);
    while !site.tally.letters.is_away() {
        assert!(Instant::now() < deadline, "nobody notices");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // It takes what comes, as fast as ever.
    let start = Instant::now();
    (61..=63).for_each(|number| site.keep(ALICE, number));
    assert!(start.elapsed() < Duration::from_secs(1));
    site.postgres.run();
    while site.tally.letters.is_away() || site.count(LetterOutcome::Kept) < 63 {
        assert!(Instant::now() < deadline + Duration::from_secs(30), "{}", site.count(LetterOutcome::Kept));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(site.fetched().await, (2..=63).collect::<Vec<_>>());
}
