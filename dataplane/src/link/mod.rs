//! Links to other nodes: [`wire::Link`] with a connection under it, and what a node makes of it (wire.md 7; server.md 3).
//!
//! | module | what lives there |
//! |---|---|
//! | [`carry`] | bytes between a connection and its link |
//! | [`client`] | what a gateway has for the peer of an incoming link that is its client |
//! | [`incoming`] | a link that a peer opened: from received bytes to opened packets |
//! | [`outgoing`] | the link to one destination: dialling, its queue, packets out |
//! | [`tally`] | what a link has carried, in all and lately |

pub mod carry;
pub mod client;
pub mod incoming;
pub mod outgoing;
pub mod tally;

use interplane::counter::LinkEnd;
use wire::link::End;

/// Under which reason the end of an established link is counted: the one that has its label.
pub fn counted(end: End) -> LinkEnd {
    LinkEnd::ALL.iter().copied().find(|reason| reason.label() == end.label()).unwrap_or(LinkEnd::Failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_is_counted_under_its_own_label() {
        let ends = [
            End::PeerClosed,
            End::Failed,
            End::Silent,
            End::Stalled,
            End::Frame(wire::FrameError::Tag),
            End::Command(wire::CommandError::Padding),
            End::Unexpected(wire::CommandId::NoOp),
            End::Talked,
            End::NoLongerValid,
            End::Replaced,
            End::Shutdown,
        ];
        for end in ends {
            assert_eq!(counted(end).label(), end.label());
        }
    }
}
