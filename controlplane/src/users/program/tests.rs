//! Against a program over a real socket.

use super::*;
use crate::logging::{Level, Log};
use crate::users::change::Change;
use crate::users::{Order, Outcome, Users};
use config::server::UserStore;
use gateway::Verdict;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// What a program answers to a request.
type Answers = Arc<Mutex<Box<dyn Fn(&str) -> String + Send>>>;

/// A program that answers so, and what it was asked.
async fn serve(answers: Answers) -> (ExternUrl, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let authority = listener.local_addr().expect("an address").to_string();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            let mut chunk = [0; 4096];
            // All of it: the length is in the head.
            while !is_whole(&request) {
                match stream.read(&mut chunk).await {
                    Ok(count) if count > 0 => request.extend_from_slice(&chunk[..count]),
                    _ => break,
                }
            }
            let text = String::from_utf8_lossy(&request).into_owned();
            let body = answers.lock().unwrap()(&text);
            seen.lock().unwrap().push(text);
            let _gone = stream.write_all(body.as_bytes()).await;
        }
    });
    (ExternUrl { authority, path: "/users".into() }, asked)
}

fn answering(answer: impl Fn(&str) -> String + Send + 'static) -> Answers {
    Arc::new(Mutex::new(Box::new(answer)))
}

/// A program that knows one user, or answers one thing to everybody; and what it was asked.
async fn program(answer: Option<&'static str>) -> (Program, Arc<Mutex<Vec<String>>>) {
    let answer = move |request: &str| answer.map_or_else(|| known(request), str::to_owned);
    let (url, asked) = serve(answering(answer)).await;
    (Program::new(&url), asked)
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ").map(str::to_owned));
    length.and_then(|length| length.parse::<usize>().ok()).is_some_and(|length| body.len() >= length)
}

fn ok(json: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{json}", json.len())
}

fn known(request: &str) -> String {
    let is_alice = request.contains("user=alice");
    ok(&if request.contains("/isvalid ") {
        format!("{{\"isvalid\": {}}}", is_alice && request.ends_with("key=0102"))
    } else if request.contains("/exists ") {
        format!("{{\"exists\": {is_alice}}}")
    } else {
        format!("{{\"getidkey\": \"{}\"}}", if is_alice { "0A0b" } else { "" })
    })
}

#[tokio::test]
async fn questions_are_forms_and_answers_are_json() {
    let (program, asked) = program(None).await;
    let (alice, bob) = (UserId::of(b"alice"), UserId::of(b"b&b"));
    assert_eq!(program.find(alice, &[1, 2]).await.unwrap(), Found::ThisKey);
    assert_eq!(program.find(alice, &[1, 3]).await.unwrap(), Found::AnotherKey);
    assert_eq!(program.find(bob, &[1, 2]).await.unwrap(), Found::Nobody);
    assert_eq!(program.identity_key(alice).await.unwrap(), Some(vec![10, 11]));
    assert_eq!(program.identity_key(bob).await.unwrap(), None);
    let asked = asked.lock().unwrap();
    assert!(asked[0].starts_with("POST /users/isvalid HTTP/1.1\r\n"), "{}", asked[0]);
    assert!(asked[0].contains("content-type: application/x-www-form-urlencoded\r\n"), "{}", asked[0]);
    assert!(asked[0].ends_with("\r\n\r\nuser=alice&key=0102"), "{}", asked[0]);
    assert!(asked[3].ends_with("\r\n\r\nuser=b%26b&key=0102") && asked[4].ends_with("user=b%26b"), "{asked:?}");
}

/// Whatever it says: an error, or that the client is not known as a friend.
#[tokio::test]
async fn nonsense_lets_nobody_in() {
    let long = format!("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n{}", " ".repeat(1_000_000));
    for (answer, problem) in [
        ("", Some("connection")),
        ("\0\0\0\0", Some("http://")),
        ("HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n", Some("500")),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", Some("with what is no JSON")),
        (&*long.leak(), Some("with more than 65536 bytes")),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", None),
        ("HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n{\"isvalid\": \"ja\"}", None),
    ] {
        let (program, _) = program(Some(answer)).await;
        let found = program.find(UserId::of(b"alice"), &[1]).await;
        match problem {
            None => assert_eq!(found.unwrap(), Found::AnotherKey, "{}", answer.len()),
            Some(problem) => {
                let error = found.expect_err("nonsense").to_string();
                assert!(error.contains(problem) && error.contains("Gateway.UserDB.Extern"), "{error}");
            }
        }
    }
    let nobody = Program::new(&ExternUrl { authority: "127.0.0.1:1".into(), path: String::new() });
    assert!(nobody.find(UserId::of(b"alice"), &[1]).await.is_err());
}

