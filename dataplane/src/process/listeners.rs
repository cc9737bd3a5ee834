//! Which shard gets which of the listening sockets.

#[cfg(test)]
mod tests;

use datagram::udp::{is_datagram, local_address};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

/// The sockets of each shard. Streams are accepted by the first shard, which hands them on. Datagrams cannot be handed on,
/// so there are several sockets at one address, among which the kernel deals the senders: the first of them is the first
/// shard's, the second the second's, and so on. Where there are fewer than shards, the last shards get none; where there
/// are more, the rest is dealt out from the first shard on again, as what comes there has to be read by somebody.
pub fn deal(listeners: Vec<OwnedFd>, shards: usize) -> io::Result<Vec<Vec<OwnedFd>>> {
    let mut of_shards: Vec<Vec<OwnedFd>> = (0..shards.max(1)).map(|_| Vec::new()).collect();
    let mut dealt: HashMap<SocketAddr, usize> = HashMap::new();
    for listener in listeners {
        let shard = if is_datagram(&listener) {
            let before = dealt.entry(local_address(&listener)?).or_default();
            *before += 1;
            (*before - 1) % of_shards.len()
        } else {
            0
        };
        of_shards[shard].push(listener);
    }
    Ok(of_shards)
}
