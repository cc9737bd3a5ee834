//! Against a real PostgreSQL.

use super::*;
use crate::logging::Log;
use crate::users::change::Change;
use crate::users::letters::Limits;
use config::server::DataSource;
use std::time::{Duration, Instant};
use testhost::postgres::Postgres;

const SCHEMA: &str = include_str!("../../../../deploy/sql/schema.sql");
const ALICE: UserId = UserId([1; 32]);
const BOB: UserId = UserId([2; 32]);
const LETTER_BYTES: usize = 100;

/// With room for so many letters, for so long. Alice and Bob are registered.
async fn store(postgres: &Postgres, letters_max: u64, age_max: Duration) -> Sql {
    let limits = Limits {
        letter_bytes: LETTER_BYTES,
        bytes_max: letters_max * LETTER_BYTES as u64,
        age_max,
        sweep_every: Limits::SWEEP_EVERY,
    };
    let store = Sql::open(&DataSource::new(postgres.source()), Some(limits), &Log::silent()).expect("a source");
    for user in [ALICE, BOB] {
        while store.change(Change::Add(user, b"key".into())).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    while store.for_mail().is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    store
}

const AGES: Duration = Duration::from_secs(1 << 30);

fn letters(user: UserId, numbers: impl Iterator<Item = u8>) -> Batch {
    let letter = |number| ((user, [number; 16]), vec![number; LETTER_BYTES]);
    Batch { keeps: numbers.map(letter).collect(), ..Batch::default() }
}

async fn held(store: &Sql, user: UserId) -> Vec<u8> {
    store.fetch_letters(user).await.expect("it answers").iter().map(|((_, surb_id), _)| surb_id[0]).collect()
}

#[tokio::test]
async fn letters_are_kept_up_to_a_limit_that_whoever_has_most_pays_for() {
    let Some(postgres) = Postgres::start() else { return };
    // Loading it again is no mistake.
    postgres.load(SCHEMA);
    postgres.load(SCHEMA);
    let store = store(&postgres, 32, AGES).await;
    let written = store.write_letters(&letters(ALICE, 0..40)).await.expect("it answers");
    let kept = |written: &Written, what| written.kept.iter().filter(|kept| **kept == what).count();
    assert_eq!((kept(&written, Kept::Yes), kept(&written, Kept::StoreFull)), (32, 8));
    let written = store.write_letters(&letters(BOB, 0..2)).await.expect("it answers");
    assert_eq!(kept(&written, Kept::StoreFull), 2);
    // A minute later there is room for somebody with few letters, in another gateway's hands, too.
    let swept = store.sweep_letters().await.expect("it answers");
    assert_eq!((swept.displaced, swept.bytes), (4, 28 * LETTER_BYTES as u64));
    assert_eq!(held(&store, ALICE).await, (0..28).collect::<Vec<_>>());
    let written = store.write_letters(&letters(BOB, 0..3)).await.expect("it answers");
    assert_eq!(kept(&written, Kept::Yes), 3);
    let swept = store.sweep_letters().await.expect("it answers");
    assert_eq!((swept.displaced, swept.expired), (3, 0));
    assert_eq!((held(&store, ALICE).await.len(), held(&store, BOB).await), (25, vec![0, 1, 2]));
    // Where nobody has more than one there is nothing to remove.
    assert_eq!(postgres.query("SELECT displaced FROM spool_sweep(1, 1000)"), "26");
    assert_eq!(postgres.query("SELECT count(*) FROM spool"), "2");
    assert_eq!(postgres.query("SELECT displaced FROM spool_sweep(1, 1000)"), "0");
}

/// More than go at once: each time some of them, the newest of whoever has most.
#[tokio::test]
async fn a_flood_is_removed_part_by_part() {
    let Some(postgres) = Postgres::start() else { return };
    postgres.load(SCHEMA);
    let store = store(&postgres, 32, AGES).await;
    postgres.query(
        "INSERT INTO spool (user_id, surb_id, message_body) SELECT user_id, decode(lpad(to_hex(number), 32, '0'), 'hex'), \
         repeat('a', 100)::bytea FROM users, generate_series(1, 12000) AS number",
    );
    let mut displaced = Vec::new();
    loop {
        let swept = store.sweep_letters().await.expect("it answers");
        displaced.push(swept.displaced);
        assert!(displaced.len() < 5, "{displaced:?}");
        if !swept.has_more {
            assert_eq!(swept.bytes, 28 * LETTER_BYTES as u64);
            break;
        }
    }
    assert_eq!(displaced, [SWEPT_MAX as u64, SWEPT_MAX as u64, 24_000 - 28 - 2 * SWEPT_MAX as u64]);
    assert_eq!((held(&store, ALICE).await.len(), held(&store, BOB).await.len()), (14, 14));
}

#[tokio::test]
async fn old_letters_are_removed() {
    let Some(postgres) = Postgres::start() else { return };
    postgres.load(SCHEMA);
    let store = store(&postgres, 1000, Duration::from_secs(3600)).await;
    store.write_letters(&letters(ALICE, 0..5)).await.expect("it answers");
    store.write_letters(&letters(BOB, 5..9)).await.expect("it answers");
    postgres.query("UPDATE spool SET kept_at = kept_at - interval '61 minutes' WHERE get_byte(surb_id, 0) < 3");
    postgres.query("UPDATE spool SET kept_at = kept_at - interval '59 minutes' WHERE get_byte(surb_id, 0) = 3");
    let swept = store.sweep_letters().await.expect("it answers");
    assert_eq!((swept.expired, swept.displaced, swept.has_more), (3, 0, false));
    assert_eq!((held(&store, ALICE).await, held(&store, BOB).await.len()), (vec![3, 4], 4));
}

/// What others write into the table is no letter, and hides none.
#[tokio::test]
async fn letters_of_another_size_hide_no_others() {
    let Some(postgres) = Postgres::start() else { return };
    postgres.load(SCHEMA);
    let store = store(&postgres, 1000, AGES).await;
    for (surb_id, body) in [("'x'", "'short'"), ("NULL", "repeat('a', 100)::bytea"), ("repeat('b', 16)::bytea", "'c'")]
    {
        let user = "(SELECT user_id FROM users WHERE user_name = repeat(chr(1), 32)::bytea)";
        postgres.query(&format!(
            "INSERT INTO spool (user_id, surb_id, message_body) SELECT {user}, {surb_id}, {body} FROM generate_series(1, 50)"
        ));
    }
    store.write_letters(&letters(ALICE, 0..2)).await.expect("it answers");
    assert_eq!(held(&store, ALICE).await, [0, 1]);
}

/// With a schema from before mail was swept: users come in, and what is wrong with their mail is told until the schema is
/// loaded again.
#[tokio::test]
async fn an_older_schema_keeps_no_users_out() {
    let Some(postgres) = Postgres::start() else { return };
    postgres.load(SCHEMA);
    postgres.query("ALTER TABLE spool DROP COLUMN kept_at");
    for function in ["take(bytea, integer, integer)", "expire(bigint, integer)", "sweep(bigint, integer)"] {
        postgres.query(&format!("DROP FUNCTION spool_{function}"));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("log");
    let log = Log::to_file(crate::logging::Level::Notice, &path).expect("a log");
    let limits = Limits { letter_bytes: LETTER_BYTES, bytes_max: 1 << 20, age_max: AGES, sweep_every: AGES };
    let store = Sql::open(&DataSource::new(postgres.source()), Some(limits), &log).expect("a source");
    let deadline = Instant::now() + Duration::from_secs(60);
    let wait = async |what: &str| {
        while !std::fs::read_to_string(&path).unwrap_or_default().contains(what) {
            assert!(Instant::now() < deadline, "{what}: {:?}", std::fs::read_to_string(&path));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    wait("connected to PostgreSQL\n").await;
    wait("cannot keep mail: PostgreSQL: the database has no schema, or an older one; load the output").await;
    while store.change(Change::Add(ALICE, b"key".into())).await.is_err() {
        assert!(Instant::now() < deadline, "it has no users");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(store.link_key(ALICE).await.expect("it answers"), Some(b"key".to_vec()));
    assert!(store.write_letters(&letters(ALICE, 0..2)).await.is_err());
    postgres.load(SCHEMA);
    wait("connected to PostgreSQL, for mail").await;
    store.write_letters(&letters(ALICE, 0..2)).await.expect("it answers");
    assert_eq!(held(&store, ALICE).await, [0, 1]);
}

/// A table of an earlier version of the script has no times: it gets them.
#[tokio::test]
async fn an_older_schema_is_brought_up_to_date() {
    let Some(postgres) = Postgres::start() else { return };
    postgres.load(SCHEMA);
    postgres.query("ALTER TABLE spool DROP COLUMN kept_at");
    postgres.query("INSERT INTO users (user_name, authentication_key) VALUES ('carol', 'key')");
    postgres.query("INSERT INTO spool (user_id, message_body) SELECT user_id, 'old' FROM users");
    postgres.load(SCHEMA);
    let store = store(&postgres, 1000, Duration::from_secs(3600)).await;
    store.write_letters(&letters(ALICE, 0..2)).await.expect("it answers");
    assert_eq!(store.sweep_letters().await.expect("it answers").expired, 0);
    assert_eq!(postgres.query("SELECT count(*) FROM spool WHERE kept_at > now() - interval '1 hour'"), "3");
    assert_eq!(postgres.query("SELECT count(*) FROM metadata"), "1");
}
