//! A link's two ends against each other, and against lines and peers that are not what they should be.

mod bad;
mod frames;
mod pair;
mod times;
