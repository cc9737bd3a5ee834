//! What a reviewer would have to look for by hand: the rules of `tidy` held against the tree, with their exceptions.
#![allow(missing_docs, reason = "a test binary has no public interface")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use tidy::{Source, circles, citations, crates, doors, links, read_tree, readers, sizes, words};

/// Where `unsafe` may stand: intrinsics, shared memory, rings, sockets, bpf(2), the allocators, and the calls of the C library that `bench` compares with: its safe wrappers are slower and would make us look good.
const UNSAFE_ROOMS: &[&str] = &[
    "allocations/src/counting.rs",
    "secret-memory/",
    "crypto-simd/",
    "interplane/",
    "dataplane/src/io/",
    "datagram/src/udp/calls.rs",
    "xdp/src/bpf.rs",
    "xdp/src/channels.rs",
    "xdp/src/memory.rs",
    "dpdk-link/src/queue/shim.rs",
    "bench/src/peers/aws_lc.rs",
];

/// Files longer than a reader can hold, each with its reason: generated ones and tables only.
const LONG_FILES: &[(&str, &str)] = &[];

/// Functions longer than a screen, each with its reason.
const LONG_FUNCTIONS: &[(&str, &str)] =
    &[("soft.rs: sub_bytes", "a circuit: one line per gate, nothing to name in between")];

/// Public items that only tests read, each with its reason. A path without a name stands for all of its items.
const UNREAD: &[(&str, &str)] = &[
    ("dataplane/src/delay/planted.rs", "leaks that tests plant in the wheel: no other build has the file"),
    ("config/src/manual.rs: markdown", "a test writes docs/reference/config.md with it"),
    ("allocations/", "the allocator that counts is there for tests"),
    ("testnet/", "the small network is there for tests"),
    ("testhost/", "what tests may leave out is asked by tests"),
    ("interplane/src/channel.rs: peer_uid", "tests see with it whom a channel took for its peer"),
    ("interplane/src/reason.rs: markdown", "a test writes docs/reference/drop-reasons.md with it"),
    ("pki/src/certificate/mod.rs: verify_all", "one third of the certificate's operations (pki.md 3.4)"),
    ("sphinx/src/plaintext.rs: pad_reply", "what a reply holds; nodes write it in place, tests compare"),
    ("sphinx/src/surb.rs: new_packet_from_surb", "a reply made anew; nodes make it in place, tests compare"),
    (
        "sphinx/src/commands.rs: parse_list",
        "the second reading of a hop's commands, with which tests compare the first",
    ),
    ("wire/src/command/codes.rs", "the codes of authorities and replicas, whole, as wire.md 6.9 has them"),
    ("dataplane/src/io/sim", "the simulated network is there for tests, those of other crates too"),
    ("crypto-simd/src/aez.rs: extract_key", "a step of AEZ that its vectors give on its own"),
    ("crypto-simd/src/aez.rs: encrypt_in_place", "one message; nodes take batches, clients one"),
    ("crypto-simd/src/aez.rs: decrypt_in_place", "the other direction"),
    ("crypto-simd/src/symmetric/aead.rs: NONCE_BYTES", "a size that the interface's users need"),
    ("crypto-simd/src/symmetric/stream.rs: aes256_ctr_keystream", "one stream; nodes take batches, clients one"),
];

