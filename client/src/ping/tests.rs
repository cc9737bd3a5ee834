use super::*;
use crate::tests::gateway::Answer;
use crate::tests::{Network, World};
use pki::document::Document;

fn plan(count: u64, concurrency: usize) -> Plan {
    Plan { count, concurrency, ..Plan::default() }
}

#[test]
fn every_ping_is_answered_after_exactly_its_delays() {
    let mut world = World::new(Network::new(21));
    let report = world.ping(plan(50, 4), |_, _| {}).expect("a run");
    assert_eq!((report.sent(), report.received(), report.lost().count()), (50, 50, 0));
    for ping in &report.pings {
        // The line takes no time and the service does not wait; the gateway pushes one reply at a time.
        let rtt = ping.rtt().expect("answered");
        assert!(rtt >= ping.delay(), "{ping:?}");
        assert!(rtt <= ping.delay() + Duration::from_millis(1), "{ping:?}");
        assert_eq!((ping.forward.len(), ping.reply.len()), (5, 4));
        assert!(ping.service_delay() >= Duration::from_millis(1));
        assert!(ping.epoch.is_some() && ping.sent_unix.is_some());
    }
    let one_service = report.pings.iter().all(|ping| ping.forward[4].node == report.pings[0].forward[4].node);
    assert!(one_service, "one service node for the whole run");
    let numbers: Vec<u64> = report.pings.iter().map(|ping| ping.number).collect();
    assert_eq!(numbers, (0..50).collect::<Vec<_>>());
    assert_eq!(world.network.echoed.len(), 50, "none was sent twice");
    let (_, refused, failures) = world.account();
    assert_eq!((refused, failures), (0, vec![]));
}

#[test]
fn pings_go_on_over_epochs_and_none_is_lost() {
    let mut world = World::new(Network::new(22));
    let report = world.ping(Plan { service_for_each: true, ..plan(700, 20) }, |_, _| {}).expect("a run");
    assert_eq!((report.sent(), report.received()), (700, 700));
    let epochs: std::collections::BTreeSet<_> = report.pings.iter().filter_map(|ping| ping.epoch).collect();
    assert!(epochs.len() >= 4, "{epochs:?}");
    let services: std::collections::BTreeSet<_> = report.pings.iter().map(|ping| &ping.forward[4].node).collect();
    assert_eq!(services.len(), 2, "a service node for each ping");
    let (_, refused, failures) = world.account();
    assert_eq!((refused, failures), (0, vec![]));
}

/// A gateway that gets the document of an epoch only when a third of it is over.
#[test]
fn a_late_document_costs_no_ping() {
    let mut world = World::new(Network::new(23));
    let next = Network::FIRST_EPOCH.after(1);
    world.answers.insert(next.0, Answer::Code(wire::command::codes::consensus::NOT_FOUND));
    let report = world
        .ping(plan(300, 10), |world, _| {
            if world.network.clock.now(world.now.unix).is_ok_and(|time| time.elapsed > time.fraction(1, 3))
                && world.epoch() == next
                && let Some(gateway) = &mut world.gateway
            {
                gateway.answers.clear();
            }
        })
        .expect("a run");
    assert_eq!(report.received(), 300);
    assert!(report.pings.iter().any(|ping| ping.epoch == Some(next)));
}

#[test]
fn a_link_that_breaks_costs_what_was_under_way_and_says_so() {
    let mut world = World::new(Network::new(24));
    let mut cuts = 0;
    let report = world
        .ping(plan(120, 8), |world, ping| {
            if ping.number % 40 == 20 && ping.rtt().is_some() && world.gateway.is_some() {
                cuts += 1;
                world.cut();
            }
        })
        .expect("a run");
    assert_eq!(cuts, 3);
    let lost: Vec<_> = report.lost().collect();
    assert!((3..=24).contains(&lost.len()), "{}", lost.len());
    for ping in &lost {
        let Outcome::LinkLost { after, reason } = &ping.outcome else { panic!("{ping:?}") };
        assert!(*after <= ping.delay() && !reason.is_empty());
    }
    assert_eq!(report.received() + lost.len(), 120);
    let mut echoed = world.network.echoed.clone();
    echoed.sort();
    echoed.dedup();
    assert_eq!(echoed.len(), world.network.echoed.len(), "no ping was sent twice");
}

