//! The shards that ship, with the measured costs, by themselves and behind a card.

use super::demand::{Demand, SHARDS_OF_NODE_MAX};
use super::line;
use super::measured::Measured;
use serde::Serialize;
use simnet::scale::{self, CardOptions, CardRow, Costs, Row, SHARDS_MAX};

/// Parts of the capacity that come over the simulated card.
const PARTS: [f64; 3] = [0.5, 0.8, 1.2];

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Simulated {
    /// What stages cost.
    pub costs: Costs,
    /// As many shards as the rate needs, as far as that is simulated.
    pub row: Row,
    /// The card before them.
    pub card: CardOptions,
    /// At parts of what the shards carry, and of what the line does.
    pub behind_card: Vec<CardRow>,
}

/// Simulates as many shards as the rate needs.
pub fn run(demand: &Demand, measured: &Measured, card: CardOptions, seed: u64) -> Result<Simulated, String> {
    if !measured.has_stages() {
        return Err(format!("{}: it does not say what stages cost; give --no-simulation", measured.source));
    }
    let geometry = measured.geometry()?;
    let costs = measured.costs(demand.transport);
    let rate = demand.rate(measured.packet_bytes);
    let shards = demand.shards(rate, &measured.shard(demand.transport), 1.0).min(SHARDS_OF_NODE_MAX).min(SHARDS_MAX);
    let rows = scale::simulate(&geometry, &costs, demand.links, &[1, shards], seed)?;
    let row = rows.into_iter().next_back().ok_or("nothing was simulated")?;
    let line = line::packets_per_second(demand.card_gbit, measured.packet_bytes, demand.transport) / line::LINE_SHARE;
    let mut rates = PARTS.map(|part| (part * row.packets_per_second).min(line)).to_vec();
    rates.dedup();
    let card = CardOptions { queues: shards, ..card };
    let behind_card = scale::simulate_card(&geometry, &costs, (demand.links, shards), card, &rates, seed)?;
    Ok(Simulated { costs, row, card, behind_card })
}
