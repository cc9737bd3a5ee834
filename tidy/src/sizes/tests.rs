use super::*;

fn function_of(lines: usize) -> String {
    format!(
        "impl Thing {{\n    pub(crate) fn long(&self) {{\n{}    }}\n\n    fn short() {{}}\n}}\n",
        "        step();\n".repeat(lines - 2)
    )
}

#[test]
fn what_is_just_short_enough_is_silent() {
    assert_eq!(long_file(&Source::new("a.rs", &"x\n".repeat(FILE_LINES_MAX))), None);
    assert_eq!(long_functions(&Source::new("a.rs", &function_of(FUNCTION_LINES_MAX))), []);
    let declared =
        format!("trait T {{\n    fn only(&self);\n{}    }}\n}}\n", "    // text\n".repeat(FUNCTION_LINES_MAX));
    assert_eq!(long_functions(&Source::new("a.rs", &declared)), []);
}

#[test]
fn one_line_more_rings() {
    assert!(long_file(&Source::new("a.rs", &"x\n".repeat(FILE_LINES_MAX + 1))).is_some());
    let found = long_functions(&Source::new("a.rs", &function_of(FUNCTION_LINES_MAX + 1)));
    assert_eq!(found, [("a.rs: long".to_owned(), FUNCTION_LINES_MAX + 1)]);
}
