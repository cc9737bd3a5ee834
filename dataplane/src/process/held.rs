//! The descriptors that a data plane holds for itself and for the next control plane.

use super::ProcessError;
use interplane::loops::LoopCounts;
use interplane::message::Descriptor;
use interplane::requests::{Bell, PluginRings};
use pki::Epoch;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Each descriptor with its meaning.
pub struct Held(Vec<(Descriptor, OwnedFd)>);

impl Held {
    /// What came with a message.
    pub fn new(attachments: Vec<(Descriptor, OwnedFd)>) -> Self {
        Self(attachments)
    }

    /// One descriptor.
    pub fn get(&self, what: &Descriptor) -> Result<BorrowedFd<'_>, ProcessError> {
        let found = self.0.iter().find(|(held, _)| held == what);
        found.map(|(_, fd)| fd.as_fd()).ok_or(ProcessError::Order("a descriptor is missing"))
    }

    /// Copies of the listening sockets.
    pub fn listeners(&self) -> Result<Vec<OwnedFd>, ProcessError> {
        let listeners = self.0.iter().filter(|(what, _)| matches!(what, Descriptor::Listener(_)));
        listeners.map(|(_, fd)| Ok(fd.try_clone()?)).collect()
    }

    /// The rings of plugins with the bells of both processes, where there are any.
    pub fn plugins(&self) -> Result<Option<(PluginRings, Bell, Bell)>, ProcessError> {
        let Ok(rings) = self.get(&Descriptor::PluginRings) else { return Ok(None) };
        let bell = |what| Ok::<_, ProcessError>(Bell::adopt(self.get(what)?.try_clone_to_owned()?));
        let (requests, answers) = (bell(&Descriptor::RequestBell)?, bell(&Descriptor::AnswerBell)?);
        Ok(Some((PluginRings::attach(rings)?, requests, answers)))
    }

    /// Where this node's own loops are counted, if they are.
    pub fn loops(&self) -> Result<Option<LoopCounts>, ProcessError> {
        let counts = self.get(&Descriptor::Loops).ok().map(LoopCounts::attach);
        Ok(counts.transpose()?)
    }

    /// Copies of all.
    pub fn copies(&self) -> Result<Vec<(Descriptor, OwnedFd)>, ProcessError> {
        self.0.iter().map(|(what, fd)| Ok((what.clone(), fd.try_clone()?))).collect()
    }

    /// Holds `fd` instead of what was held with that kind of meaning.
    pub fn replace(&mut self, what: Descriptor, fd: OwnedFd) {
        let kind = std::mem::discriminant(&what);
        self.0.retain(|(held, _)| std::mem::discriminant(held) != kind);
        self.0.push((what, fd));
    }

    /// Holds the secrets and the replay sets of `epochs` from now on, new ones from `incoming`.
    pub fn take_keys(&mut self, epochs: &[Epoch], incoming: &mut Self) {
        let is_live = |what: &Descriptor| match what {
            Descriptor::ReplaySet { epoch } => epochs.contains(epoch),
            Descriptor::Secrets => false,
            _ => true,
        };
        self.0.retain(|(what, _)| is_live(what));
        for (what, fd) in incoming.0.drain(..) {
            let known = self.0.iter().any(|(held, _)| *held == what);
            if !known && (what == Descriptor::Secrets || is_live(&what)) {
                self.0.push((what, fd));
            }
        }
    }
}
