//! What became of requests to plugins, which the data plane has handed over: they have an account of their own.

use crate::process::outcomes::{Counts, outcomes};

// The names that the reference has are kept (server.md 3.10).
outcomes! {
    /// What became of a request, or of an answer.
    Outcome {
        Sent "sent" "The plugin was given it.",
        Answered "answered" "The plugin's answer went to the data plane.",
        QueueFull "queue_full" "So many requests waited for the plugin that there was no room for this one.",
        DwellExceeded "cbor_kaetzchen_dwell_exceeded" "The request waited longer than KaetzchenDelay for its plugin.",
        NotRunning "cbor_kaetzchen_no_handler" "The plugin ended, or its socket broke, before it was given the request.",
        Late "late" "The plugin, which speaks HTTP, did not answer in time.",
        NoReply "no_reply" "The plugin, which speaks HTTP, answered nothing, or could not be answered for.",
        AnswerTooLong "cbor_kaetzchen_response_too_long" "The plugin's answer does not fit a packet.",
        AnswerMalformed "answer_malformed" "The plugin, which speaks HTTP, answered with an error, or with what is no answer.",
        AnswerUnknown "answer_unknown" "The plugin answered what it was not asked.",
        AnswersFull "answers_full" "The data plane did not take the plugin's answer.",
    }
}

/// Counts of one plugin.
pub struct Tally {
    /// Its capability.
    pub capability: String,
    counts: Counts<{ Outcome::ALL.len() }>,
}

impl Tally {
    /// Nothing yet.
    pub fn new(capability: &str) -> Self {
        Self { capability: capability.into(), counts: Counts::default() }
    }

    /// Counts one.
    pub fn count(&self, outcome: Outcome) {
        self.counts.add(outcome as usize, 1);
    }

    /// How many there were.
    pub fn get(&self, outcome: Outcome) -> u64 {
        self.counts.get(outcome as usize)
    }
}
