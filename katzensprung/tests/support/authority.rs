//! The one authority of the tests.

pub use testnet::authority::{Authority, Documents};
