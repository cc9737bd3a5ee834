//! Against a program over a real socket.

use super::*;
use std::sync::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A program that knows one user, or answers one thing to everybody; and what it was asked.
async fn program(answer: Option<&'static str>) -> (Program, Arc<Mutex<Vec<String>>>) {
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
            let body = match answer {
                Some(answer) => answer.into(),
                None => known(&text),
            };
            seen.lock().unwrap().push(text);
            let _gone = stream.write_all(body.as_bytes()).await;
        }
    });
    (Program::new(&ExternUrl { authority, path: "/users".into() }), asked)
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
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", Some("is no JSON")),
        (&*long.leak(), Some("http://")),
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
