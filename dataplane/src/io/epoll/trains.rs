//! What whoever speaks over datagrams asks of a shard on epoll.

use super::*;
use datagram::{Arrived, Socket, Train};

impl Datagrams for EpollIo {
    fn sockets(&self) -> &[Socket] {
        self.udp.sockets()
    }

    fn open(&mut self, is_ipv6: bool) -> Result<SocketId, std::io::Error> {
        let socket = self.udp.open(is_ipv6)?;
        self.watch(socket)?;
        Ok(socket)
    }

    fn next_train(&mut self) -> Option<Arrived<'_>> {
        self.udp.next_train()
    }

    fn segments_max(&self) -> usize {
        self.udp.segments_max()
    }

    fn datagram_bytes_max(&self) -> usize {
        self.udp.datagram_bytes_max()
    }

    fn room(&self) -> usize {
        self.udp.room()
    }

    fn buffer(&mut self) -> Vec<u8> {
        self.udp.buffer()
    }

    fn transmit(&mut self, train: Train, bytes: Vec<u8>) {
        self.udp.transmit(train, bytes);
    }

    fn lost(&self) -> u64 {
        self.udp.lost()
    }
}
