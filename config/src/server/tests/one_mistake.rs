//! One mistake gives one finding: what follows from it is not told.

use super::checks::one_finding;
use super::fixture::{load_text, main_file};
use crate::finding::{Finding, Severity};

const ADDRESSES: &str = "Addresses = [\"tcp://192.0.2.1:30014\"]";

/// A value of another type is an absent one to everything behind the reader.
#[test]
fn a_value_of_another_type_is_not_also_absent() {
    for (from, to, key) in [
        (ADDRESSES, "Addresses = \"tcp://192.0.2.1:30014\"", "Server.Addresses"),
        (ADDRESSES, "Addresses = [30014]", "Server.Addresses[0]"),
        ("Identifier = \"mix1\"", "Identifier = [\"mix1\"]", "Server.Identifier"),
        ("WireKEM = \"xwing\"", "WireKEM = true", "Server.WireKEM"),
        ("PKISignatureScheme = \"Ed25519\"", "PKISignatureScheme = 1", "Server.PKISignatureScheme"),
        ("DataDir = \"/var/lib/katzenpost/mix1\"", "DataDir = 1", "Server.DataDir"),
        ("PacketLength = 3082", "PacketLength = \"3082\"", "SphinxGeometry.PacketLength"),
        ("NrHops = 5", "NrHops = 5.0", "SphinxGeometry.NrHops"),
        (
            "UserForwardPayloadLength = 2000",
            "UserForwardPayloadLength = [2000]",
            "SphinxGeometry.UserForwardPayloadLength",
        ),
        ("PacketLength = 3082", "PacketLength = 9223372036854775808", "SphinxGeometry.PacketLength"),
        ("NIKEName = \"x25519\"", "NIKEName = 25519", "SphinxGeometry.NIKEName"),
        ("Identifier = \"auth2\"", "Identifier = 2", "PKI.Voting.Authorities[1].Identifier"),
        ("WireKEMScheme = \"xwing\"", "WireKEMScheme = {}", "PKI.Voting.Authorities[0].WireKEMScheme"),
        (
            "Addresses = [\"tcp://192.0.2.101:30001\"]",
            "Addresses = \"tcp://192.0.2.101:30001\"",
            "PKI.Voting.Authorities[0].Addresses",
        ),
        ("SendSlack = 50", "SendSlack = \"50\"", "Debug.SendSlack"),
    ] {
        let finding = one_finding(from, to);
        assert_eq!((finding.severity, finding.key.as_str()), (Severity::Error, key), "{finding}");
        assert!(["wrong-type", "integer-range"].contains(&finding.code), "{finding}");
    }
}

#[test]
fn a_table_of_another_type_is_not_also_absent() {
    let text = main_file();
    let between = |from: &str, to: &str| {
        let (start, end) = (text.find(from).expect("there"), text.find(to).expect("there"));
        text[start..end].to_string()
    };
    let pki = between("[PKI]", "[Management]");
    for (section, instead, key) in [
        (&between("[Server]", "[Logging]"), "Server = 1\n", "Server"),
        (&pki, "[PKI]\nVoting = 1\n", "PKI.Voting"),
        (&pki, "[PKI.Voting]\nAuthorities = [1]\n", "PKI.Voting.Authorities[0]"),
        (&pki, "[PKI.Voting.Authorities]\n", "PKI.Voting.Authorities"),
    ] {
        // A key outside of all tables stands first.
        let rest = text.replacen(section, "", 1);
        let text = if instead.starts_with('[') { rest + instead } else { instead.to_string() + &rest };
        let findings = load_text(&text).expect_err("a table is no table");
        let found: Vec<_> = findings.iter().map(|finding| (finding.code, finding.key.as_str())).collect();
        assert_eq!(found, [("wrong-type", key)]);
    }
}

