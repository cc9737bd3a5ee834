//! Letters of registered clients on their way to a store, without I/O: what waits to be written, what has arrived in the
//! meantime, and which letters are for names of which nobody knows yet whether they are anybody's. Those wait by
//! themselves: a flood of them takes no room from the others, however long the database is away.

use super::letters::{Batch, Letter, Name};
use super::tally::{LetterOutcome, Letters};
use gateway::UserId;
use gateway::archive::Record;
use interplane::requests::RequestId;
use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

/// What is written at once.
const BATCH_MAX: usize = 512;
/// Bytes of letters that wait, and how many things there may be to do.
pub const BYTES_MAX: usize = 64 << 20;
const WAITING_MAX: usize = 1 << 18;
/// Bytes of letters beside them for names that may be nobody's.
pub const STRANGERS_BYTES_MAX: usize = 16 << 20;
/// Names that are known to be somebody's, and for how long; a new one takes the place of any other.
const KNOWN_MAX: usize = 1 << 16;
const KNOWN_FOR: Duration = Duration::from_secs(24 * 3600);
/// Answers about a name that say nothing after which it is nobody's: with the pauses between them two minutes.
const MISSES_MAX: u32 = 240;

/// What waits.
#[derive(Default)]
pub struct Queue {
    /// With the time since when each waits.
    waiting: VecDeque<(Instant, Item)>,
    /// Letters that wait, here or with the strangers.
    keeps: HashSet<Name>,
    /// Those of them that have arrived in the meantime.
    arrived: HashSet<Name>,
    bytes: usize,
    /// A batch is being written.
    is_busy: bool,
    known: HashMap<UserId, Instant>,
    /// Letters for names that are not known, and the names in the order in which they are to be asked about.
    strangers: HashMap<UserId, Stranger>,
    to_ask: VecDeque<UserId>,
    strangers_bytes: usize,
    /// Letters that were given back and have not arrived, of those who have more: for whom, and how many.
    dripping: HashMap<UserId, (RequestId, usize)>,
}

#[derive(Default)]
struct Stranger {
    letters: Vec<Letter>,
    /// Answers about it that said nothing.
    misses: u32,
}

enum Item {
    Keep(Letter),
    Gone(Name),
    Forget(UserId),
    Fetch(UserId, RequestId),
}

impl Queue {
    /// Takes what the data plane says.
    pub fn take(&mut self, id: RequestId, record: &Record<'_>, now: Instant, tally: &Letters) {
        match *record {
            Record::Keep { user, surb_id, payload } => {
                let letter = ((user, surb_id), payload.to_vec());
                if self.is_known(&user, now) {
                    self.put(letter, now, tally);
                } else {
                    self.put_aside(letter, tally);
                }
            }
            Record::Gone { user, surb_id } => {
                if self.keeps.contains(&(user, surb_id)) {
                    self.arrived.insert((user, surb_id));
                } else {
                    self.push(Item::Gone((user, surb_id)), now);
                }
                self.drip(user, now);
            }
            Record::Fetch { user } => {
                // Only who is registered is asked for.
                self.know(user, now);
                self.welcome(&user, now, tally);
                self.push(Item::Fetch(user, id), now);
            }
        }
        tally.set_waiting(self.bytes + self.strangers_bytes);
    }

    /// A user is none any more.
    pub fn forget(&mut self, user: UserId, now: Instant, tally: &Letters) {
        self.is_nobody(&user, tally);
        // Whatever waits: there is no second one.
        self.waiting.push_back((now, Item::Forget(user)));
    }

    /// What is to be done next, until [`Queue::done`], of what waits since then or longer.
    pub fn next(&mut self, since: Instant, tally: &Letters) -> Option<Batch> {
        let mut batch = Batch::default();
        for _ in 0..BATCH_MAX {
            let Some((at, item)) = self.waiting.pop_front_if(|(at, _)| *at <= since) else { break };
            match item {
                Item::Keep((name, payload)) => {
                    self.keeps.remove(&name);
                    self.bytes -= payload.len();
                    if self.arrived.remove(&name) {
                        tally.count(LetterOutcome::Spared);
                    } else {
                        batch.keeps.push((name, payload));
                    }
                }
                Item::Gone(name) => batch.gone.push(name),
                Item::Fetch(user, id) => batch.fetches.push((user, id)),
                Item::Forget(user) if batch.is_empty() => batch.forgotten.push(user),
                // What came before is done before.
                forget @ Item::Forget(_) => {
                    self.waiting.push_front((at, forget));
                    break;
                }
            }
        }
        tally.set_waiting(self.bytes + self.strangers_bytes);
        self.is_busy = !batch.is_empty();
        self.is_busy.then_some(batch)
    }

