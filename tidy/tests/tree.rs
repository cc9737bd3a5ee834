//! What a reviewer would have to look for by hand: the rules of `tidy` held against the tree, with their exceptions.
#![allow(missing_docs, reason = "a test binary has no public interface")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use tidy::{Source, citations, crates, doors, read_tree, sizes, words};

/// Where `unsafe` may stand: intrinsics, shared memory, rings, the allocators, and the calls of the C library that `bench` compares with: its safe wrappers are slower and would make us look good.
const UNSAFE_ROOMS: &[&str] = &[
    "allocations/src/counting.rs",
    "secret-memory/",
    "crypto-simd/",
    "interplane/",
    "dataplane/src/io/",
    "bench/src/peers/aws_lc.rs",
];

/// Files longer than a reader can hold, each with its reason: generated ones and tables only.
const LONG_FILES: &[(&str, &str)] = &[];

/// Functions longer than a screen, each with its reason.
const LONG_FUNCTIONS: &[(&str, &str)] = &[
    ("soft.rs: sub_bytes", "a circuit: one line per gate, nothing to name in between"),
    ("serve.rs: serve", "the start order of a node, step by step"),
];

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

/// What `[dependencies]` of each crate name, development dependencies left out.
fn dependencies() -> crates::Uses {
    let members = members().into_iter();
    let named = members.map(|name| {
        let manifest: toml::Table = page(&format!("{name}/Cargo.toml")).parse().unwrap();
        let table = manifest.get("dependencies").and_then(|table| table.as_table());
        (name, table.into_iter().flat_map(|table| table.keys()).cloned().collect())
    });
    named.collect()
}

/// Fails with all findings at once.
#[track_caller]
fn demand_none(findings: impl IntoIterator<Item = String>) {
    let findings: Vec<_> = findings.into_iter().collect();
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
}

#[test]
fn dependencies_point_down_as_the_page_says() {
    let mut edges = dependencies();
    let ours: BTreeSet<_> = edges.keys().cloned().collect();
    edges.values_mut().for_each(|named| named.retain(|other| ours.contains(other)));
    demand_none(crates::findings(&page("ARCHITECTURE.md"), &edges));
}

/// Only what `[dependencies]` name, through all crates of ours: no peer of a benchmark, no package of tests.
#[test]
fn the_operators_program_links_nothing_that_only_measures_or_tests() {
    let reasons = page("docs/internals/dependencies.md");
    let (_, section) = reasons.split_once("\n## Tests and benchmarks\n").expect("a section of that name");
    let rows = section.lines().take_while(|line| !line.starts_with("## ")).filter(|line| line.starts_with("| `"));
    let mut kept_out: Vec<&str> = rows.filter_map(|row| row.split('`').nth(1)).collect();
    assert!(kept_out.contains(&"crrl") && kept_out.contains(&"criterion"), "the table was not read: {kept_out:?}");
    kept_out.extend(["allocations", "bench", "fuzz", "tidy", "vectors"]);
    let named = dependencies();
    let mut waiting = vec!["katzensprung".to_owned()];
    let mut seen = BTreeSet::new();
    while let Some(name) = waiting.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        for dependency in &named[&name] {
            assert!(!kept_out.contains(&dependency.as_str()), "{name} brings {dependency} into the operator's program");
            waiting.extend(named.contains_key(dependency).then(|| dependency.clone()));
        }
    }
    assert!(seen.contains("rig"), "the program's crates were not found");
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
    let doors: Vec<_> = members().iter().map(|name| format!("{name}/src/lib.rs")).collect();
    demand_none(sources().iter().filter(|source| doors.contains(&source.path)).flat_map(doors::findings));
}

#[test]
fn files_are_short_enough_to_read() {
    let excepted = |source: &&Source| !LONG_FILES.iter().any(|(path, _)| source.path == *path);
    demand_none(sources().iter().filter(excepted).filter_map(sizes::long_file));
}

#[test]
fn functions_are_short_enough_to_read() {
    let sources = sources();
    let found: Vec<_> = sources.iter().filter(|source| !source.is_test()).flat_map(sizes::long_functions).collect();
    let new = found.iter().filter(|(shown, _)| !LONG_FUNCTIONS.iter().any(|(excepted, _)| shown.ends_with(excepted)));
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
    for name in members().iter().filter(|name| {
        !["allocations", "crypto-simd", "interplane", "dataplane", "secret-memory"].contains(&name.as_str())
    }) {
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
