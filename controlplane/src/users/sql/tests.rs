//! Against a real PostgreSQL.

use super::*;
use crate::users::{Order, Users, orders};
use config::server::UserStore;
use gateway::Verdict;
use std::sync::atomic::AtomicBool;
use std::time::Instant;
use testhost::postgres::Postgres;

const SCHEMA: &str = include_str!("../../../../deploy/sql/schema.sql");
/// An authority that has signed nothing.
const OTHER_AUTHORITY: &str = "\
    -----BEGIN CERTIFICATE-----\n\
    MIIBfDCCASGgAwIBAgIUPp0IEIlT6xodxuDexQhkbY8ZvAEwCgYIKoZIzj0EAwIw\n\
    EjEQMA4GA1UEAwwHYW5vdGhlcjAgFw0yNjExMzAyMDM5NDBaGA8yMTI2MTEwNjIw\n\
    Mzk0MFowEjEQMA4GA1UEAwwHYW5vdGhlcjBZMBMGByqGSM49AgEGCCqGSM49AwEH\n\
    A0IABMP1nBTKFzt/TJ4E6c9kWWTxhHHzrJEgf3Q4HEA1Vqrc0gU8Xwr+et9TQmDR\n\
    yECAAtdC8CzdPb+PM0JNYQBkvHajUzBRMB0GA1UdDgQWBBTRcHdh3HHz5vgG7BNq\n\
    mPDGgCnbYTAfBgNVHSMEGDAWgBTRcHdh3HHz5vgG7BNqmPDGgCnbYTAPBgNVHRMB\n\
    Af8EBTADAQH/MAoGCCqGSM49BAMCA0kAMEYCIQDqwqLzYEXs/CSHSoZEdooijM1U\n\
    K4N4O94qKgKHa+ZN+QIhALS8KvNdtR05/bvZKABvXDXqYlUS++QHhhF1r8PppKyq\n\
    -----END CERTIFICATE-----\n";
const ALICE: UserId = UserId([1; 32]);

fn bob() -> UserId {
    UserId::of(b"bob")
}

/// One with the schema.
fn postgres() -> Option<Postgres> {
    let postgres = Postgres::start()?;
    postgres.load(SCHEMA);
    Some(postgres)
}

fn users_of(source: &str, trusts_on_first_use: bool) -> Users {
    let store = UserStore::Sql(DataSource::new(source.into()));
    let config = config::server::Users { store, trusts_on_first_use, admits_ephemeral: false };
    Users::open(&config, None, &Log::silent()).expect("a source that can be read")
}

/// Until an answer is there: the connection is made, or made again, beside everything else.
async fn judged(users: &Users, user: UserId, link_key: &[u8], wanted: Verdict) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let verdict = users.judge(user, link_key, true).await;
        if verdict == wanted {
            return;
        }
        assert!(Instant::now() < deadline, "{verdict:?}, not {wanted:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn change(change: Change) -> Order {
    Order::Change(change)
}

#[tokio::test]
async fn users_are_added_changed_and_removed_by_its_functions() {
    let Some(postgres) = postgres() else { return };
    let users = users_of(&postgres.source(), false);
    judged(&users, ALICE, b"alice's", Verdict::Refused).await;
    for (order, expected) in [
        (change(Change::Update(ALICE, b"x".into())), orders::Answer::Refused),
        (change(Change::SetIdentity(ALICE, Some(b"x".into()))), orders::Answer::Refused),
        (change(Change::Remove(ALICE)), orders::Answer::Refused),
        (Order::Link(ALICE), orders::Answer::Refused),
        (Order::Identity(ALICE), orders::Answer::Refused),
        (change(Change::Add(ALICE, b"old".into())), orders::Answer::Done),
        (change(Change::Add(ALICE, b"new".into())), orders::Answer::Refused),
        (change(Change::Update(ALICE, b"alice's".into())), orders::Answer::Done),
        (Order::Link(ALICE), orders::Answer::Key(b"alice's".into())),
        (Order::Identity(ALICE), orders::Answer::Refused),
        (change(Change::SetIdentity(ALICE, Some(b"identity".into()))), orders::Answer::Done),
        (Order::Identity(ALICE), orders::Answer::Key(b"identity".into())),
        (change(Change::SetIdentity(ALICE, None)), orders::Answer::Done),
        (Order::Identity(ALICE), orders::Answer::Refused),
        (change(Change::Add(bob(), b"bob's".into())), orders::Answer::Done),
        (change(Change::Remove(bob())), orders::Answer::Done),
        (change(Change::Remove(bob())), orders::Answer::Refused),
        (change(Change::Add(bob(), b"bob's".into())), orders::Answer::Done),
    ] {
        assert_eq!(users.obey(order.clone()).await.expect("it is there"), expected, "{order:?}");
    }
    assert_eq!(users.judge(ALICE, b"alice's", false).await, Verdict::Registered);
    assert_eq!(users.judge(ALICE, b"old", false).await, Verdict::Refused);
    // Names are there without the zeros behind them, as other programs write them.
    assert_eq!(postgres.query("SELECT user_id > 0 FROM users WHERE user_name = 'bob'"), "t");
}

