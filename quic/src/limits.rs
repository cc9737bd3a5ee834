//! What connections and strangers may cost one endpoint, and why so much. An endpoint serves one shard.

use crate::profile::Windows;
use std::time::Duration;

/// Connections of all kinds, those that are being closed included: what a gateway's shard serves, with room. Beyond it
/// newcomers are refused.
pub const CONNECTIONS_MAX: usize = 4096;

/// Connections that get the reference's windows: all that nodes need. With 1.75 MiB each they take 448 MiB at most, and only
/// of peers that send what is not read, or do not read what is sent.
pub const ROOMY_MAX: usize = 256;

/// What connections beyond [`ROOMY_MAX`] get: 192 KiB, together 720 MiB at most. Three packets of 3 kB are under way to a client at
/// a time, and a document comes in chunks that wait for it.
pub const CROWDED: Windows = Windows { stream_bytes: 64 << 10, bytes: 64 << 10, send_bytes: 128 << 10 };

/// Connections whose peer has not opened its stream yet. The newest takes the place of the oldest: an honest peer needs two
/// round trips, so that whoever wants to keep it out has to open so many in that time, from addresses at which it can be
/// reached.
pub const UNFINISHED_MAX: usize = 256;

/// From so many unfinished connections on, newcomers have to show that they can be reached where they say (Retry), which costs an
/// honest peer a round trip, and us no memory. The reference never does; it does not see floods coming.
pub const RETRY_FROM: usize = 32;

/// How long a handshake may take. The reference's ends after 5 s of silence, and after 10 s in any case.
pub const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// First packets that wait for a handshake, each 1.3 to 4 kB. More are ignored: whoever is honest sends again.
pub const WAITING_MAX: usize = 64;

/// How long a first packet waits.
pub const WAITING_LIMIT: Duration = Duration::from_secs(3);

/// Handshakes that are begun in one round. One costs 100 to 200 us, so that packets are late by no more than they are because
/// of one batch.
pub const HANDSHAKES_PER_ROUND: u32 = 4;

/// Datagrams with long headers, those of handshakes, that are looked at in one round. To derive keys for one costs 10 us.
pub const LONG_HEADERS_PER_ROUND: u32 = 64;

/// Connections whose timers are looked at in one round, 5 to 10 us each. After a host has stood still all are due at once.
pub const TIMEOUTS_PER_ROUND: usize = 128;

/// Answers without a connection that wait to be sent: Retry, refusals, stateless resets.
pub const ANSWERS_MAX: usize = 64;

/// How long a peer that was dialled, and written to, may be silent. It acknowledges within 26 ms; what is late by seconds is of no
/// use to anybody, and a new connection costs two round trips.
pub const PATIENCE: Duration = Duration::from_secs(3);

/// How much longer, from when that was noticed: a host that has stood still finds the answers only then.
pub const DOUBT: Duration = Duration::from_secs(1);

/// How long a connection that was closed here waits for what it has sent to be acknowledged. The reference's authorities wait
/// 100 ms without asking, its nodes do not wait.
pub const LINGER: Duration = Duration::from_secs(2);

/// How long a connection that has said goodbye is still known, so that it can say so again to who has not heard it. QUIC says
/// three times as long as an answer may take (RFC 9000, 10.2), and how long that is the peer decides: by when it acknowledges,
/// and by what it says of its delays. Minutes would be places that nobody else gets.
pub const GOODBYE: Duration = Duration::from_secs(3);

/// Sockets from which peers of one family of addresses are dialled. A second one is needed only where a connection to the same
/// address is still being closed.
pub const DIALLING_PORTS_MAX: usize = 8;

/// Datagrams in one train: what one call of the kernel takes.
pub const SEGMENTS_MAX: usize = 64;
