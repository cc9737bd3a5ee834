use super::*;

#[test]
fn answers_are_read() {
    assert_eq!(read("exists", br#"{"exists": true}"#).map(|said| said.truth()), Ok(Some(true)));
    assert_eq!(read("exists", br#"{"isvalid": true}"#), Ok(Said::Nothing));
    for other in ["[]", "7", "null", r#"{"exists": "ja"}"#, r#"{"exists": null}"#, r#"{"exists": {"exists": true}}"#] {
        assert_eq!(read("exists", other.as_bytes()).unwrap().truth(), None, "{other}");
    }
    for no_json in ["", "hello", "{", "{\"exists\": true} x"] {
        assert_eq!(read("exists", no_json.as_bytes()), Err(NoJson), "{no_json}");
    }
    let long = format!("{{\"exists\": true{}}}", " ".repeat(ANSWER_BYTES_MAX));
    assert_eq!(read("exists", long.as_bytes()), Err(NoJson));
    // However deep it is.
    assert_eq!(read("exists", "[".repeat(10_000).as_bytes()), Err(NoJson));
}

#[test]
fn keys_are_hexadecimal_digits() {
    let key = |text: &str| Said::Text(text.into()).key();
    assert_eq!(key("0A0b"), Some(vec![10, 11]));
    for none in ["", "0", "0g", "0x0a", "ä", "é0"] {
        assert_eq!(key(none), None, "{none}");
    }
    assert_eq!(key(&"00".repeat(KEY_BYTES_MAX + 1)), None);
    assert_eq!(Said::Truth(true).key(), None);
}
