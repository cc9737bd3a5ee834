//! What a node tells of what carries its links, in a network in which some members are reached over TCP, some over QUIC and
//! some over both.

use super::{LONG, SOON, nobody_is_left};
use crate::hosts::metric;
use crate::support::program::{finish, finish_within, program};
use crate::support::wait_for;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

/// What `testnet.json` says of a member.
struct Member {
    role: String,
    transports: Vec<String>,
    metrics: SocketAddr,
}

impl Member {
    fn counted(&self, sample: &str) -> u64 {
        metric(self.metrics, sample).unwrap_or_else(|| panic!("{sample} at {}", self.metrics)) as u64
    }
}

fn members(folder: &Path) -> BTreeMap<String, Member> {
    let text = fs::read_to_string(folder.join("testnet.json")).unwrap();
    let network: Value = serde_json::from_str(&text).unwrap();
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let member = |member: &Value| {
        let transports = member["transports"].as_array().unwrap().iter().map(word).collect();
        let metrics = format!("{}:{}", word(&member["host"]), member["metrics_port"]).parse().unwrap();
        (word(&member["name"]), Member { role: word(&member["role"]), transports, metrics })
    };
    network["members"].as_array().unwrap().iter().map(member).collect()
}

fn asked(folder: &Path, name: &str, words: &[&str]) -> String {
    let socket = folder.join(name).join("management_sock");
    finish(program().args(["ctl", "--socket"]).arg(socket).arg("PEERS").args(words)).succeeded()
}

/// The links of a node that are up.
fn links(folder: &Path, name: &str) -> Vec<Value> {
    let answer: Value = serde_json::from_str(&asked(folder, name, &["--json"])).unwrap();
    let links = answer["peers"].as_array().unwrap().iter().filter(|link| link["state"] == "up");
    links.cloned().collect()
}

/// Checks the links of a node, and what it has counted; gives how many links are over QUIC.
fn check(folder: &Path, members: &BTreeMap<String, Member>, name: &str) -> usize {
    let node = &members[name];
    let links = links(folder, name);
    assert!(!links.is_empty(), "{name} has no link");
    for link in &links {
        // The side that is dialled says over what it can be reached.
        let dialled = if link["direction"] == "outgoing" { link["name"].as_str().unwrap() } else { name };
        let over = link["transport"].as_str().unwrap();
        assert!(members[dialled].transports.iter().any(|transport| transport == over), "{name}: {link}");
    }
    let is_over_quic = |link: &&Value| link["transport"] == "quic";
    let (over_quic, text) = (links.iter().filter(is_over_quic).count(), asked(folder, name, &[]));
    for over in ["tcp", "quic"] {
        let has_one = links.iter().any(|link| link["transport"] == over);
        let lines = text.lines().filter(|line| line.split_whitespace().any(|word| word == over)).count();
        assert_eq!(lines > 0, has_one, "{name}:\n{text}");
    }
    let accepted = node.counted("katzensprung_quic_arrivals_total{outcome=\"accepted\"}");
    let has_come = links.iter().filter(is_over_quic).filter(|link| link["direction"] == "incoming").count() as u64;
    assert!(accepted >= has_come, "{name}: {accepted} of {has_come}");
    if !node.transports.iter().any(|transport| transport == "quic") {
        assert_eq!(accepted, 0, "{name} does not listen for QUIC");
    }
    over_quic
}

#[test]
fn each_node_says_what_carries_its_links_and_counts_who_comes_over_quic() {
    let outside = tempfile::tempdir().unwrap();
    let folder = outside.path().join("network");
    let command = |words: &[&str]| {
        finish_within(program().arg("testnet").args(words).arg("--dir").arg(&folder), LONG).succeeded()
    };
    command(&["start", "--transport", "mixed"]);
    command(&["wait"]);
    command(&["ping", "--pings", "5"]);
    let members = members(&folder);
    let nodes: Vec<_> = members.iter().filter(|(_, member)| member.role != "authority").collect();
    let mut over_quic = 0;
    for (name, node) in &nodes {
        over_quic += check(&folder, &members, name);
        // A gateway has clients besides.
        if node.role != "gateway" {
            wait_for("as many connections as links over QUIC", SOON, || {
                let links = links(&folder, name).iter().filter(|link| link["transport"] == "quic").count();
                (node.counted("katzensprung_quic_connections") == links as u64).then_some(())
            });
        }
    }
    assert!(over_quic >= 2, "{over_quic} ends of links over QUIC");
    command(&["stop"]);
    nobody_is_left(&folder);
}
