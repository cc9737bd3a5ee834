//! The section of a file that belongs to one level, between two marks that Markdown does not show.

use std::path::Path;

/// Replaces the section in the file.
pub fn write(file: &Path, level: &str, content: &str) -> Result<(), String> {
    let shown = file.display();
    let text = std::fs::read_to_string(file).map_err(|error| format!("cannot read {shown}: {error}"))?;
    let text = replace(&text, level, content).map_err(|error| format!("{shown}: {error}"))?;
    std::fs::write(file, text).map_err(|error| format!("cannot write {shown}: {error}"))
}

/// The text with the section replaced, or with a new one at its end.
pub(super) fn replace(text: &str, level: &str, content: &str) -> Result<String, String> {
    let (begin, end) = (format!("<!-- table {level} -->\n"), format!("<!-- end of table {level} -->\n"));
    let section = format!("{begin}{}\n\n{end}", content.trim_end());
    let from = text.find(&begin);
    let to = text.find(&end).map(|to| to + end.len());
    match (from, to) {
        (Some(from), Some(to)) if from < to => Ok([&text[..from], &section, &text[to..]].concat()),
        (None, None) => Ok(format!("{}\n\n{section}", text.trim_end())),
        _ => Err(format!("the marks of the section are not a pair: {} {}", begin.trim_end(), end.trim_end())),
    }
}
