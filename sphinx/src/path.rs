//! The hops that a packet is made for (sphinx.md 9.1).

use crate::commands::RoutingCommand;
use crate::{NODE_ID_BYTES, RECIPIENT_ID_BYTES, SURB_ID_BYTES};

/// One hop of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathHop {
    /// Node id, which the hop before reads in its next_node command.
    pub id: [u8; NODE_ID_BYTES],
    /// The node's mix key for the epoch in which the packet is expected there.
    pub public_key: Vec<u8>,
    /// Commands for the node. next_node is added when the packet is made and must not be here.
    pub commands: Vec<RoutingCommand>,
}

/// The end of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terminal {
    /// Who gets the payload.
    pub recipient: [u8; RECIPIENT_ID_BYTES],
    /// Set on reply paths: the id of the reply block.
    pub surb_id: Option<[u8; SURB_ID_BYTES]>,
    /// Set on forward paths whose request has a reply block: how long the service node waits.
    pub delay_ms: Option<u32>,
}

/// A path with the commands that the reference's client gives: node_delay at every hop before the last (`delays_ms`,
/// one each), and the terminal's at the last. None if the number of delays does not fit.
pub fn compose(
    nodes: impl IntoIterator<Item = ([u8; NODE_ID_BYTES], Vec<u8>)>,
    delays_ms: &[u32],
    terminal: &Terminal,
) -> Option<Vec<PathHop>> {
    let mut path: Vec<PathHop> =
        nodes.into_iter().map(|(id, public_key)| PathHop { id, public_key, commands: Vec::new() }).collect();
    let (last, before) = path.split_last_mut()?;
    if before.len() != delays_ms.len() {
        return None;
    }
    for (hop, &delay_ms) in before.iter_mut().zip(delays_ms) {
        hop.commands.push(RoutingCommand::NodeDelay { delay_ms });
    }
    last.commands.extend(terminal.delay_ms.map(|delay_ms| RoutingCommand::NodeDelay { delay_ms }));
    last.commands.push(RoutingCommand::Recipient(terminal.recipient));
    last.commands.extend(terminal.surb_id.map(RoutingCommand::SurbReply));
    Some(path)
}
