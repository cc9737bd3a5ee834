//! What a shard asks of its ring.

use super::*;

impl Io for UringIo {
    fn now(&self) -> Instant {
        self.fabric.clock.now()
    }

    fn unix_now(&self) -> Duration {
        unix_now()
    }

    fn next_event(&mut self) -> Option<Event> {
        loop {
            if self.events.is_empty() && self.has_sends {
                // Most sends are over as soon as they are submitted.
                self.turn(AT_ONCE);
            }
            let event = self.events.pop_front()?;
            let Event::Sent { conn, .. } = event else { return Some(event) };
            let done = self.open(conn).and_then(|open| open.sends.take_if(|sends| sends.is_done()));
            if let Some(sends) = done {
                return Some(sends.sent(conn));
            }
        }
    }

    fn recv(&mut self, conn: ConnId, bytes_max: usize) -> Received<'_> {
        self.take_back();
        let Some(open) = self.open(conn) else { return Received::Failed };
        let Some(piece) = &mut open.piece else {
            return match open.end {
                Some(Received::Closed) => Received::Closed,
                Some(_) => Received::Failed,
                None => {
                    open.asked_bytes = bytes_max;
                    if !open.is_receiving && !open.is_starving {
                        self.want(conn);
                    }
                    Received::WouldBlock
                }
            };
        };
        let Piece { number, start, end, at } = *piece;
        let count = bytes_max.min(end - start);
        piece.start += count;
        if piece.start == end {
            open.piece = None;
            // Asked for now, the next piece is there in the next round; only after a look that found nothing, it would be
            // there in the one after that, and a link that never stops would be read every other round.
            let is_asked = open.is_receiving || open.is_starving;
            if open.asked_bytes >= LINK_BYTES_MIN && !is_asked && open.end.is_none() {
                self.want(conn);
            }
            self.lent = Some(number);
        }
        Received::Bytes { bytes: self.buffers.bytes(number, start, count), at }
    }

    fn send(&mut self, conn: ConnId, buffer: Vec<u8>) {
        let now = self.now();
        let Some(open) = self.open(conn) else { return };
        open.sends = Some(UnderWay::new(buffer, now));
        self.send_rest(conn);
    }

    fn sending(&self, conn: ConnId) -> Option<Sending> {
        let entry = self.entries.get(conn.index as usize).filter(|entry| entry.generation == conn.generation)?;
        match &entry.state {
            State::Open(open) => open.sends.as_ref().map(UnderWay::sending),
            _ => None,
        }
    }

    fn connect(&mut self, to: Target) -> ConnId {
        let target = to.address;
        let socket = stream_to(to, rustix::net::SocketFlags::CLOEXEC);
        let (state, failure) = match socket {
            Ok(socket) => (State::Connecting { socket, target }, None),
            Err(errno) => (State::Failed, Some(connect_failure(errno.raw_os_error()))),
        };
        let conn = self.settle(state);
        let entry = &mut self.entries[conn.index as usize];
        if let State::Connecting { socket, .. } = &entry.state {
            let address = Box::new(socket2::SockAddr::from(target));
            let connect = opcode::Connect::new(types::Fd(socket.as_raw_fd()), address.as_ptr().cast(), address.len());
            let connect = connect.build();
            entry.requests += 1;
            entry.address = Some(address);
            // SAFETY: the address is boxed and stays with the entry until a later dial replaces it, which is only
            // possible when the entry has no requests.
            unsafe { self.push(connect, What::Connect, conn.index) };
        }
        self.events.extend(failure.map(|failure| Event::ConnectFailed { conn, failure }));
        conn
    }

    fn hand_over(&mut self, conn: ConnId, to_shard: usize) -> bool {
        let fabric = Arc::clone(&self.fabric);
        let is_quiet = self.entry(conn).is_some_and(|entry| entry.requests == 0);
        let (true, Some(mailbox)) = (is_quiet, fabric.mailboxes.get(to_shard)) else {
            self.close(conn);
            return false;
        };
        let Some(entry) = self.entry(conn) else { return false };
        entry.generation = entry.generation.wrapping_add(1);
        let state = std::mem::take(&mut entry.state);
        self.free.push(conn.index);
        let State::Open(open) = state else { return false };
        mailbox.adopted().push_back((open.socket, open.peer));
        self.wake(to_shard);
        true
    }

    fn close(&mut self, conn: ConnId) -> usize {
        self.take_back();
        if self.open(conn).is_some_and(|open| open.sends.as_ref().is_some_and(|sends| !sends.is_done())) {
            // What was handed over in this round gets its chance.
            self.turn(AT_ONCE);
        }
        let Some(entry) = self.entry(conn) else { return 0 };
        entry.generation = entry.generation.wrapping_add(1);
        let (mut taken, mut piece) = (0, None);
        let fd = match &mut entry.state {
            State::Open(open) => {
                taken = open.sends.as_ref().map_or(0, |sends| sends.sending().taken);
                piece = open.piece.take();
                Some(open.socket.as_raw_fd())
            }
            State::Connecting { socket, .. } => Some(socket.as_raw_fd()),
            _ => None,
        };
        let has_requests = entry.requests > 0;
        let ended = std::mem::take(&mut entry.state);
        entry.state = State::Closing(Box::new(ended));
        piece.into_iter().for_each(|piece| self.give_back(piece.number));
        if let (Some(fd), true) = (fd, has_requests) {
            let cancel = opcode::AsyncCancel2::new(types::CancelBuilder::fd(types::Fd(fd)).all()).build();
            // SAFETY: the request points to nothing.
            unsafe { self.push(cancel, What::Cancel, conn.index) };
        }
        self.bury(conn.index);
        taken
    }

    fn wake(&mut self, shard: usize) {
        let fabric = Arc::clone(&self.fabric);
        let Some(mailbox) = fabric.mailboxes.get(shard) else { return };
        let ring = mailbox.ring.load(Ordering::Acquire);
        if ring == NO_RING || shard == self.shard {
            return fabric.wake(shard);
        }
        let message = opcode::MsgRingData::new(types::Fd(ring), 0, name(What::Message, 0), None).build();
        // SAFETY: the request points to nothing.
        unsafe { self.push(message.flags(squeue::Flags::SKIP_SUCCESS), What::Wake, shard as u32) };
        // At once: whoever wakes another goes on with a batch of its own, and has taken back by its end what it offered.
        if let Err(error) = self.ring.enter(Sleep::default()) {
            self.error.get_or_insert(error);
        }
    }
}

/// Civil time since the Unix epoch.
pub fn unix_now() -> Duration {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default()
}
