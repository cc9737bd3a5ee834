//! The mail of a gateway's clients (server.md 5.1 to 5.3): the mailboxes whose home this shard is. Their clients may be
//! connected to any shard.

use crate::account::Account;
use crate::packet::pool::Slot;
use crate::packet::route::Delivery;
use crate::shared::sessions::Seat;
use crate::shared::{Errand, Facts};
use crate::time::Instant;
use gateway::{Dispatch, MailRefusal, MailRoom, MemorySpool, NameTaken, Spool, StoreError, Tally, UserId};
use interplane::counter::Letter as LetterEvent;
use interplane::{Counter, DropReason, Histogram};

/// The mailboxes of one shard.
pub struct Mail(MailRoom<MemorySpool, Seat>);

/// What another shard, or this one, is to do.
pub type Sent = Option<(usize, Errand)>;

impl Mail {
    /// None yet.
    pub fn new(facts: &Facts) -> Self {
        Self(MailRoom::new(facts.spool(), facts.mail_limits()))
    }

    /// Does what is asked of the home of a mailbox.
    pub fn handle(&mut self, errand: Errand, account: &Account, now: Instant) -> Sent {
        match errand {
            Errand::Connected { user, owner, at, is_registered } => {
                if is_registered {
                    self.0.reassign(&user, owner);
                }
                match self.0.handle_connected(user, owner, at, now) {
                    Ok(dispatch) => sent(dispatch, account),
                    Err(NameTaken) => Some((at.shard, Errand::NameTaken { conn: at.conn })),
                }
            }
            Errand::Gone { user, at } => {
                self.0.handle_gone(&user, at, now);
                None
            }
            Errand::Delivered { user, at } => sent(self.0.handle_delivered(&user, at), account),
            // Asked of the shards of connections.
            Errand::Letter { .. } | Errand::NameTaken { .. } => None,
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
    ) -> Result<Sent, DropReason> {
        if now.since(slot.recv_at) > facts.gateway_delay {
            return Err(DropReason::GatewayDwellExceeded);
        }
        let surb_id = delivery.surb_id.ok_or(DropReason::GatewayNotAReply)?;
        // A reply's payload is all that is behind the header: only its client can tell whether its tag is good.
        let payload = slot.packet().get(facts.geometry.header_length..).unwrap_or_default();
        if payload.len() != facts.surb_reply_bytes() {
            return Err(DropReason::GatewaySurbReplySize);
        }
        let stored = self.0.handle_mail(&UserId(delivery.recipient), surb_id, payload);
        Ok(sent(stored.map_err(reason)?, account))
    }

    /// Removes mailboxes whose clients have been gone for too long; true if there may be more.
    pub fn expire(&mut self, now: Instant) -> bool {
        self.0.expire(now)
    }

    /// When [`Mail::expire`] has something to do.
    pub fn next_deadline(&self) -> Instant {
        self.0.poll_timeout()
    }

    /// Sets the gauges and counts what has become of letters.
    pub fn update_gauges(&mut self, account: &Account) {
        account.set(Counter::LETTERS_WAITING, self.0.spool().letters() as u64);
        account.set(Counter::SPOOL_BYTES, self.0.spool().bytes() as u64);
        account.set(Counter::MAILBOXES, self.0.mailboxes() as u64);
        let Tally { stored, acknowledged, expired, undeliverable, displaced } = self.0.take_tally();
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
