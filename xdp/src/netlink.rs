//! What the kernel knows of interfaces, addresses, routes and neighbours, asked over rtnetlink.
//!
//! The kernel answers within the call that asks, so nothing here waits. Routes and neighbours are asked for one address at a time:
//! the kernel applies its rules itself, and there is no second table of routes that could differ.

pub mod message;

use datagram::frame::Mac;
use message::{Answer, Link, Neighbour, Route, answers, ask_addresses, ask_link, ask_neighbour, ask_route};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};
use std::net::IpAddr;

/// More than the kernel puts into one answer.
const ANSWER_BYTES: usize = 64 << 10;
/// A list of addresses that never ends would hold a shard up.
const ANSWERS_MAX: usize = 256;

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its number.
    pub index: u32,
    /// The largest packet of IP.
    pub mtu: u32,
    /// Its address, if it is one of Ethernet.
    pub mac: Option<Mac>,
}

/// A socket to ask with.
pub struct Netlink {
    socket: OwnedFd,
    sequence: u32,
    question: Vec<u8>,
    answer: Vec<u8>,
}

impl Netlink {
    /// Opens it. Everybody may.
    pub fn open() -> Result<Self, Errno> {
        // Protocol zero is that of routes.
        let (family, flags) = (AddressFamily::NETLINK, SocketFlags::CLOEXEC);
        let socket = socket_with(family, SocketType::RAW, flags, None)?;
        Ok(Self { socket, sequence: 0, question: Vec::with_capacity(256), answer: vec![0; ANSWER_BYTES] })
    }

    /// The interface of that name.
    pub fn interface(&mut self, name: &str) -> Result<Interface, Errno> {
        let mut found = None;
        self.ask(
            |question, sequence| ask_link(question, sequence, name),
            |answer| {
                if let Answer::Link(link) = answer {
                    found = Some(link);
                }
            },
        )?;
        let Link { index, mtu, mac } = found.ok_or(Errno::NODEV)?;
        Ok(Interface { name: name.to_owned(), index, mtu, mac })
    }

    /// The addresses of the interface, in the kernel's order.
    pub fn addresses(&mut self, interface: u32) -> Result<Vec<IpAddr>, Errno> {
        let mut found = Vec::new();
        self.ask(ask_addresses, |answer| match answer {
            Answer::Address { interface: index, address } if index == interface => found.push(address),
            _ => {}
        })?;
        Ok(found)
    }

    /// How the kernel would send to that address; none if it would not.
    pub fn route(&mut self, to: IpAddr) -> Result<Option<Route>, Errno> {
        let mut found = None;
        let asked = self.ask(
            |question, sequence| ask_route(question, sequence, to),
            |answer| {
                if let Answer::Route(route) = answer {
                    found = Some(route);
                }
            },
        );
        match asked {
            Ok(()) => Ok(found),
            Err(Errno::NETUNREACH | Errno::HOSTUNREACH | Errno::ACCESS | Errno::INVAL) => Ok(None),
            Err(code) => Err(code),
        }
    }

    /// What the kernel knows of that neighbour; none if nothing.
    pub fn neighbour(&mut self, interface: u32, address: IpAddr) -> Result<Option<Neighbour>, Errno> {
        let mut found = None;
        let ask = |question: &mut Vec<u8>, sequence| ask_neighbour(question, sequence, interface, address);
        let asked = self.ask(ask, |answer| {
            if let Answer::Neighbour(neighbour) = answer {
                found = Some(neighbour);
            }
        });
        match asked {
            Ok(()) => Ok(found),
            Err(Errno::NOENT) => Ok(None),
            Err(code) => Err(code),
        }
    }

    /// Asks, and hands over all that belongs to the answer.
    fn ask(&mut self, write: impl FnOnce(&mut Vec<u8>, u32), mut take: impl FnMut(Answer)) -> Result<(), Errno> {
        self.sequence = self.sequence.wrapping_add(1);
        self.question.clear();
        write(&mut self.question, self.sequence);
        send(&self.socket, &self.question, SendFlags::DONTWAIT)?;
        for _ in 0..ANSWERS_MAX {
            let (_, bytes) = recv(&self.socket, &mut self.answer[..], RecvFlags::DONTWAIT)?;
            for (sequence, is_part, answer) in answers(self.answer.get(..bytes).unwrap_or_default()) {
                match answer {
                    // What is left of an earlier question that was given up.
                    _ if sequence != self.sequence => {}
                    Answer::Done => return Ok(()),
                    Answer::Failed(code) => return Err(code),
                    answer => {
                        take(answer);
                        if !is_part {
                            return Ok(());
                        }
                    }
                }
            }
        }
        Err(Errno::OVERFLOW)
    }
}
