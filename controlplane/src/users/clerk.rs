//! A thread that has a file, and the way to it: a queue of jobs, each with the place for its answer.

use super::error::{Place, StoreError};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use tokio::sync::oneshot;

/// Where the answer to a job goes.
pub type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// The way to the thread; it ends with the last of them.
pub struct Clerk<J>(SyncSender<J>);

impl<J> Clone for Clerk<J> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<J: Send + 'static> Clerk<J> {
    /// Starts a thread that works with what is at `place`; so many jobs may wait for it.
    pub fn start(
        name: &str,
        place: Place,
        waiting_max: usize,
        work: impl FnOnce(&Receiver<J>) + Send + 'static,
    ) -> Result<Self, StoreError> {
        let (jobs, waiting) = sync_channel(waiting_max);
        let named = std::thread::Builder::new().name(name.into());
        named.spawn(move || work(&waiting)).map_err(|error| StoreError::Io { place, error })?;
        Ok(Self(jobs))
    }

    /// One whose thread has ended.
    #[cfg(test)]
    pub fn ended() -> Self {
        Self(sync_channel(1).0)
    }

    /// Gives the thread a job, and waits for the answer.
    pub async fn ask<T>(&self, job: impl FnOnce(Reply<T>) -> J) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.0.try_send(job(reply)).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Busy,
            TrySendError::Disconnected(_) => StoreError::Ended,
        })?;
        answer.await.map_err(|_| StoreError::Ended)?
    }
}
