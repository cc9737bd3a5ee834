//! The way to the user database of a gateway that has one. The control plane asks it: a shard puts its question into a
//! ring and goes on, the handshake waits, no longer than handshakes may. Links that are up are asked about now and then,
//! a few at a time; where no answer comes they stay.

use crate::io::ConnId;
use crate::random::ShardRandom;
use crypto_simd::random::Random;
use gateway::archive::Record;
use gateway::{Question, UserId, Verdict};
use interplane::requests::{Request, RequestId, ShardEnd};
use std::collections::HashMap;
use std::time::Duration;
use wire::PeerCredentials;
use wire::command::SURB_ID_BYTES;

/// Links that are up about which questions are under way: those of handshakes come first.
const LIVE_MAX: usize = 128;
/// What the numbers of questions to the database, and those of records for the store of mail, have in the place of a
/// plugin's number.
const OF_USERS: u16 = 0;
const OF_MAIL: u16 = 1;
/// Answers taken in one round.
const ANSWERS_MAX: usize = 256;

/// One shard's questions.
pub struct Desk {
    shard: usize,
    /// Its ends of the rings; none means that everybody is let in.
    end: Option<ShardEnd>,
    next: u64,
    asked: HashMap<u64, Asked>,
    live: usize,
    buffer: Vec<u8>,
}

struct Asked {
    conn: ConnId,
    is_live: bool,
}

/// A letter that the store has had.
pub struct Kept {
    /// For whom.
    pub user: UserId,
    /// The reply block that it answers.
    pub surb_id: [u8; SURB_ID_BYTES],
    /// What came.
    pub payload: Box<[u8]>,
}

/// What the database says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// To which question.
    pub number: u64,
    /// About which connection.
    pub conn: ConnId,
    /// What.
    pub verdict: Verdict,
}

impl Desk {
    /// For a shard, with its ends of the rings where there is a database.
    pub fn new(shard: usize, end: Option<ShardEnd>, random: &mut ShardRandom) -> Self {
        // Numbers begin anywhere: an answer to a data plane that has ended must not be taken for one to this.
        let mut number = [0; 8];
        if end.is_some() {
            random.fill(&mut number);
        }
        let next = RequestId::new(shard, 0, u64::from_le_bytes(number)).number();
        Self { shard, end, next, asked: HashMap::new(), live: 0, buffer: Vec::new() }
    }

    /// Whether there is a database.
    pub fn is_open(&self) -> bool {
        self.end.is_some()
    }

    /// Whether more questions about links that are up may be asked.
    pub fn has_room_for_live(&self) -> bool {
        self.live < LIVE_MAX
    }

    /// Asks about a peer; gives the question's number, none if there is no room for it.
    pub fn ask(&mut self, conn: ConnId, peer: &PeerCredentials, has_proven: bool, is_live: bool) -> Option<u64> {
        let question = Question { user: UserId::of(&peer.additional_data), link_key: &peer.public_key, has_proven };
        self.buffer.clear();
        question.write_to(&mut self.buffer);
        let id = RequestId::new(self.shard, OF_USERS, self.next);
        let request = Request {
            id,
            received_at: Duration::ZERO,
            delay: Duration::ZERO,
            wants_reply: true,
            payload: &self.buffer,
        };
        if !self.end.as_mut()?.ask(&request) {
            return None;
        }
        self.next = RequestId::new(self.shard, 0, self.next.wrapping_add(1)).number();
        self.live += usize::from(is_live);
        self.asked.insert(id.number(), Asked { conn, is_live });
        Some(id.number())
    }

    /// Tells the store of mail something; false if there is no room for it.
    pub fn tell(&mut self, record: &Record<'_>) -> bool {
        self.buffer.clear();
        record.write_to(&mut self.buffer);
        let request = Request {
            id: RequestId::new(self.shard, OF_MAIL, 0),
            received_at: Duration::ZERO,
            delay: Duration::ZERO,
            wants_reply: false,
            payload: &self.buffer,
        };
        self.end.as_mut().is_some_and(|end| end.ask(&request))
    }

    /// Nobody waits for the answer to this question any more.
    pub fn forget(&mut self, number: u64) {
        if let Some(Asked { is_live: true, .. }) = self.asked.remove(&number) {
            self.live -= 1;
        }
    }

    /// Nobody waits for answers about links that are up: they are asked about again.
    pub fn forget_live(&mut self) {
        self.asked.retain(|_, asked| !asked.is_live);
        self.live = 0;
    }

    /// The answers that are there, and the letters that the store has had.
    pub fn answers(&mut self, answers: &mut Vec<Answer>, letters: &mut Vec<Kept>) {
        let Some(end) = &mut self.end else { return };
        let (asked, live) = (&mut self.asked, &mut self.live);
        end.answers(ANSWERS_MAX, |id, payload| {
            if id.plugin() == OF_MAIL {
                if let Some(Record::Keep { user, surb_id, payload }) = Record::read(payload) {
                    letters.push(Kept { user, surb_id, payload: payload.into() });
                }
                return;
            }
            let number = id.number();
            let Some(Asked { conn, is_live }) = asked.remove(&number) else { return };
            *live -= usize::from(is_live);
            // What makes no sense lets nobody in and sends nobody away.
            let verdict = payload.first().and_then(|byte| Verdict::of_number(*byte)).unwrap_or(Verdict::Unknown);
            answers.push(Answer { number, conn, verdict });
        });
    }

    /// Whether there are answers.
    pub fn has_answers(&self) -> bool {
        self.end.as_ref().is_some_and(ShardEnd::has_answers)
    }

    /// Says that the shard is about to sleep; false if there are answers.
    pub fn fall_asleep(&self) -> bool {
        self.end.as_ref().is_none_or(ShardEnd::fall_asleep)
    }
}