fn status(code: &str) -> String {
    format!("HTTP/1.1 {code}\r\nContent-Length: 0\r\n\r\n")
}

/// A gateway that asks it and lets nobody else in; its log.
async fn gateway(answers: &Answers, folder: &tempfile::TempDir) -> (Users, Log, std::path::PathBuf) {
    let path = folder.path().join("log");
    let log = Log::to_file(Level::Notice, &path).expect("a log");
    let store = UserStore::Extern(serve(answers.clone()).await.0);
    let config = config::server::Users { store, trusts_on_first_use: false, admits_ephemeral: false };
    (Users::open(&config, None, &log).expect("it opens"), log, path)
}

async fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A name about which it says nothing is that name's misfortune, however often it comes, and hardly fills the log.
/// Several names in a row are the program's, and it is back as soon as it answers, whether anybody comes or not.
#[tokio::test]
async fn one_name_without_an_answer_takes_the_program_from_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let fails = |request: &str| !request.contains("user=alice");
    let answers = answering(move |request| if fails(request) { status("500 Oh") } else { known(request) });
    let (users, log, path) = gateway(&answers, &folder).await;
    let (alice, bob) = (UserId::of(b"alice"), UserId::of(b"bob"));
    for _ in 0..50 {
        assert_eq!(users.judge(bob, &[1, 2], false).await, Verdict::Unknown);
        assert!(!users.tally().is_away());
    }
    assert_eq!(users.judge(alice, &[1, 2], false).await, Verdict::Registered);
    assert_eq!((users.tally().get(Outcome::Unanswered), users.tally().get(Outcome::Away)), (50, 0));
    for name in [&b"bob"[..], b"carol", b"dave"] {
        assert_eq!(users.judge(UserId::of(name), &[1, 2], false).await, Verdict::Unknown);
    }
    assert!(users.tally().is_away());
    *answers.lock().unwrap() = Box::new(known);
    wait_until("it is not back", || !users.tally().is_away()).await;
    assert_eq!(users.judge(bob, &[1, 2], false).await, Verdict::Refused);
    assert!(log.flush(Duration::from_secs(10)));
    let said = std::fs::read_to_string(path).unwrap();
    assert_eq!(said.matches("answers 500").count(), 7, "{said}");
    assert!(said.contains("answers again") && said.lines().count() < 12 && !said.contains("bob"), "{said}");
}

/// Names about which it never says anything do not keep it away.
#[tokio::test]
async fn odd_names_do_not_keep_a_program_away() {
    let folder = tempfile::tempdir().unwrap();
    let fails = |request: &str| !request.contains("user=alice");
    let answers = answering(move |request| if fails(request) { status("500 Oh") } else { known(request) });
    let (users, ..) = gateway(&answers, &folder).await;
    assert_eq!(users.judge(UserId::of(b"alice"), &[1, 2], false).await, Verdict::Registered);
    for name in [&b"bob"[..], b"carol", b"dave"] {
        assert_eq!(users.judge(UserId::of(name), &[1, 2], false).await, Verdict::Unknown);
    }
    assert!(users.tally().is_away());
    wait_until("it is not back", || !users.tally().is_away()).await;
}

/// Nor does an order, which it is not told; what stands before it and says that it is away does.
#[tokio::test]
async fn an_order_takes_nothing_away() {
    let folder = tempfile::tempdir().unwrap();
    let answers = answering(known);
    let (users, ..) = gateway(&answers, &folder).await;
    let alice = UserId::of(b"alice");
    for order in [Order::Change(Change::Add(alice, vec![1, 2])), Order::Link(alice)] {
        let error = users.obey(order).await.expect_err("it is read only").to_string();
        assert!(error.contains("tell it yourself"), "{error}");
    }
    let now = Instant::now();
    assert!(!users.tally().is_away() && !users.tally().is_unwilling(now));
    *answers.lock().unwrap() = Box::new(|_| status("502 Bad Gateway"));
    assert_eq!(users.judge(alice, &[1, 2], false).await, Verdict::Unknown);
    assert!(users.tally().is_away());
    // Nobody comes, and it is known to be back.
    *answers.lock().unwrap() = Box::new(known);
    wait_until("it is not back", || !users.tally().is_away()).await;
}