/// A switch that cannot be read leaves open what it would have allowed.
#[test]
fn what_depends_on_an_unreadable_switch_is_not_told() {
    let wrong_type = |from: &str, to: &str, others: [(&str, &str); 2]| {
        let text = others.iter().fold(main_file().replacen(from, to, 1), |text, (from, to)| text.replacen(from, to, 1));
        let findings = load_text(&text).expect_err("the switch is of the wrong type");
        assert_eq!(findings.iter().map(|finding| finding.code).collect::<Vec<_>>(), ["wrong-type"], "{findings:#?}");
    };
    wrong_type(
        "AllowHostnameAddresses = false",
        "AllowHostnameAddresses = \"true\"",
        [("tcp://192.0.2.1:30014", "tcp://mix1:30014"), ("127.0.0.1:30016", "mix1:30016")],
    );
    wrong_type(
        "IsGatewayNode = false",
        "IsGatewayNode = \"true\"",
        [("[Debug]", "[Gateway]\n[Debug]"), ("nothing", "")],
    );
    wrong_type("IsServiceNode = false", "IsServiceNode = 1", [("[Debug]", "[ServiceNode]\n[Debug]"), ("nothing", "")]);
    wrong_type(
        "PersistMixKeysOnShutdown = false",
        "PersistMixKeysOnShutdown = \"true\"",
        [("PersistMixKeysOnShutdownDir = \"\"", "PersistMixKeysOnShutdownDir = \"/x\""), ("nothing", "")],
    );
    // The onion address would be listened on only because the addresses to listen on cannot be read.
    wrong_type(
        "BindAddresses = [\"tcp://127.0.0.1:30014\"]",
        "BindAddresses = \"tcp://127.0.0.1:30014\"",
        [("IsGatewayNode = false", "IsGatewayNode = true"), ("tcp://192.0.2.1:30014", "onion://a.onion:1")],
    );
}

/// What is meant is absent because it was written with a slip of the pen: the line of the slip is told, and what
/// follows.
#[test]
fn a_misspelt_key_is_not_also_absent() {
    for (from, to, severity, problem) in [
        ("Identifier = \"mix1\"", "Identifer = \"mix1\"", Severity::Error, "Identifier is not set"),
        ("WireKEM = ", "WireKem_ = ", Severity::Error, "config: Server: WireKEM is not set"),
        (ADDRESSES, "Adresses = [\"tcp://192.0.2.1:30014\"]", Severity::Warning, "203.0.113.9:3219 of an interface"),
        ("[Server]", "[Sever]", Severity::Error, "config: No Server block was present"),
        ("[SphinxGeometry]", "[SphinxGeometri]", Severity::Error, "config: No SphinxGeometry block was present"),
        ("NrHops = 5", "NrHop = 5", Severity::Error, "geometry has NrHops of 0"),
        ("IdentityPublicKey", "IdentityPublickey", Severity::Error, "IdentityPublicKey: is missing"),
    ] {
        let finding = one_finding(from, to);
        assert_eq!((finding.severity, finding.code), (severity, "unknown-key"), "{finding}");
        assert!(finding.problem.contains(problem) && finding.remedy.starts_with("did you mean"), "{finding}");
        assert!(finding.line.is_some());
    }
    // The right one is there as well: the other is a mistake of its own.
    let both = main_file().replacen("Identifier = \"mix1\"", "Identifier = \"mix_1\"\nIdentifer = \"mix1\"", 1);
    let codes: Vec<_> = load_text(&both).expect_err("not a host name").iter().map(|finding| finding.code).collect();
    assert_eq!(codes, ["identifier", "unknown-key"]);
}

