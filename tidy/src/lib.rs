//! Nothing but a test that reads the tree: which crate may use which, how long files may be, where `unsafe` may stand.
#![forbid(unsafe_code)]
