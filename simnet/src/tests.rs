//! Runs from seeds.

use super::*;
use crate::run::{check, take_step};
use crate::world::{FIRST, World};

fn plan(seed: u64, epochs: u64, has_faults: bool) -> Plan {
    Plan { seed, epochs, shape: Shape::default(), has_faults }
}

fn go(plan: &Plan) -> Report {
    let mut told = Vec::new();
    run(plan, &mut |step, what| told.push(format!("{step}: {what}"))).unwrap_or_else(|failure| {
        let last = told.len().saturating_sub(60);
        panic!("{failure}\n{}", told[last..].join("\n"))
    })
}

#[test]
fn pings_come_back_over_several_epochs_and_a_seed_makes_the_same_run_again() {
    let plan = plan(1, 5, false);
    let report = go(&plan);
    assert_eq!(report.consensus.len(), 5, "{report:?}");
    let pings = &report.pings[0];
    let lost = pings.lost.values().sum::<u64>();
    assert!(pings.answered >= 40 && pings.sent - pings.answered - lost <= 4, "{report:?}");
    // The first ping may come before the gateway has all its links; the run holds that no other is lost.
    assert!(lost <= 1 && lost == report.drops.values().sum::<u64>(), "{report:?}");
    assert_eq!((report.lost_in_restart, report.wronged), (0, 0));
    assert_eq!(go(&plan), report);
    assert_ne!(go(&Plan { seed: 2, ..plan }).consensus, report.consensus);
}

#[test]
fn nothing_is_lost_with_several_gateways_shards_and_loops() {
    let shape = Shape { gateways: 2, services: 2, mixes: 2, clients: 3, shards: 3, decoys: true, ..Shape::default() };
    let report = go(&Plan { shape, ..plan(5, 5, false) });
    assert!(report.pings.iter().all(|tally| tally.answered >= 10), "{report:?}");
    assert!(report.accepted.values().all(|accepted| *accepted > 100), "loops go everywhere: {report:?}");
}

/// The run itself says that all find back; here it is seen that something has gone wrong at all.
#[test]
fn whatever_goes_wrong_the_network_finds_back_and_a_seed_makes_it_again() {
    let plans = [2, 6, 7].map(|seed| Plan { shape: Shape::from_seed(seed), ..plan(seed, 14, true) });
    let reports: Vec<Report> = plans.iter().map(go).collect();
    assert!(reports.iter().any(|report| !report.pings[0].lost.is_empty()), "{reports:?}");
    // Of a node's twin, which sends everything at least twice.
    assert!(
        reports.iter().any(|report| report.drops.get("replay").is_some_and(|replays| *replays > 10)),
        "{reports:?}"
    );
    for (plan, report) in plans.iter().zip(&reports) {
        assert_eq!(go(plan), *report);
    }
    assert_ne!(reports[0].digest, reports[1].digest);
}

/// A network without faults, after so many epochs.
fn world_after(epochs: u64) -> World {
    let mut world = World::new(Shape::default(), 1);
    go_on(&mut world, epochs).expect("all holds");
    world
}

fn go_on(world: &mut World, epochs: u64) -> Result<(), String> {
    let end = world.start_of(FIRST.after(epochs));
    while world.now() < end {
        take_step(world, end)?;
        check(world)?;
    }
    Ok(())
}

#[test]
fn a_node_that_takes_packets_twice_and_a_second_document_are_seen() {
    let mut world = world_after(2);
    world.nodes[0].lose_tags();
    assert!(check(&world).is_err_and(|what| what.contains("has accepted")));
    let mut world = world_after(2);
    world.consensus.insert(FIRST.after(3), [0; 32]);
    assert_eq!(go_on(&mut world, 3), Err("two documents for epoch 1003".into()));
}
