//! Services that are programs of their own (server.md 6.4): each is started, asked over a unix socket, and started again
//! when it ends. A plugin that is slow, silent or dead costs its own requests and nobody else's.
//!
//! | file | its job |
//! |---|---|
//! | `mod` | the plugins of a node, and what operators order |
//! | `board` | which services answer now: for packets and for the next descriptor |
//! | `exchange` | between the rings of the data plane and the plugins' queues |
//! | `keeper` | one plugin from start to start, with pauses |
//! | `child` | its process, and the way to its socket |
//! | `talk` | what goes over the socket |
//! | `tally` | what became of requests |

mod board;
mod child;
mod exchange;
mod keeper;
mod talk;
mod tally;
#[cfg(test)]
mod tests;

pub use board::{Board, Offer};
pub use child::ChildError;
pub use tally::{Outcome, Tally};

use crate::logging::Log;
use config::server::ServiceNode;
use exchange::Exchange;
use interplane::requests::{Bell, PluginRings};
use keeper::{Keeper, Order};
use std::sync::{Arc, Mutex};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

/// What both planes share of the plugins, or of a user database.
#[derive(Clone)]
pub struct Wires {
    /// The rings.
    pub rings: PluginRings,
    /// Rung by the data plane, for requests.
    pub requests: Bell,
    /// Rung by the control plane, for answers.
    pub answers: Bell,
}

/// What plugins go by.
#[derive(Clone)]
pub struct Settings {
    /// Bytes of a reply block: what stands for one in messages is as long.
    pub surb_bytes: usize,
    /// Bytes of a request, and most bytes of an answer.
    pub payload_bytes: usize,
    /// What starts programs so that they do not outlive this process; none starts them as they are.
    pub launcher: Option<std::path::PathBuf>,
    /// Longest wait of a request for its plugin.
    pub kaetzchen_delay: std::time::Duration,
}

/// The services of a node as operators order them.
#[derive(Clone)]
pub struct Services {
    board: Arc<Board>,
    keepers: Vec<mpsc::UnboundedSender<Order>>,
}

/// What runs: dropping it kills the programs.
pub struct Plugins {
    services: Services,
    running: JoinSet<()>,
    tallies: Vec<Arc<Tally>>,
}

impl Plugins {
    /// Starts the programs of a node, in the order of the file, and waits until their sockets are up. If one cannot be
    /// started, none is left.
    pub async fn start(
        node: &ServiceNode,
        settings: &Settings,
        wires: Wires,
        board: Arc<Board>,
        log: &Log,
    ) -> Result<Self, ChildError> {
        let answers = Arc::new(Mutex::new(wires.rings.answers(wires.answers)));
        let mut exchange = Exchange::new(wires.rings.requests(), wires.requests, settings.kaetzchen_delay);
        let mut plugins = Self {
            services: Services { board: board.clone(), keepers: Vec::new() },
            running: JoinSet::new(),
            tallies: Vec::new(),
        };
        for (number, plugin) in (0..).zip(&node.plugins) {
            let tally = Arc::new(Tally::new(&plugin.capability));
            let (orders, ordered) = mpsc::unbounded_channel();
            let keeper = Keeper {
                number,
                plugin: plugin.clone(),
                settings: settings.clone(),
                queue: exchange.add(tally.clone()),
                answers: answers.clone(),
                board: board.clone(),
                tally: tally.clone(),
                log: log.clone(),
            };
            plugins.running.spawn(keeper.run(ordered));
            plugins.services.keepers.push(orders);
            plugins.tallies.push(tally);
            plugins.services.order(number.into(), Order::Start).await?;
        }
        plugins.running.spawn(exchange.run(log.clone()));
        Ok(plugins)
    }

    /// Waits for the end of a task, none of which ends unasked.
    pub async fn first_end(&mut self) -> String {
        match self.running.join_next().await {
            Some(Ok(())) => "no reason".into(),
            Some(Err(error)) => error.to_string(),
            None => std::future::pending().await,
        }
    }

    /// For the management socket.
    pub fn services(&self) -> Services {
        self.services.clone()
    }

    /// For the metrics.
    pub fn tallies(&self) -> Vec<Arc<Tally>> {
        self.tallies.clone()
    }

    /// Ends the programs and waits for their ends.
    pub async fn shut_down(mut self) {
        for keeper in &self.services.keepers {
            // One that has ended needs no order.
            let _has_ended = keeper.send(Order::End);
        }
        self.services.keepers.clear();
        // The keepers end; the exchange goes on until it is dropped.
        for _ in &self.tallies {
            let _ended = self.running.join_next().await;
        }
    }
}

impl Services {
    /// Starts what the capability names; false if it runs already, is not configured, or cannot be started.
    pub async fn start(&self, capability: &str) -> bool {
        match self.board.find(capability) {
            Some((_, true)) | None => false,
            Some((board::Place::BuiltIn(at), false)) => {
                self.board.set(board::Place::BuiltIn(at), true);
                true
            }
            Some((board::Place::Plugin(at), false)) => self.order(at, Order::Start).await.is_ok(),
        }
    }

    /// Stops it; false if it does not run or is not configured. A plugin ends in the background.
    pub async fn stop(&self, capability: &str) -> bool {
        match self.board.find(capability) {
            Some((_, false)) | None => false,
            Some((board::Place::BuiltIn(at), true)) => {
                self.board.set(board::Place::BuiltIn(at), false);
                true
            }
            Some((board::Place::Plugin(at), true)) => self.order(at, Order::Stop).await.is_ok(),
        }
    }

    async fn order(
        &self,
        plugin: usize,
        order: impl FnOnce(oneshot::Sender<Result<(), ChildError>>) -> Order,
    ) -> Result<(), ChildError> {
        let (told, answer) = oneshot::channel();
        let keeper = self.keepers.get(plugin).ok_or(ChildError::Ended)?;
        keeper.send(order(told)).map_err(|_| ChildError::Ended)?;
        answer.await.map_err(|_| ChildError::Ended)?
    }
}
