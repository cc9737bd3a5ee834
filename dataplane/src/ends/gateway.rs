//! The mail of a gateway's clients (server.md 5.1 to 5.3): the mailboxes whose home this shard is. Their clients may be
//! connected to any shard.

use crate::account::Account;
use crate::packet::pool::Slot;
use crate::packet::route::Delivery;
use crate::shard::incoming::desk::{Desk, Kept};
use crate::shared::sessions::Seat;
use crate::shared::{Errand, Facts};
use crate::time::Instant;
use gateway::archive::Record;
use gateway::{Dispatch, MailRefusal, MailRoom, MemorySpool, NameTaken, Spool, StoreError, Tally, UserId};
use interplane::counter::Letter as LetterEvent;
use interplane::{Counter, DropReason, Histogram};

/// The mailboxes of one shard.
pub struct Mail {
    room: MailRoom<MemorySpool, Seat>,
    /// The letters of registered clients are kept by the control plane, too.
    keeps: bool,
    /// Bytes of a letter: a database may hold anything.
    letter_bytes: usize,
}

/// What another shard, or this one, is to do.
pub type Sent = Option<(usize, Errand)>;

impl Mail {
    /// None yet.
    pub fn new(facts: &Facts) -> Self {
        let room = MailRoom::new(facts.spool(), facts.mail_limits());
        Self { room, keeps: facts.clients.keeps_mail, letter_bytes: facts.surb_reply_bytes() }
    }

    /// Does what is asked of the home of a mailbox.
    pub fn handle(&mut self, errand: Errand, account: &Account, now: Instant, desk: &mut Desk) -> Sent {
        let sent = match errand {
            Errand::Connected { user, owner, at, is_registered } => {
                if is_registered {
                    self.room.reassign(&user, owner);
                }
                let connected = self.room.handle_connected(user, owner, at, now);
                if is_registered && self.keeps {
                    self.room.set_registered(&user);
                    // Where there is no room for the question, it is asked again with the next answer about the client.
                    let _is_asked = desk.tell(&Record::Fetch { user });
                }
                match connected {
                    Ok(dispatch) => sent(dispatch, account),
                    Err(NameTaken) => Some((at.shard, Errand::NameTaken { conn: at.conn })),
                }
            }
            Errand::Gone { user, at } => {
                self.room.handle_gone(&user, at, now);
                None
            }
            Errand::Delivered { user, at } => sent(self.room.handle_delivered(&user, at), account),
            Errand::Fetch { user } => {
                let _is_asked = self.keeps && desk.tell(&Record::Fetch { user });
                None
            }
            // Asked of the shards of connections.
            Errand::Letter { .. } | Errand::NameTaken { .. } => None,
        };
        self.tell_gone(desk);
        sent
    }

    /// Takes a letter that the store has had.
    pub fn take_kept(&mut self, kept: &Kept, account: &Account) -> Sent {
        if kept.payload.len() != self.letter_bytes {
            return None;
        }
        sent(self.room.handle_kept(&kept.user, kept.surb_id, &kept.payload), account)
    }

    /// What is not told because there is no room is given back by the store, and delivered a second time.
    fn tell_gone(&mut self, desk: &mut Desk) {
        if self.keeps {
            for (user, surb_id) in self.room.take_gone() {
                let _is_told = desk.tell(&Record::Gone { user, surb_id });
            }
        }
    }

    /// Takes a packet in whose payload is mail; or says why not.
    pub fn deliver(
        &mut self,
        slot: &Slot,
        delivery: &Delivery,
        facts: &Facts,
        account: &Account,
        now: Instant,
        desk: &mut Desk,
    ) -> Result<Sent, DropReason> {
        if now.since(slot.recv_at) > facts.live.gateway_delay.get() {
            return Err(DropReason::GatewayDwellExceeded);
        }
        let surb_id = delivery.surb_id.ok_or(DropReason::GatewayNotAReply)?;
        // A reply's payload is all that is behind the header: only its client can tell whether its tag is good.
        let payload = slot.packet().get(facts.geometry.header_length..).unwrap_or_default();
        if payload.len() != facts.surb_reply_bytes() {
            return Err(DropReason::GatewaySurbReplySize);
        }
        let user = UserId(delivery.recipient);
        let record = Record::Keep { user, surb_id, payload };
        match self.room.handle_mail(&user, surb_id, payload) {
            // Nobody of this name has been here lately; the store knows whether it is somebody's.
            Err(MailRefusal::UnknownUser) if self.keeps => {
                if desk.tell(&record) {
                    Ok(None)
                } else {
                    Err(DropReason::GatewaySpoolFailed)
                }
            }
            stored => {
                if self.keeps && self.room.is_registered(&user) {
                    // Where there is no room it is in memory alone, or nowhere.
                    let is_told = desk.tell(&record);
                    if is_told && matches!(stored, Err(MailRefusal::Spool(_))) {
                        return Ok(None);
                    }
                    if !is_told && stored.is_ok() {
                        account.count(Counter::letters(LetterEvent::NotKept));
                    }
                }
                Ok(sent(stored.map_err(reason)?, account))
            }
        }
    }

    /// Removes mailboxes whose clients have been gone for too long; true if there may be more.
    pub fn expire(&mut self, now: Instant) -> bool {
        self.room.expire(now)
    }

    /// When [`Mail::expire`] has something to do.
    pub fn next_deadline(&self) -> Instant {
        self.room.poll_timeout()
    }

    /// Sets the gauges and counts what has become of letters.
    pub fn update_gauges(&mut self, account: &Account) {
        account.set(Counter::LETTERS_WAITING, self.room.spool().letters() as u64);
        account.set(Counter::SPOOL_BYTES, self.room.spool().bytes() as u64);
        account.set(Counter::MAILBOXES, self.room.mailboxes() as u64);
        let Tally { stored, acknowledged, expired, undeliverable, displaced } = self.room.take_tally();
        for (event, count) in [
            (LetterEvent::Stored, stored),
            (LetterEvent::Acknowledged, acknowledged),
            (LetterEvent::Expired, expired),
            (LetterEvent::Undeliverable, undeliverable),
            (LetterEvent::Displaced, displaced),
        ] {
            account.add(Counter::letters(event), count);
        }
    }
}

fn sent(dispatch: Option<Dispatch<Seat>>, account: &Account) -> Sent {
    let Dispatch { to, letter, has_more } = dispatch?;
    account.observe(Histogram::INGRESS_QUEUE, u64::from(has_more));
    Some((to.shard, Errand::Letter { conn: to.conn, letter }))
}

fn reason(refusal: MailRefusal) -> DropReason {
    match refusal {
        MailRefusal::UnknownUser => DropReason::GatewayInvalidRecipient,
        MailRefusal::Spool(StoreError::MailboxFull) => DropReason::GatewayMailboxFull,
        MailRefusal::Spool(StoreError::SpoolFull) => DropReason::GatewaySpoolFull,
        MailRefusal::Spool(StoreError::Failed) => DropReason::GatewaySpoolFailed,
    }
}