/// Loops among the files of a crate, each with its reason. Files are told by a part of their path.
const LOOPS: &[(&[&str], &str)] = &[
    (&["poly1305"], "the field and its evaluation with vectors: one thought in two files"),
    (&["sphincs/"], "hashing and the one-time signature that hashes: one thought in two files"),
    (&["multibuffer/sha"], "SHA-2 in lanes and with the CPU's own instructions share one state"),
    (
        &["cpu.rs", "aez/", "chacha20poly1305/", "curve25519/", "curve448/", "mlkem/", "multibuffer/", "symmetric/"],
        "the table of kernels and the tokens that prove a level stand in one file",
    ),
    (&["crypto-simd/src/schemes/"], "traits and the registry of schemes stand in one file"),
    (
        &["secret-memory/src/allocator.rs", "secret-memory/src/process.rs"],
        "a scope wipes the stack that it used, and the process says what the scopes found no room for",
    ),
    (&["node/handed_back.rs", "node/plane.rs"], "what a data plane hands back is what was published to it"),
    (&["dataplane/src/delay.rs", "packet/pool.rs"], "the wheel chains the pool's slots through a link inside each"),
    (
        &["shard/context.rs", "shard/packets.rs"],
        "a round lends the packets to the links, and packets work in the same context",
    ),
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
    kept_out.extend(["allocations", "bench", "fuzz", "testhost", "tidy", "vectors"]);
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
fn links_and_the_tables_of_rules_lead_somewhere() {
    let pages = read_tree(&root(), &[".md"]);
    let exists = |path: &str| root().join(path).exists();
    let broken = pages.iter().flat_map(|page| links::broken(page, exists));
    let read = |path: &str| fs::read_to_string(root().join(path)).ok();
    let rules = links::RULES.map(|path| Source::new(path, &page(path)));
    demand_none(broken.chain(rules.iter().flat_map(|page| links::misplaced(page, read))));
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
fn public_items_have_a_reader() {
    let excepted = |shown: &String| UNREAD.iter().any(|(known, _)| shown.starts_with(known));
    let found = readers::unread(&sources()).into_iter().filter(|shown| !excepted(shown));
    demand_none(found.map(|shown| format!("{shown} is read by tests only: delete it, or give it a reader")));
}

/// Whether an exception is about this loop.
fn excuses(parts: &[&str], files: &[String]) -> bool {
    files.iter().all(|path| parts.iter().any(|part| path.contains(part)))
}

#[test]
fn files_do_not_import_each_other_in_a_loop() {
    let new = loops().into_iter().filter(|files| !LOOPS.iter().any(|(parts, _)| excuses(parts, files)));
    demand_none(new.map(|files| format!("a loop of imports: {}", files.join(", "))));
}

fn loops() -> Vec<Vec<String>> {
    let all = sources();
    let of =
        |name: String| circles::find(&all.iter().filter(|source| source.room() == name).cloned().collect::<Vec<_>>());
    members().into_iter().flat_map(of).collect()
}

/// An exception that nothing needs any more would hide what comes next.
#[test]
fn every_exception_is_needed() {
    let (all, loops) = (sources(), loops());
    let unread = readers::unread(&all);
    let long: Vec<_> = all.iter().filter(|source| !source.is_test()).flat_map(sizes::long_functions).collect();
    let idle = |what: &str, is_needed: bool| (!is_needed).then(|| format!("nothing needs the exception for {what}"));
    let of_loops =
        LOOPS.iter().filter_map(|(parts, _)| idle(&parts.join(", "), loops.iter().any(|files| excuses(parts, files))));
    let of_readers =
        UNREAD.iter().filter_map(|(path, _)| idle(path, unread.iter().any(|shown| shown.starts_with(path))));
    let of_sizes =
        LONG_FUNCTIONS.iter().filter_map(|(name, _)| idle(name, long.iter().any(|(shown, _)| shown.ends_with(name))));
    demand_none(of_loops.chain(of_readers).chain(of_sizes));
}

#[test]
fn unsafe_stands_in_its_rooms_with_a_reason_at_each_block() {
    demand_none(sources().iter().flat_map(|source| words::unsafe_blocks(source, UNSAFE_ROOMS)));
}

#[test]
fn every_other_crate_forbids_unsafe() {
    for name in members().iter().filter(|name| {
        !["allocations", "crypto-simd", "interplane", "dataplane", "secret-memory", "xdp", "datagram", "dpdk-link"]
            .contains(&name.as_str())
    }) {
        let front = ["lib.rs", "main.rs"]
            .iter()
            .find_map(|file| fs::read_to_string(root().join(name).join("src").join(file)).ok());
        if let Some(front) = front {
            if name == "bench" || name == "datagram" {
                assert!(front.contains("#![deny(unsafe_code)]"), "{name} does not deny unsafe code outside its room");
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
