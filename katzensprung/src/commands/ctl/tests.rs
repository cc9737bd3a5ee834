use super::*;

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
fn an_answer_of_another_shape_is_no_panic() {
    for status in [serde_json::json!({}), serde_json::json!([1]), serde_json::json!({ "documents": 3, "mix_keys": [] })]
    {
        assert!(text(&status).contains("no document lists this node"));
    }
}
