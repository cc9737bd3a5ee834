use super::*;
use crate::plugin::Message;

fn hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..][..2], 16).expect("hex digits")).collect()
}

#[test]
fn requests_have_the_three_fields() {
    let call = Call { id: 7, payload: b"abc", has_surb: true };
    assert_eq!(call.encode(), hex("a362494407675061796c6f6164436162636748617353555242f5"));
    assert_eq!(Call { has_surb: false, ..call }.encode().last(), Some(&0xf4));
}

#[test]
fn answers_are_read_leniently() {
    let payload = "675061796c6f6164";
    for (body, expected) in [
        (format!("a1{payload}43616263"), &b"abc"[..]),
        // An indefinite map, pieces, an array of numbers, another letter case, a field nobody knows, null, nothing.
        (format!("bf{payload}5f41614162ffff"), b"ab"),
        (format!("a1{payload}83010203"), &[1, 2, 3]),
        ("a1677061796c6f61644161".into(), b"a"),
        (format!("a26358595a82010203{payload}4161").replace("82010203", "820102"), b"a"),
        (format!("a1{payload}f6"), b""),
        ("a0".into(), b""),
        ("f6".into(), b""),
        // More than the item.
        (format!("a1{payload}4161ffff"), b"a"),
    ] {
        assert_eq!(answer(&hex(&body)).as_deref(), Ok(expected), "{body}");
    }
}

#[test]
fn what_is_no_answer_is_told() {
    for body in ["", "a1", "80", "ff", "a1675061796c6f61646161", "a1675061796c6f61645affffffff61", "3c68746d6c3e"] {
        assert!(matches!(answer(&hex(body)), Err(PluginError::Malformed(_))), "{body}");
    }
    // A message of the other form is one too.
    let mut message = Vec::new();
    Message { id: 3, payload: b"xyz", ..Message::default() }.encode(&mut message);
    assert_eq!(answer(&message).as_deref(), Ok(&b"xyz"[..]));
}
