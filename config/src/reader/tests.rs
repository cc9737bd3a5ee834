use super::*;
use crate::finding::Finding;
use crate::section;
use std::collections::BTreeMap;
use std::path::Path;

section! {
    /// A file.
    AnyCase Root {
        /// A table.
        table: Inner = ("Table", "none", "");
        /// Tables.
        exact: Vec<Exact> = ("Exact", "none", "");
    }

    /// A table.
    AnyCase Inner {
        /// Text.
        text: String = ("SomeText", "none", "");
        /// Number.
        number: i64 = ("Number", "0", "");
        /// Switch.
        flag: bool = ("Flag", "false", "");
        /// Texts.
        list: Vec<At<String>> = ("List", "none", "");
        /// Anything.
        free: BTreeMap<String, At<Value>> = ("Free", "none", "");
    }

    /// A table.
    ExactCase Exact {
        /// Text.
        text: String = ("Text", "none", "");
    }
}

fn hint(path: &str) -> Option<&'static str> {
    (path == "Table.Old").then_some("use Table.SomeText")
}

fn read(text: &str, strictness: Strictness) -> (Option<Root>, Vec<Finding>) {
    let mut findings = Findings::new(Path::new("x.toml"));
    let mut reader = Reader::new::<Root>(text, strictness, hint, &mut findings);
    let root = reader.parse(text).map(|tree| reader.read_root(tree.get_ref()));
    (root, findings.into_sorted())
}

fn codes(text: &str) -> Vec<(&'static str, Option<usize>, String)> {
    read(text, Strictness::Strict).1.into_iter().map(|finding| (finding.code, finding.line, finding.key)).collect()
}

#[test]
fn values_know_their_places() {
    let text = "[table]\nsometext = \"a\"\nNumber = 0x10\nFLAG = true\nList = [\n  \"b\",\n  \"c\",\n]\n\
                [table.Free]\n\"a b\" = [1, 2.5, {d = 2026-01-02}]\n[[Exact]]\nText = \"x\"\n[[Exact]]\n";
    let (root, findings) = read(text, Strictness::Strict);
    assert_eq!(findings, []);
    let root = root.expect("good TOML");
    assert_eq!(root.place, Place::default());
    let table = root.table.expect("there").value;
    let place = |line, key: &str| Place { line: Some(line), key: key.into() };
    assert_eq!(table.place, place(1, "Table"));
    assert_eq!(table.text, Some(At { value: "a".into(), place: place(2, "Table.SomeText") }));
    assert_eq!(table.number, Some(At { value: 16, place: place(3, "Table.Number") }));
    assert_eq!(table.flag, Some(At { value: true, place: place(4, "Table.Flag") }));
    let list = table.list.expect("there").value;
    assert_eq!(list[1], At { value: "c".into(), place: place(7, "Table.List[1]") });
    let free = table.free.expect("there").value;
    let expected = Value::Array(vec![
        Value::Integer(1),
        Value::Float(2.5),
        Value::Table(BTreeMap::from([("d".into(), Value::Datetime("2026-01-02".into()))])),
    ]);
    assert_eq!(free["a b"], At { value: expected, place: place(10, "Table.Free.\"a b\"") });
    let exact = root.exact.expect("there").value;
    assert_eq!(exact[0].text, Some(At { value: "x".into(), place: place(12, "Exact[0].Text") }));
    assert_eq!((exact.len(), exact[1].text.is_none()), (2, true));
    assert_eq!(exact[1].place.line, Some(13));
}

#[test]
fn ill_typed_values_are_findings() {
    let text = "[Table]\nSomeText = 1\nNumber = 2.5\nFlag = \"true\"\nList = \"a\"\nFree = 3\n";
    let expected: Vec<_> = ["SomeText", "Number", "Flag", "List", "Free"]
        .iter()
        .enumerate()
        .map(|(at, name)| ("wrong-type", Some(at + 2), format!("Table.{name}")))
        .collect();
    assert_eq!(codes(text), expected);
    assert_eq!(
        codes("Table = 1\nExact = {}\n"),
        [("wrong-type", Some(1), "Table".into()), ("wrong-type", Some(2), "Exact".into())]
    );
    assert_eq!(codes("[Table]\nList = [1]\n"), [("wrong-type", Some(2), "Table.List[0]".into())]);
    assert_eq!(codes("[Table]\nNumber = 9223372036854775808\n"), [("integer-range", Some(2), "Table.Number".into())]);
}

#[test]
fn unknown_keys_depend_on_strictness() {
    let text = "[Table]\nSomText = \"a\"\nOld = 1\nElsewhere = 2\n[[Exact]]\ntext = \"a\"\n";
    let (_, strict) = read(text, Strictness::Strict);
    let found: Vec<_> =
        strict.iter().map(|finding| (finding.code, finding.severity, finding.remedy.as_str())).collect();
    assert_eq!(
        found,
        [
            ("unknown-key", Severity::Error, "did you mean SomeText?"),
            ("removed-key", Severity::Error, "use Table.SomeText"),
            ("unknown-key", Severity::Error, "remove it"),
            ("unknown-key", Severity::Warning, "did you mean Text?"),
        ]
    );
    let (root, lenient) = read(text, Strictness::Lenient);
    assert!(root.is_some() && lenient.len() == 4);
    assert!(lenient.iter().all(|finding| finding.severity == Severity::Warning));
}

#[test]
fn the_same_key_in_two_spellings() {
    let (root, findings) = read("[Table]\nnumber = 1\nNumber = 2\n", Strictness::Lenient);
    assert_eq!(root.and_then(|root| root.table?.value.number).map(|at| at.value), Some(2));
    let found: Vec<_> = findings.iter().map(|finding| (finding.code, finding.severity, finding.line)).collect();
    assert_eq!(found, [("doubled-key", Severity::Warning, Some(2))]);
}

#[test]
fn all_syntax_errors_at_once() {
    let (root, findings) = read("[Table]\nNumber = \n\nFlag = tru\nFlag = true\n", Strictness::Lenient);
    assert!(root.is_none());
    assert!(findings.iter().filter(|finding| finding.code == "syntax").count() >= 2, "{findings:?}");
    assert!(findings.iter().all(|finding| finding.line.is_some()));
}

#[test]
fn suggestions_are_near() {
    let known = || ["Addresses", "BindAddresses", "IsGatewayNode", "Mu"].into_iter();
    assert_eq!(suggest::nearest("Adresses", known()), Some("Addresses"));
    assert_eq!(suggest::nearest("isgatewaynod", known()), Some("IsGatewayNode"));
    assert_eq!(suggest::nearest("Whatever", known()), None);
    assert_eq!(suggest::nearest("x", known()), None);
    assert_eq!(suggest::nearest(&"y".repeat(100_000), known()), None);
}

#[test]
fn the_line_of_a_key_is_found_again() {
    let text = "[Server]\n  Name = \"a\"\n  Addresses = [\n    \"one\",\n    \"two\"]\n[[PKI.Voting.Authorities]]\n[[PKI.Voting.Authorities]]\n  A = 1\n";
    for (key, line) in [
        ("Server.name", Some(2)),
        ("Server.Addresses[1]", Some(5)),
        ("PKI.Voting.Authorities[1].A", Some(8)),
        ("Server.None", None),
        ("Server.Addresses[2]", None),
        ("Server.Name.deeper", None),
    ] {
        assert_eq!(line_in(text, key), line, "{key}");
    }
}
