//! The node's own account of its packets, read from its metrics.

#[cfg(test)]
mod tests;

use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const SCRAPE_LIMIT: Duration = Duration::from_secs(5);

/// Where a packet leaves the account when it has come out of the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// To a next hop.
    Sent,
    /// To a user.
    Delivered,
}

/// What the node says has become of its packets: received + originated = sent + delivered + dropped + held + lost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NodeAccount {
    /// From peers.
    pub received: u64,
    /// Made by itself.
    pub originated: u64,
    /// To next hops.
    pub sent: u64,
    /// Ended there as they should.
    pub delivered: u64,
    /// Dropped, by reason; those without a packet are left out.
    pub dropped: BTreeMap<String, u64>,
    /// Inside now.
    pub held: u64,
    /// Held by a data plane that ended unexpectedly.
    pub lost_in_restart: u64,
}

/// What the node says of its datagrams past the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Frames {
    /// Datagrams that came in frames.
    pub arrived: u64,
    /// Datagrams that left in frames.
    pub left: u64,
    /// Trains of datagrams that left through the kernel.
    pub kernel: u64,
    /// Frames that were lost for want of room, in either direction.
    pub lost: u64,
}

impl Frames {
    /// Reads them from a text in the Prometheus format; none where all are 0.
    pub fn parse(text: &str) -> Option<Self> {
        let mut frames = Self::default();
        for (name, labels, value) in samples(text) {
            let sum = match (name, label(labels, "event")) {
                ("katzensprung_xdp_datagrams_total", Some("arrived")) => &mut frames.arrived,
                ("katzensprung_xdp_datagrams_total", Some("left")) => &mut frames.left,
                ("katzensprung_xdp_datagrams_total", Some("kernel")) => &mut frames.kernel,
                ("katzensprung_xdp_datagrams_total", Some("dropped" | "no_frame")) => &mut frames.lost,
                _ => continue,
            };
            *sum += value as u64;
        }
        (frames != Self::default()).then_some(frames)
    }
}

impl NodeAccount {
    /// Reads the account from the node's metrics.
    pub fn scrape(address: SocketAddr) -> Result<Self, String> {
        Self::parse(&metrics(address)?)
    }

    /// Reads the account from a text in the Prometheus format.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut account = Self::default();
        let mut seen_received = false;
        for (name, labels, value) in samples(text) {
            let sum = match name {
                "katzensprung_packets_received_total" => {
                    seen_received = true;
                    &mut account.received
                }
                "katzensprung_packets_originated_total" => &mut account.originated,
                "katzensprung_packets_sent_total" => &mut account.sent,
                "katzensprung_packets_delivered_total" => &mut account.delivered,
                "katzensprung_packets_held" => &mut account.held,
                "katzensprung_packets_lost_in_restart_total" => &mut account.lost_in_restart,
                "katzenpost_dropped_reason_total" if value > 0.0 => {
                    let reason = label(labels, "reason").unwrap_or("without a reason");
                    account.dropped.entry(reason.into()).or_default()
                }
                _ => continue,
            };
            *sum += value as u64;
        }
        if seen_received { Ok(account) } else { Err("the metrics lack katzensprung_packets_received_total".into()) }
    }

    /// Whether the node's account adds up, and is what the rig counted at both ends.
    pub fn is_balanced(&self, rig_sent: u64, rig_received: u64, exit: Exit) -> bool {
        self.adds_up() && self.received == rig_sent && self.came_out(exit) == rig_received
    }

    /// Packets that have come out.
    pub fn came_out(&self, exit: Exit) -> u64 {
        match exit {
            Exit::Sent => self.sent,
            Exit::Delivered => self.delivered,
        }
    }

    /// Packets that the node has dropped, for whatever reason.
    pub fn dropped_in_all(&self) -> u64 {
        self.dropped.values().sum()
    }

    /// Whether every packet is somewhere.
    pub fn adds_up(&self) -> bool {
        let dropped = self.dropped_in_all();
        self.received + self.originated == self.sent + self.delivered + dropped + self.held + self.lost_in_restart
    }
}

/// Name, labels and value of each sample in a text in the Prometheus format.
pub fn samples(text: &str) -> impl Iterator<Item = (&str, &str, f64)> {
    text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        Some((name, labels, value.parse().ok()?))
    })
}

/// The value of a label.
pub fn label<'a>(labels: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = labels.split_once(&format!("{name}=\""))?;
    rest.split_once('"').map(|(value, _)| value)
}

/// The node's metrics as they are now.
pub fn metrics(address: SocketAddr) -> Result<String, String> {
    get(address, "/metrics").map_err(|error| format!("metrics: {error}"))
}

fn get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, SCRAPE_LIMIT)?;
    stream.set_read_timeout(Some(SCRAPE_LIMIT))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
