//! Questions and orders against a real file.

use super::*;
use config::server::UserStore;

const ALICE: UserId = UserId([1; 32]);
const BOB: UserId = UserId([2; 32]);
const CAROL: UserId = UserId([3; 32]);

fn open(path: &std::path::Path, trusts_on_first_use: bool, admits_ephemeral: bool) -> Users {
    let store = UserStore::Embedded(path.into());
    let config = config::server::Users { store, trusts_on_first_use, admits_ephemeral };
    Users::open(&config, None, &Log::silent()).expect("a store")
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

/// Strangers are told to come again, which is said in the log and counted, and a moment later one may.
#[tokio::test]
async fn trust_has_a_rate_and_no_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let log = Log::to_file(crate::logging::Level::Notice, &path).unwrap();
    let users = Users { log: log.clone(), ..open(&folder.path().join("users.db"), true, false) };
    *lock(&users.trust) = Trust::new(1, Instant::now());
    assert_eq!(users.judge(ALICE, b"alice's", true).await, Verdict::Registered);
    // Who is there takes nothing from it.
    assert_eq!(users.judge(ALICE, b"alice's", true).await, Verdict::Registered);
    let mut refused = 0;
    let deadline = Instant::now() + Duration::from_secs(30);
    while users.judge(BOB, b"bob's", true).await != Verdict::Registered {
        refused += 1;
        assert!(Instant::now() < deadline, "nobody is trusted any more");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(refused > 0);
    assert_eq!(users.tally().get(Outcome::TooMany), refused);
    assert!(log.flush(Duration::from_secs(10)));
    let said = std::fs::read_to_string(path).unwrap();
    assert!(said.contains("more new names come than are trusted on their first use (131072 names at once"), "{said}");
    assert!(said.lines().count() <= 1 + QUOTA.lines as usize, "{said}");
}

/// What cannot be written takes the database away for nobody who asks, and is a metric for as long as it goes on.
#[tokio::test]
async fn a_full_disk_is_no_absence() {
    let Some(disk) = testhost::disk::SmallDisk::mount(2 << 20) else { return };
    let users = open(&disk.path().join("users.db"), true, false);
    assert_eq!(users.judge(ALICE, b"alice's", true).await, Verdict::Registered);
    std::fs::write(disk.path().join("other"), vec![0; 2 << 20]).expect_err("the disk is full");
    let mut added = Vec::new();
    let failed = loop {
        let number = added.len() as u32;
        let mut name = [9; 32];
        name[..4].copy_from_slice(&number.to_le_bytes());
        let order = Order::Change(Change::Add(UserId(name), vec![7; 1216]));
        match users.obey(order).await {
            Ok(answer) => assert_eq!(answer, orders::Answer::Done),
            Err(error) => break error.to_string(),
        }
        added.push(UserId(name));
        assert!(number < 10_000, "the disk does not fill");
    };
    assert!(failed.contains("No space left") && failed.contains("free some space"), "{failed}");
    let tally = users.tally();
    assert!(!tally.is_away() && tally.is_unwilling(Instant::now()));
    assert_eq!(users.judge(BOB, b"bob's", true).await, Verdict::Unknown, "it cannot be written down");
    for _ in 0..3 {
        assert_eq!(users.judge(ALICE, b"alice's", false).await, Verdict::Registered);
    }
    assert!(!tally.is_away());
    disk.resize(16 << 20);
    assert_eq!(users.judge(BOB, b"bob's", true).await, Verdict::Registered);
    assert!(!tally.is_unwilling(Instant::now()));
    for name in added {
        assert_eq!(users.judge(name, &[7; 1216], false).await, Verdict::Registered, "what was acknowledged is there");
    }
    // The file is closed before the disk goes.
    drop(users);
}

/// What is left in the store for a name is not for who has it next, and goes with who had it, too.
#[tokio::test]
async fn a_name_comes_without_letters() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits {
        letter_bytes: 100,
        bytes_max: 1 << 20,
        age_max: Duration::from_secs(3600),
        sweep_every: Limits::SWEEP_EVERY,
    };
    let kept = KeptMail { store: MailStore::Embedded, path: folder.path().join("spool.db"), limits };
    let store = UserStore::Embedded(folder.path().join("users.db"));
    let config = config::server::Users { store, trusts_on_first_use: true, admits_ephemeral: false };
    let users = Users::open(&config, Some(&kept), &Log::silent()).unwrap();
    let mail = users.mail.clone().unwrap();
    let keeps = [ALICE, BOB, CAROL].map(|user| ((user, [1; 16]), vec![1; 100])).to_vec();
    mail.store().write(&Arc::new(letters::Batch { keeps, ..letters::Batch::default() })).await.unwrap();
    let answer = users.obey(Order::Change(Change::Add(ALICE, b"alice's".into()))).await.unwrap();
    assert_eq!(answer, orders::Answer::Done);
    assert_eq!(users.judge(BOB, b"bob's", true).await, Verdict::Registered);
    assert_eq!(users.obey(Order::Change(Change::Remove(CAROL))).await.unwrap(), orders::Answer::Refused);
    let (rings, _fd) = interplane::requests::PluginRings::create(1, 4096).unwrap();
    let answers = Arc::new(Mutex::new(rings.answers(interplane::requests::Bell::new().unwrap())));
    let writer = tokio::spawn(mail.clone().run(users.store.clone(), answers, Log::silent()));
    let deadline = Instant::now() + Duration::from_secs(60);
    for user in [ALICE, BOB, CAROL] {
        while !mail.store().fetch(user).await.unwrap().is_empty() {
            assert!(Instant::now() < deadline, "{user:?} has a letter of somebody else");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    writer.abort();
}

/// A file, and PostgreSQL where there is one, with users and mail.
async fn measured(folder: &std::path::Path) -> (Vec<(&'static str, Users)>, Option<testhost::postgres::Postgres>) {
    let limits = Limits {
        letter_bytes: 2606,
        bytes_max: 1 << 30,
        age_max: Duration::from_secs(3600),
        sweep_every: Limits::SWEEP_EVERY,
    };
    let open = |store, of_mail| {
        let config = config::server::Users { store, trusts_on_first_use: true, admits_ephemeral: false };
        let mail = KeptMail { store: of_mail, path: folder.join("spool.db"), limits };
        Users::open(&config, Some(&mail), &Log::silent()).unwrap()
    };
    let mut measured = vec![("redb", open(UserStore::Embedded(folder.join("users.db")), MailStore::Embedded))];
    let postgres = testhost::postgres::Postgres::start();
    if let Some(postgres) = &postgres {
        postgres.load(include_str!("../../../deploy/sql/schema.sql"));
        let source = config::server::DataSource::new(postgres.source());
        let users = open(UserStore::Sql(source), MailStore::Sql);
        // Until all connections are there.
        while users.obey(Order::Change(Change::Add(CAROL, vec![7; 1216]))).await.is_err()
            || users.judge(CAROL, b"carol's", false).await == Verdict::Unknown
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        measured.push(("PostgreSQL", users));
    }
    (measured, postgres)
}

/// Figures of bench/RESULTS.md: answers a second about registered clients, and names written down a second, with so many
/// clients at once; letters written a second, and given back.
#[tokio::test]
#[ignore = "takes its time, and tells of this host"]
async fn figures() {
    const CLIENTS: u32 = 256;
    const ROUNDS: u32 = 200;
    let folder = tempfile::tempdir().unwrap();
    let (measured, _postgres) = measured(folder.path()).await;
    for (name, users) in measured {
        for (what, rounds, expected) in
            [("written down", 4, Verdict::Registered), ("answers", ROUNDS, Verdict::Registered)]
        {
            let start = Instant::now();
            let clients = (0..CLIENTS).map(|client| {
                let users = users.clone();
                tokio::spawn(async move {
                    for round in 0..rounds {
                        let user = numbered(client * 4 + round % 4);
                        // What is too late is asked again, as clients and shards do.
                        while users.judge(user, &[7; 1216], true).await != expected {}
                    }
                })
            });
            for client in clients.collect::<Vec<_>>() {
                client.await.unwrap();
            }
            let rate = f64::from(CLIENTS * rounds) / start.elapsed().as_secs_f64();
            println!("{name}: {rate:.0} {what} a second");
        }
        figures_of_letters(name, &users).await;
    }
}

fn numbered(number: u32) -> UserId {
    let mut user = [0; 32];
    user[..8].copy_from_slice(&u64::from(1 + number).to_le_bytes());
    UserId(user)
}

/// So many letters for each of some users that are there.
async fn figures_of_letters(name: &str, users: &Users) {
    const USERS: u32 = 64;
    const LETTERS: u32 = 256;
    let mail = users.mail.clone().unwrap();
    let (rings, _fd) = interplane::requests::PluginRings::create(1, 4096).unwrap();
    let answers = Arc::new(Mutex::new(rings.answers(interplane::requests::Bell::new().unwrap())));
    let writer = tokio::spawn(mail.clone().run(users.store.clone(), answers, Log::silent()));
    let asks = interplane::requests::RequestId(1 << 40);
    let letter = |user: u32, number: u32| {
        let mut surb_id = [0; 16];
        surb_id[..4].copy_from_slice(&number.to_le_bytes());
        (numbered(user), surb_id, vec![7; 2606])
    };
    // Who is there is known.
    for user in 0..USERS {
        mail.take(asks, &gateway::archive::Record::Fetch { user: numbered(user) });
    }
    // Alternately, as they come, and no more at once than may wait.
    let start = Instant::now();
    for number in 0..LETTERS {
        for user in 0..USERS {
            let (user, surb_id, payload) = letter(user, number);
            mail.take(asks, &gateway::archive::Record::Keep { user, surb_id, payload: &payload });
        }
        tokio::task::yield_now().await;
    }
    let tally = users.tally();
    while tally.letters.get(LetterOutcome::Kept) < u64::from(USERS * LETTERS) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    println!("{name}: {:.0} letters written a second", f64::from(USERS * LETTERS) / start.elapsed().as_secs_f64());
    let start = Instant::now();
    for _ in 0..LETTERS / 64 {
        for user in 0..USERS {
            assert_eq!(mail.store().fetch(numbered(user)).await.unwrap().len(), 64);
        }
    }
    println!("{name}: {:.0} letters read a second", f64::from(USERS * LETTERS) / start.elapsed().as_secs_f64());
    writer.abort();
}
