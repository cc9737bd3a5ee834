//! Routing commands: what a packet tells one hop (sphinx.md 4).

#[cfg(test)]
mod tests;

use crate::{MAC_BYTES, NODE_ID_BYTES, RECIPIENT_ID_BYTES, SURB_ID_BYTES};

const ID_NULL: u8 = 0x00;
const ID_NEXT_NODE: u8 = 0x01;
const ID_RECIPIENT: u8 = 0x02;
const ID_SURB_REPLY: u8 = 0x03;
const ID_NODE_DELAY: u8 = 0x80;

/// Bytes of a next_node command.
pub const NEXT_NODE_BYTES: usize = 1 + NODE_ID_BYTES + MAC_BYTES;
/// Bytes of a surb_reply command.
pub const SURB_REPLY_BYTES: usize = 1 + SURB_ID_BYTES;

/// Why a hop's commands are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// An unknown id, a body that is too short, or bytes after the null command.
    #[error("invalid routing command")]
    Invalid,
    /// More than one next_node.
    #[error("duplicate next_node command")]
    DuplicateNextNode,
    /// More than one surb_reply.
    #[error("duplicate surb_reply command")]
    DuplicateSurbReply,
}

/// The node that gets the packet next, and the MAC of the header that it will see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextNode {
    /// Node id: BLAKE2b-256 of its identity key.
    pub id: [u8; NODE_ID_BYTES],
    /// MAC of the header at that node.
    pub mac: [u8; MAC_BYTES],
}

/// One instruction to the hop that opens the header (sphinx.md 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoutingCommand {
    /// Send the packet on.
    NextNode(NextNode),
    /// Deliver to a service or a user's queue.
    Recipient([u8; RECIPIENT_ID_BYTES]),
    /// The payload is the reply to the reply block of this id.
    SurbReply([u8; SURB_ID_BYTES]),
    /// Hold the packet back.
    NodeDelay {
        /// How long, in milliseconds.
        delay_ms: u32,
    },
}

impl RoutingCommand {
    /// Takes one command off `bytes` and gives it with the rest; none at the end of the list.
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, &[u8])>, CommandError> {
        let Some((&id, body)) = bytes.split_first() else { return Ok(None) };
        let parsed = match id {
            ID_NULL if body.iter().all(|byte| *byte == 0) => return Ok(None),
            ID_NEXT_NODE => take::<NODE_ID_BYTES>(body).and_then(|(id, rest)| {
                let (mac, rest) = take::<MAC_BYTES>(rest)?;
                Some((Self::NextNode(NextNode { id, mac }), rest))
            }),
            ID_RECIPIENT => take(body).map(|(id, rest)| (Self::Recipient(id), rest)),
            ID_SURB_REPLY => take(body).map(|(id, rest)| (Self::SurbReply(id), rest)),
            ID_NODE_DELAY => {
                take(body).map(|(delay, rest)| (Self::NodeDelay { delay_ms: u32::from_be_bytes(delay) }, rest))
            }
            _ => None,
        };
        parsed.map(Some).ok_or(CommandError::Invalid)
    }

    /// All commands of a list, in their order, repetitions included.
    pub fn parse_list(mut bytes: &[u8]) -> Result<Vec<Self>, CommandError> {
        let mut commands = Vec::new();
        while let Some((command, rest)) = Self::parse(bytes)? {
            commands.push(command);
            bytes = rest;
        }
        Ok(commands)
    }

    /// Appends the command's encoding.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        match self {
            Self::NextNode(next) => {
                out.push(ID_NEXT_NODE);
                out.extend_from_slice(&next.id);
                out.extend_from_slice(&next.mac);
            }
            Self::Recipient(id) => {
                out.push(ID_RECIPIENT);
                out.extend_from_slice(id);
            }
            Self::SurbReply(id) => {
                out.push(ID_SURB_REPLY);
                out.extend_from_slice(id);
            }
            Self::NodeDelay { delay_ms } => {
                out.push(ID_NODE_DELAY);
                out.extend_from_slice(&delay_ms.to_be_bytes());
            }
        }
    }

    /// The command's encoding.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(NEXT_NODE_BYTES);
        self.write_to(&mut bytes);
        bytes
    }
}

/// The commands of one hop. Of a repeated recipient or node_delay the first is kept and `repeated` is set: unwrapping
/// accepts repetitions, a node does not (sphinx.md 9.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Commands {
    /// The next hop; none at the end of the path.
    pub next_node: Option<NextNode>,
    /// How long the packet is to be held back, in milliseconds.
    pub delay_ms: Option<u32>,
    /// Who gets the payload.
    pub recipient: Option<[u8; RECIPIENT_ID_BYTES]>,
    /// The reply block that the payload answers.
    pub surb_reply: Option<[u8; SURB_ID_BYTES]>,
    /// Whether recipient or node_delay occurs more than once.
    pub repeated: bool,
}

/// What a node does with a packet (sphinx.md 9.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandsClass {
    /// next_node and node_delay: hold back, then send on.
    Forward,
    /// node_delay and recipient: hold back, then deliver.
    ToUser,
    /// recipient and surb_reply: put into the client's queue.
    SurbReply,
}

impl Commands {
    /// Parses a hop's fragment without allocating. The first error in reading order counts.
    pub fn parse(mut bytes: &[u8]) -> Result<Self, CommandError> {
        let mut commands = Self::default();
        while let Some((command, rest)) = RoutingCommand::parse(bytes)? {
            commands.add(command)?;
            bytes = rest;
        }
        Ok(commands)
    }

    /// The class of a packet with exactly the commands of that class, each once; none otherwise.
    pub fn class(&self) -> Option<CommandsClass> {
        if self.repeated {
            return None;
        }
        match (self.next_node, self.delay_ms, self.recipient, self.surb_reply) {
            (Some(_), Some(_), None, None) => Some(CommandsClass::Forward),
            (None, Some(_), Some(_), None) => Some(CommandsClass::ToUser),
            (None, None, Some(_), Some(_)) => Some(CommandsClass::SurbReply),
            _ => None,
        }
    }

    fn add(&mut self, command: RoutingCommand) -> Result<(), CommandError> {
        match command {
            RoutingCommand::NextNode(next) => {
                if self.next_node.replace(next).is_some() {
                    return Err(CommandError::DuplicateNextNode);
                }
            }
            RoutingCommand::SurbReply(id) => {
                if self.surb_reply.replace(id).is_some() {
                    return Err(CommandError::DuplicateSurbReply);
                }
            }
            RoutingCommand::Recipient(id) => {
                self.repeated |= self.recipient.is_some();
                self.recipient.get_or_insert(id);
            }
            RoutingCommand::NodeDelay { delay_ms } => {
                self.repeated |= self.delay_ms.is_some();
                self.delay_ms.get_or_insert(delay_ms);
            }
        }
        Ok(())
    }
}

fn take<const N: usize>(bytes: &[u8]) -> Option<([u8; N], &[u8])> {
    bytes.split_first_chunk().map(|(head, rest)| (*head, rest))
}
