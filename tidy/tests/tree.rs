//! What a reviewer would have to look for by hand.
#![allow(missing_docs, reason = "a test binary has no public interface")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Each crate and the crates of ours that it may name, development dependencies left out. A crate stands below all
/// that name it, so that dependencies point down only.
const LAYERS: &[(&str, &[&str])] = &[
    ("vectors", &[]),
    ("tidy", &[]),
    ("crypto-simd", &[]),
    ("sphinx", &["crypto-simd"]),
    ("wire", &["crypto-simd"]),
    ("pki", &["crypto-simd"]),
    ("config", &["crypto-simd", "sphinx", "pki"]),
    ("interplane", &["crypto-simd", "sphinx", "wire", "pki"]),
    ("dataplane", &["crypto-simd", "sphinx", "wire", "pki", "interplane"]),
    ("controlplane", &["crypto-simd", "sphinx", "wire", "pki", "config", "interplane"]),
    ("testnet", &["crypto-simd", "sphinx", "wire", "pki"]),
    ("rig", &["crypto-simd", "sphinx", "wire", "pki", "testnet"]),
    ("bench", &["crypto-simd", "sphinx", "wire", "pki", "rig", "testnet"]),
    (
        "katzensprung",
        &["crypto-simd", "sphinx", "wire", "pki", "config", "interplane", "controlplane", "dataplane", "rig"],
    ),
    ("fuzz", &["crypto-simd", "sphinx", "wire", "pki", "config", "interplane"]),
];

/// Where `unsafe` may stand: intrinsics, shared memory, rings, the allocator that counts in tests, and the calls of the
/// C library that `bench` compares with: its safe wrappers are slower and would make us look good.
const UNSAFE_ROOMS: &[&str] = &["crypto-simd/", "interplane/", "dataplane/src/io/", "bench/src/peers/aws_lc.rs"];

const FILE_LINES_MAX: usize = 1000;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                folders.push(path);
            } else if name.ends_with(".rs") {
                let shown = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
                found.push((shown, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(found.len() > 5, "the tree was not read");
    found
}

fn manifests() -> BTreeMap<String, toml::Table> {
    let workspace: toml::Table = fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    let members = workspace["workspace"]["members"].as_array().unwrap();
    members
        .iter()
        .map(|member| {
            let name = member.as_str().unwrap().to_owned();
            let text = fs::read_to_string(root().join(&name).join("Cargo.toml")).unwrap();
            (name, text.parse().unwrap())
        })
        .collect()
}

#[test]
fn dependencies_point_down_only() {
    let layers: BTreeMap<_, _> = LAYERS.iter().copied().collect();
    for (name, manifest) in manifests() {
        let allowed = layers.get(name.as_str()).unwrap_or_else(|| panic!("{name} has no place in LAYERS"));
        let Some(dependencies) = manifest.get("dependencies").and_then(|table| table.as_table()) else { continue };
        for dependency in dependencies.keys().filter(|dependency| layers.contains_key(dependency.as_str())) {
            assert!(allowed.contains(&dependency.as_str()), "{name} may not use {dependency}");
        }
    }
    for (at, (name, allowed)) in LAYERS.iter().enumerate() {
        for below in *allowed {
            let place = LAYERS.iter().position(|(other, _)| other == below).expect("a crate of LAYERS");
            assert!(place < at, "{name} uses {below}, which does not stand below it");
        }
    }
}

/// Only what `[dependencies]` name, through all crates of ours: no peer of a benchmark, no package of tests.
#[test]
fn the_operators_program_links_nothing_that_only_measures_or_tests() {
    let reasons = fs::read_to_string(root().join("docs/internals/dependencies.md")).unwrap();
    let (_, section) = reasons.split_once("\n## Tests and benchmarks\n").expect("a section of that name");
    let rows = section.lines().take_while(|line| !line.starts_with("## ")).filter(|line| line.starts_with("| `"));
    let mut kept_out: Vec<&str> = rows.filter_map(|row| row.split('`').nth(1)).collect();
    assert!(kept_out.contains(&"crrl") && kept_out.contains(&"criterion"), "the table was not read: {kept_out:?}");
    kept_out.extend(["bench", "fuzz", "tidy", "vectors"]);
    let manifests = manifests();
    let mut waiting = vec!["katzensprung".to_owned()];
    let mut seen = BTreeSet::new();
    while let Some(name) = waiting.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        let dependencies = manifests[&name].get("dependencies").and_then(|table| table.as_table());
        for dependency in dependencies.into_iter().flat_map(|table| table.keys()) {
            assert!(!kept_out.contains(&dependency.as_str()), "{name} brings {dependency} into the operator's program");
            waiting.extend(manifests.contains_key(dependency).then(|| dependency.clone()));
        }
    }
    assert!(seen.contains("rig"), "the program's crates were not found");
}

#[test]
fn files_are_short_enough_to_read() {
    for (path, text) in sources() {
        let lines = text.lines().count();
        assert!(lines <= FILE_LINES_MAX, "{path} has {lines} lines, more than {FILE_LINES_MAX}: split it");
    }
}

#[test]
fn unsafe_stands_in_its_rooms_with_a_reason_at_each_block() {
    let opening = ["unsafe ", "{"].concat();
    for (path, text) in sources() {
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let code = line.trim_start();
            if code.starts_with("//") || !code.contains(&opening) {
                continue;
            }
            let in_tests = path.contains("/tests/") || path.contains("/benches/");
            let room = in_tests || UNSAFE_ROOMS.iter().any(|room| path.starts_with(room));
            assert!(room, "{path}:{}: unsafe outside its rooms", at + 1);
            let reason = lines[at.saturating_sub(8)..=at].iter().any(|above| above.contains("SAFETY:"));
            assert!(reason, "{path}:{}: unsafe block without a `// SAFETY:` reason", at + 1);
        }
    }
}

#[test]
fn every_other_crate_forbids_unsafe() {
    for name in manifests().keys().filter(|name| !["crypto-simd", "interplane", "dataplane"].contains(&name.as_str())) {
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
    let marks = [["TO", "DO"].concat(), ["FIX", "ME"].concat(), ["#[ig", "nore]"].concat()];
    for (path, text) in sources() {
        for mark in &marks {
            assert!(!text.contains(mark.as_str()), "{path} contains {mark}");
        }
    }
}

#[test]
fn every_package_has_its_reason() {
    let reasons = fs::read_to_string(root().join("docs/internals/dependencies.md")).unwrap();
    let workspace: toml::Table = fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    let packages = workspace["workspace"]["dependencies"].as_table().unwrap();
    let ours: Vec<_> = LAYERS.iter().map(|(name, _)| *name).collect();
    for package in packages.keys().filter(|package| !ours.contains(&package.as_str())) {
        assert!(reasons.contains(&format!("`{package}`")), "docs/internals/dependencies.md does not name {package}");
    }
}