/// A key or a table that stands twice: its name and both lines.
#[test]
fn duplicates_are_named_with_both_lines() {
    let line_of =
        |text: &str, start: &str| text.lines().position(|line| line.trim().starts_with(start)).map(|at| at + 1);
    let duplicate = |text: &str| -> Finding {
        let mut findings = load_text(text).expect_err("a key stands twice");
        assert_eq!(findings.len(), 1, "{findings:#?}");
        findings.remove(0)
    };
    for (section, start, key) in [
        ("\n[Logging]\n  Level = \"INFO\"\n", "[Logging]", "Logging"),
        ("\n[PKI.Voting]\n", "[PKI.Voting]", "PKI.Voting"),
        ("Debug = 1\n", "[Debug]", "Debug"),
    ] {
        let is_table = section.starts_with('\n');
        let text = if is_table { main_file() + section } else { section.to_string() + &main_file() };
        let finding = duplicate(&text);
        let (first, second) = if is_table {
            (
                line_of(&text, start),
                line_of(&text[main_file().len()..], start).map(|at| at + main_file().lines().count()),
            )
        } else {
            (Some(1), line_of(&text, start))
        };
        assert_eq!((finding.code, finding.key.as_str(), finding.line), ("duplicate-key", key, second), "{finding}");
        let last = key.rsplit('.').next().expect("a part");
        assert_eq!(finding.problem, format!("duplicate key {last:?}, first in line {}", first.expect("there")));
    }
    // The same name in other tables before it, and a dotted key.
    let text = main_file().replacen("Identifier = \"auth2\"", "Identifier = \"auth2\"\n\"Identifier\" = \"b\"", 1);
    let finding = duplicate(&text);
    let first = line_of(&text, "Identifier = \"auth2\"").expect("there");
    assert_eq!(finding.key, "PKI.Voting.Authorities.Identifier");
    assert_eq!(finding.problem, format!("duplicate key \"Identifier\", first in line {first}"));
    let text = main_file().replacen("[Management]", "[Management]\n  a.b = 1\n  c = {b = 2}\n  a.b = 3", 1);
    let finding = duplicate(&text);
    let first = line_of(&text, "a.b = 1").expect("there");
    assert_eq!(finding.key, "Management.a.b");
    assert_eq!(finding.problem, format!("duplicate key \"b\", first in line {first}"));
    // Inside of one line there is no other line to tell.
    let text = main_file().replacen("[Management]", "[Management]\n  c = {b = 2, b = 3}", 1);
    assert_eq!(duplicate(&text).problem, "duplicate key \"b\"");
}

/// The header of a table was forgotten: its keys are in the table above it, or in none.
#[test]
fn a_forgotten_header_is_one_mistake() {
    for (header, above, count) in [("[Server]\n", "Identifier", 13), ("[SphinxGeometry]\n", "PacketLength", 14)] {
        let text = main_file().replacen(header, "", 1);
        let findings = load_text(&text).expect_err("a table is missing");
        assert_eq!(findings.len(), 1, "{findings:#?}");
        let (finding, line) = (&findings[0], findings[0].line.expect("a line"));
        assert_eq!((finding.severity, finding.code), (Severity::Error, "missing-header"));
        assert!(text.lines().nth(line - 1).expect("that line").contains(above), "{finding}");
        assert!(finding.problem.contains(&format!("above {count} of its keys")), "{finding}");
        assert!(finding.problem.contains("block was present"), "{finding}");
        assert_eq!(finding.remedy, format!("write {} above this line", header.trim()));
    }
}

#[test]
fn a_key_in_the_wrong_place_is_told_its_place() {
    let one = |text: &str| {
        let mut findings = match load_text(text) {
            Ok(loaded) => loaded.findings,
            Err(findings) => findings,
        };
        assert_eq!(findings.len(), 1, "{findings:#?}");
        findings.remove(0)
    };
    let moved = |line: &str, header: &str| {
        let text = main_file();
        assert!(text.contains(line) && text.contains(header));
        text.replacen(line, "", 1).replacen(header, &format!("{header}\n{line}"), 1)
    };
    let finding = one(&moved("DataDir = \"/var/lib/katzenpost/mix1\"", "[Logging]"));
    assert!(finding.key == "Logging.DataDir" && finding.remedy == "it belongs under [Server]", "{finding}");
    assert!(finding.severity == Severity::Error && finding.problem.contains("is not an absolute path"), "{finding}");
    let finding = one(&moved("SendSlack = 50", "[Management]"));
    assert!(finding.severity == Severity::Warning && finding.remedy == "it belongs under [Debug]", "{finding}");
    for (header, remedy) in [
        ("[[PKI.Voting.Authority]]", "did you mean Authorities?"),
        ("[[Authorities]]", "write [[PKI.Voting.Authorities]]"),
    ] {
        let finding = one(&main_file().replace("[[PKI.Voting.Authorities]]", header));
        assert!(finding.problem.contains("lists no authority") && finding.remedy == remedy, "{finding}");
    }
    let finding = one(&main_file().replacen("LinkPublicKey", "LinkPubKey", 1));
    assert!(finding.problem.contains("is missing") && finding.remedy == "did you mean LinkPublicKey?", "{finding}");
}

