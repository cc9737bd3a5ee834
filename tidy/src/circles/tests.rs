use super::*;

fn house(files: &[(&str, &str)]) -> Vec<Vec<String>> {
    find(&files.iter().map(|(path, text)| Source::new(&format!("a/src/{path}"), text)).collect::<Vec<_>>())
}

#[test]
fn a_house_without_loops_is_silent() {
    let found = house(&[
        ("lib.rs", "pub mod ground;\npub mod middle;\nmod top;\npub use middle::Middle;\n"),
        ("ground.rs", "pub struct Ground;\n#[cfg(test)]\nuse crate::top::Top;\n// crate::top::Top\n"),
        ("middle/mod.rs", "mod part;\nuse self::part::Part;\nuse crate::ground::Ground;\n"),
        ("middle/part.rs", "use super::Middle;\npub struct Part;\n"),
        ("top.rs", "use crate::{ground::Ground, Middle, middle::{Middle as Other}};\n"),
        ("top/tests.rs", "use crate::middle;"),
    ]);
    assert_eq!(found, Vec::<Vec<String>>::new());
}

#[test]
fn each_kind_of_loop_rings() {
    let loops = [
        vec![("lib.rs", ""), ("one.rs", "use crate::two::Two;"), ("two.rs", "fn f() { crate::one::g() }")],
        vec![
            ("lib.rs", "pub use one::One;"),
            ("one.rs", "use super::two;"),
            ("two.rs", "use crate::{\n    three::X,\n    One,\n};"),
        ],
        vec![
            ("lib.rs", ""),
            ("one/mod.rs", "pub(crate) use part::P;"),
            ("one/part.rs", "use crate::two::T;"),
            ("two.rs", "use crate::one::P;"),
        ],
    ];
    for files in loops {
        let found = house(&files);
        assert!(found.len() == 1 && found[0].len() == 2, "{files:?}: {found:?}");
    }
}

#[test]
fn a_loop_of_three_names_all_three() {
    let found = house(&[
        ("a.rs", "use crate::b::B;"),
        ("b.rs", "use crate::c::C;"),
        ("c.rs", "use crate::a::A;"),
        ("d.rs", "use crate::a::A;"),
    ]);
    assert_eq!(found, [["a/src/a.rs", "a/src/b.rs", "a/src/c.rs"].map(str::to_owned).to_vec()]);
}
