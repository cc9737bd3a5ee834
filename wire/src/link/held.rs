//! Bytes that have arrived before the rest of what they belong to.

/// What room is made for at once, at most: what a peer announces costs nothing before it is there.
const ROOM_BYTES_MAX: usize = 64 << 10;

/// The beginning of a message, header or body; with a step of the handshake in between, also what came behind it.
#[derive(Default)]
pub(super) struct Held {
    bytes: Vec<u8>,
    /// What is before this is used up.
    at: usize,
}

/// So many bytes as were asked for: some of them held, the rest still in the input.
pub(super) struct Unit<'a> {
    held: &'a mut Held,
    head_bytes: usize,
    rest: &'a mut [u8],
}

impl Held {
    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Takes `bytes` bytes, held ones first. If there are not as many, all of the input is held and it is none.
    pub(super) fn unit<'a, 'i: 'a>(&'a mut self, bytes: usize, input: &mut &'i mut [u8]) -> Option<Unit<'a>> {
        let missing = bytes.saturating_sub(self.len());
        if missing > input.len() {
            self.bytes.reserve(bytes.min(ROOM_BYTES_MAX));
            self.keep(input);
            return None;
        }
        let (rest, behind) = std::mem::take(input).split_at_mut(missing);
        *input = behind;
        let head_bytes = bytes - missing;
        self.at += head_bytes;
        Some(Unit { held: self, head_bytes, rest })
    }

    /// Holds all of the input.
    pub(super) fn keep(&mut self, input: &mut &mut [u8]) {
        if self.at > 0 {
            self.bytes.drain(..self.at);
            self.at = 0;
        }
        self.bytes.extend_from_slice(input);
        *input = &mut [];
    }

    /// Gives memory back if nothing is held.
    pub(super) fn reclaim(&mut self) {
        if self.len() == 0 {
            *self = Self::default();
        }
    }

    pub(super) fn has_memory(&self) -> bool {
        self.bytes.capacity() > 0
    }
}

impl<'a> Unit<'a> {
    pub(super) fn len(&self) -> usize {
        self.head_bytes + self.rest.len()
    }

    /// Copies the bytes to where they are wanted; `place` has their length.
    pub(super) fn copy_to(&self, place: &mut [u8]) {
        let (head, rest) = place.split_at_mut(self.head_bytes);
        head.copy_from_slice(&self.held.bytes[self.held.at - self.head_bytes..self.held.at]);
        rest.copy_from_slice(self.rest);
    }

    /// The bytes as memory of their own. What is held and nothing else leaves with them, so that a large body is never
    /// there twice.
    pub(super) fn into_vec(self) -> Vec<u8> {
        let start = self.held.at - self.head_bytes;
        let mut bytes = if start == 0 && self.held.bytes.len() == self.head_bytes {
            self.held.at = 0;
            std::mem::take(&mut self.held.bytes)
        } else {
            self.held.bytes[start..self.held.at].to_vec()
        };
        bytes.extend_from_slice(self.rest);
        bytes
    }

    /// The bytes in one piece, where they lie if that is one place.
    pub(super) fn join(self) -> &'a mut [u8] {
        if self.head_bytes == 0 {
            return self.rest;
        }
        let start = self.held.at - self.head_bytes;
        if !self.rest.is_empty() {
            // Something is missing only where nothing else is held.
            self.held.bytes.extend_from_slice(self.rest);
            self.held.at += self.rest.len();
        }
        &mut self.held.bytes[start..self.held.at]
    }
}
