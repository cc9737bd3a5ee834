//! How far a mix grows with its shards: the shards that ship, each on a processor of its own, on a simulated network.
//!
//! Nothing here waits for real time. Each shard has its own clock, which goes on by what the stages of its work were
//! measured to cost; the shard whose clock is furthest behind is always the next to do a round. Queues between shards,
//! batches, links and cryptography are the real ones, so that what stops them from growing shows. Not there are what
//! processors share beside that: caches, memory and its bandwidth, the kernel, and network cards.
//!
//! | module | what it holds |
//! |---|---|
//! | [`costs`] | what each stage costs |
//! | [`card`] | a network card before the node: queues, rings, bursts |
//! | `processor` | a shard on a processor whose time goes on with the shard's work |
//! | `parties` | who is there |
//! | `packets` | packets made from a seed |
//! | `peers` | the nodes before and behind |
//! | `site` | the node and its network, and one run |
//! | [`limit`] | what stops a node from carrying more |

pub mod card;
pub mod costs;
pub mod limit;
mod packets;
mod parties;
mod peers;
mod processor;
mod site;
#[cfg(test)]
mod tests;

pub use card::CardOptions;
pub use costs::Costs;
pub use limit::{Limit, Usage};
pub use site::{LINKS_MAX, SHARDS_MAX};

use packets::Packets;
use serde::Serialize;
use site::Site;
use sphinx::Geometry;
use std::rc::Rc;

/// Packets of a run: enough for some batches on each shard that can have work.
const PACKETS_MIN: usize = 6 << 10;
const PACKETS_OF_LINK: usize = 4 << 10;
/// The most memory that they take.
const PACKETS_BYTES_MAX: usize = 256 << 20;

/// What one number of shards carries, with links of one number on either side.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Shards, each on a processor of its own.
    pub shards: usize,
    /// Links on either side.
    pub links: usize,
    /// What the node carries.
    pub packets_per_second: f64,
    /// That, to what one shard carries with as many links.
    pub to_one_shard: f64,
    /// That, to the number of shards.
    pub efficiency: f64,
    /// The share of its time that a shard works, of all shards and of the busiest one.
    pub usage: Usage,
    /// What stops it from carrying more.
    pub limit: Limit,
}

/// What some shards carry of what comes over a card.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CardRow {
    /// What peers send, if the node reads their links.
    pub offered_packets_per_second: f64,
    /// What leaves the node.
    pub packets_per_second: f64,
    /// The share of the packets on the line that found a full ring.
    pub lost_share: f64,
    /// The share of the packets that peers kept back, because the node did not read their links.
    pub held_back_share: f64,
    /// The most frames in the ring of one queue.
    pub ring_frames_most: usize,
    /// The share of the busiest queue in all frames.
    pub busiest_queue_share: f64,
    /// The share of its time that a shard works.
    pub usage: Usage,
}

/// Simulates so many shards behind a card to which packets come at each of these rates.
pub fn simulate_card(
    geometry: &Geometry,
    costs: &Costs,
    (links, shards): (usize, usize),
    card: CardOptions,
    rates: &[f64],
    seed: u64,
) -> Result<Vec<CardRow>, String> {
    let count = packets_of(geometry, links, links.min(shards));
    let packets = Rc::new(Packets::new(geometry, links, count, seed)?);
    let row = |&offered: &f64| {
        let mut site = Site::new(geometry, *costs, links, shards, seed)?;
        let at_card = site.put_card(card, offered, seed);
        let found = site.run(&packets, count)?;
        let at_card = at_card.borrow();
        let tally = at_card.tally();
        let share = |count: u64| count as f64 / (tally.offered as f64).max(1.0);
        Ok(CardRow {
            offered_packets_per_second: offered,
            packets_per_second: found.packets_per_second,
            lost_share: share(tally.lost),
            held_back_share: share(tally.held_back),
            ring_frames_most: tally.ring_frames_most,
            busiest_queue_share: at_card.busiest_share(),
            usage: Usage::of(&found.work, found.seconds),
        })
    };
    rates.iter().map(row).collect()
}

/// Packets of a run in which so many shards can have work from links, within the memory.
fn packets_of(geometry: &Geometry, links: usize, busy: usize) -> usize {
    let most = (PACKETS_BYTES_MAX / geometry.packet_length).max(PACKETS_MIN / 2);
    (PACKETS_MIN + PACKETS_OF_LINK * links.min(busy)).min(most)
}

/// Simulates each of these numbers of shards, which begin with one, with so many links on either side. The seed decides
/// keys, packets and all that is random.
pub fn simulate(
    geometry: &Geometry,
    costs: &Costs,
    links: usize,
    shards: &[usize],
    seed: u64,
) -> Result<Vec<Row>, String> {
    let count = packets_of(geometry, links, links);
    let packets = Rc::new(Packets::new(geometry, links, count, seed)?);
    let mut rows: Vec<Row> = Vec::new();
    for &shards in shards {
        let needed = PACKETS_MIN + PACKETS_OF_LINK * links.min(shards);
        let found = Site::new(geometry, *costs, links, shards, seed)?.run(&packets, needed.min(count))?;
        let one = rows.first().map_or(found.packets_per_second, |row| row.packets_per_second);
        let to_one_shard = found.packets_per_second / one;
        rows.push(Row {
            shards,
            links,
            packets_per_second: found.packets_per_second,
            to_one_shard,
            efficiency: to_one_shard / shards as f64,
            usage: Usage::of(&found.work, found.seconds),
            limit: Limit::of(&found.work, found.seconds),
        });
    }
    Ok(rows)
}
