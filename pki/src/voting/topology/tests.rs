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