#[test]
fn tables_that_should_be_lists_are_one_mistake() {
    let text = main_file().replace("[[PKI.Voting.Authorities]]", "[PKI.Voting.Authorities]");
    let findings = load_text(&text).expect_err("no list");
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert_eq!((findings[0].code, findings[0].key.as_str()), ("wrong-type", "PKI.Voting.Authorities"));
    assert_eq!(findings[0].remedy, "write [[PKI.Voting.Authorities]] above each");
    let finding = one_finding("[Debug]", "[[Debug]]");
    assert_eq!((finding.code, finding.remedy.as_str()), ("wrong-type", "it is there once: write [Debug]"));
}

#[test]
fn text_that_another_program_has_changed_is_one_mistake() {
    let codes = |text: &str| -> Vec<(&str, Option<usize>)> {
        let findings = load_text(text).expect_err("no TOML");
        findings.iter().map(|finding| (finding.code, finding.line)).collect()
    };
    assert_eq!(codes(&main_file().replace('\n', "\r")), [("line-ends", None)]);
    let text = main_file().replacen("\"mix1\"", "\u{201c}mix1\u{201d}", 1);
    assert_eq!(codes(&text), [("syntax", Some(2))]);
    let finding = load_text(&text).expect_err("no TOML").remove(0);
    assert!(finding.problem.contains("typographic") && finding.remedy.contains("straight quote"), "{finding}");
    assert_eq!(codes(&main_file().replacen("WireKEM =", "WireKEM", 1)), [("syntax", Some(3))]);
}

#[test]
fn the_switch_for_names_misspelt_is_one_mistake() {
    let text = main_file()
        .replace("AllowHostnameAddresses = false", "AllowHostnamesAddresses = true")
        .replace("tcp://192.0.2.1:30014", "tcp://mix1:30014")
        .replace("127.0.0.1:30016", "mix1:30016")
        .replace("tcp://192.0.2.101:30001", "tcp://auth1:30001");
    let findings = load_text(&text).expect_err("names are not allowed");
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert_eq!((findings[0].severity, findings[0].key.as_str()), (Severity::Error, "Server.AllowHostnamesAddresses"));
    assert!(findings[0].problem.ends_with("is not set, so host names are refused"), "{}", findings[0]);
}

#[test]
fn a_value_on_which_others_depend_is_one_mistake() {
    for (from, to, key, right) in [
        ("NrHops = 5", "NrHops = 4", "NrHops", "NrHops of 4, must be 5"),
        ("Length = 2000", "Length = 2001", "UserForwardPayloadLength", "of 2001, must be 2000"),
        ("NIKEName = \"x25519\"", "NIKEName = \"x448\"", "NIKEName", "'x448', must be 'x25519'"),
    ] {
        let finding = one_finding(from, to);
        assert_eq!((finding.code, finding.key), ("geometry-mismatch", format!("SphinxGeometry.{key}")));
        assert!(finding.problem.contains(right), "{}", finding.problem);
    }
    let finding = one_finding("HeaderLength = 476", "");
    assert!(finding.problem.contains("is missing: geometry has HeaderLength of 0"), "{finding}");
}
