//! Services that are programs of their own (server.md 6.4): each is started, asked over a unix socket, and started again
//! when it ends. A plugin that is slow, silent or dead costs its own requests and nobody else's.
//!
//! | file | its job |
//! |---|---|
//! | `mod` | the plugins of a node, and what operators order |
//! | `board` | which services answer now: for packets and for the next descriptor |
//! | `exchange` | between the rings of the data plane and the plugins' queues |
//! | `line` | the queue of one plugin, which its processes share |
//! | `keeper` | one process from start to start, with pauses |
//! | `librarian` | the keyserver, which is none of them and is asked in the same way |
//! | `child` | the process, and the way to its socket |
//! | `output` | what it writes elsewhere |
//! | `parameters` | what it wants to be published |
//! | `talk` | what goes over the socket |
//! | `calls` | the same where it is HTTP |
//! | `tally` | what became of requests |

mod board;
mod calls;
mod child;
mod exchange;
mod keeper;
mod librarian;
mod line;
mod output;
mod parameters;
mod talk;
mod tally;
#[cfg(test)]
mod tests;

pub use board::{Board, Offer};
pub use child::ChildError;
pub use parameters::{ParametersError, read as read_parameters};
pub use tally::{Outcome, Tally};

use crate::logging::Log;
use config::server::{PluginProtocol, ServiceNode};
use exchange::Exchange;
use interplane::requests::{Bell, PluginRings};
use keeper::{Keeper, Order};
use librarian::Librarian;
use line::Line;
use std::sync::{Arc, Mutex};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

/// How long a plugin that speaks HTTP may take to answer (server.md D.3), and every plugin to tell its parameters.
pub const CALL_LIMIT: std::time::Duration = std::time::Duration::from_secs(5);

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
    /// Longest wait for an answer over HTTP.
    pub call_limit: std::time::Duration,
}

/// The services of a node as operators order them.
#[derive(Clone)]
pub struct Services {
    board: Arc<Board>,
    /// Of each plugin those of its processes.
    keepers: Vec<Vec<mpsc::UnboundedSender<Order>>>,
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
            let (entrance, line) = Line::new(tally.clone());
            exchange.add(entrance);
            plugins.tallies.push(tally);
            // One program may answer for several capabilities.
            let name = |nth: &str| format!("'{}' ({}{nth})", plugin.capability, plugin.command.display());
            let names = match plugin.protocol {
                PluginProtocol::Http { processes: many @ 2.. } => {
                    (1..=many).map(|nth| name(&format!(", {nth} of {many}"))).collect()
                }
                PluginProtocol::Http { .. } | PluginProtocol::Stream { .. } => vec![name("")],
            };
            let mut keepers = Vec::new();
            for name in names {
                let (orders, ordered) = mpsc::unbounded_channel();
                let keeper = Keeper {
                    number,
                    name,
                    plugin: plugin.clone(),
                    settings: settings.clone(),
                    line: line.clone(),
                    answers: answers.clone(),
                    board: board.clone(),
                    log: log.clone(),
                };
                plugins.running.spawn(keeper.run(ordered));
                keepers.push(orders);
            }
            plugins.services.keepers.push(keepers);
            plugins.services.start_plugin(number.into()).await?;
        }
        if let Some(keyserver) = &node.keyserver {
            let tally = Arc::new(Tally::new(board::KEYSERVER));
            let (entrance, line) = Line::new(tally.clone());
            exchange.add(entrance);
            plugins.tallies.push(tally);
            line.join();
            let path = keyserver.identity_keys.clone();
            plugins
                .running
                .spawn(Librarian { settings: settings.clone(), line, answers, path, log: log.clone() }.run());
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
        let keepers = std::mem::take(&mut self.services.keepers);
        for keeper in keepers.iter().flatten() {
            // One that has ended needs no order.
            let _has_ended = keeper.send(Order::End);
        }
        // The keepers end; the exchange goes on until it is dropped.
        for _ in keepers.iter().flatten() {
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
            Some((board::Place::Plugin(at), false)) => self.start_plugin(at).await.is_ok(),
        }
    }

    /// Stops it; false if it does not run or is not configured. A plugin ends in the background.
    pub async fn stop(&self, capability: &str) -> bool {
        match self.board.find(capability) {
            Some((board::Place::BuiltIn(_), false)) | None => false,
            Some((board::Place::BuiltIn(at), true)) => {
                self.board.set(board::Place::BuiltIn(at), false);
                true
            }
            // One that does not answer now may be about to start again.
            Some((board::Place::Plugin(at), _)) => self.stop_plugin(at).await,
        }
    }

    /// Starts all processes of a plugin, one after the other, or none.
    async fn start_plugin(&self, plugin: usize) -> Result<(), ChildError> {
        for keeper in self.keepers_of(plugin)? {
            if let Err(error) = order(keeper, Order::Start).await {
                // Those that run; one that does not takes the order as well.
                self.stop_plugin(plugin).await;
                return Err(error);
            }
        }
        Ok(())
    }

    /// Stops all processes of a plugin; false if each waited for an order to start.
    async fn stop_plugin(&self, plugin: usize) -> bool {
        let mut any = false;
        for keeper in self.keepers_of(plugin).unwrap_or_default() {
            any |= order(keeper, Order::Stop).await.is_ok();
        }
        any
    }

    fn keepers_of(&self, plugin: usize) -> Result<&[mpsc::UnboundedSender<Order>], ChildError> {
        self.keepers.get(plugin).map(Vec::as_slice).ok_or(ChildError::Ended)
    }
}

async fn order(
    keeper: &mpsc::UnboundedSender<Order>,
    order: impl FnOnce(oneshot::Sender<Result<(), ChildError>>) -> Order,
) -> Result<(), ChildError> {
    let (told, answer) = oneshot::channel();
    keeper.send(order(told)).map_err(|_| ChildError::Ended)?;
    answer.await.map_err(|_| ChildError::Ended)?
}
