//! The door of a crate, the text at the head of its `lib.rs`, says what never happens behind it and names every room.

use crate::Source;

/// What the door of `source`, a `lib.rs`, leaves out.
pub fn findings(source: &Source) -> Vec<String> {
    let door: Vec<_> = source.text.lines().filter_map(|line| line.strip_prefix("//!")).collect();
    let mut found = Vec::new();
    let promises = ["never", "Nothing", "nothing"];
    if !door.iter().any(|line| promises.iter().any(|word| line.contains(word))) {
        found.push(format!("{}: the door does not say what never happens behind it", source.path));
    }
    let rows: Vec<_> = door.iter().filter(|line| line.trim_start().starts_with('|')).collect();
    for room in rooms(&source.text) {
        let named = format!("`{room}`");
        if !rows.iter().any(|row| row.contains(&named)) {
            found.push(format!("{}: the door's table does not name `{room}`", source.path));
        }
    }
    for row in rows.iter().filter_map(|row| row.trim_start().strip_prefix('|')) {
        let cell = row.split('|').next().unwrap_or_default();
        for room in cell.split('`').skip(1).step_by(2) {
            if !rooms(&source.text).any(|other| other == room) {
                found.push(format!("{}: the door's table names `{room}`, which is no module", source.path));
            }
        }
    }
    found
}

/// The modules that the file declares, those for tests left out.
fn rooms(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines();
    let before = std::iter::once("").chain(text.lines());
    lines.zip(before).filter(|(_, before)| !before.contains("cfg(test)")).filter_map(|(line, _)| {
        let after = line.split("mod ").nth(1).filter(|_| line.starts_with("mod ") || line.starts_with("pub"))?;
        after.strip_suffix(';')
    })
}

#[cfg(test)]
mod tests;
