//! What the control plane is told once all shards go by it.

use crate::shared::Shared;
use interplane::channel::Channel;
use interplane::message::ToControl;
use pki::Epoch;

/// What is published and not yet told.
#[derive(Default)]
pub struct Announcements {
    /// The serial of a snapshot.
    pub documents: Option<u64>,
    /// Keys.
    pub keys: Option<KeysToAnnounce>,
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
        self.documents.is_some() || self.keys.is_some()
    }

    /// Tells what all shards have taken over. What finds no room in the channel is told later.
    pub fn announce(&mut self, shared: &Shared, control: Option<&Channel>) {
        if !self.are_due() {
            return;
        }
        let applied = shared.applied();
        // Without a control plane nobody waits: the next one sends everything again.
        let tell = |message: &ToControl| control.is_none_or(|control| control.try_send(message, &[]) != Ok(false));
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
    }
}
