//! Over pairs of virtual interfaces in network namespaces of the tests' own.
#![allow(missing_docs, reason = "a test binary has no public interface")]

mod exchange;
mod foreign;
mod life;
mod support;
