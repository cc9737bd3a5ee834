use super::*;
use std::collections::BTreeSet;

fn target(run: fn(&[u8]) -> Verdict) -> Target {
    Target { name: "test", run, seeds: || vec![b"0123456789".to_vec(), vec![7; 300]] }
}

#[test]
fn inputs_depend_on_seed_and_number_alone() {
    let target = target(|_| Verdict::Accepted);
    let (storm, again, other) = (Storm::new(&target, 1), Storm::new(&target, 1), Storm::new(&target, 2));
    assert_eq!(storm.input(0), b"0123456789");
    assert_eq!(storm.input(1), [7; 300]);
    let inputs: Vec<_> = (2..500).rev().map(|index| storm.input(index)).collect();
    assert!(inputs.iter().rev().zip(2..).all(|(input, index)| *input == again.input(index)));
    assert!((2..500).any(|index| storm.input(index) != other.input(index)));
    let distinct: BTreeSet<_> = inputs.iter().collect();
    assert!(distinct.len() > 300, "only {} distinct inputs", distinct.len());
    assert!(inputs.iter().all(|input| input.len() <= INPUT_BYTES_MAX));
    assert!(inputs.iter().any(|input| input.len() > 1000), "no long input");
}

#[test]
fn targets_without_seeds_get_noise() {
    let target = Target { seeds: Vec::new, ..target(|_| Verdict::Refused) };
    let storm = Storm::new(&target, 1);
    assert!((0..100).any(|index| storm.input(index).len() > 10));
}

#[test]
fn a_panic_is_a_failure_with_its_input() {
    let target = target(|data| {
        assert!(data.len() < 299, "too long");
        Verdict::Accepted
    });
    let failure = run(&target, 9, |index| index < 10, |feed| feed()).expect_err("seed 1 is too long");
    assert_eq!((failure.index, failure.input.len()), (1, 300));
    assert_eq!(failure.message, "panicked: too long");
    assert!(failure.to_string().contains("cargo run -p fuzz -- input test 0x9 1"));
    let Passed { inputs, accepted } = run(&target, 9, |index| index < 1, |feed| feed()).expect("seed 0 is good");
    assert_eq!((inputs, accepted), (1, 1));
}
