//! One plugin from start to start: it is kept running until an operator or the node's end says otherwise.

use super::Settings;
use super::board::{Board, Place};
use super::child::{Child, ChildError};
use super::exchange::Waiting;
use super::talk::Talk;
use super::tally::{Outcome, Tally};
use crate::logging::Log;
use config::server::PluginService;
use interplane::requests::Answers;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep};

const MODULE: &str = "plugins";

/// Pauses before a plugin that ended is started again: they double from the first to the last.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// One that has run for so long begins with the first pause.
const STEADY: Duration = Duration::from_secs(60);

/// Where to say what came of an order.
type Told = oneshot::Sender<Result<(), ChildError>>;

/// An order, and where to say what came of it.
pub enum Order {
    /// Start it.
    Start(Told),
    /// Stop it, and do not start it again.
    Stop(Told),
    /// The node ends.
    End,
}

/// What becomes of a plugin next.
enum Next {
    /// It is started again after a pause.
    Again,
    /// It waits for an order.
    Idle,
    /// The node ends.
    End,
}

/// How a wait ended.
enum Waited {
    /// It is to start, and somebody may wait for it.
    Start(Option<Told>),
    /// It is to wait for another order.
    Stop,
    /// The node ends.
    End,
}

/// One plugin.
pub struct Keeper {
    pub number: u16,
    pub plugin: PluginService,
    pub settings: Settings,
    pub queue: mpsc::Receiver<Waiting>,
    pub answers: Arc<Mutex<Answers>>,
    pub board: Arc<Board>,
    pub tally: Arc<Tally>,
    pub log: Log,
}

impl Keeper {
    /// Works until the node ends.
    pub async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        let mut pause = PAUSE;
        let mut next = Next::Idle;
        loop {
            let waited = match next {
                Next::End => return,
                Next::Idle => self.wait(None, &mut orders).await,
                Next::Again => {
                    let name = self.plugin.command.display();
                    self.log.warning(MODULE, format_args!("{name} is started again in {pause:?}"));
                    self.wait(Some(pause), &mut orders).await
                }
            };
            let told = match waited {
                Waited::End => return,
                Waited::Stop => {
                    next = Next::Idle;
                    continue;
                }
                Waited::Start(told) => told,
            };
            let (began, is_ordered) = (Instant::now(), told.is_some());
            next = match self.start(told, &mut orders).await {
                Ok(Some((child, stream))) => self.keep(child, stream, &mut orders).await,
                Ok(None) => Next::End,
                // Whoever ordered it has been told.
                Err(()) if is_ordered => Next::Idle,
                Err(()) => Next::Again,
            };
            pause = if is_ordered || began.elapsed() >= STEADY { PAUSE } else { (pause * 2).min(PAUSE_MAX) };
        }
    }

    /// Waits for an order, or for the end of a pause. Requests that come meanwhile are dropped; the data plane has been
    /// told that nobody answers.
    async fn wait(&mut self, pause: Option<Duration>, orders: &mut mpsc::UnboundedReceiver<Order>) -> Waited {
        let over = sleep(pause.unwrap_or_default());
        tokio::pin!(over);
        loop {
            tokio::select! {
                () = &mut over, if pause.is_some() => return Waited::Start(None),
                order = orders.recv() => match order {
                    Some(Order::Start(told)) => return Waited::Start(Some(told)),
                    Some(Order::Stop(told)) => {
                        let _unheard = told.send(Ok(()));
                        return Waited::Stop;
                    }
                    Some(Order::End) | None => return Waited::End,
                },
                Some(_) = self.queue.recv() => self.tally.count(Outcome::NotRunning),
            }
        }
    }

    /// Starts it; none if the node ends meanwhile.
    async fn start(
        &self,
        told: Option<Told>,
        orders: &mut mpsc::UnboundedReceiver<Order>,
    ) -> Result<Option<(Child, UnixStream)>, ()> {
        let starting = Child::start(&self.plugin, self.settings.launcher.as_deref(), &self.log);
        tokio::pin!(starting);
        let outcome = loop {
            tokio::select! {
                outcome = &mut starting => break outcome,
                order = orders.recv() => match order {
                    Some(Order::Start(other) | Order::Stop(other)) => {
                        let _unheard = other.send(Err(ChildError::Stopped));
                    }
                    // Dropped, it is killed.
                    Some(Order::End) | None => return Ok(None),
                },
            }
        };
        let name = self.plugin.command.display();
        let (outcome, told_outcome) = match outcome {
            Ok(running) => {
                let Self { plugin, log, .. } = self;
                log.notice(MODULE, format_args!("{name} answers for '{}' at {}", plugin.capability, plugin.endpoint));
                (Ok(Some(running)), Ok(()))
            }
            Err(error) => {
                self.log.error(MODULE, format_args!("'{}': {error}", self.plugin.capability));
                (Err(()), Err(error))
            }
        };
        if outcome.is_ok() {
            self.board.set(Place::Plugin(self.number.into()), true);
        }
        if let Some(told) = told {
            let _unheard = told.send(told_outcome);
        }
        outcome
    }

    /// Lets it answer until it ends or is told to.
    async fn keep(
        &mut self,
        mut child: Child,
        stream: UnixStream,
        orders: &mut mpsc::UnboundedReceiver<Order>,
    ) -> Next {
        let talk = Talk {
            number: self.number,
            settings: &self.settings,
            answers: &self.answers,
            tally: &self.tally,
            owed: AtomicU64::new(0),
        };
        let (reason, next) = {
            let talking = talk.run(stream, &mut self.queue);
            tokio::pin!(talking);
            loop {
                tokio::select! {
                    end = &mut talking => break (Some(end.to_string()), Next::Again),
                    status = child.ended() => break (Some(status), Next::Again),
                    order = orders.recv() => match order {
                        Some(Order::Stop(told)) => {
                            let _unheard = told.send(Ok(()));
                            break (None, Next::Idle);
                        }
                        Some(Order::Start(told)) => {
                            let _unheard = told.send(Err(ChildError::Stopped));
                        }
                        Some(Order::End) | None => break (None, Next::End),
                    },
                }
            }
        };
        // From here on its requests are dropped by the data plane, and the next descriptor is without it.
        self.board.set(Place::Plugin(self.number.into()), false);
        let status = child.end().await;
        let name = self.plugin.command.display();
        match reason {
            Some(reason) => {
                self.log.error(MODULE, format_args!("{name} does not answer any more: {reason} ({status})"))
            }
            None => self.log.notice(MODULE, format_args!("{name} was stopped ({status})")),
        }
        next
    }
}
