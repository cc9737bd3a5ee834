use super::*;

#[test]
fn identifiers_as_the_reference_maps_them() {
    vectors::verify("pki_identifier_normalisation.json", "/cases/1/1", |value, tally| {
        for case in value["cases"].as_array().ok_or("no cases")? {
            let written = case[0].as_str().ok_or("no input")?;
            let mapped = normalise_identifier(written);
            if mapped.as_deref() != case[1].as_str() {
                return Err(format!("{written:?} gives {mapped:?}, expected {}", case[1]));
            }
            tally.assert_case();
        }
        Ok(())
    });
}

#[test]
fn hostile_identifiers() {
    assert_eq!(normalise_identifier(&"ü".repeat(100_000)), None);
    assert_eq!(normalise_identifier(""), Some(String::new()));
    assert_eq!(normalise_identifier("a\0b"), None);
}

/// server.md E.4 and 2.11, pki.md 4.6.
#[test]
fn endpoints() {
    for good in ["+echo", "courier", "echo/", "\"q\"", "é", "+http"] {
        assert_eq!(check_endpoint(good), Ok(()), "{good}");
    }
    for bad in ["a..b", ".a", "a.", "a@b", "a,b", "a;b", "a:b", "<x", "a b", "\"", "\"a\"b\"", "+é", "é+"] {
        assert!(check_endpoint(bad).is_err(), "{bad}");
    }
    assert_eq!(check_endpoint("+Echo"), Err(EndpointError::NotNormal("+echo".into())));
    assert_eq!(check_endpoint(""), Err(EndpointError::Length(0)));
    assert_eq!(check_endpoint(&"a".repeat(33)), Err(EndpointError::Length(33)));
    assert_eq!(check_endpoint(&"a".repeat(32)), Ok(()));
}
