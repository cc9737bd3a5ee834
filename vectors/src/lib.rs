//! Reads the recorded vectors that lie beside the checkout (`../shared/vectors`) and makes every test of them prove
//! that it can fail.
//!
//! It never writes a file, and no path that ships uses it.
//!
//! A missing file fails the test when `CI` is set and is reported as skipped elsewhere, so that the project also passes
//! its tests alone. After a check has passed on the file as it is, [`verify`] changes one character of one expected
//! value and demands that the same check now fails.
#![forbid(unsafe_code)]

use serde_json::Value;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

/// What a test did with the cases of one file; printed as `file: cases, asserted, excepted`.
#[derive(Debug, Default)]
pub struct Tally {
    /// Cases that the file holds.
    pub cases: usize,
    /// Cases whose expected values were compared.
    pub asserted: usize,
    /// Cases left out, each with the reason (for example a scheme that is not built in).
    pub excepted: Vec<String>,
}

impl Tally {
    /// Counts one case that was compared.
    pub fn assert_case(&mut self) {
        self.cases += 1;
        self.asserted += 1;
    }

    /// Counts one case that was left out because of `reason`.
    pub fn except(&mut self, reason: impl Into<String>) {
        self.cases += 1;
        self.excepted.push(reason.into());
    }
}

/// The folder of the vectors: `KATZENSPRUNG_VECTORS`, or `../shared/vectors` beside the workspace.
pub fn folder() -> PathBuf {
    match std::env::var_os("KATZENSPRUNG_VECTORS") {
        Some(folder) => folder.into(),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors"),
    }
}

/// Reads one file, or reports it as skipped (fails when `CI` is set).
pub fn load(file: &str) -> Option<Value> {
    let path = folder().join(file);
    match std::fs::read(&path) {
        Ok(bytes) => match serde_json::from_slice(&bytes) {
            Ok(value) => Some(value),
            Err(error) => panic!("{file}: not JSON: {error}"),
        },
        Err(error) if testhost::is_strict() => panic!("{file}: {error}"),
        Err(_) => {
            testhost::report(format_args!("vectors {file}: SKIPPED, no such file beside the checkout"));
            None
        }
    }
}

/// Runs `check` on `file`, prints the tally, then changes the value at the JSON pointer `canary` (a hex or base64
/// string, a number or a boolean that the check compares) and demands that `check` fails.
pub fn verify(file: &str, canary: &str, check: impl Fn(&Value, &mut Tally) -> Result<(), String>) {
    let Some(mut value) = load(file) else { return };
    let mut tally = Tally::default();
    if let Err(error) = check(&value, &mut tally) {
        panic!("{file}: {error}");
    }
    println!("vectors {file}: {} cases, {} asserted, {} excepted", tally.cases, tally.asserted, tally.excepted.len());
    for reason in &tally.excepted {
        println!("vectors {file}: excepted: {reason}");
    }
    assert!(tally.asserted > 0, "{file}: no case was asserted");
    assert_eq!(tally.cases, tally.asserted + tally.excepted.len(), "{file}: cases went missing");
    let target = value.pointer_mut(canary).unwrap_or_else(|| panic!("{file}: no value at {canary}"));
    corrupt(target);
    let outcome = catch_unwind(AssertUnwindSafe(|| check(&value, &mut Tally::default())));
    assert!(!matches!(outcome, Ok(Ok(()))), "{file}: the check did not notice a changed value at {canary}");
}

fn corrupt(value: &mut Value) {
    *value = match value {
        Value::String(text) => {
            let middle = text.len() / 2;
            let changed = if text.as_bytes().get(middle) == Some(&b'0') { '1' } else { '0' };
            let mut characters: Vec<char> = text.chars().collect();
            match characters.get_mut(middle) {
                Some(character) => *character = changed,
                None => characters.push(changed),
            }
            Value::String(characters.into_iter().collect())
        }
        Value::Number(number) => Value::from(number.as_i64().unwrap_or(0) ^ 1),
        Value::Bool(flag) => Value::Bool(!*flag),
        other => panic!("a canary must be a string, a number or a boolean, not {other}"),
    };
}

/// The bytes of a hex string in a vector file.
pub fn hex(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap_or_else(|| panic!("not a hex string: {value}"));
    assert!(text.len().is_multiple_of(2), "odd hex string");
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap_or_else(|_| panic!("not hex: {text}")))
        .collect()
}
