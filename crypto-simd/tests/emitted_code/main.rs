//! An audit, symbol by symbol, of what the compiler made of the kernels: it reads this executable's own code, where all
//! levels are linked in whatever the host can run, and looks for what may tell secrets.
//!
//! Loops and lengths branch too, so not every branch is a finding. In the kernels secrets are in vectors or come from
//! memory; a finding is therefore
//!
//! - a branch on a vector: on flags of a vector comparison or on a register that was filled from a vector or mask,
//! - a load or store whose address was computed from a vector, or from a byte or a half word of memory: a table,
//! - a gather or scatter,
//! - a division or a square root, whose time depends on the operands.
//!
//! Where a register came from is searched backwards on all ways to the place, as far as it stays in registers: a reading
//! aid that caught every leaky function in `canaries`, not a proof. What counts is the code of a release:
//! `cargo test --release -p crypto-simd --test emitted_code`; `KATZENSPRUNG_AUDIT=1` prints all symbols with their branches.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod canaries;
mod code;

use code::{Suspicion, Symbol};
use crypto_simd::cpu::Level;
use crypto_simd::dispatch::Kernels;
use crypto_simd::schemes::{kem, nike};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::io::Write;

/// How the names of functions in assembly start.
const ASSEMBLY: &str = "katzensprung_";

/// Parts of the names of kernels: functions with target features of their own, and closures of tables.
const KERNELS: [&str; 5] = [ASSEMBLY, "inner", "::x86::", "::PORTABLE::", "::SINGLE::"];

/// Functions that never see a secret.
const NO_SECRETS: [&str; 4] =
    ["crypto_simd::cpu::", "crypto_simd::dispatch::", "crypto_simd::schemes::registry::", "::by_name"];

/// What was looked at and is in order: symbol, kind, how many at most, reason.
const REVIEWED: &[(&str, Suspicion, usize, &str)] = &[
    ("crypto_simd::kernels::aez::entries::PORTABLE", Suspicion::LookUp, 8, "the row of keys of the direction"),
    ("crypto_simd::kernels::multibuffer::", Suspicion::BranchOnVector, 2, "the longest of a batch's lengths"),
    (
        "crypto_simd::kernels::multibuffer::sha2::",
        Suspicion::Gather,
        1,
        "the same word of each lane's block, at even distances",
    ),
    ("crypto_simd::symmetric::blake2::", Suspicion::BranchOnVector, 2, "the lengths of a batch's messages, added up"),
    ("crypto_simd::kernels::keccak::batch::", Suspicion::Division, 4, "of lengths by the rate and of a count by lanes"),
    ("crypto_simd::schemes::", Suspicion::Division, 4, "of a batch's size by the lanes of a kernel"),
];

#[test]
fn kernels_neither_branch_on_vectors_nor_look_up() {
    if cfg!(debug_assertions) {
        // Other code than what a node runs: with checks of overflows, and without the optimisations of a release.
        return say(format_args!("level all: emitted code NOT AUDITED in this build, it takes --release"));
    }
    // Whatever is named here is linked in.
    black_box(Level::ALL.map(Kernels::of).iter().flatten().count());
    black_box((nike::by_name("x448").is_ok(), kem::by_name("XWING").is_ok()));
    black_box(canaries::ALL);

    let executable = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let symbols = code::symbols(&executable);
    canaries_are_found(&symbols);

    let is_ours = |name: &str| {
        let is_named = name.contains("crypto_simd::") || name.starts_with(ASSEMBLY);
        is_named && !NO_SECRETS.iter().any(|part| name.contains(part))
    };
    let ours = symbols.iter().filter(|symbol| is_ours(&symbol.name));
    let (kernels, others): (Vec<_>, Vec<_>) =
        ours.partition(|symbol| KERNELS.iter().any(|part| symbol.name.contains(part)));
    assert!(kernels.len() >= 9, "kernels are found by their names");
    let mut findings = Vec::new();
    for symbol in kernels.iter().chain(&others) {
        if std::env::var_os("KATZENSPRUNG_AUDIT").is_some() {
            say(format_args!("{symbol}"));
        }
        let mut counts = BTreeMap::new();
        for finding in &symbol.findings {
            counts.entry(finding.suspicion).or_insert_with(Vec::new).push(finding);
        }
        for (suspicion, findings_of) in counts {
            let reviewed = REVIEWED.iter().find(|row| symbol.name.contains(row.0) && row.1 == suspicion);
            if findings_of.len() > reviewed.map_or(0, |row| row.2) {
                findings.push((&symbol.name, findings_of));
            }
        }
    }
    assert!(findings.is_empty(), "{findings:#?}");
    let branches: usize = kernels.iter().map(|symbol| symbol.branches).sum();
    let instructions: usize = kernels.iter().map(|symbol| symbol.instructions).sum();
    say(format_args!(
        "level all: emitted code audited, {} kernels with {instructions} instructions and {branches} branches, {} other \
         functions",
        kernels.len(),
        others.len()
    ));
}

/// An audit that does not see what it is there for has shown nothing.
fn canaries_are_found(symbols: &[Symbol]) {
    for (name, suspicion, _) in canaries::ALL {
        let symbol = symbols.iter().find(|symbol| symbol.name.ends_with(name)).unwrap_or_else(|| panic!("no {name}"));
        let found = symbol.findings.iter().any(|finding| finding.suspicion == suspicion);
        assert!(found, "{name} was not found to be suspicious: {symbol}");
    }
}

/// Writes past the harness, which would keep what a passing test prints.
fn say(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
