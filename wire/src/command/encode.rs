//! The encoder with its padding (wire.md 6.1, 6.4). The padding target belongs to the command, not to the sender: a
//! server's NoOp has the client-to-server size too.

use super::{
    COMMAND_HEADER_BYTES, CONSENSUS2_HEADER_BYTES, Certified, Command, CommandError, CommandId, CommandSet, DEK_BYTES,
    SURB_ID_BYTES,
};
use crate::sizes::SessionKind;

/// Writes a header in place, for commands that are built around a body which is already there, such as a SendPacket
/// around its packet.
pub fn write_header(id: CommandId, body_bytes: u32, header: &mut [u8; COMMAND_HEADER_BYTES]) {
    let [a, b, c, d] = body_bytes.to_be_bytes();
    *header = [id.byte(), 0, a, b, c, d];
}

impl CommandSet {
    /// Appends the encoding, padding included.
    pub fn encode_into(&self, command: &Command<'_>, out: &mut Vec<u8>) -> Result<(), CommandError> {
        let body_bytes = self.checked_body_bytes(command)?;
        let start = out.len();
        let mut header = [0; COMMAND_HEADER_BYTES];
        write_header(command.id(), body_bytes, &mut header);
        out.extend_from_slice(&header);
        append_body(command, out);
        out.resize(out.len().max(start + self.padded_bytes(command)), 0);
        Ok(())
    }

    /// Bytes of the encoding, padding included.
    pub fn encoded_len(&self, command: &Command<'_>) -> usize {
        (COMMAND_HEADER_BYTES + body_bytes(command)).max(self.padded_bytes(command))
    }

    /// The size up to which this command is padded; zero if it is not.
    pub fn padded_bytes(&self, command: &Command<'_>) -> usize {
        match self.kind {
            SessionKind::Pki => 0,
            SessionKind::Replica => self.sizes.replica_command_bytes(),
            SessionKind::Mixnet => match command.id() {
                CommandId::Message | CommandId::SendRetrievePacketReply | CommandId::Consensus2 => {
                    self.sizes.server_to_client_bytes()
                }
                CommandId::Consensus => 0,
                CommandId::GetConsensus if matches!(command, Command::GetConsensus { padded: false, .. }) => 0,
                _ => self.sizes.client_to_server_bytes(),
            },
        }
    }

    /// Refuses what the peer's parser would refuse.
    fn checked_body_bytes(&self, command: &Command<'_>) -> Result<u32, CommandError> {
        let id = command.id();
        if !self.contains(id) {
            return Err(CommandError::ForeignId { id: id.byte() });
        }
        let bytes = body_bytes(command);
        let possible = match command {
            Command::SendPacket { packet } | Command::SendRetrievePacket { packet } => !packet.is_empty(),
            Command::Message { payload, .. } => payload.len() == self.sizes.surb_reply_bytes,
            Command::Vote(certified)
            | Command::Reveal(certified)
            | Command::Sig(certified)
            | Command::Cert(certified) => certified.public_key.len() == self.sizes.pki_public_key_bytes,
            Command::GetVote { public_key, .. } => public_key.len() == self.sizes.pki_public_key_bytes,
            Command::ReplicaMessage { sender_public_key, ciphertext, .. } => {
                sender_public_key.len() == self.sizes.replica_public_key_bytes && ciphertext.len() >= 4
            }
            _ => true,
        };
        u32::try_from(bytes).ok().filter(|_| possible).ok_or(CommandError::BodyLength { id, bytes })
    }
}

