use super::*;

#[test]
fn only_items_without_a_reader_ring() {
    let sources = [
        Source::new(
            "a/src/lib.rs",
            "pub use inner::Unread;\npub mod inner;\npub fn used() {}\npub const fn only_tested() {}\npub struct Unread;\nimpl Unread {\n    pub fn method(&self) {}\n}\npub(crate) fn hidden() {}\n",
        ),
        Source::new(
            "b/src/main.rs",
            "use a::{\n    Unread,\n    only_tested,\n};\n// only_tested()\nfn main() { a::used() }\n",
        ),
        Source::new("a/src/lib/tests.rs", "fn test() { only_tested(); Unread.method() }"),
        Source::new("fuzz/src/links.rs", "fn feed() { only_tested() }"),
    ];
    let expected = ["Unread", "method", "only_tested"].map(|name| format!("a/src/lib.rs: {name}"));
    assert_eq!(unread(&sources), BTreeSet::from(expected));
}
