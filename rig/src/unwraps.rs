//! What one core unwraps when it does nothing else: the floor under the node's figures.

use super::mill::{ANYWHERE, BATCH, Delays, Pool};
use crypto_simd::random::OsRandom;
use sphinx::{Geometry, MixKey, Scheme, UnwrapError, UnwrapErrorReason, Unwrapper};
use std::time::{Duration, Instant};

/// Packets per second that one core unwraps in batches of 32: the median batch of `duration`.
pub fn packets_per_second(geometry: &Geometry, duration: Duration) -> Result<f64, String> {
    let key = MixKey::new(geometry, &private_key(geometry)?).map_err(|error| error.to_string())?;
    let delays = Delays { mean_ms: 1.0, max_ms: 1 };
    let pool = Pool::make(geometry, key.public_key(), ANYWHERE, delays, BATCH, None)?;
    let mut unwrapper = Unwrapper::new(geometry, BATCH).map_err(|error| error.to_string())?;
    let unset = Err(UnwrapError { reason: UnwrapErrorReason::Truncated, tag: None });
    let mut results: Vec<Result<_, UnwrapError>> = vec![unset; BATCH];
    let mut times = Vec::new();
    let started = Instant::now();
    while times.is_empty() || started.elapsed() < duration {
        let mut packets: Vec<Vec<u8>> = (0..BATCH).map(|number| pool.packet(number).to_vec()).collect();
        let mut packets: Vec<&mut [u8]> = packets.iter_mut().map(Vec::as_mut_slice).collect();
        let begin = Instant::now();
        unwrapper.unwrap_batch(&key, &mut packets, &mut results);
        times.push(begin.elapsed());
        if results.iter().any(Result::is_err) {
            return Err("a packet made for a key does not unwrap with it".into());
        }
    }
    times.sort_unstable();
    Ok(BATCH as f64 / times[times.len() / 2].as_secs_f64())
}

/// A fresh private key of the geometry's scheme.
pub fn private_key(geometry: &Geometry) -> Result<Vec<u8>, String> {
    let scheme = Scheme::of(geometry).map_err(|error| error.to_string())?;
    Ok(scheme.generate(&mut OsRandom).to_vec())
}
