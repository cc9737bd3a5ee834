//! Lists (`0-3,8`) and masks (`00000001,0000000f`) of processors, and settings that show their alternatives.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

/// No kernel has more processors; a list that names one is garbage.
const PROCESSORS_MAX: usize = 1 << 16;

/// Processors by their numbers.
pub type Processors = BTreeSet<usize>;

/// Reads a list; none if it is none.
pub fn of_list(text: &str) -> Option<Processors> {
    let mut all = Processors::new();
    for part in text.trim().split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.parse::<usize>().ok()?, last.parse::<usize>().ok()?);
        if first > last || last >= PROCESSORS_MAX {
            return None;
        }
        all.extend(first..=last);
    }
    Some(all)
}

/// Writes a list as the kernel does.
pub fn to_list(processors: &Processors) -> String {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for &number in processors {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => runs.push((number, number)),
        }
    }
    let text = |&(first, last): &(usize, usize)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    };
    runs.iter().map(text).collect::<Vec<_>>().join(",")
}

/// Reads a mask; none if it is none.
pub fn of_mask(text: &str) -> Option<Processors> {
    let mut all = Processors::new();
    for (group, digits) in text.trim().rsplit(',').enumerate() {
        let word = u32::from_str_radix(digits, 16).ok().filter(|_| group * 32 < PROCESSORS_MAX)?;
        all.extend((0..32).filter(|bit| word >> bit & 1 == 1).map(|bit| group * 32 + bit));
    }
    Some(all)
}

/// Writes a mask as the kernel does.
pub fn to_mask(processors: &Processors) -> String {
    let groups = processors.last().map_or(1, |last| last / 32 + 1);
    let mut words = vec![0u32; groups];
    for &number in processors {
        words[number / 32] |= 1 << (number % 32);
    }
    words.iter().rev().map(|word| format!("{word:08x}")).collect::<Vec<_>>().join(",")
}

/// Whether two texts of the file at `path` are one setting.
pub fn are_same(path: &str, one: &str, other: &str) -> bool {
    let processors = |text| match path.rsplit('/').next() {
        Some("smp_affinity_list") => of_list(text),
        Some("rps_cpus") => of_mask(text),
        _ => None,
    };
    match (processors(one), processors(other)) {
        (Some(one), Some(other)) => one == other,
        _ => one.split_whitespace().eq(other.split_whitespace()),
    }
}
