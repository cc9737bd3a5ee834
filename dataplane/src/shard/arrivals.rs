//! Those who come over QUIC, as the endpoint has counted them, in the books of the shard.

use crate::account::Account;
use crate::io::Io;
use interplane::Counter;
use interplane::counter::QuicArrival;
use quic::Counts;

/// What is in the books already. The endpoint's counts begin at 0 with each data plane, those of the books do not.
#[derive(Default)]
pub struct Arrivals {
    entered: Counts,
}

impl Arrivals {
    /// Enters what has come since the last time.
    pub fn enter(&mut self, account: &Account, io: &impl Io) {
        let Some(endpoint) = io.quic() else { return };
        account.set(Counter::QUIC_CONNECTIONS, endpoint.connections() as u64);
        let counts = endpoint.counts();
        for arrival in QuicArrival::ALL {
            let more = number(&counts, *arrival).saturating_sub(number(&self.entered, *arrival));
            account.add(Counter::quic_arrival(*arrival), more);
        }
        self.entered = counts;
    }
}

fn number(counts: &Counts, arrival: QuicArrival) -> u64 {
    match arrival {
        QuicArrival::Accepted => counts.accepted,
        QuicArrival::Retried => counts.retried,
        QuicArrival::Refused => counts.refused,
        QuicArrival::Ignored => counts.ignored,
        QuicArrival::Skipped => counts.skipped,
        QuicArrival::Failed => counts.failed,
        QuicArrival::Silent => counts.silent,
        QuicArrival::Displaced => counts.displaced,
        QuicArrival::Unanswered => counts.unanswered,
    }
}
