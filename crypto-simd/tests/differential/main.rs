//! Every primitive of the public interface against an independent library, on random inputs with edge inputs among
//! them, at every level of CPU that the host has. Results may depend neither on the batch's size nor on the place in it.
//!
//! The level is chosen once per process, so the tests start this executable again with `KATZENSPRUNG_SIMD` set: what is
//! tested is what a node would run. `cargo test -p crypto-simd --test differential` checks 10^4 inputs per primitive
//! and level (2,500 where X448 is concerned, whose oracle takes 0.4 ms each), and
//! `cargo test --release -p crypto-simd --test differential -- --ignored` checks 10^6.
//!
//! A failure names its primitive, level and batch. `KATZENSPRUNG_SEED` repeats the run with the printed seed,
//! `KATZENSPRUNG_ONLY` confines it to primitives whose name contains the value, `KATZENSPRUNG_SIMD` to one level.

mod ciphers;
mod edges;
mod hashes;
mod kem;
mod nike;
mod oracles;
mod source;

use crypto_simd::cpu::{LEVEL_VARIABLE, Level};
use source::{Source, compare};
use std::any::Any;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

const SEED_VARIABLE: &str = "KATZENSPRUNG_SEED";
const ONLY_VARIABLE: &str = "KATZENSPRUNG_ONLY";
/// Set in the processes that test one level.
const CHILD_VARIABLE: &str = "KATZENSPRUNG_DIFFERENTIAL_CHILD";

/// The largest batch: what one call of a kernel takes.
const BATCH_MAX: usize = 64;

/// Something to compare: `check` draws as many inputs as it is told and panics at the first difference.
struct Primitive {
    name: &'static str,
    oracle: &'static str,
    check: fn(&mut Source, usize),
    inputs_max: usize,
}

const fn primitive(name: &'static str, oracle: &'static str, check: fn(&mut Source, usize)) -> Primitive {
    Primitive { name, oracle, check, inputs_max: usize::MAX }
}

/// A table of edge inputs, which `check` goes through once.
const fn table(name: &'static str, oracle: &'static str, check: fn(&mut Source, usize)) -> Primitive {
    Primitive { name, oracle, check, inputs_max: 1 }
}

/// What takes longest comes first, so that the threads end together.
const PRIMITIVES: &[Primitive] = &[
    primitive("mlkem768_x448", "ml-kem, x448, blake2", kem::mlkem768_x448),
    primitive("x448_blind", "x448", nike::x448_blind),
    primitive("x448_derive", "x448", nike::x448_derive),
    table("x448_edges", "x448", nike::x448_edges),
    table("x25519_edges", "x25519-dalek", nike::x25519_edges),
    table("mlkem768_edges", "ml-kem", kem::mlkem768_edges),
    primitive("mlkem768_x25519", "ml-kem, x25519-dalek, blake2", kem::mlkem768_x25519),
    primitive("kyber768_x25519", "libcrux, x25519-dalek, blake2", kem::kyber768_x25519),
    primitive("xwing", "ml-kem, x25519-dalek, sha3", kem::xwing),
    primitive("mlkem768", "ml-kem", kem::mlkem768),
    primitive("mlkem768_encapsulate", "ml-kem", kem::mlkem768_encapsulate),
    primitive("aez", "zears", ciphers::aez),
    primitive("aez_authenticated", "zears", ciphers::aez_authenticated),
    primitive("x25519_blind", "x25519-dalek", nike::x25519_blind),
    primitive("x25519_derive", "x25519-dalek", nike::x25519_derive),
    primitive("chacha20poly1305", "chacha20poly1305", ciphers::chacha20poly1305),
    primitive("link_frames", "chacha20poly1305, chacha20", ciphers::link_frames),
    primitive("seeded_random_batch", "chacha20", ciphers::seeded_random_batch),
    primitive("chacha20_block", "chacha20", ciphers::chacha20_block),
    primitive("aes256_ctr", "aes, ctr", ciphers::aes256_ctr),
    primitive("hmac_sha256", "aws-lc", hashes::hmac_sha256),
    primitive("hkdf_expand_sha256", "aws-lc", hashes::hkdf_expand_sha256),
    primitive("hmac_sha256_batch", "aws-lc", hashes::hmac_sha256_batch),
    primitive("hkdf_expand_sha256_batch", "aws-lc", hashes::hkdf_expand_sha256_batch),
    primitive("blake2b_256_batch", "blake2", hashes::blake2b_256_batch),
    primitive("blake2xb_batch", "itself one by one", hashes::blake2xb_batch),
    primitive("sha512_256", "aws-lc", hashes::sha512_256),
    primitive("blake2b", "blake2", hashes::blake2b),
    primitive("hmac_blake2b_512", "blake2", hashes::hmac_blake2b_512),
];

