//! Frames of Ethernet, as AF_XDP and DPDK hand them over.

use crate::{Target, Verdict};
use datagram::Ecn;
use datagram::frame::{self, Frame, HOPS, Head, UdpChecksum};

/// A frame that anybody on the wire, or far behind it, may have made.
pub const FRAME: Target = Target { name: "datagram_frame", run: parse, seeds };

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
