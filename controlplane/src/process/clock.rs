//! Looks at the wall clock once a second (server.md 1.7): a step is told, because epochs, uploads and documents go by it.

use crate::logging::Log;
use std::convert::Infallible;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

#[cfg(test)]
mod tests;

const MODULE: &str = "server";

/// Between two looks.
const LOOK: Duration = Duration::from_secs(1);

/// A wall clock that is off by more than this from one look to the next has jumped.
const JUMP_MIN: Duration = Duration::from_secs(2);

/// A step of the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jump {
    /// It went ahead by so much.
    Forward(Duration),
    /// It went back by so much.
    Back(Duration),
}

/// The wall clock beside one that does not jump.
#[derive(Default)]
pub struct ClockWatch {
    /// Wall clock and steady clock at the last look.
    last: Option<(Duration, Duration)>,
}

impl ClockWatch {
    /// One look; gives the step since the last one.
    pub fn look(&mut self, wall: Duration, steady: Duration) -> Option<Jump> {
        let (wall_before, steady_before) = self.last.replace((wall, steady))?;
        let expected = wall_before + steady.saturating_sub(steady_before);
        let jump = if wall > expected { Jump::Forward(wall - expected) } else { Jump::Back(expected - wall) };
        let (Jump::Forward(step) | Jump::Back(step)) = jump;
        (step > JUMP_MIN).then_some(jump)
    }
}

/// Watches until the future is dropped.
pub async fn watch(log: Log) -> Infallible {
    let (mut watch, start) = (ClockWatch::default(), Instant::now());
    loop {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let told = match watch.look(wall, start.elapsed()) {
            Some(Jump::Forward(step)) => Some(("forward", step)),
            Some(Jump::Back(step)) => Some(("backwards", step)),
            None => None,
        };
        if let Some((direction, step)) = told {
            let seconds = step.as_secs_f64();
            log.warning(
                MODULE,
                format_args!(
                    "Civil time jumped {direction}: {seconds:.1} s; epochs go by this clock: see to it that time \
                     synchronisation works on this host"
                ),
            );
        }
        tokio::time::sleep(LOOK).await;
    }
}