#[test]
fn ten_thousand_inputs() {
    each_level("ten_thousand_inputs", |primitive| if primitive.name.contains("x448") { 2_500 } else { 10_000 });
}

#[test]
#[ignore = "takes half an hour per level: the long command"]
fn a_million_inputs() {
    each_level("a_million_inputs", |_| 1_000_000);
}

/// A comparison that could not fail would be worth nothing: one wrong bit in one place is found.
#[test]
fn a_wrong_bit_is_found() {
    let expected = vec![Ok(vec![7; 32]); 9];
    let wrong = |arrangement: &[usize]| {
        let mut outcomes: Vec<_> = arrangement.iter().map(|index| expected[*index].clone()).collect();
        if outcomes.len() > 5 {
            outcomes[5].as_mut().unwrap()[31] ^= 0x80;
        }
        outcomes
    };
    let run = || compare(&mut Source::new(1, "canary", 0), &expected, wrong);
    assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
}

/// Runs `test` again in one process per level, each of which ends in [`at_this_level`].
fn each_level(test: &str, inputs: fn(&Primitive) -> usize) {
    if std::env::var_os(CHILD_VARIABLE).is_some() {
        return at_this_level(inputs);
    }
    let forced = std::env::var_os(LEVEL_VARIABLE).map(|_| crypto_simd::cpu::level().unwrap());
    let seed = std::env::var(SEED_VARIABLE).unwrap_or_else(|_| Source::fresh_seed().to_string());
    let mut failed = Vec::new();
    for level in Level::ALL {
        if !level.is_here() {
            say(format_args!("level {level}: differential NOT TESTED ON THIS HOST"));
            continue;
        }
        if forced.is_some_and(|forced| forced != level) {
            say(format_args!("level {level}: differential left out, as {LEVEL_VARIABLE} is set"));
            continue;
        }
        let begin = Instant::now();
        let status = Command::new(std::env::current_exe().unwrap())
            .args([test, "--exact", "--include-ignored", "--nocapture"])
            .env(LEVEL_VARIABLE, level.name())
            .env(SEED_VARIABLE, &seed)
            .env(CHILD_VARIABLE, "1")
            .stdout(std::process::Stdio::null())
            .status()
            .unwrap();
        let outcome = if status.success() { "tested" } else { "FAILED" };
        let seconds = begin.elapsed().as_secs();
        say(format_args!("level {level}: differential {outcome}, {test}, seed {seed}, {seconds} s"));
        if !status.success() {
            failed.push(level);
        }
    }
    assert!(failed.is_empty(), "{SEED_VARIABLE}={seed} repeats the failures at {failed:?}");
}

/// Compares every primitive at the level of this process, on as many threads as there are processors.
fn at_this_level(inputs: fn(&Primitive) -> usize) {
    let seed = std::env::var(SEED_VARIABLE).unwrap().parse().expect("the seed is a number of 64 bits");
    let only = std::env::var(ONLY_VARIABLE).unwrap_or_default();
    let (next, failures) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(primitive) = PRIMITIVES.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if primitive.name.contains(&only) && !agrees(primitive, seed, inputs(primitive)) {
                        failures.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(failures.into_inner(), 0, "primitives that disagree");
}

/// Batches of every size from 1 to [`BATCH_MAX`] in a shuffled order, until there were enough inputs.
fn agrees(primitive: &Primitive, seed: u64, inputs: usize) -> bool {
    let Primitive { name, oracle, check, inputs_max } = primitive;
    let begin = Instant::now();
    let (mut checked, mut batch) = (0, 0);
    while checked < inputs.min(*inputs_max) {
        let mut source = Source::new(seed, name, batch);
        let size = 1 + (batch as usize * 27 + 31) % BATCH_MAX;
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| check(&mut source, size))) {
            let (level, message) = (crypto_simd::cpu::level().unwrap(), message_of(&*panic));
            eprintln!("level {level}: {name} differs from {oracle}: seed {seed}, batch {batch} of {size}: {message}");
            return false;
        }
        checked += size;
        batch += 1;
    }
    let what = if *inputs_max == 1 { "the whole table".into() } else { format!("{checked} inputs") };
    eprintln!("    {name}: {what} as {oracle}, {:.1} s", begin.elapsed().as_secs_f64());
    true
}

fn message_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("panic")
}

/// Writes past the harness, which would keep what a passing test prints.
fn say(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
