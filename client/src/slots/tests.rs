use super::*;
use crypto_simd::random::SeededRandom;

fn at(ms: u64) -> Instant {
    Instant::default() + Duration::from_millis(ms)
}

/// All slots that come in that time, used as they come.
fn slots_within(slots: &mut Slots, random: &mut SeededRandom, until: Instant) -> (Vec<Instant>, Vec<Instant>) {
    let (mut any, mut loops) = (Vec::new(), Vec::new());
    while slots.next_tick() <= until {
        let now = slots.next_tick();
        slots.handle_time(now, random);
        while let Some(slot) = slots.due() {
            match slot {
                Slot::Any => any.push(now),
                Slot::Loop => loops.push(now),
            }
            slots.take(slot);
        }
    }
    (any, loops)
}

#[test]
fn both_processes_have_their_rates_and_exponential_waits() {
    let random = &mut SeededRandom::new(&[3; 32]);
    let mut slots = Slots::default();
    slots.set_rates(0.01, 0.002, at(0), random);
    let (any, loops) = slots_within(&mut slots, random, at(1_000_000));
    assert!((9_600..10_400).contains(&any.len()), "{}", any.len());
    assert!((1_820..2_180).contains(&loops.len()), "{}", loops.len());
    // Of exponential waits a part of 1 - 1/e is shorter than the mean.
    let waits = any.windows(2).map(|pair| pair[1].since(pair[0]));
    let short = waits.filter(|wait| *wait < Duration::from_millis(100)).count() as f64 / any.len() as f64;
    assert!((0.61..0.655).contains(&short), "{short}");
}

#[test]
fn rates_that_stay_do_not_move_what_is_drawn() {
    let random = &mut SeededRandom::new(&[3; 32]);
    let mut slots = Slots::default();
    slots.set_rates(0.001, 0.0, at(0), random);
    let drawn = slots.next_tick();
    slots.set_rates(0.001, 0.0, at(1), random);
    assert_eq!(slots.next_tick(), drawn);
    slots.set_rates(0.002, 0.0, at(2), random);
    assert_ne!(slots.next_tick(), drawn);
    assert!(!slots.is_off());
    slots.set_rates(f64::NAN, -1.0, at(3), random);
    assert_eq!(slots.next_tick(), Instant::NEVER);
    assert!(slots.is_off());
}

#[test]
fn after_a_long_sleep_few_slots_are_owed() {
    let random = &mut SeededRandom::new(&[3; 32]);
    let mut slots = Slots::default();
    slots.set_rates(0.1, 0.0, at(0), random);
    slots.handle_time(at(3_600_000), random);
    let mut owed = 0;
    while let Some(slot) = slots.due() {
        slots.take(slot);
        owed += 1;
    }
    assert_eq!(owed, OWED_MAX);
    assert!(slots.next_tick() > at(3_600_000));
    slots.stop();
    assert_eq!(slots.next_tick(), Instant::NEVER);
}
