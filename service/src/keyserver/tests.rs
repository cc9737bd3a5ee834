use super::*;

fn ask(payload: &[u8]) -> String {
    let list = KeyList::parse("# users\nalice  0123abcd\n\n\tbob\tQUJD\n").expect("a list");
    assert_eq!(list.count(), 2);
    String::from_utf8(answer(payload, &list)).expect("JSON is text")
}

#[test]
fn a_key_is_found_by_its_user() {
    let padded = [br#"{"Version":0,"User":"alice"}"#.as_slice(), &[0; 100]].concat();
    let found = r#"{"PublicKey":"0123abcd","StatusCode":0,"User":"alice","Version":0}"#;
    assert_eq!(ask(&padded), found);
    assert_eq!(ask(br#"{"User":"alice"}"#), found);
    assert_eq!(
        ask(br#"{"Version":0,"User":"bob"}"#),
        r#"{"PublicKey":"QUJD","StatusCode":0,"User":"bob","Version":0}"#
    );
    let none = r#"{"PublicKey":"","StatusCode":2,"User":"carol","Version":0}"#;
    assert_eq!(ask(br#"{"Version":0,"User":"carol"}"#), none);
    // Names are taken as they are.
    assert!(ask(br#"{"User":"Alice"}"#).contains(r#""StatusCode":2"#));
    // What a name holds cannot break out of the reply.
    assert_eq!(ask(br#"{"User":"\"}\u0000"}"#), r#"{"PublicKey":"","StatusCode":2,"User":"\"}\u0000","Version":0}"#);
}

#[test]
fn what_is_no_request_is_a_syntax_error() {
    let error = r#"{"PublicKey":"","StatusCode":1,"User":"","Version":0}"#;
    let deep = b"[".repeat(100_000);
    for payload in [
        &b""[..],
        &[0; 50],
        b"alice",
        br#"{"Version":1,"User":"alice"}"#,
        br#"{"Version":0,"User":"alice","More":1}"#,
        br#"{"User":1}"#,
        br#"{"User":"alice""#,
        b"\xff\xfe",
        &deep,
    ] {
        assert_eq!(ask(payload), error);
    }
}

#[test]
fn lists_that_are_none_say_where() {
    for (text, line, problem) in [
        ("alice", 1, "white space"),
        ("alice 1\nbob 1 2", 2, "white space"),
        ("alice 1\n\nalice 2", 3, "second time"),
        (&format!("{} 1", "x".repeat(33)), 1, "32 bytes"),
    ] {
        let error = KeyList::parse(text).expect_err("no list");
        assert!(error.line == line && error.problem.contains(problem), "{error}");
    }
    assert_eq!(KeyList::parse("").expect("an empty list").count(), 0);
}
