//! Whom the database has let in: for the time when it is away. Kept by name, so that whoever is removed by this node is
//! forgotten at once.

use gateway::{UserId, Verdict};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Names that are remembered; a new one takes the place of any other.
const NAMES_MAX: usize = 1 << 16;
/// How long: a database that is away for longer is an operator's affair, and so is who has left in the meantime.
const AGE_MAX: Duration = Duration::from_secs(24 * 3600);

/// What is remembered.
#[derive(Default)]
pub struct Memory(HashMap<UserId, Remembered>);

struct Remembered {
    key: [u8; 32],
    verdict: Verdict,
    at: Instant,
}

impl Memory {
    /// The database has said this of a name and a link key.
    pub fn note(&mut self, user: UserId, link_key: &[u8], verdict: Verdict, at: Instant) {
        // What is only trusted on its first use is not known yet.
        if !matches!(verdict, Verdict::Registered | Verdict::Ephemeral) {
            self.forget_key(&user, link_key);
            return;
        }
        if self.0.len() >= NAMES_MAX
            && !self.0.contains_key(&user)
            && let Some(other) = self.0.keys().next().copied()
        {
            self.0.remove(&other);
        }
        self.0.insert(user, Remembered { key: pki::hash(link_key), verdict, at });
    }

    /// What it has said the last time.
    pub fn recall(&self, user: &UserId, link_key: &[u8], now: Instant) -> Option<Verdict> {
        let found = self.0.get(user)?;
        let is_young = now.saturating_duration_since(found.at) < AGE_MAX;
        (is_young && found.key == pki::hash(link_key)).then_some(found.verdict)
    }

    /// The name has gone, or has another key.
    pub fn forget(&mut self, user: &UserId) {
        self.0.remove(user);
    }

    /// The same unless it is remembered with another key.
    fn forget_key(&mut self, user: &UserId, link_key: &[u8]) {
        if self.0.get(user).is_some_and(|found| found.key == pki::hash(link_key)) {
            self.0.remove(user);
        }
    }
}

#[cfg(test)]
mod tests;
