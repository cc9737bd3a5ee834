//! The node's answers as people read them.

use super::printable;
use serde_json::Value;

/// How the answer to a command is shown, if it is JSON.
pub fn of(command: &str) -> Option<fn(&Value) -> String> {
    match command.to_ascii_uppercase().as_str() {
        "STATUS" => Some(status),
        "PEERS" => Some(peers),
        "KEYS" => Some(keys),
        "LOOPS" => Some(loops),
        "RELOAD" => Some(reload),
        _ => None,
    }
}

/// STATUS.
pub fn status(status: &Value) -> String {
    let rows = [
        of_node(status),
        each(status, "authorities", "authority", |name, answered| {
            Some(format!("{name}: {}", if answered == &Value::Bool(true) { "answers" } else { "does not answer" }))
        }),
        each(status, "mix_keys", "mix key", |key, fill| {
            let (tags, slots) = (number(fill, "/replay_tags"), number(fill, "/replay_slots"));
            let percent = if slots == 0 { 0.0 } else { 100.0 * tags as f64 / slots as f64 };
            Some(format!("{key}: {tags} packets seen, replay set {percent:.1} % full"))
        }),
        vec![("data plane", data_plane(status))],
        each(status, "packets", "packets", |name, count| {
            count.as_u64().filter(|count| *count > 0).map(|count| format!("{name}: {count}"))
        }),
        vec![("unaccounted", number(status, "/packets_unaccounted").to_string())],
    ];
    let lines = rows.concat().into_iter().map(|(name, value)| format!("{name:<16} {}\n", printable(&value)));
    lines.collect()
}

