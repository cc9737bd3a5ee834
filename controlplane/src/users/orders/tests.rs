use super::*;
use crypto_simd::schemes::kem;

fn x25519() -> &'static dyn Kem {
    kem::by_name("x25519").expect("built in")
}

fn user(text: &str) -> UserId {
    UserId::of(text.as_bytes())
}

#[test]
fn orders_have_a_name_and_a_key_where_they_need_one() {
    let kem = x25519();
    let mut public = vec![9; 32];
    public[31] = 0;
    let texts = [hex::encode(&public), hex::encode_upper(&public), STANDARD.encode(&public)];
    for text in &texts {
        let order = parse("ADD_USER", &format!("alice {text}"), kem);
        assert_eq!(order, Some(Order::Change(Change::Add(user("alice"), public.clone()))));
    }
    let text = &texts[0];
    let change = |change| Some(Order::Change(change));
    for (command, arguments, expected) in [
        ("UPDATE_USER", format!("Alice {text}"), change(Change::Update(user("alice"), public.clone()))),
        ("REMOVE_USER", "alice".into(), change(Change::Remove(user("alice")))),
        ("SET_USER_IDENTITY", "alice 0102".into(), change(Change::SetIdentity(user("alice"), Some(vec![1, 2])))),
        ("SET_USER_IDENTITY", "alice".into(), change(Change::SetIdentity(user("alice"), None))),
        ("REMOVE_USER_IDENTITY", "alice".into(), change(Change::SetIdentity(user("alice"), None))),
        ("USER_IDENTITY", "alice".into(), Some(Order::Identity(user("alice")))),
        ("USER_LINK", format!("0x{}", "07".repeat(32)), Some(Order::Link(UserId([7; 32])))),
        ("ADD_USER", "alice".into(), None),
        ("USER_LINK", format!("0x{}", "00".repeat(32)), None),
        ("ADD_USER", format!("alice  {text}"), None),
        ("ADD_USER", format!("alice {text} more"), None),
        ("ADD_USER", format!("alice {}", &text[2..]), None),
        ("ADD_USER", format!("alice {}", "00".repeat(31)), None),
        ("ADD_USER", format!("alice {}", "zz".repeat(32)), None),
        ("ADD_USER", format!("{} {text}", "a".repeat(33)), None),
        ("ADD_USER", format!(" {text}"), None),
        ("ADD_USER", format!("a\u{7}b {text}"), None),
        ("REMOVE_USER", "alice bob".into(), None),
        ("REMOVE_USER", String::new(), None),
        ("USER_LINK", "alice 00".into(), None),
        ("SET_USER_IDENTITY", format!("alice {}", "00".repeat(IDENTITY_BYTES_MAX + 1)), None),
        ("STATUS", "alice".into(), None),
    ] {
        assert_eq!(parse(command, &arguments, kem), expected, "{command} {arguments}");
    }
}

#[test]
fn names_are_mapped_to_lower_case_as_they_always_were() {
    for (written, expected) in [
        ("Alice", Some("alice")),
        ("ÄLICE", Some("älice")),
        ("+echo", Some("+echo")),
        ("0x07", Some("0x07")),
        ("", None),
        ("a b", None),
        (&"ä".repeat(17), None),
    ] {
        assert_eq!(name(written), expected.map(user), "{written:?}");
    }
}

#[test]
fn keys_are_answered_in_base64() {
    assert_eq!(Answer::of_key(Some(vec![1; 3])), Answer::Key(vec![1; 3]));
    assert_eq!(Answer::of_key(None), Answer::Refused);
    assert_eq!(text(&[1; 3]), "AQEB");
}
