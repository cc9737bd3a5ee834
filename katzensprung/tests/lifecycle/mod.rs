//! A node from start to stop in its network: an authority, a mix before it and one behind it.

mod alive;
mod crashes;
mod directory;
mod doctor;
mod floods;
mod gateway;
mod plugins;
#[cfg(debug_assertions)]
mod provoked;
mod sealed;
mod service;
mod signals;
mod socket;
mod stop;
mod upgrade;
mod users;

use std::time::Duration;

/// An epoch that no test outlives. A node posts its descriptor in the first tenth of one.
const LONG: Duration = Duration::from_secs(40);
