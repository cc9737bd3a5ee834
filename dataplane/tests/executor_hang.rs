//! glommio's hang: provoked with a preempt timer of 20 us, seen, and cured by a wake-up from outside the executor.
#![allow(missing_docs, reason = "a test binary has no public interface")]

use dataplane::Next;
use dataplane::io::Io;
use dataplane::io::glommio::{ExecutorOptions, Fabric, GlommioIo, spawn};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A round of the test takes microseconds: a counter that stands still for that long has stopped.
const STILL: Duration = Duration::from_millis(20);

/// A wake-up works at once; a loaded machine may take a while to run the thread.
const CURED_WITHIN: Duration = Duration::from_secs(5);

/// A loaded machine may provoke the hang late; the test ends at the first one.
const TRIES_FOR: Duration = Duration::from_secs(20);

#[test]
fn a_hung_executor_goes_on_after_a_wake_up_from_outside() {
    let rounds = Arc::new(AtomicU64::new(0));
    let ending = Arc::new(AtomicBool::new(false));
    let fabric = Fabric::new(1);
    let thread = {
        let (rounds, ending) = (rounds.clone(), ending.clone());
        let options = ExecutorOptions {
            cpu: None,
            connect_limit: Duration::from_secs(1),
            preempt_timer: Some(Duration::from_micros(20)),
            name: "hanging".into(),
        };
        spawn(fabric.clone(), 0, options, Vec::new(), move || {
            move |io: &mut GlommioIo| {
                let round = rounds.fetch_add(1, Ordering::Relaxed);
                let next =
                    if round % 8 == 7 { Next::ParkUntil(io.now() + Duration::from_micros(50)) } else { Next::Busy };
                (!ending.load(Ordering::Relaxed)).then_some(next)
            }
        })
        .unwrap()
    };
    let (mut hangs, mut cured) = (0, 0);
    let begin = Instant::now();
    let (mut seen, mut since) = (0, Instant::now());
    while begin.elapsed() < TRIES_FOR && (cured == 0 || rounds.load(Ordering::Relaxed) <= 1000) {
        std::thread::sleep(Duration::from_millis(1));
        let now = rounds.load(Ordering::Relaxed);
        if now != seen {
            (seen, since) = (now, Instant::now());
        } else if since.elapsed() > STILL {
            hangs += 1;
            fabric.wake(0);
            let woken = Instant::now();
            while rounds.load(Ordering::Relaxed) == now && woken.elapsed() < CURED_WITHIN {
                std::thread::sleep(Duration::from_millis(1));
            }
            cured += u32::from(rounds.load(Ordering::Relaxed) != now);
            since = Instant::now();
        }
    }
    println!("{} rounds, {hangs} hangs, {cured} cured", rounds.load(Ordering::Relaxed));
    assert!(rounds.load(Ordering::Relaxed) > 1000, "the executor ran at all");
    assert_eq!(hangs, cured, "a wake-up from outside ends each hang");
    ending.store(true, Ordering::Relaxed);
    while !thread.is_finished() {
        // It may hang once more on its way out.
        fabric.wake(0);
        std::thread::sleep(Duration::from_millis(1));
    }
    thread.join().unwrap().unwrap();
}
