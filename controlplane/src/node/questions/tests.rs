use super::*;
use interplane::roll::LinkState;
use pki::EpochClock;
use std::collections::BTreeMap;
use std::time::Duration;

const PERIOD: Duration = Duration::from_secs(1200);

/// A third of the way through an epoch.
fn now(epoch: u64) -> EpochTime {
    let clock = EpochClock::with_period(PERIOD).unwrap();
    clock.now(clock.start(Epoch(epoch)) + PERIOD / 3).unwrap()
}

fn link(node: u8, direction: Direction, too_late: u64) -> LinkReport {
    let lately = Passed { packets: 100, too_late, dropped: 0 };
    LinkReport {
        node: [node; 32],
        direction,
        shard: 0,
        transport: (direction == Direction::Outgoing).then_some(Transport::Quic),
        state: LinkState::Up,
        may_send: true,
        state_ms: 5,
        last_packet_ms: None,
        queued: 1,
        sealed: 2,
        stalled_ms: None,
        failures: 0,
        all: lately,
        lately,
    }
}

#[test]
fn peers_have_names_and_those_that_are_not_there_are_told_of() {
    let names = BTreeMap::from([([1; 32], "mix1".to_owned()), ([3; 32], "mix3".to_owned())]);
    let incoming = BTreeMap::from([(Epoch(6), vec![[9; 32]]), (Epoch(7), vec![[2; 32], [3; 32]])]);
    let nodes = Nodes { names, incoming, ..Nodes::default() };
    let roll = Roll(vec![link(2, Direction::Incoming, 0), link(1, Direction::Outgoing, 50)]);
    let answer = peers(&roll, &nodes, &now(7));
    let said: Vec<_> = answer["peers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|peer| {
            ["node", "name", "direction", "transport", "state", "slow"].map(|key| peer[key].to_string()).join(" ")
        })
        .map(|line| line.replace('"', ""))
        .collect();
    assert_eq!(
        said,
        [
            "0101010101010101 mix1 outgoing quic up true",
            "0202020202020202 null incoming null up false",
            "0303030303030303 mix3 incoming null absent null"
        ]
    );
}

#[test]
fn keys_are_told_without_themselves() {
    let fill = Fill { tags: 30, slots: 100 };
    let fills: Vec<_> = (6..=9).map(|epoch| (Epoch(epoch), fill)).collect();
    let keeping = Keeping { are_locked: Some(true), has_manager: false, folder: Some(Path::new("/dev/shm/k")) };
    let answer = keys(&fills, &keeping, &now(7));
    let uses: Vec<_> = answer["keys"].as_array().unwrap().iter().map(|key| key["use"].as_str().unwrap()).collect();
    assert_eq!(uses, ["previous", "current", "next", "later"]);
    assert_eq!((&answer["keys"][0]["replay_tags"], &answer["keys"][0]["replay_percent"]), (&30.into(), &30.into()));
    // This epoch's descriptor has them up to 10, so that the next one is made in this epoch.
    assert_eq!(answer["next"], serde_json::json!({ "epoch": 10, "made_in_epoch": 7, "seconds_until_then": 0 }));
    let answer = keys(&[(Epoch(10), fill)], &keeping, &now(7));
    assert_eq!(answer["next"], serde_json::json!({ "epoch": 11, "made_in_epoch": 8, "seconds_until_then": 800 }));
    let answer = keys(&[(Epoch(11), fill)], &keeping, &now(7));
    assert_eq!(answer["next"]["seconds_until_then"], 2000);
    assert_eq!(answer["written_at_a_stop_to"], "/dev/shm/k");
    let none = Keeping { are_locked: None, has_manager: true, folder: None };
    let answer = keys(&[], &none, &now(0));
    assert_eq!(answer["next"]["seconds_until_then"], 0);
    assert!(answer["locked_in_memory"].is_null() && answer["written_at_a_stop_to"].is_null());
}

#[test]
fn segments_have_names_where_documents_have_them() {
    let mut segment = [1; 64];
    segment[32..].fill(2);
    let nodes = Nodes { names: BTreeMap::from([([2; 32], "mix2".to_owned())]), ..Nodes::default() };
    let said = loops(Epoch(3), &[SegmentCount { segment, sent: 5, completed: 4 }], &nodes);
    let expected = serde_json::json!({
        "epoch": 3, "from": "0101010101010101", "to": "0202020202020202", "from_name": null, "to_name": "mix2",
        "sent": 5, "completed": 4,
    });
    assert_eq!(said, [expected]);
}
