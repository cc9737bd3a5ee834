//! The `table` command from outside: what it prints, and how it refuses.
#![allow(missing_docs, reason = "a test binary has no public interface")]

use std::process::{Command, Output};

fn bench(arguments: &[&str], level: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
    command.args(arguments).env_remove("KATZENSPRUNG_SIMD");
    if let Some(level) = level {
        command.env("KATZENSPRUNG_SIMD", level);
    }
    command.output().expect("the program starts")
}

fn refused(arguments: &[&str], level: Option<&str>, reason: &str) {
    let output = bench(arguments, level);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {errors}");
    assert!(errors.contains(reason), "{arguments:?}: {errors}");
    assert!(output.stdout.is_empty(), "{arguments:?}");
}

#[test]
fn wrong_arguments_are_refused_with_a_reason() {
    refused(&["table", "--rounds", "3"], None, "25..=10000");
    refused(&["table", "--quick", "--rounds", "30"], None, "cannot be used with");
    refused(&["table", "--only", "nothing"], None, "matches no row");
    refused(&["table", "--core", "1023"], None, "this process may use");
    refused(&["table", "--write", "/nowhere/RESULTS.md"], None, "/nowhere/RESULTS.md");
    refused(&["table", "--only", "hkdf", "--quick", "--peer", "exit 3"], None, "exit status: 3");
    refused(&["table", "--only", "hkdf", "--quick", "--peer", "echo"], None, "no Go benchmark line");
    refused(&["table"], Some("sse"), "is not a level");
}

#[test]
fn one_object_per_row_at_the_level_that_is_forced() {
    let output = bench(&["table", "--quick", "--json", "--only", "hkdf"], Some("portable"));
    assert_eq!(output.status.code(), Some(0), "no limits without vectors");
    let text = String::from_utf8_lossy(&output.stdout);
    let rows: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("one object per line")).collect();
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|row| row["level"] == "portable" && row["ns"].as_f64().is_some_and(|ns| ns > 0.0)));
}