fn body_bytes(command: &Command<'_>) -> usize {
    match command {
        Command::NoOp | Command::Disconnect | Command::ReplicaDecoy => 0,
        Command::SendPacket { packet } | Command::SendRetrievePacket { packet } => packet.len(),
        Command::SendRetrievePacketReply { payload, .. } => SURB_ID_BYTES + payload.len(),
        Command::MessageDelivered { .. } | Command::RetrieveMessage { .. } => 4,
        Command::Message { payload, .. } => 4 + SURB_ID_BYTES + payload.len(),
        Command::GetConsensus { .. } | Command::GetConsensus2 { .. } => 8,
        Command::Consensus { payload, .. } => 1 + payload.len(),
        Command::Consensus2 { payload, .. } => CONSENSUS2_HEADER_BYTES + payload.len(),
        Command::PostDescriptor { payload, .. } | Command::PostReplicaDescriptor { payload, .. } => 8 + payload.len(),
        Command::Vote(certified) | Command::Reveal(certified) | Command::Sig(certified) | Command::Cert(certified) => {
            8 + certified.public_key.len() + certified.payload.len()
        }
        Command::GetVote { public_key, .. } => 8 + public_key.len(),
        Command::PostDescriptorStatus { .. }
        | Command::PostReplicaDescriptorStatus { .. }
        | Command::VoteStatus { .. }
        | Command::RevealStatus { .. }
        | Command::SigStatus { .. }
        | Command::CertStatus { .. }
        | Command::ReplicaWriteReply { .. } => 1,
        Command::ReplicaMessage { sender_public_key, ciphertext, .. } => {
            sender_public_key.len() + DEK_BYTES + ciphertext.len()
        }
        Command::ReplicaMessageReply { envelope_reply, .. } => 34 + envelope_reply.len(),
        Command::ReplicaWrite { payload, .. } => 96 + payload.len(),
    }
}

fn append_body(command: &Command<'_>, out: &mut Vec<u8>) {
    let mut append = |parts: &[&[u8]]| parts.iter().for_each(|part| out.extend_from_slice(part));
    match command {
        Command::NoOp | Command::Disconnect | Command::ReplicaDecoy => {}
        Command::SendPacket { packet } | Command::SendRetrievePacket { packet } => append(&[packet]),
        Command::SendRetrievePacketReply { surb_id, payload } => append(&[*surb_id, payload]),
        Command::MessageDelivered { sequence } | Command::RetrieveMessage { sequence } => {
            append(&[&sequence.to_be_bytes()]);
        }
        Command::Message { sequence, surb_id, payload } => append(&[&sequence.to_be_bytes(), *surb_id, payload]),
        Command::GetConsensus { epoch, .. } | Command::GetConsensus2 { epoch } => append(&[&epoch.to_be_bytes()]),
        Command::Consensus { error_code, payload } => append(&[&[*error_code], payload]),
        Command::Consensus2 { error_code, chunk, chunks, payload } => {
            append(&[&[*error_code], &chunk.to_be_bytes(), &chunks.to_be_bytes(), payload]);
        }
        Command::PostDescriptor { epoch, payload } | Command::PostReplicaDescriptor { epoch, payload } => {
            append(&[&epoch.to_be_bytes(), payload]);
        }
        Command::Vote(Certified { epoch, public_key, payload })
        | Command::Reveal(Certified { epoch, public_key, payload })
        | Command::Sig(Certified { epoch, public_key, payload })
        | Command::Cert(Certified { epoch, public_key, payload }) => {
            append(&[&epoch.to_be_bytes(), public_key, payload]);
        }
        Command::GetVote { epoch, public_key } => append(&[&epoch.to_be_bytes(), public_key]),
        Command::PostDescriptorStatus { error_code }
        | Command::PostReplicaDescriptorStatus { error_code }
        | Command::VoteStatus { error_code }
        | Command::RevealStatus { error_code }
        | Command::SigStatus { error_code }
        | Command::CertStatus { error_code }
        | Command::ReplicaWriteReply { error_code } => append(&[&[*error_code]]),
        Command::ReplicaMessage { sender_public_key, dek, ciphertext } => {
            append(&[sender_public_key, *dek, ciphertext]);
        }
        Command::ReplicaMessageReply { error_code, envelope_hash, replica_id, envelope_reply } => {
            append(&[&[*error_code], *envelope_hash, &[*replica_id], envelope_reply]);
        }
        Command::ReplicaWrite { box_id, signature, payload } => append(&[*box_id, *signature, payload]),
    }
}
