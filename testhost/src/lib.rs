//! What a test may leave out on a host that lacks something, and when that is a failure: the one rule for all tests.
//!
//! A test that cannot run says so past the harness, which would hide it. Where `CI` is set it fails instead: a check
//! that leaves things out proves too little. Who runs the check on a poorer host on purpose names what it lacks:
//! `KATZENSPRUNG_LACKS=io_uring,ipv6`.
//!
//! It never looks at the host itself but for [`postgres`], which starts a PostgreSQL where there is one, and [`disk`], which
//! mounts where that is allowed; what a processor does not have is no matter of the host's set-up and is left out
//! everywhere.
//!
//! | module | what lives there |
//! |---|---|
//! | [`postgres`] | a PostgreSQL of a test's own |
//! | [`disk`] | a small disk of a test's own |
#![forbid(unsafe_code)]

pub mod disk;
pub mod postgres;
#[cfg(test)]
mod tests;

use std::fmt::Display;
use std::io::Write;

/// Names, with commas between them, of what the host may lack under `CI`.
const VARIABLE: &str = "KATZENSPRUNG_LACKS";

/// Says that a test, or a part of it, is left out because this host lacks `what`, which is a name without commas. Panics
/// where nothing may be left out.
#[track_caller]
pub fn lacks(what: &str, reason: impl Display) {
    let allowed = std::env::var(VARIABLE).unwrap_or_default();
    match verdict(what, is_strict(), &allowed) {
        Ok(()) => report(format_args!("NOT TESTED for want of {what}: {reason}")),
        Err(remedy) => panic!("NOT TESTED for want of {what}: {reason}; {remedy}"),
    }
}

/// Names, with commas between them, of the tools without which a check is to fail.
const TOOLS_VARIABLE: &str = "KATZENSPRUNG_NEEDS";

/// The same for a tool that the check does without on purpose (`.ci/run` asks for Rust, git and a C compiler only): fails
/// only where `KATZENSPRUNG_NEEDS=promtool,dpkg-deb` names it.
#[track_caller]
pub fn lacks_tool(what: &str) {
    let needed = std::env::var(TOOLS_VARIABLE).unwrap_or_default();
    assert!(!is_among(what, &needed), "NOT TESTED for want of {what}, which {TOOLS_VARIABLE} names: install it");
    report(format_args!("NOT TESTED for want of {what}: it is not installed"));
}

/// Whether nothing may be left out: services write `true` or `1`.
pub fn is_strict() -> bool {
    std::env::var_os("CI").is_some_and(|value| !["", "0", "false"].iter().any(|no| value == *no))
}

/// Past the test harness, which would show the lines of failed tests only.
pub fn report(line: std::fmt::Arguments<'_>) {
    // A closed standard output is no reason to fail a test.
    let _unread = writeln!(std::io::stdout(), "{line}");
}

fn verdict(what: &str, is_strict: bool, allowed: &str) -> Result<(), String> {
    if !is_strict || is_among(what, allowed) {
        return Ok(());
    }
    Err(format!("CI leaves nothing out: mend the host, or set {VARIABLE}={what}"))
}

fn is_among(what: &str, names: &str) -> bool {
    names.split(',').any(|name| name.trim() == what)
}
