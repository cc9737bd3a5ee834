//! A packet in its frame.

use wire::command::{COMMAND_HEADER_BYTES, write_header};
use wire::{CommandId, FRAME_BODY_TAG_BYTES, FRAME_HEADER_BYTES, FrameSealer};

/// Bytes of a frame before its packet.
pub const PACKET_OFFSET: usize = FRAME_HEADER_BYTES + COMMAND_HEADER_BYTES;
/// Bytes of a frame around its packet.
pub const FRAME_OVERHEAD_BYTES: usize = PACKET_OFFSET + FRAME_BODY_TAG_BYTES;

/// What seals the frames for a link from which packets leave.
pub struct PacketSealer(FrameSealer);

impl PacketSealer {
    /// For the link whose frames that seals.
    pub fn new(sealer: FrameSealer) -> Self {
        Self(sealer)
    }

    /// Makes a frame of a packet that has [`PACKET_OFFSET`] bytes before it and a tag's behind it. Frames must be pushed
    /// in the order in which they are sealed.
    pub fn seal(&mut self, frame: &mut [u8]) -> Result<(), String> {
        write_packet_header(frame)?;
        self.0.seal(frame).map_err(|error| error.to_string())
    }
}

/// Writes the header of the command around a packet.
pub fn write_packet_header(frame: &mut [u8]) -> Result<(), String> {
    let body_bytes = frame.len().checked_sub(PACKET_OFFSET + FRAME_BODY_TAG_BYTES).ok_or("a frame without a packet")?;
    let body_bytes = u32::try_from(body_bytes).map_err(|error| error.to_string())?;
    let header =
        frame[FRAME_HEADER_BYTES..].first_chunk_mut::<COMMAND_HEADER_BYTES>().ok_or("a frame has a command")?;
    write_header(CommandId::SendPacket, body_bytes, header);
    Ok(())
}
