//! Requests that plugins have: what crosses to the control plane is a number and a payload, the reply block waits here.

use crate::random::ShardRandom;
use crate::time::Instant;
use crypto_simd::random::Random;
use interplane::requests::{PLUGINS_MAX, Request, RequestId, ShardEnd};
use std::time::Duration;
use zeroize::Zeroize;

/// Reply blocks that wait for the answers of one plugin; a new one then takes the place of the oldest. So a plugin that
/// never answers costs its own requests their answers, and nobody else's.
const WAITING_MAX: usize = 1024;

/// A request as the shard has it.
pub struct Asked<'a> {
    /// The plugin.
    pub plugin: u16,
    /// When its packet came, since the Unix epoch.
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

/// The reply blocks of one plugin, each in the place that its number gives it. Memory follows the use.
struct Table {
    next: u64,
    waiting: Vec<Waiting>,
}

struct Waiting {
    id: RequestId,
    due: Instant,
    /// Empty: the answer was sent.
    surb: Vec<u8>,
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
            self.tables.push(Table { next: random_number(random), waiting: Vec::new() });
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
        table.next = table.next.wrapping_add(1);
        if let Some(surb) = asked.surb {
            table.keep(id, asked.due, surb);
        }
        true
    }

    /// Lets `take` have the answers that are there, at most `most`, each with its reply block and when it is due; without
    /// those if nothing waits for it.
    pub fn answers(&mut self, most: usize, mut take: impl FnMut(Option<(&[u8], Instant)>, &[u8])) {
        let tables = &mut self.tables;
        self.end.answers(most, |id, payload| {
            let waiting = tables.get_mut(usize::from(id.plugin())).and_then(|table| table.find(id));
            match waiting {
                Some(waiting) => {
                    take(Some((&waiting.surb, waiting.due)), payload);
                    waiting.surb.zeroize();
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
    fn keep(&mut self, id: RequestId, due: Instant, surb: &[u8]) {
        let place = (id.number() % WAITING_MAX as u64) as usize;
        while self.waiting.len() <= place {
            self.waiting.push(Waiting { id: RequestId(0), due: Instant::NEVER, surb: Vec::new() });
        }
        let waiting = &mut self.waiting[place];
        (waiting.id, waiting.due) = (id, due);
        waiting.surb.zeroize();
        waiting.surb.extend_from_slice(surb);
    }

    /// The reply block that waits for this answer.
    fn find(&mut self, id: RequestId) -> Option<&mut Waiting> {
        let place = (id.number() % WAITING_MAX as u64) as usize;
        self.waiting.get_mut(place).filter(|waiting| waiting.id == id && !waiting.surb.is_empty())
    }
}

fn random_number(random: &mut ShardRandom) -> u64 {
    let mut bytes = [0; 8];
    random.fill(&mut bytes);
    u64::from_le_bytes(bytes)
}
