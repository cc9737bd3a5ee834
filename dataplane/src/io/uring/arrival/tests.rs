use super::super::Fabric;
use super::*;
use crate::io::driver::{Backend, Clock};
use crate::io::{ConnId, Event, Io, Received};
use crate::shard::Next;
use datagram::look::LAIN_MAX;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

/// What the kernel leaves: a control message of that kind.
fn header(kind: i32, time: Duration) -> Header {
    let mut control = [0; CONTROL_BYTES];
    let mut put = |at: usize, bytes: &[u8]| control[at..at + bytes.len()].copy_from_slice(bytes);
    put(offset_of!(libc::cmsghdr, cmsg_level), &libc::SOL_SOCKET.to_ne_bytes());
    put(offset_of!(libc::cmsghdr, cmsg_type), &kind.to_ne_bytes());
    put(TIME_AT, &time.as_secs().to_ne_bytes());
    put(TIME_AT + 8, &u64::from(time.subsec_nanos()).to_ne_bytes());
    // SAFETY: numbers and null pointers.
    Header { message: unsafe { std::mem::zeroed() }, control: Control(control) }
}

#[test]
fn bytes_count_from_the_kernels_time_but_not_from_long_ago() {
    let (civil, at) = (Duration::from_secs(1_800_000_000), Instant(5_000_000_000));
    let look = Look { at, civil };
    let lain = |lain: Duration| header(libc::SCM_TIMESTAMPNS, civil - lain).arrived_at(look);
    assert_eq!(lain(Duration::from_micros(300)), Instant(at.0 - 300_000));
    assert_eq!(lain(LAIN_MAX), Instant(at.0 - 1_000_000));
    assert_eq!(lain(Duration::from_secs(9)), Instant(at.0 - 1_000_000), "the clock was set forward");
    let ahead = header(libc::SCM_TIMESTAMPNS, civil + Duration::from_micros(1));
    assert_eq!(ahead.arrived_at(look), at, "the clock was set back");
    assert_eq!(header(libc::SCM_RIGHTS, civil - LAIN_MAX).arrived_at(look), at, "no time");
    let mut forgotten = header(libc::SCM_TIMESTAMPNS, civil - LAIN_MAX);
    forgotten.forget();
    assert_eq!(forgotten.arrived_at(look), at);
    let early = Look { at: Instant(7), civil };
    assert_eq!(header(libc::SCM_TIMESTAMPNS, civil - LAIN_MAX).arrived_at(early), Instant(0), "just started");
}

/// One shard, and a caller that writes between two of its rounds.
struct Trial {
    caller: TcpStream,
    conn: Option<ConnId>,
    /// Before and after the bytes were written that have not been read.
    written: Option<(Instant, Instant)>,
    tries: u32,
}

impl Trial {
    /// None when bytes have counted from when they were written, although they were read later.
    fn round(&mut self, io: &mut impl Io) -> Option<Next> {
        while let Some(event) = io.next_event() {
            if let Event::Accepted { conn, .. } = event {
                self.conn = Some(conn);
            }
        }
        let Some(conn) = self.conn else { return Some(Next::Busy) };
        match (io.recv(conn, super::super::LINK_BYTES_MIN), self.written.take()) {
            (Received::Bytes { at, .. }, Some((before, after))) => {
                assert!(at >= before, "counts from before it was written");
                if at <= after {
                    return None;
                }
                // The host was busy elsewhere for a while.
                assert!(self.tries < 1000, "counts from when it was read");
            }
            (Received::WouldBlock, Some(written)) => self.written = Some(written),
            (Received::WouldBlock, None) => {
                self.tries += 1;
                let before = io.now();
                self.caller.write_all(b"bytes").expect("written");
                self.written = Some((before, io.now()));
                std::thread::sleep(LAIN_MAX / 4);
            }
            (received, _) => panic!("{received:?}"),
        }
        Some(Next::Busy)
    }
}

#[test]
fn a_link_tells_when_its_bytes_came_and_not_when_they_were_read() {
    let clock = Clock::start();
    let fabric = match Fabric::new(1, clock) {
        Ok(fabric) => fabric,
        Err(refusal) => return testhost::lacks("io_uring", refusal),
    };
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let caller = TcpStream::connect(listener.local_addr().expect("its address")).expect("connected");
    caller.set_nodelay(true).expect("set");
    let mut trial = Trial { caller, conn: None, written: None, tries: 0 };
    Arc::new(fabric)
        .run(0, vec![listener.into()], move |io| trial.round(io.backend().kernel()))
        .expect("the ring works");
}
