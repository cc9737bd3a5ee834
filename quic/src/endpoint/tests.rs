//! Two endpoints in memory under a clock that a test moves.

mod ends;
mod floods;
mod pair;
mod streams;
