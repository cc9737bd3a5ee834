//! Requests that plugins have: what crosses to the control plane is a number and a payload, the reply block waits here.

use crate::random::ShardRandom;
use crate::time::Instant;
use crypto_simd::random::Random;
use interplane::requests::{PLUGINS_MAX, Request, RequestId, ShardEnd};
use std::collections::VecDeque;
use std::time::Duration;
use zeroize::Zeroizing;

/// Reply blocks that wait for the answers of one plugin; a new one then takes the place of the oldest. So a plugin that
/// never answers costs its own requests their answers, and nobody else's; one that takes a second may have as many
/// requests in it.
const WAITING_MAX: usize = 16_384;
/// Bytes of those: the blocks of some geometries are ten times as long as those of others.
const WAITING_BYTES_MAX: usize = 16 << 20;

/// A request as the shard has it.
pub struct Asked<'a> {
    /// The plugin.
    pub plugin: u16,
    /// When its packet came.
    pub arrived_at: Instant,
    /// The same since the Unix epoch.
    pub received_at: Duration,
    /// When its reply leaves, at the earliest.
    pub due: Instant,
    /// Its reply block, if it wants an answer.
    pub surb: Option<&'a [u8]>,
    /// The user payload.
    pub payload: &'a [u8],
}

/// One shard's requests to plugins.
pub struct Plugins {
    shard: usize,
    end: ShardEnd,
    tables: Vec<Table>,
}

/// The reply blocks of one plugin in the order of their numbers, without a gap. Memory follows the use.
struct Table {
    next: u64,
    waiting: VecDeque<Waiting>,
}

/// What waits for an answer.
pub struct Waiting {
    /// When the request's packet came.
    pub arrived_at: Instant,
    /// When the reply leaves, at the earliest.
    pub due: Instant,
    /// The reply block. Empty: the answer was sent, or none is wanted.
    pub surb: Zeroizing<Vec<u8>>,
}

impl Plugins {
    /// For a shard, with its ends of the rings.
    pub fn new(shard: usize, end: ShardEnd) -> Self {
        Self { shard, end, tables: Vec::new() }
    }

    /// Hands a request over; false if there is no room for it.
    pub fn ask(&mut self, asked: &Asked<'_>, now: Instant, random: &mut ShardRandom) -> bool {
        let plugin = usize::from(asked.plugin);
        if plugin >= PLUGINS_MAX {
            return false;
        }
        // Numbers begin anywhere: an answer to a data plane that has ended must not be taken for one to this.
        while self.tables.len() <= plugin {
            self.tables.push(Table { next: random_number(random), waiting: VecDeque::new() });
        }
        let table = &mut self.tables[plugin];
        let id = RequestId::new(self.shard, asked.plugin, table.next);
        let request = Request {
            id,
            received_at: asked.received_at,
            delay: asked.due.since(now),
            wants_reply: asked.surb.is_some(),
            payload: asked.payload,
        };
        if !self.end.ask(&request) {
            return false;
        }
        table.keep(asked);
        true
    }

    /// Lets `take` have the answers that are there, at most `most`, each with what waits for it, if anything does.
    pub fn answers(&mut self, most: usize, mut take: impl FnMut(Option<&Waiting>, &[u8])) {
        let tables = &mut self.tables;
        self.end.answers(most, |id, payload| {
            let waiting = tables.get_mut(usize::from(id.plugin())).and_then(|table| table.find(id));
            match waiting {
                Some(waiting) => {
                    take(Some(waiting), payload);
                    waiting.surb = Zeroizing::default();
                }
                None => take(None, payload),
            }
        });
    }

    /// Whether there are answers.
    pub fn has_answers(&self) -> bool {
        self.end.has_answers()
    }

    /// Says that the shard is about to sleep; false if there are answers.
    pub fn fall_asleep(&self) -> bool {
        self.end.fall_asleep()
    }
}

impl Table {
    /// Keeps what the request with the next number wants.
    fn keep(&mut self, asked: &Asked<'_>) {
        let surb = asked.surb.unwrap_or_default();
        self.next = self.next.wrapping_add(1);
        self.waiting.push_back(Waiting {
            arrived_at: asked.arrived_at,
            due: asked.due,
            surb: Zeroizing::new(surb.to_vec()),
        });
        let most = WAITING_MAX.min(WAITING_BYTES_MAX / surb.len().max(1));
        while self.waiting.len() > most || self.waiting.front().is_some_and(|oldest| oldest.surb.is_empty()) {
            self.waiting.pop_front();
        }
    }

    /// The reply block that waits for this answer.
    fn find(&mut self, id: RequestId) -> Option<&mut Waiting> {
        let age = RequestId::new(0, 0, self.next.wrapping_sub(id.number())).number();
        let place = self.waiting.len().checked_sub(usize::try_from(age).ok()?)?;
        self.waiting.get_mut(place).filter(|waiting| !waiting.surb.is_empty())
    }
}

fn random_number(random: &mut ShardRandom) -> u64 {
    let mut bytes = [0; 8];
    random.fill(&mut bytes);
    u64::from_le_bytes(bytes)
}
