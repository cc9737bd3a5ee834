//! Against a real PostgreSQL and a real file, and the data plane's end of the rings.

use super::*;
use crate::users::change::Change;
use crate::users::embedded::Embedded;
use crate::users::letter_file::LetterFile;
use crate::users::queue::{BYTES_MAX, STRANGERS_BYTES_MAX};
use crate::users::sql::Sql;
use config::server::DataSource;
use interplane::requests::{Bell, PluginRings, ShardEnd};
use testhost::postgres::Postgres;

const ALICE: UserId = UserId([1; 32]);
const BOB: UserId = UserId([2; 32]);
const ASKS: RequestId = RequestId(1 << 40);

fn limits() -> Limits {
    let age_max = Duration::from_secs(3600);
    Limits { letter_bytes: 100, bytes_max: 1 << 20, age_max, sweep_every: Duration::from_millis(200) }
}

struct Site {
    postgres: Option<Postgres>,
    mail: Mail,
    users: Store,
    tally: Arc<Tally>,
    shard: ShardEnd,
    writer: tokio::task::JoinHandle<String>,
    _folder: Option<tempfile::TempDir>,
}

impl Site {
    /// Alice is registered, Bob is not. All of it is in PostgreSQL.
    async fn new() -> Option<Self> {
        let postgres = Postgres::start()?;
        postgres.load(include_str!("../../../../deploy/sql/schema.sql"));
        let source = DataSource::new(postgres.source());
        let store = Sql::open(&source, Some(limits()), &Log::silent()).expect("a source");
        Some(Self::with(Some(postgres), None, Store::Sql(store.clone()), LetterStore::Sql(store)).await)
    }

