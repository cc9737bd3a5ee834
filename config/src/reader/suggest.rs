//! The known name that a misspelt one probably means.

const EDITS_MAX: usize = 2;
const NAME_CHARACTERS_MAX: usize = 64;

/// The nearest of `known`, none when all are far away.
pub fn nearest<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let name: Vec<char> = name.chars().take(NAME_CHARACTERS_MAX + 1).map(|c| c.to_ascii_lowercase()).collect();
    if name.len() > NAME_CHARACTERS_MAX || name.len() <= EDITS_MAX {
        return None;
    }
    known
        .map(|candidate| (edits(&name, candidate), candidate))
        .filter(|(edits, candidate)| *edits <= EDITS_MAX && candidate.len() > EDITS_MAX)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// Insertions, removals and replacements between the two (Levenshtein).
fn edits(name: &[char], candidate: &str) -> usize {
    let mut row: Vec<usize> = (0..=name.len()).collect();
    for c in candidate.chars().map(|c| c.to_ascii_lowercase()) {
        let mut diagonal = row[0];
        row[0] += 1;
        for (at, own) in name.iter().enumerate() {
            let replaced = diagonal + usize::from(*own != c);
            diagonal = row[at + 1];
            row[at + 1] = replaced.min(row[at] + 1).min(diagonal + 1);
        }
    }
    row[name.len()]
}
