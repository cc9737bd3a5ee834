//! The table of crates in `ARCHITECTURE.md` and the manifests say the same, and dependencies point down only.

use std::collections::{BTreeMap, BTreeSet};

/// What opens and what closes the table.
pub const MARKERS: [&str; 2] = ["<!-- crates -->", "<!-- end of crates -->"];

/// Crates and those of ours that each names, development dependencies left out.
pub type Uses = BTreeMap<String, BTreeSet<String>>;

/// The rows of the table, from the top of the page down: the crate, and the crates of ours that it names.
pub fn table(page: &str) -> Vec<(String, BTreeSet<String>)> {
    let Some(inside) = page.split(MARKERS[0]).nth(1).and_then(|rest| rest.split(MARKERS[1]).next()) else {
        return Vec::new();
    };
    let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let rows = inside.lines().filter_map(|line| {
        let mut cells = line.trim().strip_prefix('|')?.split('|');
        let name = quoted(cells.next()?).into_iter().next()?;
        Some((name, quoted(cells.next()?).into_iter().collect()))
    });
    rows.collect()
}

/// What `page` says of the crates and the manifests do not, and the other way round.
pub fn findings(page: &str, manifests: &Uses) -> Vec<String> {
    let rows = table(page);
    if rows.is_empty() {
        return vec![format!("ARCHITECTURE.md: no table between {} and {}", MARKERS[0], MARKERS[1])];
    }
    let mut found = Vec::new();
    let none = BTreeSet::new();
    for (at, (name, uses)) in rows.iter().enumerate() {
        match manifests.get(name) {
            None => found.push(format!("ARCHITECTURE.md: the table has `{name}`, which is no crate")),
            Some(named) => {
                let less = named.difference(uses).map(|other| format!("the row of `{name}` lacks `{other}`"));
                let more = uses.difference(named).map(|other| format!("`{name}` does not use `{other}`"));
                found.extend(less.chain(more).map(|what| format!("ARCHITECTURE.md: {what}")));
            }
        }
        let below: BTreeSet<_> = rows[at + 1..].iter().map(|(name, _)| name).collect();
        for other in manifests.get(name).unwrap_or(&none).iter().filter(|other| !below.contains(other)) {
            found.push(format!("{name} uses {other}, which does not stand below it in ARCHITECTURE.md"));
        }
    }
    let missing = manifests.keys().filter(|name| rows.iter().all(|(row, _)| row != *name));
    found.extend(missing.map(|name| format!("ARCHITECTURE.md: the table lacks the crate `{name}`")));
    found
}

#[cfg(test)]
mod tests;
