//! Accepts connections at one socket.

use super::door::Door;
use super::serve::Desk;
use crate::logging::Log;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;
use streams::Listener;

const MODULE: &str = "authority";

/// Pause after a connection that could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Accepts until the future is dropped.
pub async fn listen(socket: OwnedFd, door: Arc<Door>, desk: Arc<Desk>, log: Log) -> std::io::Error {
    let listener = match Listener::new(socket) {
        Ok(listener) => listener,
        Err(error) => return error,
    };
    let mut failed = 0_u64;
    loop {
        match listener.accept().await {
            Ok(visitor) => {
                failed = 0;
                let Some(place) = door.enter(visitor.from().ip()) else { continue };
                let number = place.number();
                let task = tokio::spawn(desk.clone().serve(visitor, place));
                door.served_by(number, task.abort_handle());
            }
            Err(error) => {
                // Once when it begins and once a minute while it lasts.
                if failed.is_multiple_of(60) {
                    log.warning(MODULE, format_args!("cannot accept a connection: {error}"));
                }
                failed += 1;
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
