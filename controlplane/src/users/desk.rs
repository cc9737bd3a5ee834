//! Takes the data plane's questions out of its rings and brings the answers back. It never waits for one.

use super::Users;
use crate::logging::Log;
use crate::plugins::Wires;
use crate::process::rings::{Taker, take_all};
use gateway::archive::Record;
use gateway::{Question, UserId, Verdict};
use interplane::requests::{Answers, Bell, RequestId, Requests};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;

/// What records for the store of mail have in the place of a plugin's number.
const OF_MAIL: u16 = 1;
/// Questions of each shard between two looks at everything else.
const ROUND_QUESTIONS: usize = 256;
/// Questions that the database has at a time; beyond, it does not keep up.
const UNDER_WAY_MAX: usize = 2048;

/// Between the rings and the database.
pub struct Desk {
    requests: Requests,
    bell: Bell,
    answers: Arc<Mutex<Answers>>,
    users: Users,
    places: Arc<Semaphore>,
}

impl Desk {
    /// At these rings.
    pub fn new(wires: Wires, users: Users) -> Self {
        Self {
            requests: wires.rings.requests(),
            bell: wires.requests,
            answers: Arc::new(Mutex::new(wires.rings.answers(wires.answers))),
            users,
            places: Arc::new(Semaphore::new(UNDER_WAY_MAX)),
        }
    }

    /// The part that writes letters, where they are kept.
    pub fn writer(&self, log: &Log) -> Option<impl Future<Output = String> + Send + use<>> {
        let mail = self.users.mail.clone()?;
        Some(mail.run(self.users.store.clone(), self.answers.clone(), log.clone()))
    }

    /// Works until it is dropped; gives why it cannot.
    pub async fn run(mut self, log: Log) -> String {
        let bell = self.bell.clone();
        let error = take_all(&mut self, bell).await;
        log.error(super::MODULE, format_args!("cannot wait for questions: {error}"));
        error.to_string()
    }
}

impl Taker for Desk {
    fn requests(&mut self) -> &mut Requests {
        &mut self.requests
    }

    /// Passes on what is there; gives whether there may be more.
    fn take(&mut self) -> bool {
        let mut questions: Vec<(RequestId, UserId, Vec<u8>, bool)> = Vec::new();
        let mail = self.users.mail.as_ref();
        let is_more = self.requests.take(ROUND_QUESTIONS, |request| {
            if request.id.plugin() == OF_MAIL {
                if let (Some(mail), Some(record)) = (mail, Record::read(request.payload)) {
                    mail.take(request.id, &record);
                }
                return;
            }
            if let Some(Question { user, link_key, has_proven }) = Question::read(request.payload) {
                questions.push((request.id, user, link_key.to_vec(), has_proven));
            }
        });
        for (id, user, link_key, has_proven) in questions {
            let answers = self.answers.clone();
            let Ok(place) = self.places.clone().try_acquire_owned() else {
                give(&answers, id, Verdict::Unknown);
                continue;
            };
            let users = self.users.clone();
            tokio::spawn(async move {
                let verdict = users.judge(user, &link_key, has_proven).await;
                give(&answers, id, verdict);
                drop(place);
            });
        }
        is_more
    }
}

/// An answer for which there is no room is one that never came: the shard has its own limits for that.
fn give(answers: &Mutex<Answers>, id: RequestId, verdict: Verdict) {
    let _has_room = answers.lock().unwrap_or_else(PoisonError::into_inner).give(id, &[verdict as u8]);
}
