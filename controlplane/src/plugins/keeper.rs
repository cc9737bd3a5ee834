//! One process of a plugin from start to start: it is kept running until an operator or the node's end says otherwise.

use super::Settings;
use super::board::{Board, Place};
use super::calls::{self, CallError, Calls};
use super::child::{Child, ChildError, Reached};
use super::line::Line;
use super::parameters::{self, Parameters};
use super::talk::{self, Talk, TalkEnd};
use crate::logging::Log;
use config::server::{PluginProtocol, PluginService};
use interplane::requests::Answers;
use service::plugin::Messages;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};

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

/// A process that can be asked.
enum Conversation {
    Stream { stream: UnixStream, heard: Messages },
    Http { socket: PathBuf },
}

/// How a start ended.
enum Started {
    Running(Box<Child>, Conversation),
    Failed,
    /// It was told to stop meanwhile.
    Stopped,
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

/// One process of one plugin.
pub struct Keeper {
    pub number: u16,
    /// For the log.
    pub name: String,
    pub plugin: PluginService,
    pub settings: Settings,
    pub line: Arc<Line>,
    pub answers: Arc<Mutex<Answers>>,
    pub board: Arc<Board>,
    pub log: Log,
}

impl Keeper {
    /// Works until the node ends.
    pub async fn run(self, mut orders: mpsc::UnboundedReceiver<Order>) {
        let mut pause = PAUSE;
        let mut next = Next::Idle;
        loop {
            let waited = match next {
                Next::End => return,
                Next::Idle => wait(None, &mut orders).await,
                Next::Again => {
                    self.log.warning(MODULE, format_args!("{} is started again in {pause:?}", self.name));
                    wait(Some(pause), &mut orders).await
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
                Started::Running(child, conversation) => self.keep(*child, conversation, &mut orders).await,
                Started::End => Next::End,
                // Whoever ordered it has been told.
                Started::Failed if is_ordered => Next::Idle,
                Started::Failed => Next::Again,
                Started::Stopped => Next::Idle,
            };
            pause = if is_ordered || began.elapsed() >= STEADY { PAUSE } else { (pause * 2).min(PAUSE_MAX) };
        }
    }

    /// Starts it, and says what came of it.
    async fn start(&self, told: Option<Told>, orders: &mut mpsc::UnboundedReceiver<Order>) -> Started {
        // Whoever orders a start that has begun waits for it.
        let mut waiting: Vec<Told> = told.into_iter().collect();
        let starting = self.begin();
        tokio::pin!(starting);
        let outcome = loop {
            tokio::select! {
                outcome = &mut starting => break outcome,
                order = orders.recv() => match order {
                    Some(Order::Start(other)) => waiting.push(other),
                    // Dropped, it is killed.
                    Some(Order::Stop(other)) => {
                        let _unheard = other.send(Ok(()));
                        tell_all(waiting, || Err(ChildError::Stopped));
                        return Started::Stopped;
                    }
                    Some(Order::End) | None => return Started::End,
                },
            }
        };
        let Self { name, plugin, log, .. } = self;
        match outcome {
            Ok((child, conversation)) => {
                log.notice(MODULE, format_args!("{name} answers at {}", plugin.endpoint));
                if self.line.join() {
                    self.board.set(Place::Plugin(self.number.into()), true);
                }
                tell_all(waiting, || Ok(()));
                Started::Running(Box::new(child), conversation)
            }
            Err(error) => {
                log.error(MODULE, format_args!("'{}': {error}", plugin.capability));
                let mut error = Some(error);
                tell_all(waiting, || Err(error.take().unwrap_or(ChildError::Ended)));
                Started::Failed
            }
        }
    }

    async fn begin(&self) -> Result<(Child, Conversation), ChildError> {
        let (child, reached) = Child::start(&self.plugin, self.settings.launcher.as_deref(), &self.log).await?;
        match self.greet(reached).await {
            Ok(conversation) => Ok((child, conversation)),
            Err(reason) => {
                child.end().await;
                Err(ChildError::Parameters { command: self.plugin.command.clone(), reason })
            }
        }
    }

    /// Asks it what it wants to be published, if it is to be asked.
    async fn greet(&self, reached: Reached) -> Result<Conversation, String> {
        let Reached { socket, mut stream } = reached;
        let limit = self.settings.call_limit;
        let (conversation, told) = match self.plugin.protocol {
            PluginProtocol::Stream { asks_parameters } => {
                let mut heard = talk::messages(&self.settings);
                let told = match asks_parameters {
                    true => match timeout(limit, talk::ask_parameters(&mut stream, &mut heard)).await {
                        Ok(told) => told.map_err(|end| end.to_string())?.ok_or("it answers with something else".into()),
                        Err(_) => Err(format!("it has not answered within {limit:?}")),
                    },
                    false => Ok(Vec::new()),
                };
                (Conversation::Stream { stream, heard }, told)
            }
            PluginProtocol::Http { .. } => {
                let told = match calls::parameters(stream, parameters::BYTES_MAX, limit).await {
                    Ok(body) => Ok(body.to_vec()),
                    Err(error @ (CallError::Status(_) | CallError::TooLong)) => Err(error.to_string()),
                    Err(error) => return Err(error.to_string()),
                };
                (Conversation::Http { socket }, told)
            }
        };
        let parameters = told.and_then(|told| match told.is_empty() {
            true => Ok(Parameters::new()),
            false => parameters::read(&told).map_err(|error| error.to_string()),
        });
        let parameters = parameters.unwrap_or_else(|reason| {
            let text = format_args!("{}: nothing is published of its parameters but its endpoint: {reason}", self.name);
            self.log.warning(MODULE, text);
            Parameters::new()
        });
        self.board.describe(Place::Plugin(self.number.into()), parameters);
        Ok(conversation)
    }

    /// Lets it answer until it ends or is told to.
    async fn keep(
        &self,
        mut child: Child,
        conversation: Conversation,
        orders: &mut mpsc::UnboundedReceiver<Order>,
    ) -> Next {
        let (reason, next) = {
            let talking = self.talk(conversation);
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
                        // It runs.
                        Some(Order::Start(told)) => {
                            let _unheard = told.send(Ok(()));
                        }
                        Some(Order::End) | None => break (None, Next::End),
                    },
                }
            }
        };
        if self.line.leave() {
            // From here on its requests are dropped by the data plane, and the next descriptor is without it.
            self.board.set(Place::Plugin(self.number.into()), false);
        }
        let status = child.end().await;
        let name = &self.name;
        match reason {
            Some(reason) => {
                self.log.error(MODULE, format_args!("{name} does not answer any more: {reason} ({status})"))
            }
            None => self.log.notice(MODULE, format_args!("{name} was stopped ({status})")),
        }
        next
    }

    async fn talk(&self, conversation: Conversation) -> TalkEnd {
        let Self { number, settings, answers, line, log, name, .. } = self;
        match conversation {
            Conversation::Stream { stream, heard } => {
                let talk = Talk {
                    number: *number,
                    settings,
                    answers,
                    line,
                    owed: AtomicU64::new(0),
                    surplus: AtomicU64::new(0),
                };
                talk.run(stream, heard).await
            }
            Conversation::Http { socket } => {
                Calls { number: *number, settings, answers, line, log, name }.run(&socket).await
            }
        }
    }
}

/// Waits for an order, or for the end of a pause.
async fn wait(pause: Option<Duration>, orders: &mut mpsc::UnboundedReceiver<Order>) -> Waited {
    let over = sleep(pause.unwrap_or_default());
    tokio::pin!(over);
    tokio::select! {
        () = &mut over, if pause.is_some() => Waited::Start(None),
        order = orders.recv() => match order {
            Some(Order::Start(told)) => Waited::Start(Some(told)),
            Some(Order::Stop(told)) => {
                // In a pause it would start again by itself.
                let _unheard = told.send(if pause.is_some() { Ok(()) } else { Err(ChildError::Stopped) });
                Waited::Stop
            }
            Some(Order::End) | None => Waited::End,
        },
    }
}

fn tell_all(waiting: Vec<Told>, mut outcome: impl FnMut() -> Result<(), ChildError>) {
    for told in waiting {
        let _unheard = told.send(outcome());
    }
}