    /// The batch is written.
    pub fn done(&mut self) {
        self.is_busy = false;
    }

    /// So many letters were given back for a client, who may have more.
    pub fn fetched(&mut self, user: UserId, id: RequestId, letters: usize, has_more: bool) {
        self.dripping.remove(&user);
        if has_more && letters > 0 && self.dripping.len() < KNOWN_MAX {
            self.dripping.insert(user, (id, letters));
        }
    }

    /// Names of which somebody has to say whether they are anybody's: at most so many. Each is answered.
    pub fn next_names(&mut self, most: usize) -> Vec<UserId> {
        let most = most.min(self.to_ask.len());
        self.to_ask.drain(..most).collect()
    }

    /// A name is somebody's: its letters are to be written.
    pub fn is_somebody(&mut self, user: UserId, now: Instant, tally: &Letters) {
        self.know(user, now);
        self.welcome(&user, now, tally);
        tally.set_waiting(self.bytes + self.strangers_bytes);
    }

    /// A name is nobody's: its letters are dropped.
    pub fn is_nobody(&mut self, user: &UserId, tally: &Letters) {
        self.known.remove(user);
        for (name, payload) in self.strangers.remove(user).unwrap_or_default().letters {
            self.strangers_bytes -= payload.len();
            self.keeps.remove(&name);
            let has_arrived = self.arrived.remove(&name);
            tally.count(if has_arrived { LetterOutcome::Spared } else { LetterOutcome::UnknownUser });
        }
        tally.set_waiting(self.bytes + self.strangers_bytes);
    }

    /// Nobody can say now whose a name is.
    pub fn is_unclear(&mut self, user: UserId) {
        if self.strangers.contains_key(&user) {
            self.to_ask.push_back(user);
        }
    }

    /// The answer about a name says nothing of it: as it may be the program's misfortune it is asked again, not for ever.
    pub fn is_unanswered(&mut self, user: UserId, tally: &Letters) {
        let Some(stranger) = self.strangers.get_mut(&user) else { return };
        stranger.misses += 1;
        if stranger.misses < MISSES_MAX {
            self.to_ask.push_back(user);
        } else {
            self.is_nobody(&user, tally);
        }
    }

    /// Whether something waits that is to be done.
    pub fn has_more(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether nothing waits and nothing is being written.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.strangers.is_empty() && !self.is_busy
    }

    fn is_known(&self, user: &UserId, now: Instant) -> bool {
        self.known.get(user).is_some_and(|since| now.saturating_duration_since(*since) < KNOWN_FOR)
    }

    fn know(&mut self, user: UserId, now: Instant) {
        if self.known.len() >= KNOWN_MAX
            && !self.known.contains_key(&user)
            && let Some(other) = self.known.keys().next().copied()
        {
            self.known.remove(&other);
        }
        self.known.insert(user, now);
    }

    /// The letters of somebody who was a stranger.
    fn welcome(&mut self, user: &UserId, now: Instant, tally: &Letters) {
        for (name, payload) in self.strangers.remove(user).unwrap_or_default().letters {
            self.strangers_bytes -= payload.len();
            self.keeps.remove(&name);
            if self.arrived.remove(&name) {
                tally.count(LetterOutcome::Spared);
            } else {
                self.put((name, payload), now, tally);
            }
        }
    }

    fn put(&mut self, (name, payload): Letter, now: Instant, tally: &Letters) {
        if self.waiting.len() >= WAITING_MAX || self.bytes + payload.len() > BYTES_MAX {
            return tally.count(LetterOutcome::Overflowed);
        }
        self.bytes += payload.len();
        self.keeps.insert(name);
        self.waiting.push_back((now, Item::Keep((name, payload))));
    }

    fn put_aside(&mut self, (name, payload): Letter, tally: &Letters) {
        if self.strangers_bytes + payload.len() > STRANGERS_BYTES_MAX {
            return tally.count(LetterOutcome::Overflowed);
        }
        self.strangers_bytes += payload.len();
        self.keeps.insert(name);
        let letters = &mut self.strangers.entry(name.0).or_default().letters;
        if letters.is_empty() {
            self.to_ask.push_back(name.0);
        }
        letters.push((name, payload));
    }

    fn push(&mut self, item: Item, now: Instant) {
        if self.waiting.len() < WAITING_MAX {
            self.waiting.push_back((now, item));
        }
    }

    /// One of the letters that were given back has arrived, or will never; after the last one more are asked for.
    fn drip(&mut self, user: UserId, now: Instant) {
        let Some((id, left)) = self.dripping.get_mut(&user) else { return };
        *left -= 1;
        if *left == 0 {
            let id = *id;
            self.dripping.remove(&user);
            self.push(Item::Fetch(user, id), now);
        }
    }
}

#[cfg(test)]
mod tests;
