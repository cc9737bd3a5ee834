use super::*;

fn known() -> Sections {
    let text = "# A title\n## 3. Data path\n### 3.7 Routing\n### 3.9 Out\n```\n# 5 no heading\n```\n## Appendix E: vectors\n### E.4 Text\n";
    sections(&[Source::new("docs/protocol/server.md", text)], "docs/protocol/")
}

#[test]
fn the_numbers_of_headings_are_read() {
    let expected = ["3", "3.7", "3.9", "E", "E.4"].map(str::to_owned);
    assert_eq!(known()["server"], BTreeSet::from(expected));
}

#[test]
fn citations_that_hit_are_silent() {
    for text in [
        "(server.md 3.7)",
        "server.md 3.7, 3.9 and E.4.",
        "`server.md` §3.7",
        "/// as in server.md\n/// 3.7 says",
        "server.md 3 to 3.9: all of it",
        "server.md 3.7 steps 8 to 13, 3.9 step 2",
        "server.md A peer is one that",
        "observer.md 8, docs/protocol/server.md 8",
    ] {
        assert_eq!(findings(&Source::new("a.rs", text), &known()), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn citations_that_miss_ring() {
    for text in [
        "(server.md 3.8)",
        "server.md 3.7, 3.8",
        "`server.md` §4",
        "//! server.md\n//! 14: weak",
        "server.md 3.7 to 3.12",
        "server.md 3.7 steps 8 to 13, 4.1",
        "server.md E.5",
    ] {
        assert_eq!(findings(&Source::new("a.rs", text), &known()).len(), 1, "{text}");
    }
}

#[test]
fn files_of_nobody_ring() {
    for text in [["(des", "ign 4)"], ["(rese", "arch: two)"], ["see /wo", "rk/notes"]] {
        assert_eq!(findings(&Source::new("a.md", &text.concat()), &known()).len(), 1, "{text:?}");
    }
}