/// Does what blocks beside the test.
async fn beside(mut postgres: Postgres, act: impl FnOnce(&mut Postgres) + Send + 'static) -> Postgres {
    let act = move || {
        act(&mut postgres);
        postgres
    };
    tokio::task::spawn_blocking(act).await.expect("it does")
}

/// Two gateways have one database: what one writes the other one knows, and a name is trusted with one key only.
#[tokio::test]
async fn several_gateways_have_the_same_users() {
    let Some(postgres) = postgres() else { return };
    let gateways = [(); 2].map(|()| users_of(&postgres.source(), true));
    judged(&gateways[0], ALICE, b"alice's", Verdict::Registered).await;
    judged(&gateways[1], ALICE, b"alice's", Verdict::Registered).await;
    assert_eq!(gateways[1].judge(ALICE, b"another", true).await, Verdict::Refused);
    for number in 0..20 {
        let name = UserId([100 + number; 32]);
        let (one, other) = tokio::join!(gateways[0].judge(name, b"one", true), gateways[1].judge(name, b"other", true));
        let mut verdicts = [one, other];
        verdicts.sort_by_key(|verdict| *verdict as u8);
        assert_eq!(verdicts, [Verdict::Refused, Verdict::Registered]);
    }
    // A client without a name is nobody, and that is no fault of the database.
    assert_eq!(gateways[0].judge(UserId([0; 32]), b"key", true).await, Verdict::Refused);
    assert!(!gateways[0].tally().is_away());
    assert_eq!(postgres.query("SELECT count(*) FROM users"), "21");
    assert_eq!(gateways[0].obey(change(Change::Remove(ALICE))).await.expect("it is there"), orders::Answer::Done);
    judged(&gateways[1], ALICE, b"another", Verdict::Registered).await;
}

