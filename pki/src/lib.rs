//! pki
#![forbid(unsafe_code)]
