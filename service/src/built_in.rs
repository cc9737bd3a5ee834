//! The services that need no program of their own (server.md 6.3).

use serde::{Deserialize, Serialize};

/// A built-in service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BuiltIn {
    /// Sends the user payload back.
    Echo,
    /// The same under another name; tests of networks use it.
    TestDest,
    /// Sends an empty reply (server.md D.4).
    Loop,
}

/// What the reply to a request holds, if the request wants one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer<'a> {
    /// The request's user payload.
    Echo,
    /// Nothing but zeros.
    Empty,
    /// These bytes, at most `ForwardPayloadLength` of them.
    Bytes(&'a [u8]),
}

impl BuiltIn {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Echo, Self::TestDest, Self::Loop];

    /// The capability under which descriptors list it.
    pub fn capability(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::TestDest => "testdest",
            Self::Loop => "loop",
        }
    }

    /// The service of that capability.
    pub fn named(capability: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|service| service.capability() == capability)
    }

    /// What it answers.
    pub fn answer(self) -> Answer<'static> {
        match self {
            Self::Echo | Self::TestDest => Answer::Echo,
            Self::Loop => Answer::Empty,
        }
    }
}
