//! See the target of this name in the crate `fuzz`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| fuzz_libfuzzer::feed("quic_endpoint", data));
