//! The parser (wire.md 6.2, 6.5 to 6.8): borrows, never panics, knows only its session's ids.

use super::{COMMAND_HEADER_BYTES, Certified, Command, CommandError, CommandId, CommandSet};

impl CommandSet {
    /// The command in the plaintext of a frame. Any amount of zero padding is accepted, none included.
    pub fn parse<'a>(&self, plaintext: &'a [u8]) -> Result<Command<'a>, CommandError> {
        let short = CommandError::Short { bytes: plaintext.len() };
        let (&[id, reserved, a, b, c, d], rest) = plaintext.split_first_chunk::<COMMAND_HEADER_BYTES>().ok_or(short)?;
        if reserved != 0 {
            return Err(CommandError::Reserved { byte: reserved });
        }
        let announced = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        let truncated = CommandError::Truncated { announced, actual: rest.len() };
        let (body, padding) = rest.split_at_checked(announced).ok_or(truncated)?;
        if padding.iter().fold(0, |seen, byte| seen | byte) != 0 {
            return Err(CommandError::Padding);
        }
        let foreign = CommandError::ForeignId { id };
        let id = CommandId::from_byte(id).filter(|id| self.contains(*id)).ok_or(foreign)?;
        self.parse_body(id, body, !padding.is_empty()).ok_or(CommandError::BodyLength { id, bytes: body.len() })
    }

    /// `None` if the body has a length that the command cannot have.
    fn parse_body<'a>(&self, id: CommandId, body: &'a [u8], padded: bool) -> Option<Command<'a>> {
        let mut fields = Fields(body);
        let command = match id {
            CommandId::NoOp => Command::NoOp,
            CommandId::Disconnect => Command::Disconnect,
            CommandId::ReplicaDecoy => {
                // A body is ignored here, unlike in the other two.
                fields.rest();
                Command::ReplicaDecoy
            }
            CommandId::SendPacket => Command::SendPacket { packet: fields.packet()? },
            CommandId::SendRetrievePacket => Command::SendRetrievePacket { packet: fields.packet()? },
            CommandId::SendRetrievePacketReply => {
                Command::SendRetrievePacketReply { surb_id: fields.array()?, payload: fields.rest() }
            }
            CommandId::MessageDelivered => Command::MessageDelivered { sequence: fields.u32()? },
            CommandId::RetrieveMessage => Command::RetrieveMessage { sequence: fields.u32()? },
            CommandId::Message => Command::Message {
                sequence: fields.u32()?,
                surb_id: fields.array()?,
                payload: fields.bytes(self.sizes.surb_reply_bytes)?,
            },
            CommandId::GetConsensus => Command::GetConsensus { epoch: fields.u64()?, padded },
            CommandId::GetConsensus2 => Command::GetConsensus2 { epoch: fields.u64()? },
            CommandId::Consensus => Command::Consensus { error_code: fields.u8()?, payload: fields.rest() },
            CommandId::Consensus2 => Command::Consensus2 {
                error_code: fields.u8()?,
                chunk: fields.u32()?,
                chunks: fields.u32()?,
                payload: fields.rest(),
            },
            CommandId::PostDescriptor => Command::PostDescriptor { epoch: fields.u64()?, payload: fields.rest() },
            CommandId::PostReplicaDescriptor => {
                Command::PostReplicaDescriptor { epoch: fields.u64()?, payload: fields.rest() }
            }
            CommandId::PostDescriptorStatus => Command::PostDescriptorStatus { error_code: fields.u8()? },
            CommandId::PostReplicaDescriptorStatus => Command::PostReplicaDescriptorStatus { error_code: fields.u8()? },
            CommandId::Vote => Command::Vote(self.certified(&mut fields)?),
            CommandId::Reveal => Command::Reveal(self.certified(&mut fields)?),
            CommandId::Sig => Command::Sig(self.certified(&mut fields)?),
            CommandId::Cert => Command::Cert(self.certified(&mut fields)?),
            CommandId::GetVote => {
                Command::GetVote { epoch: fields.u64()?, public_key: fields.bytes(self.sizes.pki_public_key_bytes)? }
            }
            CommandId::VoteStatus => Command::VoteStatus { error_code: fields.u8()? },
            CommandId::RevealStatus => Command::RevealStatus { error_code: fields.u8()? },
            CommandId::SigStatus => Command::SigStatus { error_code: fields.u8()? },
            CommandId::CertStatus => Command::CertStatus { error_code: fields.u8()? },
            CommandId::ReplicaMessage => Command::ReplicaMessage {
                sender_public_key: fields.bytes(self.sizes.replica_public_key_bytes)?,
                dek: fields.array()?,
                // The reference insists on four bytes.
                ciphertext: Some(fields.rest()).filter(|ciphertext| ciphertext.len() >= 4)?,
            },
            CommandId::ReplicaMessageReply => Command::ReplicaMessageReply {
                error_code: fields.u8()?,
                envelope_hash: fields.array()?,
                replica_id: fields.u8()?,
                envelope_reply: fields.rest(),
            },
            CommandId::ReplicaWrite => {
                Command::ReplicaWrite { box_id: fields.array()?, signature: fields.array()?, payload: fields.rest() }
            }
            CommandId::ReplicaWriteReply => Command::ReplicaWriteReply { error_code: fields.u8()? },
        };
        fields.0.is_empty().then_some(command)
    }

    fn certified<'a>(&self, fields: &mut Fields<'a>) -> Option<Certified<'a>> {
        Some(Certified {
            epoch: fields.u64()?,
            public_key: fields.bytes(self.sizes.pki_public_key_bytes)?,
            payload: fields.rest(),
        })
    }
}

/// What is left of a body.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (field, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(field)
    }

    fn array<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(field)
    }

    fn u8(&mut self) -> Option<u8> {
        self.array().map(|&[byte]| byte)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(|bytes| u32::from_be_bytes(*bytes))
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(|bytes| u64::from_be_bytes(*bytes))
    }

    fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    fn packet(&mut self) -> Option<&'a [u8]> {
        Some(self.rest()).filter(|packet| !packet.is_empty())
    }
}
