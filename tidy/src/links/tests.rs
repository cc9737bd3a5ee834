use super::*;

#[test]
fn a_link_to_nothing_is_found() {
    let page = Source::new(
        "docs/operating/a.md",
        "[one](b.md) [two](../c.md#part) [three](https://example.org/d.md) [four](#part) [five](../../e.md)",
    );
    let there = ["docs/operating/b.md", "docs/operating/../c.md"];
    let found = broken(&page, |path| there.contains(&path));
    assert_eq!(found, ["docs/operating/a.md: a link to ../../e.md, which is not there"]);
    let front = Source::new("README.md", "[one](docs/)");
    assert_eq!(broken(&front, |path| path == "docs/"), [""; 0]);
}

#[test]
fn a_row_that_leads_nowhere_is_found() {
    let read = |path: &str| (path == "a/b.rs").then(|| "fn wait_for() {}".to_owned());
    let table = |cell: &str| {
        let rows = format!("| rule | place | protocol |\n|---|---|---|\n| x | {cell} |\n");
        Source::new("docs/a.md", &format!("<!-- rules -->\n{rows}<!-- end of rules -->"))
    };
    assert_eq!(misplaced(&table("`a/b.rs`: `wait_for` | ours"), read), [""; 0]);
    assert_eq!(misplaced(&table("`a/b.rs`: `wait_for` | server.md 3.7"), read), [""; 0]);
    let found = |cell: &str| misplaced(&table(cell), read).len();
    assert_eq!(found("`a/c.rs` | ours"), 1);
    assert_eq!(found("`a/b.rs`: `wait` | ours"), 1, "a part of a name is none");
    assert_eq!(found("`a/b.rs`: `wait_for`"), 1, "where it comes from is not said");
    assert_eq!(found("nothing | ours"), 1, "an empty table");
}
