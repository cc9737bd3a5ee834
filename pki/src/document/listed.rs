//! Reading the descriptors that a document lists: all of them or nothing, or all but those that nothing can be made of.

use super::NODES_MAX;
use crate::cbor::{CborError, Item};
use crate::descriptor::{DescriptorError, IllFormed, MixDescriptor, ReplicaDescriptor};
use crate::epoch::Epoch;
use std::cell::{Cell, RefCell};
use std::fmt;

/// A descriptor of a signed document that nothing can be made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The document's list.
    pub list: &'static str,
    /// The node's name, empty if it cannot be read.
    pub name: String,
    /// What is wrong.
    pub reason: DescriptorError,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { list, name, reason } = self;
        write!(f, "{list}: node {name:?}: {reason}")
    }
}

/// What is read of one document.
pub(super) struct Listed {
    epoch: Epoch,
    left: Cell<usize>,
    /// None: a descriptor that cannot be read is an error of the document.
    left_out: Option<RefCell<Vec<LeftOut>>>,
}

impl Listed {
    pub(super) fn all_or_nothing(epoch: Epoch) -> Self {
        Self { epoch, left: Cell::new(NODES_MAX), left_out: None }
    }

    pub(super) fn usable(epoch: Epoch) -> Self {
        Self { left_out: Some(RefCell::default()), ..Self::all_or_nothing(epoch) }
    }

    pub(super) fn left_out(self) -> Vec<LeftOut> {
        self.left_out.map(RefCell::into_inner).unwrap_or_default()
    }

    pub(super) fn nodes(&self, list: Item<'_>, name: &'static str) -> Result<Vec<MixDescriptor>, CborError> {
        let check = |node: &MixDescriptor| (node.name.clone(), node.check(self.epoch));
        self.read(list, name, MixDescriptor::from_nested, check)
    }

    pub(super) fn replicas(&self, list: Item<'_>, name: &'static str) -> Result<Vec<ReplicaDescriptor>, CborError> {
        let check = |replica: &ReplicaDescriptor| (replica.name.clone(), replica.check());
        self.read(list, name, ReplicaDescriptor::from_item, check)
    }

    fn read<'a, D>(
        &self,
        items: Item<'a>,
        list: &'static str,
        read: impl Fn(Item<'a>) -> Result<D, CborError>,
        check: impl Fn(&D) -> (String, Result<(), IllFormed>),
    ) -> Result<Vec<D>, CborError> {
        let mut descriptors = Vec::new();
        for item in items.into_array(list)?.into_iter().flatten() {
            self.left.set(self.left.get().checked_sub(1).ok_or(CborError::TooMany)?);
            let (descriptor, left_out) = match (read(item), &self.left_out) {
                (descriptor, None) => (descriptor?, None),
                (Ok(descriptor), Some(left_out)) => (descriptor, Some(left_out)),
                (Err(error), Some(left_out)) => {
                    left_out.borrow_mut().push(LeftOut { list, name: String::new(), reason: error.into() });
                    continue;
                }
            };
            match left_out.map(|left_out| (left_out, check(&descriptor))) {
                Some((left_out, (name, Err(reason)))) => {
                    left_out.borrow_mut().push(LeftOut { list, name, reason: reason.into() });
                }
                _ => descriptors.push(descriptor),
            }
        }
        Ok(descriptors)
    }
}
