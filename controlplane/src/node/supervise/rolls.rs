//! Who waits to be told which links the data plane has.

use interplane::message::Descriptor;
use interplane::roll::Roll;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Those who wait, with the number of the question that was asked for each.
#[derive(Default)]
pub struct Rolls {
    last: u64,
    waiting: Vec<(u64, oneshot::Sender<Arc<Roll>>)>,
}

impl Rolls {
    /// Somebody asks; gives the number to ask the data plane with.
    pub fn call(&mut self, answer: oneshot::Sender<Arc<Roll>>) -> u64 {
        // Those who have given up need no place.
        self.waiting.retain(|(_, waiting)| !waiting.is_closed());
        self.last += 1;
        self.waiting.push((self.last, answer));
        self.last
    }

    /// The data plane answers: all who have asked before that are told. What cannot be read is no answer.
    pub fn take(&mut self, number: u64, attachments: &[(Descriptor, OwnedFd)]) {
        let file = attachments.iter().find(|(what, _)| *what == Descriptor::Roll);
        let Some(roll) = file.and_then(|(_, fd)| Roll::open(fd).ok()).map(Arc::new) else { return };
        for (_, answer) in self.waiting.extract_if(.., |(asked, _)| *asked <= number) {
            let _given_up = answer.send(roll.clone());
        }
    }

    /// The data plane that was asked is gone: nobody waits any longer.
    pub fn forget(&mut self) {
        self.waiting.clear();
    }
}
