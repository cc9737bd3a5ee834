//! What a reviewer would have to look for by hand: the rules of `tidy` held against the tree, with their exceptions.
#![allow(missing_docs, reason = "a test binary has no public interface")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use tidy::{Source, circles, citations, crates, doors, read_tree, readers, sizes, words};

/// Where `unsafe` may stand: intrinsics, shared memory, rings, the allocator that counts in tests, and the calls of the
/// C library that `bench` compares with: its safe wrappers are slower and would make us look good.
const UNSAFE_ROOMS: &[&str] = &["crypto-simd/", "interplane/", "dataplane/src/io/", "bench/src/peers/aws_lc.rs"];

/// Files longer than a reader can hold, each with its reason: generated ones and tables only.
const LONG_FILES: &[(&str, &str)] = &[];

/// Functions longer than a screen, each with its reason.
const LONG_FUNCTIONS: &[(&str, &str)] =
    &[("crypto-simd/src/aes/soft.rs: sub_bytes", "a circuit: one line per gate, nothing to name in between")];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn sources() -> Vec<Source> {
    read_tree(&root(), &[".rs"])
}

fn page(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn members() -> Vec<String> {
    let workspace: toml::Table = page("Cargo.toml").parse().unwrap();
    let members = workspace["workspace"]["members"].as_array().unwrap();
    members.iter().map(|member| member.as_str().unwrap().to_owned()).collect()
}

/// What each crate names of ours, development dependencies left out.
fn uses() -> crates::Uses {
    let members = members();
    let uses = members.iter().map(|name| {
        let manifest: toml::Table = page(&format!("{name}/Cargo.toml")).parse().unwrap();
        let table = manifest.get("dependencies").and_then(|table| table.as_table());
        let named: BTreeSet<_> = table.into_iter().flat_map(|table| table.keys()).cloned().collect();
        (name.clone(), named.into_iter().filter(|other| members.contains(other)).collect())
    });
    uses.collect()
}

/// Fails with all findings at once.
#[track_caller]
fn demand_none(findings: impl IntoIterator<Item = String>) {
    let findings: Vec<_> = findings.into_iter().collect();
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
}

#[test]
fn dependencies_point_down_as_the_page_says() {
    demand_none(crates::findings(&page("ARCHITECTURE.md"), &uses()));
}

#[test]
fn citations_hit_a_section() {
    let pages = read_tree(&root(), &[".rs", ".md", ".toml", ".s"]);
    let known = citations::sections(&pages, "docs/protocol/");
    assert!(known.len() >= 6, "the description of the protocol was not read");
    // The samples of the rules cite what is not there on purpose.
    let held = pages.iter().filter(|source| !source.path.starts_with("tidy/src/"));
    demand_none(held.flat_map(|source| citations::findings(source, &known)));
}

#[test]
fn doors_name_their_rooms() {
    demand_none(sources().iter().filter(|source| source.path.ends_with("/src/lib.rs")).flat_map(doors::findings));
}

#[test]
fn files_are_short_enough_to_read() {
    let excepted = |source: &&Source| !LONG_FILES.iter().any(|(path, _)| source.path == *path);
    demand_none(sources().iter().filter(excepted).filter_map(sizes::long_file));
}

#[test]
fn functions_are_short_enough_to_read() {
    let found = sources().iter().flat_map(sizes::long_functions).collect::<Vec<_>>();
    let new = found.iter().filter(|(shown, _)| !LONG_FUNCTIONS.iter().any(|(excepted, _)| excepted == shown));
    demand_none(
        new.map(|(shown, lines)| format!("{shown} has {lines} lines, more than {}", sizes::FUNCTION_LINES_MAX)),
    );
}

#[test]
fn unsafe_stands_in_its_rooms_with_a_reason_at_each_block() {
    demand_none(sources().iter().flat_map(|source| words::unsafe_blocks(source, UNSAFE_ROOMS)));
}

#[test]
fn every_other_crate_forbids_unsafe() {
    for name in members().iter().filter(|name| !["crypto-simd", "interplane", "dataplane"].contains(&name.as_str())) {
        let front = ["lib.rs", "main.rs"]
            .iter()
            .find_map(|file| fs::read_to_string(root().join(name).join("src").join(file)).ok());
        if let Some(front) = front {
            if name == "bench" {
                assert!(front.contains("#![deny(unsafe_code)]"), "bench does not deny unsafe code outside its room");
                continue;
            }
            assert!(front.contains("#![forbid(unsafe_code)]"), "{name} does not forbid unsafe code");
        }
    }
}

#[test]
fn nothing_is_left_unfinished() {
    demand_none(sources().iter().flat_map(words::unfinished));
}

#[test]
fn every_package_has_its_reason() {
    let reasons = page("docs/internals/dependencies.md");
    let workspace: toml::Table = page("Cargo.toml").parse().unwrap();
    let packages = workspace["workspace"]["dependencies"].as_table().unwrap();
    let ours = members();
    for package in packages.keys().filter(|package| !ours.contains(package)) {
        assert!(reasons.contains(&format!("`{package}`")), "docs/internals/dependencies.md does not name {package}");
    }
}

#[test]
fn print_circles() {
    let all = sources();
    for name in members() {
        let own: Vec<_> = all.iter().filter(|s| s.room() == name).cloned().collect();
        for l in circles::find(&own) {
            println!("{l:?}");
        }
    }
    for u in readers::unread(&all) {
        println!("{u}");
    }
    for (f, n) in all.iter().flat_map(sizes::long_functions) {
        println!("{f} {n}");
    }
}
