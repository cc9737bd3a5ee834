//! Files and functions that a reader can hold in the head.

use crate::Source;

/// Most lines of a file.
pub const FILE_LINES_MAX: usize = 600;
/// Most lines of a function, its head and its last brace included.
pub const FUNCTION_LINES_MAX: usize = 70;

/// Whether the file is too long.
pub fn long_file(source: &Source) -> Option<String> {
    let lines = source.text.lines().count();
    (lines > FILE_LINES_MAX).then(|| format!("{} has {lines} lines, more than {FILE_LINES_MAX}: split it", source.path))
}

/// The functions of a formatted file that are too long, as `path: name` and their lines.
pub fn long_functions(source: &Source) -> Vec<(String, usize)> {
    let lines: Vec<_> = source.text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(name) = function(line) else { continue };
        let indent = line.len() - line.trim_start().len();
        let closes = |line: &&str| {
            line.len() == indent + 1 && line.ends_with('}') || (line.len() > indent && line[indent..].starts_with("} "))
        };
        let body = lines[at + 1..].iter().position(closes).map(|after| after + 2);
        // A declaration without a body ends at its semicolon, before any brace of its depth.
        let head =
            lines[at..].iter().position(|line| line.ends_with('{') || line.ends_with(';') || line.ends_with('}'));
        let declared = head.is_some_and(|after| !lines[at + after].ends_with('{'));
        if let Some(length) = body.filter(|&length| length > FUNCTION_LINES_MAX && !declared) {
            found.push((format!("{}: {name}", source.path), length));
        }
    }
    found
}

/// The name of the function that begins in this line.
fn function(line: &str) -> Option<&str> {
    let code = line.trim_start();
    let (before, after) = code.split_once("fn ")?;
    let qualifiers = ["pub", "pub(crate)", "pub(super)", "const", "async", "unsafe", "extern", "\"C\""];
    if !before.split_whitespace().all(|word| qualifiers.contains(&word)) {
        return None;
    }
    after.split(['(', '<']).next()
}

#[cfg(test)]
mod tests;
