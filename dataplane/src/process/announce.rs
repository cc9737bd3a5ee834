//! What the control plane is told once all shards go by it.

use crate::shared::Shared;
use interplane::channel::Channel;
use interplane::message::{Descriptor, ToControl};
use pki::Epoch;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What is published and not yet told.
#[derive(Default)]
pub struct Announcements {
    /// The serial of a snapshot.
    pub documents: Option<u64>,
    /// Keys.
    pub keys: Option<KeysToAnnounce>,
    /// Other values.
    pub adjustment: Option<Numbered>,
    /// Links, if shards were asked for them.
    pub roll: Option<RollToAnnounce>,
}

/// An order, and how shards know it.
pub struct Numbered {
    /// The number of the order.
    pub order: u64,
    /// As [`Shared`] gave it.
    pub number: u64,
}

/// What shards are asked of their links.
pub enum RollToAnnounce {
    /// They are asked.
    Called(Numbered),
    /// They have answered, and this is on its way.
    Ready {
        /// The number of the order.
        order: u64,
        /// What they have said.
        file: OwnedFd,
    },
}

/// Keys that the shards are taking over.
pub struct KeysToAnnounce {
    /// As [`Shared::publish_keys`] gave it.
    pub number: u64,
    /// Their epochs.
    pub epochs: Vec<Epoch>,
    /// Whether they are kept out of swap.
    pub locked: bool,
}

impl Announcements {
    /// Whether the shards have something to take over.
    pub fn are_due(&self) -> bool {
        self.documents.is_some() || self.keys.is_some() || self.adjustment.is_some() || self.roll.is_some()
    }

    /// Tells what all shards have taken over. What finds no room in the channel is told later.
    pub fn announce(&mut self, shared: &Shared, control: Option<&Channel>) {
        if !self.are_due() {
            return;
        }
        let applied = shared.applied();
        // Without a control plane nobody waits: the next one sends everything again.
        let tell_with = |message: &ToControl, attachments: &[(Descriptor, BorrowedFd<'_>)]| {
            control.is_none_or(|control| control.try_send(message, attachments) != Ok(false))
        };
        let tell = |message: &ToControl| tell_with(message, &[]);
        if let Some(serial) = self.documents
            && applied.serial >= serial
            && tell(&ToControl::Applied { serial })
        {
            self.documents = None;
        }
        if let Some(KeysToAnnounce { number, epochs, locked }) = &self.keys
            && applied.keys >= *number
            && tell(&ToControl::KeysLoaded { epochs: epochs.clone(), locked: *locked })
        {
            self.keys = None;
        }
        if let Some(Numbered { order, number }) = &self.adjustment
            && applied.adjustment >= *number
            && tell(&ToControl::Adjusted { number: *order })
        {
            self.adjustment = None;
        }
        self.collect_roll(shared);
        if let Some(RollToAnnounce::Ready { order, file }) = &self.roll
            && tell_with(&ToControl::Roll { number: *order }, &[(Descriptor::Roll, file.as_fd())])
        {
            self.roll = None;
        }
    }

    /// Puts together what shards have said of their links, once all have. What cannot be told is not: whoever asks has waited
    /// in vain, and may ask again.
    fn collect_roll(&mut self, shared: &Shared) {
        if let Some(RollToAnnounce::Called(Numbered { order, number })) = &self.roll
            && let Some(roll) = shared.take_roll(*number)
        {
            let order = *order;
            self.roll = roll.to_file().ok().map(|file| RollToAnnounce::Ready { order, file });
        }
    }
}