#[test]
fn another_answer_is_no_answer() {
    let mut world = World::new(Network::new(25));
    world.network.spoil = Some(|answer| answer[20] ^= 1);
    let report = world.ping(plan(3, 1), |_, _| {}).expect("a run");
    assert_eq!((report.sent(), report.received()), (3, 0));
    for ping in report.lost() {
        let Outcome::WrongAnswer { sent, got, .. } = &ping.outcome else { panic!("{ping:?}") };
        assert_eq!(sent.len(), got.len());
        assert_ne!(sent, got);
    }
}

#[test]
fn a_service_that_is_silent_costs_the_longest_time_that_there_can_be() {
    let mut network = Network::new(26);
    network.spoil = Some(|answer| answer.resize(1 << 20, 0));
    let mut world = World::new(network);
    let report = world.ping(plan(2, 2), |_, _| {}).expect("a run");
    for ping in &report.pings {
        // 9 hops of at most 2764 ms (Mu of 0.01) and half a second each.
        assert_eq!(ping.outcome, Outcome::TimedOut { after: Duration::from_millis(9 * (2_764 + 500)) });
    }
}

#[test]
fn there_is_no_run_without_gateway_document_or_service() {
    let mut world = World::new(Network::new(27));
    world.unreachable = vec!["gateway1".into()];
    let error = world.ping(plan(1, 1), |_, _| {}).expect_err("nobody listens");
    assert_eq!(error.to_string(), "no link to a gateway within 60 s; last: gateway1: nobody listens");

    let mut world = World::new(Network::new(27));
    for epoch in 0..20 {
        world.answers.insert(Network::FIRST_EPOCH.0 - 2 + epoch, Answer::Code(1));
    }
    let error = world.ping(plan(1, 1), |_, _| {}).expect_err("no document").to_string();
    assert!(error.starts_with("no document of the current epoch within 60 s; last: "), "{error}");

    let mut world = World::new(Network::new(27));
    let error = world.ping(Plan { service: "courier".into(), ..plan(1, 1) }, |_, _| {}).expect_err("no such service");
    let text = "the document of epoch 1000 lists no service \"courier\"; it has echo";
    assert_eq!(error.to_string(), text);

    let mut network = Network::new(27);
    let other = Document { sphinx_geometry_hash: vec![1; 32], ..network.document(Network::FIRST_EPOCH) };
    let raw = network.sign(&other, 3);
    let mut world = World::new(network);
    world.answers.insert(Network::FIRST_EPOCH.0, Answer::Raw(raw));
    let error = world.ping(plan(1, 1), |_, _| {}).expect_err("another network");
    assert!(matches!(error, PingError::OtherNetwork(_)), "{error}");
}

#[test]
fn a_network_that_goes_away_ends_the_run_with_what_is_known() {
    let mut world = World::new(Network::new(28));
    let report = world
        .ping(plan(30, 3), |world, ping| {
            if ping.number == 10 {
                world.unreachable = vec!["gateway1".into(), "gateway2".into()];
                world.cut();
            }
        })
        .expect("a report");
    assert_eq!(report.pings.len(), 30);
    assert!(report.received() >= 8);
    assert!(report.lost().any(|ping| matches!(ping.outcome, Outcome::LinkLost { .. })));
    assert!(
        report.lost().any(|ping| matches!(&ping.outcome, Outcome::NotSent { reason } if reason.contains("nobody")))
    );
}

#[test]
fn reports_have_ranks_and_not_averages_of_them() {
    let ping = |ms: u64| Ping {
        number: ms,
        epoch: None,
        sent_unix: Some(Duration::ZERO),
        forward: vec![],
        reply: vec![Stop { node: "mix".into(), delay: Some(Duration::from_millis(ms / 2)) }],
        outcome: Outcome::Answered { rtt: Duration::from_millis(ms) },
    };
    let mut report = Report { pings: (1..=100).rev().map(ping).collect() };
    report.pings.push(Ping { outcome: Outcome::TimedOut { after: Duration::from_secs(9) }, ..ping(1) });
    let ms = |part| report.rtt(part).map(|rtt| rtt.as_millis());
    assert_eq!((ms(0.0), ms(0.5), ms(0.99), ms(1.0)), (Some(1), Some(50), Some(99), Some(100)));
    assert_eq!(report.delay(0.5), Some(Duration::from_millis(25)));
    assert_eq!((report.sent(), report.received()), (101, 100));
    assert_eq!(Report::default().rtt(0.5), None);
}

#[test]
fn pings_fit_into_the_smallest_payloads_or_are_refused() {
    let mut tell = |_: Progress<'_>| {};
    assert!(Pinger::new(plan(1, 1), 34, &mut tell).is_err());
    assert!(Pinger::new(plan(1, 1), 35, &mut tell).is_ok());
}
