use super::*;
use std::path::Path;

/// The committed page is the generated one. `KATZENSPRUNG_BLESS=1` writes it.
#[test]
fn the_manual_is_up_to_date() {
    let pages = [
        ("config.md", markdown()),
        ("authority-config.md", markdown_of_authority()),
        ("client-config.md", markdown_of_client()),
    ];
    for (page, text) in pages {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference").join(page);
        if std::env::var_os("KATZENSPRUNG_BLESS").is_some() {
            std::fs::create_dir_all(path.parent().expect("a file has a folder")).expect("folder can be made");
            std::fs::write(&path, &text).expect("page can be written");
        }
        let committed = std::fs::read_to_string(&path).expect("the page is there");
        assert!(committed == text, "docs/reference/{page} is stale: KATZENSPRUNG_BLESS=1 cargo test -p config manual");
    }
}

#[test]
fn every_key_has_a_meaning_and_a_default() {
    fn check(path: &str, table: Description) {
        assert!(!table.about.trim().is_empty(), "{path}");
        for key in table.keys {
            assert!(!key.default.is_empty() && key.meaning.trim().ends_with('.'), "{path}.{}", key.name);
            if let Some(section) = key.section {
                check(&format!("{path}.{}", key.name), section());
            }
        }
    }
    check("", raw::Root::describe());
    check("", own::Root::describe());
    check("", authority::raw::Root::describe());
    check("", client::raw::Root::describe());
}
