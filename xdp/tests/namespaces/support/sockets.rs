//! Plain sockets of the kernel as datagrams: what a backend has beneath, in its simplest form.

use datagram::{Arrived, Datagrams, Socket, SocketId, Train};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Sockets, one datagram at a time.
pub struct Sockets {
    sockets: Vec<UdpSocket>,
    known: Vec<Socket>,
    buffer: Vec<u8>,
    lost: u64,
}

impl Sockets {
    pub fn bind(addresses: &[SocketAddr]) -> Self {
        let mut made = Self { sockets: Vec::new(), known: Vec::new(), buffer: vec![0; 65_536], lost: 0 };
        addresses.iter().for_each(|address| made.add(UdpSocket::bind(address).unwrap(), true));
        made
    }

    fn add(&mut self, socket: UdpSocket, is_listener: bool) {
        socket.set_nonblocking(true).unwrap();
        self.known.push(Socket { local: socket.local_addr().unwrap(), is_listener });
        self.sockets.push(socket);
    }
}

impl Datagrams for Sockets {
    fn sockets(&self) -> &[Socket] {
        &self.known
    }

    fn open(&mut self, is_ipv6: bool) -> Result<SocketId, io::Error> {
        let any = if is_ipv6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        self.add(UdpSocket::bind(SocketAddr::new(any, 0))?, false);
        Ok(SocketId(self.sockets.len() as u32 - 1))
    }

    fn next_train(&mut self) -> Option<Arrived<'_>> {
        let buffer = &mut self.buffer;
        let found = self.sockets.iter().enumerate().find_map(|(number, socket)| {
            let (bytes, from) = socket.recv_from(buffer).ok()?;
            Some((SocketId(number as u32), bytes, from))
        });
        let (socket, segment_bytes, from) = found?;
        let bytes = &mut self.buffer[..segment_bytes];
        Some(Arrived { socket, from, to: None, ecn: None, at: super::clock(), segment_bytes, bytes })
    }

    fn segments_max(&self) -> usize {
        1
    }

    fn datagram_bytes_max(&self) -> usize {
        1452
    }

    fn room(&self) -> usize {
        64
    }

    fn buffer(&mut self) -> Vec<u8> {
        Vec::new()
    }

    fn transmit(&mut self, train: Train, bytes: Vec<u8>) {
        assert!(bytes.len() <= train.segment_bytes, "more than one datagram");
        let is_sent = self.sockets[train.socket.0 as usize].send_to(&bytes, train.to).is_ok();
        self.lost += u64::from(!is_sent);
    }

    fn lost(&self) -> u64 {
        self.lost
    }
}
