//! Durations as Go writes them (`2m`, `1h30m`, `1.5s`), which the reference's configuration and environment use.

use std::time::Duration;

/// Why text is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Not of the form number, unit, number, unit …
    #[error("{0:?} is not a duration; write for example 2m, 90s or 1h30m")]
    Syntax(String),
    /// No such unit.
    #[error("{0:?} has an unknown unit; units are h, m, s, ms, us, ns")]
    Unit(String),
    /// More than 2^63 - 1 nanoseconds.
    #[error("{0:?} is too long")]
    TooLong(String),
    /// Below zero, where time only runs forward.
    #[error("{0:?} is negative")]
    Negative(String),
}

/// Reads a duration by the rules of Go's `time.ParseDuration`, without negative ones.
pub fn parse_go_duration(text: &str) -> Result<Duration, DurationError> {
    let syntax = || DurationError::Syntax(text.into());
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(syntax());
    }
    let mut nanoseconds: u128 = 0;
    while !rest.is_empty() {
        let (whole, after) = split_while(rest, |c| c.is_ascii_digit());
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => split_while(after, |c| c.is_ascii_digit()),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(syntax());
        }
        let (unit, after) = split_while(after, |c| c != '.' && !c.is_ascii_digit());
        if unit.is_empty() {
            return Err(syntax());
        }
        let scale = unit_nanoseconds(unit).ok_or_else(|| DurationError::Unit(text.into()))?;
        nanoseconds += part(whole, fraction, scale).ok_or_else(|| DurationError::TooLong(text.into()))?;
        if nanoseconds > i64::MAX as u128 {
            return Err(DurationError::TooLong(text.into()));
        }
        rest = after;
    }
    if negative && nanoseconds != 0 {
        return Err(DurationError::Negative(text.into()));
    }
    Ok(Duration::from_nanos(nanoseconds as u64))
}

fn split_while(text: &str, keep: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|c| !keep(c)).unwrap_or(text.len());
    text.split_at(end)
}

fn unit_nanoseconds(unit: &str) -> Option<u128> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

/// The nanoseconds of one `whole.fraction` of a unit; digits below a nanosecond are dropped.
fn part(whole: &str, fraction: &str, scale: u128) -> Option<u128> {
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut nanoseconds = u128::from(whole) * scale;
    let mut place = scale;
    // No unit has more than 13 decimal places above a nanosecond, so later digits cannot matter.
    let digits = fraction.bytes().take(18);
    let (mut numerator, mut denominator) = (0u128, 1u128);
    for digit in digits {
        numerator = numerator * 10 + u128::from(digit - b'0');
        denominator *= 10;
    }
    place *= numerator;
    nanoseconds += place / denominator;
    (nanoseconds <= i64::MAX as u128).then_some(nanoseconds)
}
