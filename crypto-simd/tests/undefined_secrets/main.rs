//! Secrets neither branch nor index: valgrind's memcheck is told that they are uninitialised memory, and reports each
//! branch and each address that depends on them (after Langley's ctgrind).
//!
//! The test starts this executable again under valgrind, at every level that valgrind can run: it does not know AVX-512,
//! VAES and SHA extensions. Where valgrind is not installed the test says so and passes, and so it does in builds that
//! check overflows, as these checks are branches: `cargo test --release -p crypto-simd --test undefined_secrets`. What is reported has to be a
//! leaky function of ours, which must be found, or stand in the table of branches on values that are public although
//! they are computed from secrets.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod memcheck;
mod primitives;
mod report;

use crypto_simd::cpu::{LEVEL_VARIABLE, Level, level};
use report::{Public, findings};
use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

/// Set in the processes that valgrind runs.
const CHILD_VARIABLE: &str = "KATZENSPRUNG_VALGRIND_CHILD";

const ZERO: &str = "an all-zero product is refused in sight of the peer";
const AUTHENTIC: &str = "whether a frame was authentic is seen by the peer";
const WHOLE: &str = "Kyber's public key and its hash are public, only their seed is not";
const MATRIX: &str = "ML-KEM's matrix is public, only its seed comes out of the secret one";

/// What depends on secrets and is public all the same: file, function, caller, reason. Each entry is as narrow as a
/// function, so that a new branch beside it is found.
const PUBLIC: &[Public] = &[
    Public("crypto-simd/src/schemes/", "", "multiply_batch", ZERO),
    Public("schemes/nike/x448.rs", "x448::multiply", "", ZERO),
    Public("schemes/nike/x448.rs", "multiply", "blind_one", ZERO),
    Public("schemes/kem/xwing.rs", "encapsulate", "", ZERO),
    Public("e_chacha20poly1305.c", "open_gather", "", AUTHENTIC),
    Public("chacha20poly1305/message.rs", "open", "", AUTHENTIC),
    Public("chacha20poly1305/frame.rs", "open", "", AUTHENTIC),
    Public("symmetric/frame.rs", "open", "", AUTHENTIC),
    Public("schemes/kem/kyber.rs", "load", "", WHOLE),
    // The public key that stands in the serialised private one; nothing else is read by this function.
    Public("libcrux-ml-kem", "", "deserialize_ring_elements_reduced", WHOLE),
    Public("mlkem/key.rs", "uniform", "", MATRIX),
    Public("libcrux-ml-kem", "", "sample_matrix_A", MATRIX),
];

#[test]
fn secrets_neither_branch_nor_index() {
    if std::env::var_os(CHILD_VARIABLE).is_some() {
        assert!(memcheck::is_running());
        primitives::run();
        return;
    }
    if cfg!(debug_assertions) {
        // Checks of overflows and debug assertions branch on every number, secret or not.
        return say(format_args!(
            "level all: secrets as undefined memory NOT TESTED in this build, it takes --release"
        ));
    }
    if !Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success()) {
        return say(format_args!("level all: secrets as undefined memory NOT TESTED, valgrind is not installed"));
    }
    for level in Level::ALL {
        match level {
            Level::Portable | Level::Avx2 => check(level),
            _ => say(format_args!("level {level}: secrets as undefined memory NOT TESTED, valgrind lacks the level")),
        }
    }
}

fn check(at: Level) {
    if !at.is_here() {
        return say(format_args!("level {at}: secrets as undefined memory NOT TESTED ON THIS HOST"));
    }
    let log = std::env::temp_dir().join(format!("katzensprung-valgrind-{}-{at}", std::process::id()));
    let output = Command::new("valgrind")
        .args(["--quiet", "--error-limit=no", "--num-callers=16", "--fullpath-after="])
        .arg(format!("--log-file={}", log.display()))
        .arg(std::env::current_exe().unwrap())
        .args(["secrets_neither_branch_nor_index", "--exact", "--nocapture", "--test-threads=1"])
        .env(LEVEL_VARIABLE, at.name())
        .env(CHILD_VARIABLE, "1")
        .output()
        .unwrap();
    let report = std::fs::read_to_string(&log).unwrap();
    let _ = std::fs::remove_file(&log);
    assert!(output.status.success(), "{}\n{report}", String::from_utf8_lossy(&output.stdout));

    let findings = findings(&report);
    for canary in primitives::CANARIES {
        let caught = findings.iter().any(|finding| finding.place().contains(canary));
        assert!(caught, "level {at}: valgrind did not report {canary}; nothing is shown\n{report}");
    }
    let rest: Vec<_> = findings
        .iter()
        .filter(|finding| !primitives::CANARIES.iter().any(|canary| finding.place().contains(canary)))
        .collect();
    let leaks: BTreeMap<_, _> = rest
        .iter()
        .filter(|finding| finding.public(PUBLIC).is_none())
        .map(|finding| (finding.place(), finding))
        .collect();
    assert!(leaks.is_empty(), "level {at}: {} places depend on secrets\n{leaks:#?}", leaks.len());
    let mut public = BTreeMap::new();
    for reason in rest.iter().filter_map(|finding| finding.public(PUBLIC)) {
        *public.entry(reason).or_insert(0) += 1;
    }
    let public: Vec<_> = public.iter().map(|(reason, count)| format!("{count} where {reason}")).collect();
    let (canaries, public) = (primitives::CANARIES.len(), public.join("; "));
    say(format_args!(
        "level {at}: secrets as undefined memory tested, {canaries} leaky functions found; public: {public}"
    ));
}

/// The level of this process, which valgrind may not offer although the host has it.
fn level_name() -> &'static str {
    level().expect("valgrind offers the level").name()
}

/// Writes past the harness, which would keep what a passing test prints.
fn say(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
