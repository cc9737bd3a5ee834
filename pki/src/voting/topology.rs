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
mod tests {
    use super::*;
    use serde_json::Value as Json;
    use vectors::{hex, verify};

    fn seed(value: &Json) -> [u8; 32] {
        hex(value).try_into().expect("32 bytes")
    }

    fn numbers(value: &Json) -> Vec<u64> {
        value.as_array().expect("a list").iter().map(|number| number.as_u64().expect("a number")).collect()
    }

    fn lists(value: &Json) -> Vec<Vec<u64>> {
        value.as_array().expect("a list").iter().map(numbers).collect()
    }

    fn check_generator(case: &Json) {
        let seed = seed(&case["seed"]);
        let fresh = || Choices(SeededRandom::new(&seed));
        let widen = |order: Vec<usize>| order.into_iter().map(|index| index as u64).collect::<Vec<_>>();
        let mut choices = fresh();
        assert!(numbers(&case["first_int63"]).iter().all(|number| *number == choices.int63()));
        for (count, order) in case["perm_fresh"].as_object().expect("permutations") {
            assert_eq!(widen(fresh().permutation(count.parse().expect("a count"))), numbers(order), "{count}");
        }
        let mut choices = fresh();
        let sequence = case["perm_sequence_2_2_2_5"].as_array().expect("a sequence");
        for (count, order) in [2, 2, 2, 5].into_iter().zip(sequence) {
            assert_eq!(widen(choices.permutation(count)), numbers(order));
        }
    }

    #[test]
    fn the_generator_and_both_dynamic_topologies_match() {
        verify("pki_topology_rng.json", "/topologies/cases/0/random/0/0", |file, tally| {
            for case in file["cases"].as_array().ok_or("no cases")? {
                check_generator(case);
                tally.assert_case();
            }
            for case in file["topologies"]["cases"].as_array().ok_or("no topologies")? {
                let layers = case["layers"].as_u64().ok_or("no layers")? as usize;
                let nodes: Vec<u64> = (0..case["n"].as_u64().ok_or("no n")?).collect();
                assert_eq!(random(&nodes, layers, &seed(&case["srv"])), lists(&case["random"]));
                let next = &case["next"];
                let present = numbers(&next["present_ids"]);
                let result = continuing(&lists(&next["previous"]), &present, layers, &seed(&next["srv"]));
                assert_eq!(result, Ok(lists(&next["result"])));
                tally.assert_case();
            }
            Ok(())
        });
    }

    /// pki.md 20 item 7.
    #[test]
    fn a_new_layer_gets_the_remainder_only_and_fewer_layers_are_an_error() {
        let nodes: Vec<u8> = (0..8).collect();
        let previous = [vec![0, 1, 2, 3], vec![4, 5, 6, 7]];
        let grown = continuing(&previous, &nodes, 3, &[9; 32]).expect("grown");
        assert_eq!(grown.iter().map(Vec::len).collect::<Vec<_>>(), [4, 3, 1]);
        let shrunk = continuing(&grown, &nodes, 2, &[9; 32]);
        assert_eq!(shrunk, Err(Shrunk { previous: 3, configured: 2 }));
        assert_eq!(continuing(&grown, &[], 3, &[9; 32]), Ok(vec![vec![]; 3]));
    }
}
