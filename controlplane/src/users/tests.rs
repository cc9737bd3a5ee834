//! Questions and orders against a real file.

use super::*;
use config::server::UserStore;

const ALICE: UserId = UserId([1; 32]);
const BOB: UserId = UserId([2; 32]);
const CAROL: UserId = UserId([3; 32]);

fn open(path: &std::path::Path, trusts_on_first_use: bool, admits_ephemeral: bool) -> Users {
    let store = UserStore::Embedded(path.into());
    let config = config::server::Users { store, trusts_on_first_use, admits_ephemeral };
    Users::open(&config, false, &Log::silent()).expect("a store")
}

#[tokio::test]
async fn registered_clients_and_strangers_get_their_verdicts() {
    for (trusts, ephemeral, of_strangers) in [
        (false, false, [Verdict::Refused, Verdict::Refused]),
        (true, false, [Verdict::OnTrust, Verdict::Registered]),
        (false, true, [Verdict::Ephemeral, Verdict::Ephemeral]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let users = open(&folder.path().join("users.db"), trusts, ephemeral);
        let add = Order::Change(Change::Add(ALICE, b"alice's".into()));
        assert_eq!(users.obey(add.clone()).await.unwrap(), orders::Answer::Done);
        assert_eq!(users.obey(add).await.unwrap(), orders::Answer::Refused);
        for has_proven in [false, true] {
            assert_eq!(users.judge(ALICE, b"alice's", has_proven).await, Verdict::Registered);
            assert_eq!(users.judge(ALICE, b"another", has_proven).await, Verdict::Refused);
            assert_eq!(users.judge(BOB, b"bob's", has_proven).await, of_strangers[usize::from(has_proven)]);
        }
        // Who was trusted is registered, and nobody else is under that name.
        let of_another = users.judge(BOB, b"another", true).await;
        assert_eq!(of_another, if ephemeral { Verdict::Ephemeral } else { Verdict::Refused });
        let link = users.obey(Order::Link(BOB)).await.unwrap();
        assert_eq!(link, if trusts { orders::Answer::Key(b"bob's".into()) } else { orders::Answer::Refused });
        assert_eq!(users.obey(Order::Change(Change::Remove(ALICE))).await.unwrap(), orders::Answer::Done);
        assert_ne!(users.judge(ALICE, b"alice's", false).await, Verdict::Registered);
        assert!(!users.tally().is_away());
    }
}

/// Whoever was let in is let in while the database is away; nobody learns anything about others. A file under another
/// one's feet is what takes it away here.
#[tokio::test]
async fn a_database_that_is_away_is_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let users = open(&folder.path().join("users.db"), true, false);
    for (user, key) in [(ALICE, b"alice's".as_slice()), (BOB, b"bob's")] {
        users.obey(Order::Change(Change::Add(user, key.into()))).await.unwrap();
    }
    assert_eq!(users.judge(ALICE, b"alice's", false).await, Verdict::Registered);
    let away = Users { store: Store::Embedded(Embedded::ended()), ..users.clone() };
    assert_eq!(away.judge(ALICE, b"alice's", false).await, Verdict::Registered);
    assert_eq!(away.judge(ALICE, b"another", false).await, Verdict::Unknown);
    assert_eq!(away.judge(BOB, b"bob's", false).await, Verdict::Unknown);
    assert_eq!(away.judge(CAROL, b"carol's", true).await, Verdict::Unknown);
    // Now that it is known to be away nobody waits who is remembered.
    assert_eq!(away.judge(ALICE, b"alice's", true).await, Verdict::Registered);
    assert!(away.tally().is_away());
    assert_eq!((away.tally().get(Outcome::Remembered), away.tally().get(Outcome::Away)), (2, 3));
    assert!(away.obey(Order::Link(ALICE)).await.is_err());
    assert_eq!(users.judge(BOB, b"bob's", false).await, Verdict::Registered);
    assert!(!users.tally().is_away());
}

/// Figures of bench/RESULTS.md: answers a second about registered clients, and names written down a second, with so many
/// clients at once.
#[tokio::test]
#[ignore = "takes its time, and tells of this host"]
async fn figures() {
    const CLIENTS: u32 = 256;
    const ROUNDS: u32 = 200;
    let folder = tempfile::tempdir().unwrap();
    let mut measured = vec![("redb", open(&folder.path().join("users.db"), true, false))];
    let postgres = testhost::postgres::Postgres::start();
    if let Some(postgres) = &postgres {
        postgres.load(include_str!("../../../deploy/sql/schema.sql"));
        let store = UserStore::Sql(config::server::DataSource::new(postgres.source()));
        let config = config::server::Users { store, trusts_on_first_use: true, admits_ephemeral: false };
        let users = Users::open(&config, false, &Log::silent()).unwrap();
        // Until all connections are there.
        while users.obey(Order::Change(Change::Add(CAROL, vec![7; 1216]))).await.is_err()
            || users.judge(CAROL, b"carol's", false).await == Verdict::Unknown
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        measured.push(("PostgreSQL", users));
    }
    for (name, users) in measured {
        for (what, rounds, expected) in
            [("written down", 4, Verdict::Registered), ("answers", ROUNDS, Verdict::Registered)]
        {
            let start = Instant::now();
            let clients = (0..CLIENTS).map(|client| {
                let users = users.clone();
                tokio::spawn(async move {
                    for round in 0..rounds {
                        let mut user = [0; 32];
                        user[..8].copy_from_slice(&u64::from(1 + client * 4 + round % 4).to_le_bytes());
                        // What is too late is asked again, as clients and shards do.
                        while users.judge(UserId(user), &[7; 1216], true).await != expected {}
                    }
                })
            });
            for client in clients.collect::<Vec<_>>() {
                client.await.unwrap();
            }
            let rate = f64::from(CLIENTS * rounds) / start.elapsed().as_secs_f64();
            println!("{name}: {rate:.0} {what} a second");
        }
    }
}
