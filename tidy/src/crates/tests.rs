use super::*;

const PAGE: &str = "text\n<!-- crates -->\n\n| crate | uses |\n|---|---|\n| `top` | `middle`, `ground` |\n| `middle` | `ground` |\n| `ground` | |\n<!-- end of crates -->\n| `other` | `table` |\n";

type Edge<'a> = (&'a str, &'a [&'a str]);

fn manifests(edges: &[Edge]) -> Uses {
    edges
        .iter()
        .map(|(name, uses)| ((*name).to_owned(), uses.iter().map(|&other| other.to_owned()).collect()))
        .collect()
}

#[test]
fn a_table_that_agrees_is_silent() {
    let edges = manifests(&[("top", &["middle", "ground"]), ("middle", &["ground"]), ("ground", &[])]);
    assert_eq!(findings(PAGE, &edges), Vec::<String>::new());
}

#[test]
fn each_disagreement_rings() {
    let cases: [(&[Edge], &str); 5] = [
        (&[("top", &["middle", "ground"]), ("middle", &[]), ("ground", &[])], "`middle` does not use `ground`"),
        (&[("top", &["middle"]), ("middle", &["ground"]), ("ground", &[])], "`top` does not use `ground`"),
        (&[("top", &["middle", "ground"]), ("middle", &["ground"])], "`ground`, which is no crate"),
        (
            &[("top", &["middle", "ground"]), ("middle", &["ground"]), ("ground", &[]), ("new", &[])],
            "lacks the crate `new`",
        ),
        (&[("top", &["middle", "ground"]), ("middle", &["ground"]), ("ground", &["top"])], "does not stand below"),
    ];
    for (edges, expected) in cases {
        let found = findings(PAGE, &manifests(edges));
        assert!(found.iter().any(|finding| finding.contains(expected)), "{expected}: {found:?}");
    }
    assert_eq!(findings("no table", &Uses::new()).len(), 1);
}
