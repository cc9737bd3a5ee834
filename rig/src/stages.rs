//! What the node says of where its time goes.

#[cfg(test)]
mod tests;

use super::account::{label, samples};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A part of a packet's way.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// Its name.
    pub name: String,
    /// All time that went there.
    pub seconds: f64,
    /// How often that was measured.
    pub samples: u64,
}

/// All stages in a text in the Prometheus format, the most expensive first; none of a node that does not measure them.
pub fn parse(text: &str) -> Vec<Stage> {
    let mut stages: BTreeMap<&str, Stage> = BTreeMap::new();
    for (name, labels, value) in samples(text) {
        let Some(part) = name.strip_prefix("katzensprung_stage_seconds_") else { continue };
        let Some(stage) = label(labels, "stage") else { continue };
        let of = stages.entry(stage).or_insert_with(|| Stage { name: stage.into(), ..Stage::default() });
        match part {
            "sum" => of.seconds += value,
            "count" => of.samples += value as u64,
            _ => {}
        }
    }
    let mut stages: Vec<Stage> = stages.into_values().collect();
    stages.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    stages
}
