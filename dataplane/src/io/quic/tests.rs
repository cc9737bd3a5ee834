//! Real shards over QUIC on the simulated network; and the adapter alone, whose rules are those of every `Io`.

mod floods;
mod net;
mod rules;
mod shards;
