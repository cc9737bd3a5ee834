//! Who stands in which layer (pki.md 10.9, with 20 item 7).

use crypto_simd::random::{Random, SeededRandom};
use std::collections::BTreeSet;

/// The previous document has more layers than there are now: nobody agreed on what to do then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the previous document has {previous} layers, {configured} are configured; let one round pass without a \
         consensus to begin anew"
)]
pub struct Shrunk {
    /// Layers of the previous document.
    pub previous: usize,
    /// Layers wanted.
    pub configured: usize,
}

/// The reference's generator of choices over the keystream of a shared random.
struct Choices(SeededRandom);

impl Choices {
    fn int63(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes) & (u64::MAX >> 1)
    }

    fn int31(&mut self) -> u64 {
        self.int63() >> 32
    }

    /// A number below `n`, which is at least 1 and below 2^31.
    fn below(&mut self, n: u64) -> u64 {
        const RANGE: u64 = 1 << 31;
        if n.is_power_of_two() {
            return self.int31() & (n - 1);
        }
        let last = RANGE - 1 - RANGE % n;
        loop {
            let drawn = self.int31();
            if drawn <= last {
                return drawn % n;
            }
        }
    }

    /// The numbers below `count` in a random order.
    fn permutation(&mut self, count: usize) -> Vec<usize> {
        let mut order = vec![0; count];
        for index in 0..count {
            let other = self.below(index as u64 + 1) as usize;
            order[index] = order[other];
            order[other] = index;
        }
        order
    }
}

/// A new topology: `nodes`, sorted, dealt to the layers in a random order.
pub(super) fn random<T: Copy>(nodes: &[T], layers: usize, shared_random: &[u8; 32]) -> Vec<Vec<T>> {
    let mut choices = Choices(SeededRandom::new(shared_random));
    let mut topology = vec![Vec::new(); layers];
    deal(&mut topology, choices.permutation(nodes.len()).into_iter().map(|index| nodes[index]));
    topology
}

/// A topology in which the previous one's nodes keep their layers as far as layers stay even; `nodes` is sorted.
pub(super) fn continuing<T: Copy + Ord>(
    previous: &[Vec<T>],
    nodes: &[T],
    layers: usize,
    shared_random: &[u8; 32],
) -> Result<Vec<Vec<T>>, Shrunk> {
    if previous.len() > layers {
        return Err(Shrunk { previous: previous.len(), configured: layers });
    }
    let target = nodes.len() / layers.max(1);
    let mut choices = Choices(SeededRandom::new(shared_random));
    let mut left: BTreeSet<T> = nodes.iter().copied().collect();
    let mut topology = vec![Vec::new(); layers];
    for (layer, before) in topology.iter_mut().zip(previous) {
        for index in choices.permutation(before.len()) {
            if layer.len() == target {
                break;
            }
            if left.remove(&before[index]) {
                layer.push(before[index]);
            }
        }
    }
    let left: Vec<T> = left.into_iter().collect();
    let mut rest = choices.permutation(left.len()).into_iter().map(|index| left[index]);
    // Only layers that there were before: a new one gets its share of the remainder alone, as the reference has it.
    for layer in topology.iter_mut().take(previous.len()) {
        let wanted = target - layer.len();
        layer.extend(rest.by_ref().take(wanted));
    }
    deal(&mut topology, rest);
    Ok(topology)
}

fn deal<T>(topology: &mut [Vec<T>], nodes: impl Iterator<Item = T>) {
    let layers = topology.len().max(1);
    for (index, node) in nodes.enumerate() {
        if let Some(layer) = topology.get_mut(index % layers) {
            layer.push(node);
        }
    }
}

#[cfg(test)]
mod tests;
