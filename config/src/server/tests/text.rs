//! Text that nobody wrote on purpose: it never panics, and a refusal always has an error.

use super::fixture::{main_file, sources};
use crate::finding::Severity;
use crate::server::{Sources, parse};
use crate::{Finding, Strictness};
use proptest::prelude::*;

/// Parses the text as each file, and checks what holds for every text.
fn survives(text: &str) {
    for strictness in [Strictness::Lenient, Strictness::Strict] {
        let own = Some(("/etc/katzensprung.toml".into(), text.to_string()));
        for sources in [sources(text), Sources { own, ..sources(&main_file()) }] {
            let has_error = |findings: &[Finding]| findings.iter().any(|f| f.severity == Severity::Error);
            match parse(&sources, strictness) {
                Ok(loaded) => assert!(!has_error(&loaded.findings)),
                Err(findings) => {
                    assert!(has_error(&findings));
                    for finding in findings {
                        assert_eq!(finding.to_string().lines().count(), 1);
                    }
                }
            }
        }
    }
}

#[test]
fn deep_text() {
    let deep = 50_000;
    for text in [
        "[".repeat(deep),
        format!("a = {}", "[".repeat(deep)),
        format!("a = {}1", "{a = ".repeat(deep)),
        format!("{}a = 1", "a.".repeat(deep)),
        format!("[{}a]", "a.".repeat(deep)),
        format!("[ServiceNode]\nx = {}{}", "[".repeat(60), "]".repeat(60)),
    ] {
        survives(&text);
    }
}

/// Pieces of configuration files, so that arbitrary combinations get past the TOML parser.
fn piece() -> impl Strategy<Value = String> {
    let keys = prop::sample::select(vec![
        "Server",
        "Identifier",
        "Addresses",
        "DataDir",
        "PKI",
        "Voting",
        "Authorities",
        "SphinxGeometry",
        "NIKEName",
        "PacketLength",
        "Debug",
        "SendSlack",
        "ServiceNode",
        "Kaetzchen",
        "Endpoint",
        "Gateway",
        "SpoolDB",
        "Bolt",
        "IsGatewayNode",
        "IsServiceNode",
        "Capability",
        "Config",
        "dataplane",
        "pin_cpus",
        "shards",
        "slots",
        "Mixes",
    ]);
    let values = prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| format!("{number:?}")),
        any::<bool>().prop_map(|flag| flag.to_string()),
        "[ -~]{0,20}".prop_map(|text| format!("{text:?}")),
        "(tcp|quic|onion|tcp6)://[a-z0-9.:\\[\\]]{0,20}".prop_map(|url| format!("[{url:?}]")),
        Just("{}".to_string()),
        Just("[{}, {}]".to_string()),
    ];
    prop_oneof![
        (keys.clone(), values).prop_map(|(key, value)| format!("{key} = {value}\n")),
        keys.clone().prop_map(|key| format!("[{key}]\n")),
        keys.clone().prop_map(|key| format!("[[{key}]]\n")),
        (keys.clone(), keys).prop_map(|(parent, key)| format!("[[{parent}.{key}]]\n")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn arbitrary_text(text in any::<String>()) {
        survives(&text);
    }

    #[test]
    fn arbitrary_pieces(pieces in prop::collection::vec(piece(), 0..20)) {
        survives(&pieces.concat());
    }

    #[test]
    fn a_good_file_with_a_changed_place(at in 0usize..8_000, drop in 0usize..40, insert in "[ -~\n]{0,8}") {
        let text = main_file();
        let start = at.min(text.len());
        let end = (start + drop).min(text.len());
        survives(&[&text[..start], &insert, &text[end..]].concat());
    }
}
