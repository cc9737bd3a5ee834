//! The names of requests.

/// What a request does; with an index it makes the request's name.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum What {
    /// Waits for the bell.
    Bell,
    /// Comes from another shard's ring.
    Message,
    /// Wakes the shard with that number.
    Wake,
    /// Accepts from the listener with that number.
    Accept,
    /// On the connection with that index.
    Connect,
    /// The same.
    Receive,
    /// The same.
    Send,
    /// Receives datagrams at the socket with that number.
    Arrive,
    /// Sends datagrams from the place with that number.
    Leave,
    /// Waits for frames past the kernel.
    Frames,
    /// Ends other requests; what becomes of it matters to nobody.
    Cancel,
}

const WHATS: [What; 11] = [
    What::Bell,
    What::Message,
    What::Wake,
    What::Accept,
    What::Connect,
    What::Receive,
    What::Send,
    What::Arrive,
    What::Leave,
    What::Frames,
    What::Cancel,
];

/// The name of a request.
pub fn name(what: What, index: u32) -> u64 {
    (what as u64) << 32 | u64::from(index)
}

/// What a request of that name does, if it is one, and with what.
pub fn named(name: u64) -> Option<(What, u32)> {
    WHATS.get((name >> 32) as usize).map(|what| (*what, name as u32))
}
