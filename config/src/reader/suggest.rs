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

/// The one of `known` that differs by a gap: a name that was cut short, or written without its middle or its underscores.
pub fn abbreviated<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    const LETTERS_MIN: usize = 4;
    let letters = |name: &str| -> Vec<u8> {
        name.bytes().filter(|byte| !matches!(byte, b'_' | b'-')).map(|byte| byte.to_ascii_lowercase()).collect()
    };
    let name = letters(name);
    if name.len() < LETTERS_MIN || name.len() > NAME_CHARACTERS_MAX {
        return None;
    }
    let shared = |candidate: &str| {
        let candidate = letters(candidate);
        let equal = |(one, other): &(&u8, &u8)| one == other;
        let before = name.iter().zip(&candidate).take_while(equal).count();
        let after = name[before..].iter().rev().zip(candidate[before..].iter().rev()).take_while(equal).count();
        before + after
    };
    known
        .map(|candidate| (shared(candidate), candidate))
        // The last letter may be that of another ending: Authority, Authorities.
        .filter(|(shared, _)| *shared >= LETTERS_MIN && shared + 1 >= name.len())
        .max_by_key(|(shared, candidate)| (*shared, std::cmp::Reverse(candidate.len())))
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
