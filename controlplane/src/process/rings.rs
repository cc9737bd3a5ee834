//! Whoever takes things out of the data plane's rings: woken by a bell, asleep while there is nothing.

use interplane::requests::{Bell, Requests};
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Longest sleep, whatever the bell does.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// What takes them.
pub trait Taker {
    /// The rings.
    fn requests(&mut self) -> &mut Requests;

    /// Takes what is there; gives whether there may be more.
    fn take(&mut self) -> bool;
}

/// Takes whenever there is something, until it is dropped; gives why it cannot.
pub async fn take_all(taker: &mut (impl Taker + Send), bell: Bell) -> std::io::Error {
    #[expect(deprecated, reason = "what takes its place is unsafe; a bell keeps its descriptor open while it lives")]
    let bell = match AsyncFd::with_interest(bell, Interest::READABLE) {
        Ok(bell) => bell,
        Err(error) => return error,
    };
    loop {
        while taker.take() {
            tokio::task::yield_now().await;
        }
        if !taker.requests().fall_asleep() {
            continue;
        }
        // Whoever brings something from here on rings.
        if let Ok(Ok(mut rung)) = tokio::time::timeout(SLEEP_MAX, bell.readable()).await {
            bell.get_ref().still();
            rung.clear_ready();
        }
    }
}
