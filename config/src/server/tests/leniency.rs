//! Forms that the reference's loader takes (Go, BurntSushi's TOML, `encoding/pem`, `net/url`), and so do we.

use super::fixture::{authority_keys, load_text, main_file, sources};
use crate::Strictness;
use crate::address::Host;
use crate::finding::Severity;
use crate::server::parse;

fn codes(text: &str, strictness: Strictness) -> Vec<(&'static str, Severity)> {
    let findings = match parse(&sources(text), strictness) {
        Ok(loaded) => loaded.findings,
        Err(findings) => findings,
    };
    findings.iter().map(|finding| (finding.code, finding.severity)).collect()
}

/// The reference takes one of the two: a warning, which the strict check makes an error. The exact spelling is used,
/// else the first.
#[test]
fn one_key_in_two_letter_cases() {
    let text = main_file().replacen("Identifier = \"mix1\"", "identifier = \"mix2\"\n  Identifier = \"mix1\"", 1);
    assert_eq!(codes(&text, Strictness::Lenient), [("doubled-key", Severity::Warning)]);
    assert_eq!(codes(&text, Strictness::Strict), [("doubled-key", Severity::Error)]);
    let loaded = load_text(&text).expect("the reference takes it");
    assert_eq!(loaded.config.identifier, "mix1");
    let finding = &loaded.findings[0];
    assert_eq!((finding.line, finding.key.as_str()), (Some(2), "Server.Identifier"));
    assert_eq!(finding.problem, "written again as \"identifier\"; what line 3 says is used");
    let text = main_file().replacen("Identifier = \"mix1\"", "IDENTIFIER = \"mix2\"\n  identifier = \"mix1\"", 1);
    assert_eq!(load_text(&text).expect("the reference takes it").config.identifier, "mix2");
    // Tables too.
    let text = main_file() + "\n[debug]\n  SendSlack = 70\n";
    assert_eq!(codes(&text, Strictness::Lenient), [("doubled-key", Severity::Warning)]);
    let loaded = load_text(&text).expect("the reference takes it");
    assert_eq!(loaded.config.debug.send_slack, std::time::Duration::from_millis(50));
}

#[test]
fn pem_texts_with_headers_and_other_text() {
    let (identity, link) = authority_keys(1);
    for (from, to) in [
        ("PUBLIC KEY-----\\n", "PUBLIC KEY-----\\nComment: a\\n\\n"),
        ("PUBLIC KEY-----\\n", "PUBLIC KEY-----\\nProc-Type: 4\\nComment: a\\n"),
        ("-----BEGIN", "a key:\\n-----BEGIN"),
        ("-----END", "-----BEGIN X-----\\n-----END"),
    ] {
        let text = main_file();
        let changed = [&identity, &link]
            .into_iter()
            .fold(text.clone(), |text, key| text.replacen(key.as_str(), &key.replacen(from, to, 1), 1));
        assert_ne!(changed, text);
        let is_broken = to.starts_with("-----BEGIN X");
        assert_eq!(load_text(&changed).is_ok(), !is_broken, "{to}");
        if !is_broken {
            let config = load_text(&changed).expect("the reference takes it").config;
            assert_eq!(config.authorities, load_text(&text).expect("good").config.authorities);
        }
    }
}

#[test]
fn byte_order_mark_and_line_ends_of_windows() {
    for text in [format!("\u{feff}{}", main_file()), main_file().replace('\n', "\r\n")] {
        assert_eq!(codes(&text, Strictness::Strict), []);
    }
}

/// `Listen` of Go takes an empty host for all addresses; hosts are looked at only where names are refused.
#[test]
fn an_address_without_host() {
    let text = main_file().replace("tcp://127.0.0.1:30014", "tcp://:30014");
    assert_eq!(codes(&text, Strictness::Lenient), [("address", Severity::Error)]);
    let text = text.replace("AllowHostnameAddresses = false", "AllowHostnameAddresses = true");
    let listen = &load_text(&text).expect("the reference takes it").config.network.listen;
    assert_eq!(listen[0].host, Host::Ip("::".parse().expect("IP")));
    let text = text.replace("tcp://:30014", "tcp4://:30014");
    let listen = &load_text(&text).expect("the reference takes it").config.network.listen;
    assert_eq!(listen[0].host, Host::Ip("0.0.0.0".parse().expect("IP")));
}

/// The key of the public network's links (`Kyber768-X25519`), under the name that its operators' guide writes.
#[test]
fn the_public_network_s_kem() {
    use crypto_simd::{pem, random::SeededRandom, schemes::kem};
    let scheme = kem::by_name("Kyber768-X25519").expect("built in");
    let mut text = main_file().replace("\"xwing\"", "\"KYBER768-X25519\"");
    for number in 1..=3 {
        let key = scheme.load(&scheme.generate(&mut SeededRandom::new(&[number; 32]))).expect("a fresh key");
        let written = pem::encode(&pem::public_key_type(scheme.info().name), key.public_key()).expect("not all zero");
        assert!(written.starts_with("-----BEGIN KYBER768-X25519 PUBLIC KEY-----\n"));
        text = text.replacen(&authority_keys(number).1, &written.replace('\n', "\\n"), 1);
    }
    let config = load_text(&text).unwrap_or_else(|findings| panic!("{findings:#?}")).config;
    assert_eq!(config.wire_kem.info().name, "Kyber768-X25519");
    assert!(config.authorities.iter().all(|authority| authority.link_public_key.len() == 1216));
}