/// Killed and started again under load: whoever was let in is let in all the time, others are once it is back, what it
/// has said to be written is there, and no answer takes long.
#[tokio::test]
async fn a_database_that_is_killed_comes_back() {
    let Some(postgres) = postgres() else { return };
    let users = users_of(&postgres.source(), false);
    judged(&users, ALICE, b"alice's", Verdict::Refused).await;
    users.obey(change(Change::Add(ALICE, b"alice's".into()))).await.expect("it is there");
    assert_eq!(users.judge(ALICE, b"alice's", false).await, Verdict::Registered);
    let is_over = Arc::new(AtomicBool::new(false));
    // The load: names are added and asked for all the time.
    let load = tokio::spawn({
        let (users, is_over) = (users.clone(), is_over.clone());
        async move {
            let (mut acknowledged, mut longest) = (Vec::new(), Duration::ZERO);
            for number in 0..u32::MAX {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                let mut name = [9; 32];
                name[..4].copy_from_slice(&number.to_le_bytes());
                let start = Instant::now();
                if users.obey(change(Change::Add(UserId(name), b"key".into()))).await.is_ok() {
                    acknowledged.push(UserId(name));
                }
                assert_eq!(users.judge(ALICE, b"alice's", false).await, Verdict::Registered);
                longest = longest.max(start.elapsed());
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            (acknowledged, longest)
        }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let postgres = beside(postgres, Postgres::kill).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(users.judge(bob(), b"bob's", false).await, Verdict::Unknown);
    assert!(users.tally().is_away());
    let _postgres = beside(postgres, Postgres::run).await;
    judged(&users, bob(), b"bob's", Verdict::Refused).await;
    is_over.store(true, Ordering::Relaxed);
    let (acknowledged, longest) = load.await.expect("the load ends");
    assert!(!users.tally().is_away() && acknowledged.len() > 10);
    for name in &acknowledged {
        assert_eq!(users.judge(*name, b"key", false).await, Verdict::Registered, "what was acknowledged is there");
    }
    println!("{} names acknowledged, longest pair of answers {longest:?}", acknowledged.len());
    // Twice the limit of one answer, on a machine that has other things to do.
    assert!(longest < Duration::from_secs(10), "{longest:?}");
}

/// One that stands still is away, and is there again when it goes on.
#[tokio::test]
async fn a_database_that_says_nothing_is_away() {
    let Some(postgres) = postgres() else { return };
    let users = users_of(&postgres.source(), false);
    judged(&users, ALICE, b"alice's", Verdict::Refused).await;
    users.obey(change(Change::Add(ALICE, b"alice's".into()))).await.expect("it is there");
    assert_eq!(users.judge(ALICE, b"alice's", false).await, Verdict::Registered);
    postgres.freeze();
    let (known, unknown) = tokio::join!(users.judge(ALICE, b"alice's", false), users.judge(bob(), b"bob's", false));
    assert_eq!((known, unknown), (Verdict::Registered, Verdict::Unknown));
    assert!(users.obey(Order::Link(ALICE)).await.is_err());
    postgres.thaw();
    judged(&users, bob(), b"bob's", Verdict::Refused).await;
    assert!(!users.tally().is_away());
}

/// Neither a server that refuses the password nor a schema that is not there stops the node, and the log says what to do.
#[tokio::test]
async fn what_is_wrong_with_the_database_is_in_the_log() {
    let Some(postgres) = Postgres::start() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("log");
    let log = Log::to_file(crate::logging::Level::Notice, &path).expect("a log");
    let nowhere = format!("postgresql://gateway:hunter2@127.0.0.1:{}/nowhere", postgres.port());
    let stores =
        [postgres.source(), nowhere].map(|source| Sql::open(&DataSource::new(source), None, &log).expect("it starts"));
    let deadline = Instant::now() + Duration::from_secs(30);
    let said = loop {
        let said = std::fs::read_to_string(&path).unwrap_or_default();
        if said.matches(" ERRO ").count() >= 2 {
            break said;
        }
        assert!(Instant::now() < deadline, "{said}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(said.contains("load the output of `katzensprung sql schema`"), "{said}");
    assert!(said.contains("database \"nowhere\" does not exist (3D000)"), "{said}");
    assert!(!said.contains("hunter2") && !said.contains("secret"), "{said}");
    for store in stores {
        assert!(store.link_key(ALICE).await.is_err());
    }
}

/// TLS as `sslmode` says: whose certificate is not looked at, has to be of an authority, or of the host, too.
#[tokio::test]
async fn tls_is_spoken_as_the_source_says() {
    let Some(postgres) = Postgres::start_with_tls() else { return };
    postgres.load(SCHEMA);
    let (port, authority) = (postgres.port(), postgres.authority());
    let other = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(other.path(), OTHER_AUTHORITY).expect("a file");
    let ours = format!("sslrootcert={}", authority.display());
    let others = format!("sslrootcert={}", other.path().display());
    for (host, mode, root, problem) in [
        ("localhost", "disable", "", None),
        ("localhost", "prefer", "", None),
        ("127.0.0.1", "require", "", None),
        ("localhost", "verify-full", &*ours, None),
        ("127.0.0.1", "verify-ca", &ours, None),
        ("127.0.0.1", "require", &ours, None),
        ("127.0.0.1", "verify-full", &ours, Some("invalid peer certificate")),
        ("localhost", "verify-full", &others, Some("invalid peer certificate")),
        ("localhost", "verify-ca", &others, Some("invalid peer certificate")),
        ("localhost", "require", &others, Some("invalid peer certificate")),
    ] {
        for source in [
            format!("host={host} port={port} user=gateway dbname=postgres sslmode={mode} {root}"),
            format!("postgresql://gateway:secret@{host}:{port}/postgres?sslmode={mode}&{root}"),
        ] {
            let source = Source::read(&source).unwrap_or_else(|error| panic!("{source}: {error}"));
            match (connect(&source, false).await, problem) {
                (Ok((session, _driver)), None) => {
                    let row = session.client.query_one("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", &[]);
                    let is_tls: bool = row.await.expect("an answer").get(0);
                    assert_eq!(is_tls, mode != "disable", "{host} {mode}");
                }
                (Err(error), Some(problem)) => {
                    let error = error.to_string();
                    assert!(error.contains(problem) && error.contains("Gateway.SQLDB"), "{error}");
                    assert!(!error.contains("secret"), "{error}");
                }
                (connected, _) => panic!("{host} {mode} {root}: {:?}", connected.err()),
            }
        }
    }
    // The whole way.
    let source = format!("postgresql://gateway@localhost:{port}/postgres?sslmode=verify-full&{ours}");
    let users = users_of(&source, true);
    judged(&users, ALICE, b"alice's", Verdict::Registered).await;
    let deadline = Instant::now() + Duration::from_secs(30);
    while postgres.query("SELECT count(*) FROM pg_stat_ssl WHERE ssl AND pid <> pg_backend_pid()") != "5" {
        assert!(Instant::now() < deadline, "not all connections have it");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A socket of this host has no name that TLS could ask for, whether the server speaks it elsewhere or not.
#[tokio::test]
async fn a_socket_of_this_host_needs_no_tls() {
    let Some(postgres) = Postgres::start_with_tls() else { return };
    postgres.load(SCHEMA);
    let (folder, port) = (postgres.sockets(), postgres.port());
    let escaped = folder.display().to_string().replace('/', "%2F");
    for source in [
        format!("host={} port={port} user=gateway dbname=postgres", folder.display()),
        format!("host={} port={port} user=gateway dbname=postgres sslmode=prefer", folder.display()),
        format!("postgresql://gateway@{escaped}:{port}/postgres?sslmode=disable"),
    ] {
        let users = users_of(&source, true);
        judged(&users, ALICE, b"alice's", Verdict::Registered).await;
    }
}

/// A server without TLS is told so where that is asked for.
#[tokio::test]
async fn a_server_without_tls_is_no_server_that_has_it() {
    let Some(postgres) = postgres() else { return };
    let source = format!("host=localhost port={} user=gateway dbname=postgres", postgres.port());
    let read = |source: &str| Source::read(source).unwrap_or_else(|error| panic!("{error}"));
    assert!(connect(&read(&source), false).await.is_ok());
    let error = connect(&read(&format!("{source} sslmode=require")), false).await.err().expect("it has none");
    assert!(error.to_string().contains("TLS"), "{error}");
}

/// A disk that is full is told for what is written, costs nothing that was acknowledged, and is over when there is room.
#[tokio::test]
async fn a_full_tablespace_is_no_absence() {
    let Some(postgres) = Postgres::start() else { return };
    let Some(disk) = testhost::disk::SmallDisk::mount(2 << 20) else { return };
    postgres.move_to(&disk);
    postgres.load(SCHEMA);
    let users = users_of(&postgres.source(), true);
    judged(&users, ALICE, b"alice's", Verdict::Registered).await;
    let mut added = Vec::new();
    let failed = loop {
        let mut name = [9; 32];
        name[..4].copy_from_slice(&(added.len() as u32).to_le_bytes());
        match users.obey(change(Change::Add(UserId(name), vec![7; 1216]))).await {
            Ok(answer) => assert_eq!(answer, orders::Answer::Done),
            Err(error) => break error.to_string(),
        }
        added.push(UserId(name));
        assert!(added.len() < 10_000, "the disk does not fill");
    };
    assert!(failed.contains("No space left on device (53100)"), "{failed}");
    let tally = users.tally();
    assert!(!tally.is_away() && tally.is_unwilling(Instant::now()));
    for name in &added {
        assert_eq!(users.judge(*name, &[7; 1216], false).await, Verdict::Registered);
    }
    disk.resize(64 << 20);
    let mut name = [9; 32];
    name[..4].copy_from_slice(&(added.len() as u32).to_le_bytes());
    let again = users.obey(change(Change::Add(UserId(name), vec![7; 1216]))).await.expect("there is room");
    assert_eq!(again, orders::Answer::Done);
    assert!(!tally.is_unwilling(Instant::now()));
    assert_eq!(postgres.query("SELECT count(*) FROM users"), (added.len() + 2).to_string());
    // It is ended before its disk goes.
    drop(postgres);
}
