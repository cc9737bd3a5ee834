//! Links over QUIC: connections of one stream each, without input and output of their own.
//!
//! | module | what lives there |
//! |---|---|
//! | [`profile`] | what an observer sees: TLS, certificate, transport parameters; for users of the crate `quinn`, too |
#![forbid(unsafe_code)]

pub mod profile;
