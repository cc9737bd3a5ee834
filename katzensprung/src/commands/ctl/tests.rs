use super::text::{keys, loops, peers, reload, status as text};
use serde_json::json;

#[test]
fn people_see_what_needs_attention() {
    let status = serde_json::json!({
        "identifier": "mix1", "version": "0.1.0", "state": "draining", "uptime_seconds": 5, "epoch": 9,
        "epoch_seconds_left": 60, "documents": [8], "published_epoch": null,
        "authorities": { "auth1": true, "auth2": false },
        "mix_keys": { "current": { "replay_tags": 30, "replay_slots": 120 } },
        "data_plane": { "process": null, "restarts": 2 }, "packets": { "received": 7, "sent": 0 },
        "packets_unaccounted": 0,
    });
    let text = text(&status);
    for line in [
        "mix1, version 0.1.0, draining for 5 s",
        "not listed in this epoch; documents of epochs 8",
        "nothing yet",
        "auth2: does not answer",
        "current: 30 packets seen, replay set 25.0 % full",
        "none is at work",
        "received: 7",
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
    assert!(!text.contains("sent: 0"), "{text}");
}

#[test]
fn nothing_that_a_terminal_obeys_is_printed() {
    let text = text(&serde_json::json!({ "identifier": "\u{1b}[31mred\nnode ok" }));
    assert!(!text.contains('\u{1b}') && !text.contains("\nnode ok"), "{text}");
}

#[test]
fn an_answer_of_another_shape_is_no_panic() {
    for status in [serde_json::json!({}), serde_json::json!([1]), serde_json::json!({ "documents": 3, "mix_keys": [] })]
    {
        assert!(text(&status).contains("no document lists this node"));
    }
}

#[test]
fn slow_and_absent_peers_are_seen() {
    let answer = json!({ "epoch": 9, "peers": [
        { "node": "aa", "name": "mix7", "direction": "outgoing", "transport": "quic", "state": "up", "state_ms": 61_000, "may_send": true,
          "slow": true, "last_packet_ms": 1_500, "queued": 5, "sealed": 2, "stalled_ms": 40, "failures": 0,
          "all": { "packets": 900, "too_late": 40, "dropped": 1 },
          "lately": { "packets": 90, "too_late": 10, "dropped": 0 } },
        { "node": "bb", "name": null, "direction": "outgoing", "transport": null, "state": "waiting", "state_ms": 10, "may_send": false,
          "slow": false, "last_packet_ms": null, "queued": 0, "sealed": 0, "failures": 3,
          "all": { "packets": 0, "too_late": 0, "dropped": 0 }, "lately": {} },
        { "node": "cc", "name": "mix3", "direction": "incoming", "state": "absent" },
    ] });
    let text = peers(&answer);
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        lines[1].join(" "),
        "mix7 outgoing quic up 61 s 1.5 s ago 7 900 40 1 SLOW: 10 of 100 packets of the last minute were too late"
    );
    assert_eq!(lines[2].join(" "), "bb outgoing - waiting 0.0 s none 0 0 0 0 3 dials or handshakes have failed");
    assert_eq!(lines[3].join(" "), "mix3 incoming absent");
}

#[test]
fn keys_and_loops_are_tables() {
    let answer = json!({
        "keys": [{ "epoch": 8, "use": "current", "replay_tags": 12, "replay_slots": 120, "replay_percent": 10 }],
        "next": { "epoch": 12, "made_in_epoch": 9, "seconds_until_then": 33 },
        "locked_in_memory": false, "kept_by_service_manager": true, "written_at_a_stop_to": "/dev/shm/keys",
    });
    let text = keys(&answer);
    for part in ["10 %", "epoch 12 is made in epoch 9, which begins in 33 s", "NOT locked", "/dev/shm/keys"] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    let answer = json!({ "sent_at_all": true, "loops": [
        { "epoch": 8, "from": "bb", "to": "cc", "from_name": "mix1", "to_name": null, "sent": 4, "completed": 3 },
        { "epoch": 7, "from": "aa", "to": "bb", "from_name": null, "to_name": "mix1", "sent": 0, "completed": 0 },
    ] });
    let text = loops(&answer);
    let rows: Vec<Vec<&str>> = text.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["7", "aa", "mix1", "0", "0", "0.0", "%"]);
    assert_eq!(rows[1], ["8", "mix1", "cc", "4", "3", "25.0", "%"]);
    assert!(loops(&json!({ "sent_at_all": false, "loops": [] })).contains("Debug.SendDecoyTraffic"));
}

#[test]
fn a_reload_says_what_counts_and_what_waits() {
    let done = json!({
        "file": "/etc/k.toml", "changed": [{ "key": "Debug.SendSlack", "from": "50 ms", "to": "70 ms" }],
        "needs_restart": ["Server.Addresses"], "findings": [],
    });
    let text = reload(&done);
    assert_eq!(text, "Debug.SendSlack: 70 ms instead of 50 ms\nServer.Addresses has changed and needs a restart\n");
    let nothing = json!({ "changed": [], "needs_restart": [], "findings": [] });
    assert_eq!(reload(&nothing), "the configuration says what it said before\n");
    let bad = json!({ "findings": [{ "severity": "error", "file": "/etc/k.toml", "line": 7, "key": "Logging.Level",
        "problem": "'x' is invalid\u{1b}[31m", "remedy": "use ERROR" }] });
    assert_eq!(reload(&bad), "error: /etc/k.toml:7: Logging.Level: 'x' is invalid\u{fffd}[31m; use ERROR\n");
}

#[test]
fn other_shapes_are_no_panic_anywhere() {
    for answer in [json!({}), json!([1]), json!({ "peers": [1, {}], "keys": [{}], "loops": [[]], "findings": [null] })]
    {
        for show in [peers, keys, loops, reload] {
            assert!(!show(&answer).is_empty());
        }
    }
}
