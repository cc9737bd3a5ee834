//! Every reason for which a packet is dropped, declared once; labels, documents and counters are made from this list.

mod table;
#[cfg(test)]
mod tests;

pub use table::DropReason;

use std::fmt::Write as _;

/// A reference counter that a reason increments besides `katzenpost_dropped_reason_total` (server.md 3.10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Also {
    /// `T`: `katzenpost_dropped_packets_total`.
    Packets,
    /// `O`: `katzenpost_dropped_outgoing_packets_total`.
    Outgoing,
    /// `I`: `katzenpost_dropped_invalid_packets_total`.
    Invalid,
    /// `D`: `katzenpost_dropped_deadline_blown_packets_total`.
    DeadlineBlown,
    /// `M`: `katzenpost_kaetzchen_mix_packets_dropped_total` (scheduler drops, in spite of the name).
    MixPackets,
    /// `K`: `katzenpost_kaetzchen_dropped_packets_total`.
    KaetzchenPackets,
    /// `R`: `katzenpost_kaetzchen_dropped_requests_total`.
    KaetzchenRequests,
    /// `F`: `katzenpost_kaetzchen_failed_requests_total`.
    KaetzchenFailed,
    /// `L`: `katzenpost_dropped_rate_limit_total`.
    RateLimit,
    /// `P`: `katzenpost_replayed_packets_total`.
    Replayed,
}

impl Also {
    /// Every such counter.
    pub const ALL: [Self; 10] = [
        Self::Packets,
        Self::Outgoing,
        Self::Invalid,
        Self::DeadlineBlown,
        Self::MixPackets,
        Self::KaetzchenPackets,
        Self::KaetzchenRequests,
        Self::KaetzchenFailed,
        Self::RateLimit,
        Self::Replayed,
    ];

    /// The name under which Prometheus sees the counter.
    pub const fn metric(self) -> &'static str {
        match self {
            Self::Packets => "katzenpost_dropped_packets_total",
            Self::Outgoing => "katzenpost_dropped_outgoing_packets_total",
            Self::Invalid => "katzenpost_dropped_invalid_packets_total",
            Self::DeadlineBlown => "katzenpost_dropped_deadline_blown_packets_total",
            Self::MixPackets => "katzenpost_kaetzchen_mix_packets_dropped_total",
            Self::KaetzchenPackets => "katzenpost_kaetzchen_dropped_packets_total",
            Self::KaetzchenRequests => "katzenpost_kaetzchen_dropped_requests_total",
            Self::KaetzchenFailed => "katzenpost_kaetzchen_failed_requests_total",
            Self::RateLimit => "katzenpost_dropped_rate_limit_total",
            Self::Replayed => "katzenpost_replayed_packets_total",
        }
    }
}

impl DropReason {
    /// How many reasons there are.
    pub const COUNT: usize = Self::ALL.len();

    /// The reason's position in [`DropReason::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Whether the reason increments `counter` as well.
    pub fn increments(self, counter: Also) -> bool {
        self.also().contains(&counter)
    }
}

impl std::fmt::Display for DropReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.label())
    }
}

/// The reference page `docs/reference/drop-reasons.md`; a test compares it with the file.
pub fn markdown() -> String {
    let mut page = String::from(
        "# Drop reasons\n\n\
         Every packet that a node drops is counted in `katzenpost_dropped_reason_total` under exactly one of these\n\
         values of the label `reason`. \"Also\" lists the counters that are incremented besides.\n\n\
         This page is generated from `interplane/src/reason/table.rs`; to renew it, run the tests of `interplane` with\n\
         `KATZENSPRUNG_BLESS=1`.\n",
    );
    for reason in DropReason::ALL {
        let also: Vec<_> = reason.also().iter().map(|counter| format!("`{}`", counter.metric())).collect();
        let _ = write!(
            page,
            "\n## `{}`\n\n{}\n\nWhat to do: {}\n\nAlso: {}.\n",
            reason.label(),
            reason.meaning(),
            reason.remedy(),
            also.join(", ")
        );
    }
    page
}
