//! What stops a node from carrying more, told from what its shards did.

use super::costs::Work;
use serde::Serialize;
use std::fmt;

/// A shard that works for so much of its time is full.
const FULL: f64 = 0.95;

/// The share of their time that shards work.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Usage {
    /// All of them.
    pub mean: f64,
    /// The busiest.
    pub most: f64,
}

/// What is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// All shards work all the time: more shards carry more.
    Processors,
    /// Those that read links are full, most of all with reading: each link is one shard's.
    Reading,
    /// Those that write links are full, most of all with writing: each link is one shard's.
    Sending,
    /// Those that read links are full, and most of what they do is unwrapping that others have time for.
    OwnBatches,
    /// No shard is full: some wait for batches of others.
    Waiting,
}

impl Usage {
    /// Of what shards did in a time.
    pub fn of(work: &[Work], seconds: f64) -> Self {
        // A round that goes on belongs to the time in which it began.
        let shares = || work.iter().map(|work| (work.total().as_secs_f64() / seconds).min(1.0));
        Self { mean: shares().sum::<f64>() / work.len().max(1) as f64, most: shares().fold(0.0, f64::max) }
    }
}

impl Limit {
    /// Of a node whose shards did that in a time in which more packets were waiting.
    pub fn of(work: &[Work], seconds: f64) -> Self {
        let usage = Usage::of(work, seconds);
        if usage.mean >= FULL {
            return Self::Processors;
        }
        let is_full = |work: &&Work| work.total().as_secs_f64() / seconds >= FULL;
        let full = work.iter().filter(is_full).fold(Work::default(), |sum, work| sum + *work);
        if full == Work::default() {
            return Self::Waiting;
        }
        let Work { reading, unwrapping, sending, .. } = full;
        if unwrapping > reading.max(sending) {
            Self::OwnBatches
        } else if reading > sending {
            Self::Reading
        } else {
            Self::Sending
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Processors => "all shards are full",
            Self::Reading => "the shards that read links: a link is opened by one shard",
            Self::Sending => "the shards that write links: a link is sealed by one shard",
            Self::OwnBatches => "the shards that read links unwrap too much themselves: few batches are handed over",
            Self::Waiting => "no shard is full: shards wait for batches of others",
        })
    }
}
