//! What whoever speaks over datagrams asks of a shard's ring.

use super::*;
use datagram::{Arrived, Datagrams, Socket, SocketId, TRAIN_BYTES_MAX, Train};

impl UringIo {
    /// A train has gone, or not.
    pub(super) fn left(&mut self, place: u32, result: i32) {
        if let Some(udp) = &mut self.udp {
            udp.left(&mut self.ring, place, result);
        }
    }
}

impl Datagrams for UringIo {
    fn sockets(&self) -> &[Socket] {
        self.udp.as_ref().map_or(&[], |udp| udp.sockets().known())
    }

    fn open(&mut self, is_ipv6: bool) -> Result<SocketId, std::io::Error> {
        let submitter = self.ring.submitter();
        let udp = match &mut self.udp {
            Some(udp) => udp,
            none => none.insert(Box::new(Udp::new(&submitter, Vec::new())?)),
        };
        udp.open(&submitter, is_ipv6)
    }

    fn next_train(&mut self) -> Option<Arrived<'_>> {
        self.udp.as_mut()?.next()
    }

    fn segments_max(&self) -> usize {
        self.udp.as_ref().map_or(1, |udp| udp.sockets().segments_max())
    }

    fn datagram_bytes_max(&self) -> usize {
        TRAIN_BYTES_MAX
    }

    fn room(&self) -> usize {
        self.udp.as_ref().map_or(0, |udp| udp.room())
    }

    fn buffer(&mut self) -> Vec<u8> {
        self.udp.as_mut().map(|udp| udp.sockets_mut().buffer()).unwrap_or_default()
    }

    fn transmit(&mut self, train: Train, bytes: Vec<u8>) {
        if self.room() == 0 {
            // Most trains are gone as soon as they are submitted.
            self.turn(AT_ONCE);
        }
        if let Some(udp) = &mut self.udp {
            udp.send(&mut self.ring, &train, bytes);
        }
    }

    fn lost(&self) -> u64 {
        self.udp.as_ref().map_or(0, |udp| udp.sockets().lost())
    }
}
