//! Frames of Ethernet, as AF_XDP and DPDK hand them over.

use crate::{Target, Verdict};
use datagram::Ecn;
use datagram::frame::{self, Frame, HOPS, Head, Mac, UdpChecksum};
use dpdk_link::{Neighbours, Network};
use std::net::IpAddr;
use wire::Instant;

/// A frame that anybody on the wire, or far behind it, may have made.
pub const FRAME: Target = Target { name: "datagram_frame", run: parse, seeds };

/// What anybody on the wire says of addresses to a card without a kernel.
pub const NEIGHBOURS: Target = Target { name: "dpdk_neighbours", run: hear, seeds: questions };

const OWN_MAC: Mac = [2, 0, 0, 0, 0, 1];
const OTHER_MAC: Mac = [2, 0, 0, 0, 0, 9];

fn host(last: u8, mac: Mac) -> Neighbours {
    let v4 = IpAddr::from([192, 0, 2, last]);
    let v6 = IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(last)]);
    Neighbours::new(Network { addresses: vec![(v4, 24), (v6, 64)], next_hops: Vec::new(), fixed: Vec::new() }, mac)
}

/// What the other host asks, and what it answers.
fn questions() -> Vec<Vec<u8>> {
    let (mut own, mut other) = (host(1, OWN_MAC), host(9, OTHER_MAC));
    let mut seeds = Vec::new();
    for [to, back] in [["192.0.2.1", "192.0.2.9"], ["2001:db8::1", "2001:db8::9"]] {
        other.find(to.parse().expect("an address"), Instant(0), |question| seeds.push(question.to_vec()));
        let mut question = Vec::new();
        own.find(back.parse().expect("an address"), Instant(0), |frame| question.extend(frame));
        other.heard(&question, Instant(0), |answer| seeds.push(answer.to_vec()));
    }
    seeds
}

fn hear(data: &[u8]) -> Verdict {
    let mut own = host(1, OWN_MAC);
    let mut answer = Vec::new();
    let is_known = own.heard(data, Instant(0), |frame| answer.extend(frame));
    for address in ["192.0.2.1", "2001:db8::1"] {
        // Whatever anybody says, nobody else has our addresses.
        let mac = own.find(address.parse().expect("an address"), Instant(0), |_| ());
        assert_eq!(mac, None, "{address} is ours");
    }
    if !answer.is_empty() {
        let mut other = host(9, OTHER_MAC);
        assert!(
            other.heard(&answer, Instant(0), |_| panic!("an answer to an answer")),
            "what we have written ourselves"
        );
    }
    if is_known { Verdict::Accepted } else { Verdict::Refused }
}

fn head(from: &str, to: &str, ecn: Option<Ecn>) -> Head {
    let [from, to] = [from, to].map(|text| text.parse().expect("an address"));
    Head { source_mac: [2; 6], destination_mac: [4; 6], from, to, ecn, hops: HOPS, flow_label: 7 }
}

fn write(head: &Head, payload: &[u8]) -> Vec<u8> {
    let mut written = vec![0; head.bytes()];
    written.extend(payload);
    assert!(head.write(&mut written), "no room");
    written
}

fn seeds() -> Vec<Vec<u8>> {
    let v4 = head("192.0.2.1:4433", "198.51.100.7:443", Some(Ecn::Ect0));
    let v6 = head("[2001:db8::1]:4433", "[2001:db8:1::7]:443", None);
    [v4, v6].iter().flat_map(|head| [write(head, b""), write(head, &[0x5a; 100])]).collect()
}

fn parse(data: &[u8]) -> Verdict {
    let strict = frame::parse(data, UdpChecksum::Verified);
    let parsed = frame::parse(data, UdpChecksum::Ignored);
    assert!(strict.is_err() || strict == parsed, "another frame with the checksum verified");
    let Ok(Frame { source_mac, from, to, ecn, payload }) = parsed else { return Verdict::Refused };
    let payload = data.get(payload).expect("a part of the frame");
    let head = Head { source_mac, destination_mac: [4; 6], from, to, ecn, hops: HOPS, flow_label: 0 };
    let written = write(&head, payload);
    let again = frame::parse(&written, UdpChecksum::Verified).expect("what we have written ourselves");
    assert_eq!((again.from, again.to, again.ecn), (from, to, ecn));
    assert_eq!(&written[again.payload], payload);
    Verdict::Accepted
}
