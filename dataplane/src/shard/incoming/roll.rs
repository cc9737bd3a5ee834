//! Links of nodes for people who ask. A gateway has few of them among many of clients, so that not all are looked at in one
//! round.

use super::IncomingLinks;
use crate::io::Io;
use crate::link::incoming::Stage;
use crate::shard::context::Round;
use interplane::roll::LinkReport;

/// Links that are looked at in one round.
const LOOKED_AT_MAX: usize = 128;

/// A look at all links that is under way.
#[derive(Default)]
pub struct RollCall {
    /// The place at which it goes on.
    next: usize,
    reports: Vec<LinkReport>,
}

impl IncomingLinks {
    /// Begins to look at all links of nodes; [`IncomingLinks::go_on_with_roll`] goes on with it.
    pub fn call_roll(&mut self) {
        self.roll = Some(RollCall::default());
    }

    /// Goes on; gives what was found once all links have been looked at.
    pub fn go_on_with_roll<I: Io>(&mut self, round: &Round<'_, I>) -> Option<Vec<LinkReport>> {
        let RollCall { next, reports } = self.roll.as_mut()?;
        let end = (*next + LOOKED_AT_MAX).min(self.links.places());
        for place in *next..end {
            if let Some((conn, link)) = self.links.at(place)
                && let Stage::Up(up) = &link.incoming.stage
            {
                reports.extend(up.report(round.context.index, conn, round.io, round.context.now));
            }
        }
        *next = end;
        if end < self.links.places() { None } else { self.roll.take().map(|call| call.reports) }
    }
}
