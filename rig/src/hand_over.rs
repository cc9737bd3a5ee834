//! What it costs a processor that another one had a packet last: its bytes come out of that one's caches.

use super::cpu::{Placement, pin};
use super::floor::median;
use std::hint::black_box;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Packets that are handed over together.
const BATCH: usize = 32;
/// Batches of which the median counts.
const ROUNDS: usize = 400;

/// The time for one packet of so many bytes, beyond that for one which this processor had last; none where there are not
/// two processors.
pub fn measure(packet_bytes: usize) -> Result<Option<Duration>, String> {
    let processors = Placement::of_this_host(2).node;
    let &[near, far] = processors.as_slice() else { return Ok(None) };
    let (to_far, from_near) = mpsc::sync_channel::<Vec<Vec<u8>>>(1);
    let (to_near, from_far) = mpsc::sync_channel(1);
    std::thread::scope(|scope| {
        let writer = scope.spawn(move || {
            pin(Some(far))?;
            for mut packets in from_near {
                packets.iter_mut().for_each(|packet| packet.fill(1));
                if to_near.send(packets).is_err() {
                    break;
                }
            }
            Ok(())
        });
        let reader = scope.spawn(move || {
            pin(Some(near))?;
            let mut packets = vec![vec![0; packet_bytes]; BATCH];
            let mut more = Vec::new();
            for _ in 0..ROUNDS {
                let sent = to_far.send(packets);
                sent.map_err(|_| "the other thread has ended")?;
                packets = from_far.recv().map_err(|_| "the other thread has ended")?;
                let foreign = read(&packets);
                packets.iter_mut().for_each(|packet| packet.fill(2));
                more.push(foreign.saturating_sub(read(&packets)).as_secs_f64());
            }
            Ok(Duration::from_secs_f64(median(more) / BATCH as f64))
        });
        let found: Result<Duration, String> = reader.join().map_err(|_| "a thread ended badly".to_owned())?;
        let written: Result<(), String> = writer.join().map_err(|_| "a thread ended badly".to_owned())?;
        written.and(found).map(Some)
    })
}

/// How long it takes to read all of them.
fn read(packets: &[Vec<u8>]) -> Duration {
    let begin = Instant::now();
    for packet in packets {
        let sum = packet.iter().step_by(8).fold(0u64, |sum, byte| sum + u64::from(*byte));
        black_box(sum);
    }
    begin.elapsed()
}
