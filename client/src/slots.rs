//! When something may be sent (client.md 10.1): at the ticks of two Poisson processes, one of which carries what there
//! is to say or else a loop, the other one loops only.
//!
//! A tick that finds the gateway's bucket empty waits for the next token, whichever process it belongs to: what is seen
//! from outside does not depend on what there is to say.

#[cfg(test)]
mod tests;

use crate::sample;
use crypto_simd::random::Random;
use std::time::Duration;
use wire::Instant;

/// The most ticks that wait for tokens, of each process: what is behind for longer is left out.
const OWED_MAX: u32 = 16;

/// What may go out in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// What there is to say, or a loop.
    Any,
    /// A loop.
    Loop,
}

/// The two processes.
#[derive(Clone, Debug, Default)]
pub struct Slots {
    any: Ticks,
    loops: Ticks,
}

#[derive(Clone, Debug)]
struct Ticks {
    rate_per_ms: f64,
    next: Instant,
    owed: u32,
}

impl Default for Ticks {
    fn default() -> Self {
        Self { rate_per_ms: 0.0, next: Instant::NEVER, owed: 0 }
    }
}

impl Slots {
    /// The processes run at these rates per millisecond from `now` on; one that is not positive and finite stops. The
    /// times that are left are drawn anew only where the rate has changed: an exponential wait has no memory.
    pub fn set_rates(&mut self, any_per_ms: f64, loops_per_ms: f64, now: Instant, random: &mut dyn Random) {
        self.any.set_rate(any_per_ms, now, random);
        self.loops.set_rate(loops_per_ms, now, random);
    }

    /// Nothing may be sent: there is no link.
    pub fn stop(&mut self) {
        *self = Self::default();
    }

    /// Counts the ticks up to `now`.
    pub fn handle_time(&mut self, now: Instant, random: &mut dyn Random) {
        self.any.run(now, random);
        self.loops.run(now, random);
    }

    /// A slot that has come and is not used.
    pub fn due(&self) -> Option<Slot> {
        if self.any.owed > 0 { Some(Slot::Any) } else { Some(Slot::Loop).filter(|_| self.loops.owed > 0) }
    }

    /// Whether what there is to say has no slots of its own.
    pub fn is_off(&self) -> bool {
        self.any.next == Instant::NEVER
    }

    /// The slot of [`due`](Self::due) is used, or left empty.
    pub fn take(&mut self, slot: Slot) {
        let ticks = match slot {
            Slot::Any => &mut self.any,
            Slot::Loop => &mut self.loops,
        };
        ticks.owed = ticks.owed.saturating_sub(1);
    }

    /// When the next tick comes; [`Instant::NEVER`] if none does.
    pub fn next_tick(&self) -> Instant {
        self.any.next.min(self.loops.next)
    }
}

impl Ticks {
    fn set_rate(&mut self, rate_per_ms: f64, now: Instant, random: &mut dyn Random) {
        if rate_per_ms != self.rate_per_ms {
            self.rate_per_ms = rate_per_ms;
            self.next = self.draw(now, random);
        }
    }

    fn run(&mut self, now: Instant, random: &mut dyn Random) {
        while self.next <= now {
            if self.owed >= OWED_MAX {
                self.next = self.draw(now, random);
                return;
            }
            self.owed += 1;
            self.next = self.draw(self.next, random);
        }
    }

    fn draw(&self, from: Instant, random: &mut dyn Random) -> Instant {
        match sample::exponential_ms(random, self.rate_per_ms) {
            Some(ms) => from + Duration::from_secs_f64((ms / 1_000.0).min(1e9)),
            None => Instant::NEVER,
        }
    }
}
