//! The plan as people read it.

use super::need::{Plan, Quantity};
use super::simulated::Simulated;
use std::fmt;

impl fmt::Display for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "A {} at {:.0} packets/s: {}, packets of {} bytes, over {}, on a card of {} Gbit/s",
            self.role, self.packets_per_second, self.sphinx, self.packet_bytes, self.transport, self.card_gbit
        )?;
        writeln!(formatter, "Costs: {}\n", self.source)?;
        self.needs.iter().try_for_each(|need| line(need, formatter))?;
        writeln!(formatter, "\n  What each part lets through")?;
        self.ceilings.iter().try_for_each(|ceiling| line(ceiling, formatter))?;
        let enough = if self.is_enough { "enough" } else { "NOT ENOUGH" };
        writeln!(formatter, "\n  limit: {}; {enough}", self.limit)?;
        self.simulated.iter().try_for_each(|found| simulated(found, formatter))?;
        self.notes.iter().try_for_each(|note| writeln!(formatter, "  note: {note}"))
    }
}

fn line(quantity: &Quantity, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Quantity { name, value, unit, formula } = quantity;
    let value = match *unit {
        "GB" | "GB/s" | "Gbit/s" | "us" | "%" => format!("{value:.2}"),
        _ => format!("{value:.0}"),
    };
    writeln!(formatter, "  {name:<28} {value:>12} {unit:<9}  {formula}")
}

fn simulated(found: &Simulated, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Simulated { row, card, behind_card, .. } = found;
    writeln!(
        formatter,
        "\n  Simulated: {} shards with {} links on either side carry {:.0} packets/s ({:.2} each of what one does): {}",
        row.shards, row.links, row.packets_per_second, row.efficiency, row.limit
    )?;
    writeln!(
        formatter,
        "  Behind a card of {} queues with rings of {} frames, peers sending {} packets back to back:",
        card.queues, card.ring_frames, card.burst_packets
    )?;
    writeln!(formatter, "    offered/s  carried/s  lost in rings  kept back  fullest ring  busiest queue  busy, most")?;
    for row in behind_card {
        writeln!(
            formatter,
            "  {:>11.0}  {:>9.0}  {:>12.3}%  {:>8.1}%  {:>12}  {:>12.1}%  {:>3.0}%, {:>3.0}%",
            row.offered_packets_per_second,
            row.packets_per_second,
            100.0 * row.lost_share,
            100.0 * row.held_back_share,
            row.ring_frames_most,
            100.0 * row.busiest_queue_share,
            100.0 * row.usage.mean,
            100.0 * row.usage.most
        )?;
    }
    Ok(())
}