type Rows = Vec<(&'static str, String)>;

/// Itself, the epoch, its place in the consensus.
fn of_node(status: &Value) -> Rows {
    let word = |path: &str| status.pointer(path).and_then(Value::as_str).unwrap_or("unknown");
    let (name, version, state) = (word("/identifier"), word("/version"), word("/state"));
    let (epoch, left) = (number(status, "/epoch"), number(status, "/epoch_seconds_left"));
    let documents = status.get("documents").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let is_listed = documents.iter().any(|of| of.as_u64() == Some(epoch));
    let documents = documents.iter().map(Value::to_string).collect::<Vec<_>>().join(", ");
    let consensus = match (is_listed, documents.is_empty()) {
        (true, _) => format!("listed; documents of epochs {documents}"),
        (false, true) => "no document lists this node".into(),
        (false, false) => format!("not listed in this epoch; documents of epochs {documents}"),
    };
    let published = status.get("published_epoch").and_then(Value::as_u64);
    vec![
        ("node", format!("{name}, version {version}, {state} for {} s", number(status, "/uptime_seconds"))),
        ("epoch", format!("{epoch}, {left} s to go")),
        ("consensus", consensus),
        ("published", published.map_or("nothing yet".into(), |epoch| format!("for epoch {epoch}"))),
    ]
}

fn data_plane(status: &Value) -> String {
    match status.pointer("/data_plane/process").and_then(Value::as_u64) {
        Some(process) => {
            let (shards, restarts) = (number(status, "/shards"), number(status, "/data_plane/restarts"));
            format!("process {process}, {shards} shards, {restarts} restarts")
        }
        None => "none is at work".into(),
    }
}

/// A row for each entry of a table that is worth one.
fn each(status: &Value, table: &str, name: &'static str, row: impl Fn(&str, &Value) -> Option<String>) -> Rows {
    let entries = status.get(table).and_then(Value::as_object).into_iter().flatten();
    entries.filter_map(|(key, value)| Some((name, row(key, value)?))).collect()
}

fn number(value: &Value, path: &str) -> u64 {
    value.pointer(path).and_then(Value::as_u64).unwrap_or_default()
}

/// PEERS.
pub fn peers(answer: &Value) -> String {
    let head = ["node", "way", "over", "state", "for", "last packet", "waiting", "passed", "too late", "dropped", ""];
    let rows = list(answer, "peers").map(|peer| {
        let waits = number(peer, "/queued").saturating_add(number(peer, "/sealed"));
        let (packets, late) = (number(peer, "/all/packets"), number(peer, "/all/too_late"));
        let ago = |ms: u64| format!("{} ago", short_time(ms));
        let last = peer.pointer("/last_packet_ms").and_then(Value::as_u64).map_or("none".into(), ago);
        let has_link = peer.get("state_ms").is_some();
        let or_nothing = |text: String| if has_link { text } else { String::new() };
        vec![
            name_of(peer, "/name", "/node"),
            word(peer, "/direction"),
            or_nothing(peer.get("transport").and_then(Value::as_str).map_or("-".into(), printable)),
            word(peer, "/state"),
            or_nothing(short_time(number(peer, "/state_ms"))),
            or_nothing(last),
            or_nothing(waits.to_string()),
            or_nothing(packets.to_string()),
            or_nothing(late.to_string()),
            or_nothing(number(peer, "/all/dropped").to_string()),
            remarks(peer),
        ]
    });
    table(&head, rows.collect())
}

/// What is to be said of a peer besides.
fn remarks(peer: &Value) -> String {
    let is = |path: &str| peer.pointer(path).and_then(Value::as_bool);
    let mut remarks = Vec::new();
    if is("/slow") == Some(true) {
        let (late, passed) = (number(peer, "/lately/too_late"), number(peer, "/lately/packets"));
        let stalled = number(peer, "/stalled_ms");
        remarks.push(match late {
            0 => format!("SLOW: has taken nothing for {}", short_time(stalled)),
            _ => format!("SLOW: {late} of {} packets of the last minute were too late", late.saturating_add(passed)),
        });
    }
    match number(peer, "/failures") {
        0 => {}
        failures => remarks.push(format!("{failures} dials or handshakes have failed")),
    }
    if is("/may_send") == Some(false) && word(peer, "/state") == "up" {
        remarks.push("no packets in this epoch".into());
    }
    remarks.join("; ")
}

/// KEYS.
pub fn keys(answer: &Value) -> String {
    let rows = list(answer, "keys").map(|key| {
        let (tags, percent) = (number(key, "/replay_tags"), number(key, "/replay_percent"));
        vec![number(key, "/epoch").to_string(), word(key, "/use"), tags.to_string(), format!("{percent} %")]
    });
    let mut text = table(&["epoch", "use", "packets seen", "replay set full"], rows.collect());
    let (next, seconds) = (number(answer, "/next/epoch"), number(answer, "/next/seconds_until_then"));
    let made_in = number(answer, "/next/made_in_epoch");
    text += &match seconds {
        0 => format!("the key of epoch {next} is made in this epoch, when the node publishes its descriptor\n"),
        _ => format!("the key of epoch {next} is made in epoch {made_in}, which begins in {seconds} s\n"),
    };
    text += match answer.get("locked_in_memory").and_then(Value::as_bool) {
        Some(true) => "locked in memory\n",
        Some(false) => "NOT locked in memory: they may be swapped out; raise the limit of locked memory\n",
        None => "",
    };
    if answer.get("kept_by_service_manager") == Some(&Value::Bool(true)) {
        text += "the service manager was given them, for a start after both processes have ended\n";
    }
    match answer.get("written_at_a_stop_to").and_then(Value::as_str) {
        Some(folder) => text += &format!("a clean stop writes them to {}\n", printable(folder)),
        None => text += "a stop forgets them (Server.PersistMixKeysOnShutdown is false)\n",
    }
    text
}

/// LOOPS.
pub fn loops(answer: &Value) -> String {
    if answer.get("sent_at_all") == Some(&Value::Bool(false)) {
        return "Debug.SendDecoyTraffic is false, so that the node sends no loops\n".into();
    }
    let mut rows: Vec<_> = list(answer, "loops")
        .map(|segment| {
            let (sent, back) = (number(segment, "/sent"), number(segment, "/completed"));
            let lost = if sent == 0 { 0.0 } else { 100.0 * sent.saturating_sub(back) as f64 / sent as f64 };
            vec![
                number(segment, "/epoch").to_string(),
                name_of(segment, "/from_name", "/from"),
                name_of(segment, "/to_name", "/to"),
                sent.to_string(),
                back.to_string(),
                format!("{lost:.1} %"),
            ]
        })
        .collect();
    rows.sort();
    table(&["epoch", "from", "to", "sent", "back", "lost"], rows) + "In the current epoch some are still under way.\n"
}

/// RELOAD, done or refused.
pub fn reload(answer: &Value) -> String {
    let changed = list(answer, "changed").map(|change| {
        format!("{}: {} instead of {}\n", word(change, "/key"), word(change, "/to"), word(change, "/from"))
    });
    let waiting = list(answer, "needs_restart")
        .map(|key| format!("{} has changed and needs a restart\n", printable(key.as_str().unwrap_or("?"))));
    let findings = list(answer, "findings").map(|finding| {
        let line = finding.get("line").and_then(Value::as_u64).map_or(String::new(), |line| format!(":{line}"));
        let mut text = format!("{}: {}{line}", word(finding, "/severity"), word(finding, "/file"));
        for (path, before) in [("/key", ": "), ("/problem", ": "), ("/remedy", "; ")] {
            let value = finding.pointer(path).and_then(Value::as_str).unwrap_or_default();
            if !value.is_empty() {
                text += &format!("{before}{}", printable(value));
            }
        }
        text + "\n"
    });
    let text: String = findings.chain(changed).chain(waiting).collect();
    match text.is_empty() {
        true => "the configuration says what it said before\n".into(),
        false => text,
    }
}

fn list<'a>(answer: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    answer.get(name).and_then(Value::as_array).into_iter().flatten()
}

fn word(value: &Value, path: &str) -> String {
    printable(value.pointer(path).and_then(Value::as_str).unwrap_or("?"))
}

/// A node's name, or the beginning of its id where nobody knows that.
fn name_of(value: &Value, name: &str, id: &str) -> String {
    value.pointer(name).and_then(Value::as_str).map_or_else(|| word(value, id), printable)
}

/// A time in the unit that fits.
fn short_time(ms: u64) -> String {
    match ms {
        0..10_000 => format!("{:.1} s", ms as f64 / 1000.0),
        10_000..7_200_000 => format!("{} s", ms / 1000),
        _ => format!("{} h", ms / 3_600_000),
    }
}

/// Columns below each other; the last one as long as it likes.
fn table(head: &[&str], rows: Vec<Vec<String>>) -> String {
    let head = head.iter().map(|name| (*name).to_owned()).collect();
    let lines: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
    let width = |column: usize| {
        lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..lines[0].len()).map(width).collect();
    let line = |cells: &Vec<String>| {
        let padded: Vec<_> = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("{}\n", padded.join("  ").trim_end())
    };
    lines.iter().map(line).collect()
}
