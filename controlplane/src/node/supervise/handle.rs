//! What the rest of the control plane holds of the supervisor: orders go into a queue, answers come when the data plane
//! has given them.

use super::super::plane::DataPlane;
use crate::directory::{Held, Plane, Stored};
use crate::keys::{MixKeys, PrivateMixKeys};
use interplane::counter::Account;
use interplane::replay::Fill;
use interplane::roll::Roll;
use interplane::setup::Adjustable;
use interplane::snapshot::{ClientDocument, Service};
use pki::Epoch;
use pki::policy::View;
use rustix::event::{EventfdFlags, eventfd};
use secret_memory::within;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use tokio::sync::oneshot;

/// Whether the data plane goes by what it was given, or why not.
pub type Answer = Result<(), String>;

/// An order to the supervisor.
pub enum Order {
    /// These are the live mix keys.
    Keys(PrivateMixKeys, oneshot::Sender<Answer>),
    /// These are the documents.
    Documents(Box<View>, Vec<ClientDocument>, oneshot::Sender<Answer>),
    /// Keep this.
    Remember(Box<Stored>),
    /// These services answer.
    Services(Vec<Service>),
    /// These are the values that may change.
    Adjust(Box<Adjustable>, oneshot::Sender<Answer>),
    /// Which links to and from nodes are there?
    CallRoll(oneshot::Sender<Arc<Roll>>),
    /// Which mix keys are held, and how full are their replay sets?
    ListKeys(oneshot::Sender<HeldKeys>),
}

/// What a data plane is given of mix keys.
pub struct HeldKeys {
    /// Their epochs, and how full their replay sets are.
    pub fills: Vec<(Epoch, Fill)>,
    /// Whether a service manager keeps them, too.
    pub has_manager: bool,
}

/// Wakes the supervisor, and tells it that the node stops.
pub struct Bell {
    wake: OwnedFd,
    stopping: AtomicBool,
}

impl Bell {
    /// A new one.
    pub fn new() -> std::io::Result<Self> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { wake, stopping: AtomicBool::new(false) })
    }

    /// Whether the node stops.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Wakes the supervisor.
    pub fn ring(&self) {
        // It can fail only because it has rung very often already.
        let _rings_already = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }

    /// Silence until the next ring.
    pub fn still(&self) {
        let _was_silent = rustix::io::read(&self.wake, &mut [0; 8]);
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}

/// Hands orders to the supervisor; cheap to clone.
#[derive(Clone)]
pub struct PlaneHandle {
    pub(super) orders: mpsc::Sender<Order>,
    pub(super) bell: Arc<Bell>,
}

impl PlaneHandle {
    /// One whose orders a test obeys.
    #[cfg(test)]
    pub fn of_test() -> (Self, mpsc::Receiver<Order>) {
        let (orders, ordered) = mpsc::channel();
        (Self { orders, bell: Arc::new(Bell::new().expect("an eventfd")) }, ordered)
    }

    /// Stops the data plane. Its end is told by the supervisor.
    pub fn stop(&self) {
        self.bell.stopping.store(true, Ordering::SeqCst);
        self.bell.ring();
    }

    /// Has the data plane answer for these services from now on.
    pub fn set_services(&self, services: Vec<Service>) {
        self.order(Order::Services(services));
    }

    /// Has the data plane go by these values from now on, and each after it.
    pub fn adjust(&self, to: Adjustable) -> Held {
        let (told, answer) = oneshot::channel();
        self.order(Order::Adjust(Box::new(to), told));
        held(answer)
    }

    /// Asks for all links to and from nodes. Never answered where the data plane ends before it has.
    pub fn call_roll(&self) -> oneshot::Receiver<Arc<Roll>> {
        let (told, answer) = oneshot::channel();
        self.order(Order::CallRoll(told));
        answer
    }

    /// Asks which mix keys the data plane is given, and how full their replay sets are.
    pub fn list_keys(&self) -> oneshot::Receiver<HeldKeys> {
        let (told, answer) = oneshot::channel();
        self.order(Order::ListKeys(told));
        answer
    }

    fn order(&self, order: Order) {
        // A supervisor that has ended drops the answer's other end, which says so.
        let _has_ended = self.orders.send(order);
        self.bell.ring();
    }
}

fn held(answer: oneshot::Receiver<Answer>) -> Held {
    Box::pin(async { answer.await.unwrap_or_else(|_| Err("the supervisor of the data plane has ended".into())) })
}

impl Plane for PlaneHandle {
    fn set_keys(&mut self, keys: &MixKeys) -> Held {
        let (told, answer) = oneshot::channel();
        let copies = within(|| keys.private_keys().map(|(epoch, key)| (epoch, key.clone())).collect());
        self.order(Order::Keys(copies, told));
        held(answer)
    }

    fn publish(&mut self, view: &View, for_clients: Vec<ClientDocument>) -> Held {
        let (told, answer) = oneshot::channel();
        self.order(Order::Documents(Box::new(view.clone()), for_clients, told));
        held(answer)
    }

    fn remember(&mut self, stored: &Stored) {
        self.order(Order::Remember(Box::new(stored.clone())));
    }
}

/// The supervisor as the start and the stop of a node see it.
pub struct Supervised {
    /// For orders.
    pub handle: PlaneHandle,
    /// Told once: whether the first data plane could be had.
    pub started: oneshot::Receiver<Result<(), super::super::plane::PlaneError>>,
    /// Told once, at the end.
    pub ended: oneshot::Receiver<Ended>,
}

/// What is left of a data plane.
pub struct Ended {
    /// Its last account, if it gave one.
    pub account: Option<Account>,
    /// What it was given, if its process is gone for certain: nobody uses its keys any more.
    pub plane: Option<DataPlane>,
}
