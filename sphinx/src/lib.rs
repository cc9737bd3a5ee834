//! sphinx
#![forbid(unsafe_code)]