    /// The same in files.
    async fn of_files() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let users = Embedded::open(&folder.path().join("users.db")).expect("a file");
        let letters = LetterFile::open(&folder.path().join("spool.db"), limits()).expect("a file");
        Self::with(None, Some(folder), Store::Embedded(users), LetterStore::File(letters)).await
    }

    /// Users in PostgreSQL, letters in a file.
    async fn of_both() -> Option<Self> {
        let postgres = Postgres::start()?;
        postgres.load(include_str!("../../../../deploy/sql/schema.sql"));
        let folder = tempfile::tempdir().expect("a folder");
        let users = Sql::open(&DataSource::new(postgres.source()), None, &Log::silent()).expect("a source");
        let letters = LetterFile::open(&folder.path().join("spool.db"), limits()).expect("a file");
        Some(Self::with(Some(postgres), Some(folder), Store::Sql(users), LetterStore::File(letters)).await)
    }

    async fn with(
        postgres: Option<Postgres>,
        folder: Option<tempfile::TempDir>,
        users: Store,
        letters: LetterStore,
    ) -> Self {
        Self::with_log(postgres, folder, users, letters, &Log::silent()).await
    }

    async fn with_log(
        postgres: Option<Postgres>,
        folder: Option<tempfile::TempDir>,
        users: Store,
        letters: LetterStore,
        log: &Log,
    ) -> Self {
        while users.change(Change::Add(ALICE, b"key".into())).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let tally = Arc::new(Tally::default());
        let mail = Mail::new(tally.clone(), letters, limits());
        let (rings, _fd) = PluginRings::create(1, 4096).expect("memfds work");
        let bell = || Bell::new().expect("eventfds work");
        let answers = Arc::new(Mutex::new(rings.answers(bell())));
        let shard = rings.shard(0, bell()).expect("a shard");
        let writer = tokio::spawn(mail.clone().run(users.clone(), answers, log.clone()));
        Self { postgres, mail, users, tally, shard, writer, _folder: folder }
    }

    fn postgres(&mut self) -> &mut Postgres {
        self.postgres.as_mut().expect("it is there")
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
        self.received()
    }

    /// The reply blocks of letters that are given back without a question.
    async fn given(&mut self) -> Vec<u8> {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.shard.has_answers() {
            assert!(Instant::now() < deadline, "no more letters come");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.settle().await;
        self.received()
    }

    fn received(&mut self) -> Vec<u8> {
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
        while !self.mail.queue().is_idle() {
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

/// Whichever the store is.
async fn letters_are_kept_given_back_and_removed(mut site: Site) -> Site {
    (1..=5).for_each(|number| site.keep(ALICE, number));
    site.keep(BOB, 9);
    // What is acknowledged at once is never written.
    site.gone(2);
    assert_eq!(site.fetched().await, [1, 3, 4, 5]);
    let outcomes = [LetterOutcome::Kept, LetterOutcome::Spared, LetterOutcome::UnknownUser].map(|of| site.count(of));
    assert_eq!(outcomes, [4, 1, 1]);
    // They stay until they are gone, and are there once however often they are given.
    site.keep(ALICE, 3);
    site.gone(1);
    site.gone(77);
    assert_eq!(site.fetched().await, [3, 4, 5]);
    // A removed user's letters go with it, and none are taken any more.
    site.users.change(Change::Remove(ALICE)).await.expect("it is there");
    site.mail.forget(ALICE);
    site.settle().await;
    site.keep(ALICE, 6);
    site.settle().await;
    assert_eq!(site.count(LetterOutcome::UnknownUser), 2);
    assert!(site.fetched().await.is_empty());
    assert_eq!(site.tally.letters.waiting_bytes(), 0);
    // All of them are more than are given at once: the rest comes when those have arrived.
    site.users.change(Change::Add(ALICE, b"key".into())).await.expect("it is there");
    (0..=255).for_each(|number| site.keep(ALICE, number));
    let mut found = site.fetched().await;
    while found.len() < 256 {
        assert_eq!(found.len() % FETCHED_MAX, 0);
        found[found.len() - FETCHED_MAX..].iter().for_each(|number| site.gone(*number));
        let more = site.given().await;
        found.extend(more);
    }
    assert_eq!(found, (0..=255).collect::<Vec<_>>());
    site
}

#[tokio::test]
async fn letters_are_kept_in_postgresql() {
    let Some(site) = Site::new().await else { return };
    let mut site = letters_are_kept_given_back_and_removed(site).await;
    assert_eq!(site.postgres().query("SELECT count(*) FROM spool"), "64");
}

#[tokio::test]
async fn letters_are_kept_in_a_file() {
    letters_are_kept_given_back_and_removed(Site::of_files().await).await;
}

/// The look for old letters comes by itself.
#[tokio::test]
async fn what_is_kept_is_looked_at_again_and_again() {
    let site = Site::of_files().await;
    (1..=5).for_each(|number| site.keep(ALICE, number));
    let deadline = Instant::now() + Duration::from_secs(60);
    while site.tally.letters.kept_bytes() != 500 {
        assert!(Instant::now() < deadline, "nobody looks");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// That old letters stay is told, whatever the reason is, and keeps no new ones from being written.
#[tokio::test]
async fn a_look_that_takes_too_long_is_told() {
    let Some(postgres) = Postgres::start() else { return };
    postgres.load(include_str!("../../../../deploy/sql/schema.sql"));
    postgres.query(
        "CREATE OR REPLACE FUNCTION spool_expire(seconds bigint, most integer) RETURNS bigint LANGUAGE sql AS \
         'SELECT 0::bigint FROM pg_sleep(60)'",
    );
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("log");
    let log = Log::to_file(crate::logging::Level::Notice, &path).expect("a log");
    let store = Sql::open(&DataSource::new(postgres.source()), Some(limits()), &log).expect("a source");
    let (users, letters) = (Store::Sql(store.clone()), LetterStore::Sql(store));
    let site = Site::with_log(Some(postgres), None, users, letters, &log).await;
    let deadline = Instant::now() + Duration::from_secs(60);
    while !std::fs::read_to_string(&path).unwrap_or_default().contains("old mail is not removed: PostgreSQL: canceling")
    {
        assert!(Instant::now() < deadline, "nobody tells: {:?}", std::fs::read_to_string(&path));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    site.keep(ALICE, 1);
    while site.count(LetterOutcome::Kept) < 1 {
        assert!(Instant::now() < deadline, "nothing is written");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Letters that come all the time keep nobody from looking for old ones.
#[tokio::test]
async fn letters_without_a_pause_do_not_end_the_looks() {
    let site = Site::of_files().await;
    site.mail.take(ASKS, &Record::Fetch { user: ALICE });
    let deadline = Instant::now() + Duration::from_secs(60);
    for number in 0..u32::MAX {
        if site.tally.letters.kept_bytes() > 0 {
            break;
        }
        assert!(Instant::now() < deadline, "nobody looks");
        let mut surb_id = [0; 16];
        surb_id[..4].copy_from_slice(&number.to_le_bytes());
        site.mail.take(ASKS, &Record::Keep { user: ALICE, surb_id, payload: &[7; 100] });
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn nobody_has_more_letters_than_there_is_room_for() {
    let Some(site) = Site::new().await else { return };
    site.mail.take(ASKS, &Record::Fetch { user: ALICE });
    for number in 0..600_u32 {
        let mut surb_id = [0; 16];
        surb_id[..4].copy_from_slice(&number.to_le_bytes());
        site.mail.take(ASKS, &Record::Keep { user: ALICE, surb_id, payload: b"letter" });
    }
    site.settle().await;
    assert_eq!((site.count(LetterOutcome::Kept), site.count(LetterOutcome::MailboxFull)), (512, 88));
    // And here neither.
    let large = vec![0; BYTES_MAX / 8];
    for number in 0..10 {
        site.mail.take(ASKS, &Record::Keep { user: ALICE, surb_id: [number; 16], payload: &large });
    }
    assert_eq!(site.count(LetterOutcome::Overflowed), 2);
}

/// Letters that were written are not written again because others cannot be read.
#[tokio::test]
async fn what_is_written_is_written_once() {
    let Some(mut site) = Site::new().await else { return };
    site.postgres().query(
        "CREATE OR REPLACE FUNCTION spool_take(name bytea, most integer, size integer) \
         RETURNS TABLE (surb_id bytea, message_body bytea) LANGUAGE plpgsql AS 'BEGIN RAISE division_by_zero; END'",
    );
    site.mail.take(ASKS, &Record::Fetch { user: ALICE });
    site.keep(ALICE, 1);
    let deadline = Instant::now() + Duration::from_secs(60);
    while !site.tally.letters.is_away() {
        assert!(Instant::now() < deadline, "nobody notices");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(PAUSE * 3).await;
    site.postgres().load(include_str!("../../../../deploy/sql/schema.sql"));
    assert_eq!(site.given().await, [1]);
    assert_eq!(site.count(LetterOutcome::Kept), 1);
}

/// Killed while letters come: what was written is there, what was not waits and is written when it is back.
#[tokio::test]
async fn no_letter_is_lost_with_the_database_away() {
    let Some(mut site) = Site::new().await else { return };
    (1..=50).for_each(|number| site.keep(ALICE, number));
    site.settle().await;
    assert_eq!(site.count(LetterOutcome::Kept), 50);
    site.postgres().kill();
    // A flood for names that are nobody's takes no room from others.
    let large = vec![0; 1 << 20];
    for number in 0..u8::try_from(STRANGERS_BYTES_MAX >> 20).expect("few") + 100 {
        site.mail.take(ASKS, &Record::Keep { user: BOB, surb_id: [number; 16], payload: &large });
    }
    assert_eq!(site.count(LetterOutcome::Overflowed), 100);
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
    site.postgres().run();
    while site.tally.letters.is_away() || site.count(LetterOutcome::Kept) < 63 {
        assert!(Instant::now() < deadline + Duration::from_secs(30), "{}", site.count(LetterOutcome::Kept));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(site.fetched().await, (2..=63).collect::<Vec<_>>());
}

/// With the users away and the letters at hand: letters for who is known are written all the same, others wait until
/// somebody can say whose they are.
#[tokio::test]
async fn users_that_are_away_keep_no_letters_from_who_is_known() {
    let Some(mut site) = Site::of_both().await else { return };
    site.users.change(Change::Add(BOB, b"key".into())).await.expect("it is there");
    site.keep(ALICE, 1);
    site.settle().await;
    site.postgres().kill();
    site.keep(BOB, 2);
    site.keep(UserId([3; 32]), 3);
    assert_eq!(site.tally.letters.waiting_bytes(), 200);
    site.keep(ALICE, 4);
    let deadline = Instant::now() + Duration::from_secs(60);
    while site.count(LetterOutcome::Kept) < 2 {
        assert!(Instant::now() < deadline, "{}", site.count(LetterOutcome::Kept));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(!site.tally.letters.is_away());
    assert_eq!(site.tally.letters.waiting_bytes(), 200);
    site.postgres().run();
    site.settle().await;
    assert_eq!((site.count(LetterOutcome::Kept), site.count(LetterOutcome::UnknownUser)), (3, 1));
}

/// The disk of the database is full under load: that is told, letters wait, and all of them are there when there is room.
#[tokio::test]
async fn no_letter_is_lost_on_a_full_disk() {
    let Some(postgres) = Postgres::start() else { return };
    let Some(disk) = testhost::disk::SmallDisk::mount(8 << 20) else { return };
    postgres.move_to(&disk);
    postgres.load(include_str!("../../../../deploy/sql/schema.sql"));
    let limits = Limits { letter_bytes: 6000, bytes_max: 1 << 30, ..limits() };
    let store = Sql::open(&DataSource::new(postgres.source()), Some(limits), &Log::silent()).expect("a source");
    let mut site = Site::with(Some(postgres), None, Store::Sql(store.clone()), LetterStore::Sql(store)).await;
    let mut users = vec![ALICE];
    for number in 10..14 {
        users.push(UserId([number; 32]));
        site.users.change(Change::Add(UserId([number; 32]), b"key".into())).await.expect("there is room");
    }
    // What could be compressed would take less room than it looks.
    let mut state = 1_u64;
    let mut payload = vec![0_u8; 6000];
    let mut sent = 0;
    for number in 0..500_u32 {
        for user in &users {
            payload.iter_mut().for_each(|byte| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                *byte = (state >> 56) as u8;
            });
            let mut surb_id = [0; 16];
            surb_id[..4].copy_from_slice(&number.to_le_bytes());
            site.mail.take(ASKS, &Record::Keep { user: *user, surb_id, payload: &payload });
            sent += 1;
        }
        tokio::task::yield_now().await;
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    while !site.tally.letters.is_away() {
        assert!(Instant::now() < deadline, "nobody notices");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // What was said to be kept is there, and can be had.
    let kept = site.count(LetterOutcome::Kept);
    assert!(kept < sent && site.tally.letters.waiting_bytes() > 0);
    assert_eq!(site.postgres().query("SELECT count(*) FROM spool"), kept.to_string());
    disk.resize(64 << 20);
    site.settle().await;
    assert!(!site.tally.letters.is_away());
    assert_eq!((site.count(LetterOutcome::Kept), site.tally.letters.waiting_bytes()), (sent, 0));
    let distinct = "SELECT count(DISTINCT (user_id, surb_id)) FROM spool WHERE octet_length(message_body) = 6000";
    assert_eq!(site.postgres().query(distinct), sent.to_string());
    // It is ended before its disk goes.
    site.writer.abort();
    site.postgres = None;
}
