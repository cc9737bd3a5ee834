use super::*;

#[test]
fn marks_of_later_ring() {
    for halves in [["TO", "DO: more"], ["FIX", "ME"], ["#[ig", "nore]"], ["to", "do!()"]] {
        assert_eq!(unfinished(&Source::new("a.rs", &halves.concat())).len(), 1, "{halves:?}");
    }
    assert!(unfinished(&Source::new("a.rs", "// done, see todoist")).is_empty());
}

#[test]
fn unsafe_needs_a_room_and_a_reason() {
    let block = ["unsafe ", "{ call() }"].concat();
    let reasoned = format!("// SAFETY: checked above\n{block}");
    assert!(unsafe_blocks(&Source::new("room/a.rs", &reasoned), &["room/"]).is_empty());
    assert_eq!(unsafe_blocks(&Source::new("other/a.rs", &reasoned), &["room/"]).len(), 1);
    assert_eq!(unsafe_blocks(&Source::new("room/a.rs", &block), &["room/"]).len(), 1);
}
