use super::*;

const DOOR: &str = "//! What it is.\n//!\n//! It never opens a file.\n//!\n//! | module | what it holds |\n//! |---|---|\n//! | [`one`], `two` | things |\n#![forbid(unsafe_code)]\n\npub mod one;\npub(crate) mod two;\n#[cfg(test)]\nmod tests;\n";

#[test]
fn a_door_that_names_every_room_is_silent() {
    assert_eq!(findings(&Source::new("a/src/lib.rs", DOOR)), Vec::<String>::new());
}

#[test]
fn each_omission_rings() {
    for (spoilt, expected) in [
        (DOOR.replace("never opens", "opens"), "never happens"),
        (DOOR.replace(", `two`", ""), "does not name `two`"),
        (DOOR.replace("pub mod one;\n", ""), "names `one`, which is no module"),
        (format!("{DOOR}mod three;\n"), "does not name `three`"),
    ] {
        let found = findings(&Source::new("a/src/lib.rs", &spoilt));
        assert!(found.len() == 1 && found[0].contains(expected), "{expected}: {found:?}");
    }
}
