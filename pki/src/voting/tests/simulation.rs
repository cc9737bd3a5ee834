//! Networks under weather from a seed: whatever is lost, late, changed or restarted, there is one document for an epoch
//! or none, and all is well again when the weather is.

use super::network::{FIRST, Flight, Network};
use super::*;
use crypto_simd::random::SeededRandom;

/// Draws from a seed.
struct Dice(SeededRandom);

impl Dice {
    fn new(seed: u8, use_of_it: u8) -> Self {
        let mut key = [use_of_it; 32];
        key[0] = seed;
        Self(SeededRandom::new(&key))
    }

    fn below(&mut self, n: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes) % n
    }
}

/// One message in twelve is lost, one in twelve is late by up to a third of an epoch.
fn stormy(seed: u8) -> network::Weather {
    let mut dice = Dice::new(seed, 1);
    Box::new(move |flight| match dice.below(12) {
        0 => Vec::new(),
        1 => vec![Flight { delay: Duration::from_millis(dice.below(11_000)), ..flight }],
        _ => vec![flight],
    })
}

/// Authority 0 changes, repeats, replays and withholds what it sends; the rest arrives.
fn malicious(seed: u8) -> network::Weather {
    let mut dice = Dice::new(seed, 2);
    let mut sent: Vec<Message> = Vec::new();
    Box::new(move |flight| {
        if flight.from != 0 {
            return vec![flight];
        }
        sent.push(flight.message.clone());
        let old = sent[dice.below(sent.len() as u64) as usize].clone();
        match dice.below(8) {
            0 => Vec::new(),
            1 => vec![flight.clone(), flight],
            2 => vec![Flight { message: old, ..flight.clone() }, flight],
            3 => vec![Flight { message: Message { kind: old.kind, ..flight.message.clone() }, ..flight }],
            4 => {
                let mut payload = flight.message.payload.to_vec();
                let at = dice.below(payload.len() as u64) as usize;
                payload[at] ^= 1 << dice.below(8);
                vec![Flight { message: Message { payload: payload.into(), ..flight.message.clone() }, ..flight }]
            }
            5 => {
                let whole = flight.message.payload.len() as u64;
                let payload = flight.message.payload[..dice.below(whole) as usize].into();
                vec![Flight { message: Message { payload, ..flight.message.clone() }, ..flight }]
            }
            6 => vec![Flight {
                message: Message { epoch: FIRST.after(dice.below(4)), ..flight.message.clone() },
                ..flight
            }],
            _ => vec![flight],
        }
    })
}

fn epochs(count: u64) -> impl Iterator<Item = Epoch> {
    (0..count).map(|n| FIRST.after(n))
}

fn check_fair_weather(network: &mut Network, after: Epoch, seed: u8) {
    network.weather = Box::new(|flight| vec![flight]);
    network.silent.clear();
    let count = network.authorities.len();
    // One round to find each other, and then all.
    network.vote(after.after(1));
    network.vote(after.after(2));
    let last = network.vote(after.after(3));
    let notices: Vec<_> = network.notices.iter().rev().take(30).collect();
    assert_eq!(last.len(), count, "seed {seed}: {notices:#?}");
    let (_, signers) = network.agreed(after.after(3)).expect("a consensus");
    assert!(signers.values().all(|signatures| *signatures == count), "seed {seed}: {signers:?}");
}

#[test]
fn storms_and_restarts_never_make_two_documents() {
    for seed in 0..12 {
        let count = 3 + seed % 4;
        let mut network =
            Network::with((0..count).map(|own| configuration(count, own.into(), 3, 1)).collect(), [seed; 32]);
        network.weather = stormy(seed);
        let mut dice = Dice::new(seed, 3);
        for epoch in epochs(5) {
            for eighths in 0..6 {
                network.run_to(epoch, eighths);
                let who = dice.below(count.into()) as usize;
                match dice.below(12) {
                    0 => {
                        network.kill(who);
                        network.start(who);
                    }
                    1 => {
                        network.kill(who);
                        network.stores[who].clear();
                        network.start(who);
                    }
                    2 => drop(network.silent.insert(who)),
                    3 => network.silent.clear(),
                    _ => {}
                }
            }
            network.agreed(epoch);
        }
        check_fair_weather(&mut network, FIRST.after(4), seed);
    }
}

#[test]
fn an_authority_that_sends_anything_never_makes_two_documents() {
    for seed in 0..12 {
        let mut network = Network::with((0..4).map(|own| configuration(4, own, 3, 1)).collect(), [seed; 32]);
        network.weather = malicious(seed);
        for epoch in epochs(5) {
            network.vote(epoch);
            network.agreed(epoch);
        }
        check_fair_weather(&mut network, FIRST.after(4), seed);
    }
}

#[test]
fn a_seed_makes_the_same_network_again() {
    let run = || {
        let mut network = Network::with((0..3).map(|own| configuration(3, own, 3, 1)).collect(), [7; 32]);
        network.weather = stormy(7);
        epochs(3).for_each(|epoch| drop(network.vote(epoch)));
        (network.published, network.notices)
    };
    assert_eq!(run(), run());
}
