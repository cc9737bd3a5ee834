//! A short, repeatable run of every target, and proof that the alarms ring.
#![allow(missing_docs, reason = "a test binary has no public interface")]

use allocations::Counting;
use fuzz::storm::{self, Failure, Passed};
use fuzz::{CANARY, TARGETS, Target, Verdict};
use std::path::Path;

const SEED: u64 = 0x6b61_747a_656e;
const INPUTS: u64 = 3_000;
/// No parser may hold more than this for an input of at most `storm::INPUT_BYTES_MAX`.
const HELD_BYTES_MAX: isize = 32 << 20;

/// Targets start no threads, so that frees of another thread's memory are rare.
#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Feeds one input and measures what it holds at most.
fn watch(feed: &dyn Fn() -> Result<Verdict, String>) -> Result<Verdict, String> {
    let (verdict, most) = allocations::most_bytes_of(feed);
    let verdict = verdict?;
    match most {
        most if most > HELD_BYTES_MAX => Err(format!("held {most} bytes")),
        _ => Ok(verdict),
    }
}

fn run(target: &Target, inputs: u64) -> Result<Passed, Box<Failure>> {
    storm::run(target, SEED, |index| index < inputs, watch)
}

fn short(name: &str) {
    let target = fuzz::find(name).expect("a target");
    for (number, seed) in (target.seeds)().iter().enumerate() {
        assert_eq!(storm::feed(target, seed), Ok(Verdict::Accepted), "{name}: seed {number} is not accepted");
    }
    match run(target, INPUTS) {
        Ok(Passed { inputs, accepted }) => {
            println!("{name}: {inputs} inputs, {accepted} accepted");
            assert_eq!(inputs, INPUTS);
            assert!(accepted < inputs, "{name}: nothing was refused");
        }
        Err(failure) => panic!("{failure}"),
    }
}

macro_rules! short {
    ($($name:ident)+) => {
        $( #[test] fn $name() { short(stringify!($name)); } )+

        #[test]
        fn every_target_is_tested() {
            let tested = [$( stringify!($name) ),+];
            let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(names, tested);
        }
    };
}

short! {
    sphinx_unwrap_nike
    sphinx_unwrap_kem
    sphinx_commands
    sphinx_surb
    sphinx_surb_payload
    sphinx_plaintext
    wire_link_initiator
    wire_link_responder
    wire_frames
    wire_commands_mixnet
    wire_commands_pki
    wire_commands_replica
    wire_consensus2
    quic_endpoint
    pki_cbor
    pki_certificate
    pki_descriptor
    pki_replica_descriptor
    pki_upload
    pki_replica_upload
    pki_document
    pki_consensus
    pki_policy
    pki_voting
    config_server
    config_own
    config_authority
    config_client
    pem
    url
    name
    duration
    interplane_to_data
    interplane_to_control
    interplane_snapshot
    interplane_roll
    interplane_secrets
    interplane_memory
    interplane_events
    service_request
    service_plugin
    service_plugin_http
    service_keyserver
    service_plugin_parameters
    gateway_program
    gateway_record
    gateway_question
    gateway_head
    gateway_row
    gateway_shelf
    crypto_keys
}

#[test]
fn the_canary_sings() {
    let failure = run(&CANARY, INPUTS).expect_err("the canary must fail");
    assert!(failure.index > 0, "the seed itself is good");
    assert!(failure.message.contains("the canary sings"), "{failure}");
    let text = failure.to_string();
    assert!(text.contains(&format!("{SEED:#x} {}", failure.index)), "no seed in: {text}");
    // The failing input alone fails again, as does its number.
    assert!(storm::feed(&CANARY, &failure.input).is_err());
    assert_eq!(storm::Storm::new(&CANARY, SEED).input(failure.index), failure.input);
}

#[test]
fn greed_is_noticed() {
    let greedy = Target {
        name: "greedy",
        run: |data| {
            let announced = data.first().map_or(0, |byte| usize::from(*byte) << 20);
            assert!(Vec::<u8>::with_capacity(announced).is_empty());
            Verdict::Accepted
        },
        seeds: || vec![vec![1; 8]],
    };
    let failure = run(&greedy, INPUTS).expect_err("the greedy target must fail");
    assert!(failure.message.starts_with("held "), "{failure}");
    assert!(failure.input[0] >= 32, "{failure}");
}

#[test]
fn every_target_has_a_libfuzzer_entry_point() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("libfuzzer");
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).expect("libfuzzer/Cargo.toml");
    for Target { name, .. } in TARGETS.iter().chain([&CANARY]) {
        let source = std::fs::read_to_string(folder.join(format!("fuzz_targets/{name}.rs"))).unwrap_or_default();
        assert!(source.contains(&format!("feed(\"{name}\"")), "{name} has no entry point");
        assert!(manifest.contains(&format!("name = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"")), "{name}");
    }
}
