//! The control plane's tasks. Each of them is needed as long as the node runs: one that ends without having been told to
//! ends the node.

use std::fmt;
use tokio::task::JoinSet;

#[cfg(test)]
mod tests;

/// How a task ended that should not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskEnd {
    /// Its name.
    pub task: &'static str,
    /// Why, as far as it said.
    pub reason: String,
}

impl fmt::Display for TaskEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} ended: {}", self.task, self.reason)
    }
}

/// For tests of the whole program, which no release has: the task that the variable names panics.
#[cfg(debug_assertions)]
fn provoked_panic(task: &str) {
    if std::env::var("KATZENSPRUNG_TEST_PANIC").is_ok_and(|named| named == task) {
        panic!("a test wants the {task} to panic");
    }
}

/// Running tasks.
#[derive(Default)]
pub struct Tasks(JoinSet<TaskEnd>);

impl Tasks {
    /// Starts a task; what it gives is why it ended.
    pub fn spawn<T: fmt::Display>(&mut self, task: &'static str, work: impl Future<Output = T> + Send + 'static) {
        self.0.spawn(async move {
            #[cfg(debug_assertions)]
            provoked_panic(task);
            let reason = work.await.to_string();
            TaskEnd { task, reason }
        });
    }

    /// Waits for the first end of a task.
    pub async fn first_end(&mut self) -> TaskEnd {
        match self.0.join_next().await {
            Some(Ok(end)) => end,
            // Where panics do not end the process.
            Some(Err(error)) => TaskEnd { task: "control plane", reason: error.to_string() },
            None => std::future::pending().await,
        }
    }

    /// Ends all of them.
    pub async fn shut_down(&mut self) {
        self.0.shutdown().await;
    }
}
