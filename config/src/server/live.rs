//! Which keys a running node takes over when it is told to read its files again, and what of a file has changed.

#[cfg(test)]
mod tests;

use super::{LogLevel, ServerConfig};
use std::num::NonZeroUsize;
use std::time::Duration;

/// A key that counts at once.
pub struct LiveKey {
    /// Its path.
    pub path: &'static str,
    show: fn(&ServerConfig) -> String,
    take: fn(&mut ServerConfig, &ServerConfig),
}

macro_rules! live {
    ($( $path:literal $($field:ident).+, )+) => {
        /// All of them; every other key needs a restart.
        pub const LIVE: &[LiveKey] = &[ $( LiveKey {
            path: $path,
            show: |config| config.$($field).+.show(),
            take: |config, new| config.$($field).+.clone_from(&new.$($field).+),
        }, )+ ];
    };
}

live! {
    "Logging.Level" logging.level,
    "Debug.SchedulerQueueSize" debug.scheduler_queue_size,
    "Debug.UnwrapDelay" debug.unwrap_delay,
    "Debug.GatewayDelay" debug.gateway_delay,
    "Debug.ServiceDelay" debug.service_delay,
    "Debug.SchedulerSlack" debug.scheduler_slack,
    "Debug.SendSlack" debug.send_slack,
    "Debug.DecoySlack" debug.decoy_slack,
    "Debug.ReauthInterval" debug.reauth_interval,
    "Debug.DisableRateLimit" debug.disable_rate_limit,
}

/// Whether a running node takes over the key at this path.
pub fn is_live(path: &str) -> bool {
    LIVE.iter().any(|key| key.path == path)
}

/// A value as people read it.
trait Shown {
    fn show(&self) -> String;
}

impl Shown for Duration {
    fn show(&self) -> String {
        format!("{} ms", self.as_millis())
    }
}

impl Shown for bool {
    fn show(&self) -> String {
        self.to_string()
    }
}

impl Shown for Option<NonZeroUsize> {
    fn show(&self) -> String {
        self.map_or_else(|| "unlimited".into(), |number| number.to_string())
    }
}

impl Shown for LogLevel {
    fn show(&self) -> String {
        self.name().into()
    }
}

/// A key that counts at once, and has another value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its path.
    pub key: &'static str,
    /// The value by which the node goes.
    pub from: String,
    /// The value in the file.
    pub to: String,
}

/// What has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// What counts at once.
    pub live: Vec<Change>,
    /// Keys that are written otherwise than at the start and count from the next one on.
    pub needs_restart: Vec<String>,
}

impl ServerConfig {
    /// What the files say otherwise now than this one does, by which a node runs.
    pub fn changes(&self, new: &Self) -> Changes {
        let changed = LIVE.iter().map(|key| Change { key: key.path, from: (key.show)(self), to: (key.show)(new) });
        let mut rest = self.clone();
        rest.take_live(new);
        let is_same = rest.is_as_good_as(new);
        let written = self.written.differs(&new.written);
        let needs_restart = written.into_iter().filter(|path| !is_same && !is_live(path));
        Changes {
            live: changed.filter(|change| change.from != change.to).collect(),
            needs_restart: needs_restart.collect(),
        }
    }

    /// Takes over the keys that count at once.
    pub fn take_live(&mut self, new: &Self) {
        for key in LIVE {
            (key.take)(self, new);
        }
    }

    /// Whether both mean the same, however it is written.
    fn is_as_good_as(&self, other: &Self) -> bool {
        let same_text = Self { written: other.written.clone(), own_file: other.own_file.clone(), ..self.clone() };
        same_text == *other
    }
}
