//! Unfinished work, and `unsafe` outside its rooms or without a reason.

use crate::Source;

/// Marks of work that was left for later.
pub fn unfinished(source: &Source) -> Vec<String> {
    // In halves, so that this file does not hold them.
    let marks = [["TO", "DO"], ["FIX", "ME"], ["XX", "X:"], ["#[ig", "nore]"], ["to", "do!("], ["unimple", "mented!("]];
    let marks = marks.iter().map(|halves| halves.concat());
    marks.filter(|mark| source.text.contains(mark)).map(|mark| format!("{} contains {mark}", source.path)).collect()
}

/// Blocks of `unsafe` outside `rooms`, or without the reason above them.
pub fn unsafe_blocks(source: &Source, rooms: &[&str]) -> Vec<String> {
    let opening = ["unsafe ", "{"].concat();
    let in_tests = source.path.contains("/tests/") || source.path.contains("/benches/");
    let in_room = in_tests || rooms.iter().any(|room| source.path.starts_with(room));
    let lines: Vec<&str> = source.text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        if line.trim_start().starts_with("//") || !line.contains(&opening) {
            continue;
        }
        if !in_room {
            found.push(format!("{}:{}: unsafe outside its rooms", source.path, at + 1));
        }
        if !lines[at.saturating_sub(8)..=at].iter().any(|above| above.contains("SAFETY:")) {
            found.push(format!("{}:{}: unsafe block without a `// SAFETY:` reason", source.path, at + 1));
        }
    }
    found
}

#[cfg(test)]
mod tests;
