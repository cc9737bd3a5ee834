use super::*;
use proptest::prelude::*;
use std::net::{SocketAddrV4, SocketAddrV6};

const MACS: [Mac; 2] = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]];

/// The checksum as RFC 1071 has it in words: one 16-bit word at a time, first byte the higher one.
fn plain_checksum(bytes: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | pair.get(1).copied().map_or(0, u32::from);
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// A frame put together byte by byte, without anything of the module.
fn plain_frame(head: &Head, payload: &[u8]) -> Vec<u8> {
    let ecn = head.ecn.map_or(0, |ecn| ecn as u8);
    let udp_bytes = (payload.len() + 8) as u16;
    let mut pseudo = Vec::new();
    let mut ip = Vec::new();
    match (head.from, head.to) {
        (SocketAddr::V4(from), SocketAddr::V4(to)) => {
            ip.extend([0x45, ecn]);
            ip.extend((udp_bytes + 20).to_be_bytes());
            ip.extend([0, 0, 0x40, 0, head.hops, 17, 0, 0]);
            ip.extend(from.ip().octets());
            ip.extend(to.ip().octets());
            let checksum = plain_checksum(&ip).to_be_bytes();
            ip[10..12].copy_from_slice(&checksum);
            pseudo.extend(&ip[12..20]);
        }
        (SocketAddr::V6(from), SocketAddr::V6(to)) => {
            let label = head.flow_label & 0xf_ffff;
            ip.extend([0x60, ecn << 4 | (label >> 16) as u8, (label >> 8) as u8, label as u8]);
            ip.extend(udp_bytes.to_be_bytes());
            ip.extend([17, head.hops]);
            ip.extend(from.ip().octets());
            ip.extend(to.ip().octets());
            pseudo.extend(&ip[8..40]);
        }
        _ => panic!("two families"),
    }
    let mut udp = Vec::new();
    udp.extend(head.from.port().to_be_bytes());
    udp.extend(head.to.port().to_be_bytes());
    udp.extend(udp_bytes.to_be_bytes());
    udp.extend([0, 0]);
    udp.extend(payload);
    pseudo.extend([0, 17]);
    pseudo.extend(udp_bytes.to_be_bytes());
    pseudo.extend(&udp);
    let checksum = match plain_checksum(&pseudo) {
        0 => 0xffff,
        other => other,
    };
    udp[6..8].copy_from_slice(&checksum.to_be_bytes());
    let ethertype: [u8; 2] = if head.from.is_ipv4() { [8, 0] } else { [0x86, 0xdd] };
    [&head.destination_mac[..], &head.source_mac, &ethertype, &ip, &udp].concat()
}

fn built(head: &Head, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0xa5; head.bytes()];
    frame.extend(payload);
    assert!(head.write(&mut frame));
    frame
}

fn head(from: &str, to: &str, ecn: Option<Ecn>) -> Head {
    let [from, to] = [from, to].map(|text| text.parse().unwrap());
    Head { source_mac: MACS[0], destination_mac: MACS[1], from, to, ecn, hops: HOPS, flow_label: 0xf_1234 }
}

fn ipv4() -> Head {
    head("192.0.2.1:4433", "198.51.100.7:443", Some(Ecn::Ect0))
}

fn ipv6() -> Head {
    head("[2001:db8::1]:4433", "[2001:db8:1::7]:443", Some(Ecn::Ce))
}

fn answerable(from: SocketAddr) -> bool {
    from.port() != 0 && is_answerable(from.ip())
}

fn address(is_ipv4: bool) -> BoxedStrategy<SocketAddr> {
    if is_ipv4 {
        any::<(u32, u16)>().prop_map(|(ip, port)| SocketAddrV4::new(ip.into(), port).into()).boxed()
    } else {
        any::<(u128, u16)>().prop_map(|(ip, port)| SocketAddrV6::new(ip.into(), port, 0, 0).into()).boxed()
    }
}

fn heads() -> impl Strategy<Value = Head> {
    let addresses = any::<bool>().prop_flat_map(|is_ipv4| (address(is_ipv4), address(is_ipv4)));
    let rest = any::<(Mac, Mac, u8, u8, u32)>();
    (addresses, rest).prop_map(|((from, to), (source_mac, destination_mac, ecn, hops, flow_label))| Head {
        source_mac,
        destination_mac,
        from,
        to,
        ecn: Ecn::from_bits(ecn),
        hops,
        flow_label,
    })
}

proptest! {
    #[test]
    fn frames_are_those_of_a_plain_reference(head in heads(), payload in prop::collection::vec(any::<u8>(), 0..1600)) {
        prop_assert_eq!(built(&head, &payload), plain_frame(&head, &payload));
    }

    #[test]
    fn what_is_built_is_read_again(
        head in heads(),
        payload in prop::collection::vec(any::<u8>(), 0..200),
        padding in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut frame = built(&head, &payload);
        frame.extend(padding);
        let parsed = parse(&frame, UdpChecksum::Verified);
        if !answerable(head.from) {
            prop_assert_eq!(parsed, Err(NotOurs::Unanswerable));
        } else {
            let parsed = parsed.unwrap();
            prop_assert_eq!(&frame[parsed.payload.clone()], &payload[..]);
            let expected = (head.source_mac, head.from, head.to, head.ecn);
            prop_assert_eq!((parsed.source_mac, parsed.from, parsed.to, parsed.ecn), expected);
        }
    }

    #[test]
    fn what_was_changed_is_noticed(bit in 0..(42 + 30) * 8_usize) {
        let good = built(&ipv4(), b"a datagram of thirty bytes ...");
        let mut frame = good.clone();
        frame[bit / 8] ^= 1 << (bit % 8);
        let parsed = parse(&frame, UdpChecksum::Verified);
        match bit / 8 {
            // The addresses of Ethernet have no checksum here: the wire has its own.
            0..12 => prop_assert!(parsed.is_ok()),
            _ => prop_assert!(parsed.is_err(), "{:?}", parsed),
        }
    }

    #[test]
    fn hostile_bytes_never_panic(mut frame in prop::collection::vec(any::<u8>(), 0..120), kind in 0..4) {
        if frame.len() > 24 && kind > 0 {
            let ethertype: [u8; 2] = if kind == 1 { [8, 0] } else { [0x86, 0xdd] };
            frame[12..14].copy_from_slice(&ethertype);
            frame[14] = if kind == 1 { 0x45 } else { 0x60 };
            frame[if kind == 1 { 23 } else { 20 }] = 17;
        }
        for checksum in [UdpChecksum::Verified, UdpChecksum::Ignored] {
            if let Ok(parsed) = parse(&frame, checksum) {
                prop_assert!(parsed.payload.end <= frame.len());
                prop_assert!(parsed.payload.start <= parsed.payload.end);
            }
        }
    }

    #[test]
    fn a_frame_cut_short_is_refused(cut in 0..92_usize) {
        let whole = built(&ipv6(), b"a datagram of thirty bytes ...");
        prop_assert_eq!(whole.len(), 92);
        prop_assert_eq!(parse(&whole[..cut], UdpChecksum::Ignored), Err(NotOurs::Short));
    }

    #[test]
    fn sums_do_not_depend_on_the_pieces(bytes in prop::collection::vec(any::<u8>(), 0..300), at in 0..150_usize) {
        let (first, second) = bytes.split_at((at * 2).min(bytes.len() / 2 * 2));
        let sum = Sum::default().with(first).with(second);
        prop_assert_eq!(sum.checksum(), plain_checksum(&bytes).to_be_bytes());
    }
}

/// The example that stands in every text on the subject.
#[test]
fn the_checksum_of_a_known_header() {
    let header = [0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0xb8, 0x61, 0xc0, 0xa8, 0, 1, 0xc0, 0xa8, 0, 0xc7];
    assert!(Sum::default().with(&header).is_complete());
    let mut without = header;
    without[10..12].fill(0);
    assert_eq!(Sum::default().with(&without).checksum(), [0xb8, 0x61]);
}

#[test]
fn what_the_kernel_shall_have_is_told_apart() {
    let change = |frame: &[u8], changes: &[(usize, u8)]| {
        let mut frame = frame.to_vec();
        changes.iter().for_each(|&(at, byte)| frame[at] = byte);
        frame[24..26].fill(0);
        let checksum = plain_checksum(&frame[14..34]).to_be_bytes();
        frame[24..26].copy_from_slice(&checksum);
        parse(&frame, UdpChecksum::Ignored)
    };
    let v4 = built(&ipv4(), b"payload");
    assert!(change(&v4, &[]).is_ok());
    assert_eq!(change(&v4, &[(12, 0x81), (13, 0)]), Err(NotOurs::OtherEthertype));
    assert_eq!(change(&v4, &[(12, 8), (13, 6)]), Err(NotOurs::OtherEthertype));
    assert_eq!(change(&v4, &[(14, 0x46)]), Err(NotOurs::OtherHeader));
    assert_eq!(change(&v4, &[(14, 0x65)]), Err(NotOurs::OtherHeader));
    assert_eq!(change(&v4, &[(20, 0x20)]), Err(NotOurs::Fragment));
    assert_eq!(change(&v4, &[(21, 1)]), Err(NotOurs::Fragment));
    assert_eq!(change(&v4, &[(23, 6)]), Err(NotOurs::OtherProtocol));
    let v6 = built(&ipv6(), b"payload");
    for (at, byte, reason) in [(14, 0x45, NotOurs::OtherHeader), (20, 44, NotOurs::OtherProtocol)] {
        let mut frame = v6.clone();
        frame[at] = byte;
        assert_eq!(parse(&frame, UdpChecksum::Ignored), Err(reason));
    }
    let mut lying = v6.clone();
    lying[58..60].copy_from_slice(&7_u16.to_be_bytes());
    assert_eq!(parse(&lying, UdpChecksum::Ignored), Err(NotOurs::Short));
    lying[58..60].copy_from_slice(&16_u16.to_be_bytes());
    assert_eq!(parse(&lying, UdpChecksum::Ignored), Err(NotOurs::Short));
}

#[test]
fn no_checksum_is_good_over_ipv4_only() {
    for (head, at, is_good) in [(ipv4(), 40, true), (ipv6(), 60, false)] {
        let mut frame = built(&head, b"payload");
        frame[at..at + 2].fill(0);
        assert_eq!(parse(&frame, UdpChecksum::Verified).is_ok(), is_good);
        // What a kernel has not finished.
        frame[at..at + 2].copy_from_slice(&[0x12, 0x34]);
        assert_eq!(parse(&frame, UdpChecksum::Verified), Err(NotOurs::Checksum));
        assert!(parse(&frame, UdpChecksum::Ignored).is_ok());
    }
}

/// A computed checksum of zero would say that there is none.
#[test]
fn a_checksum_of_zero_is_sent_as_all_ones() {
    let head = ipv4();
    let found = (0..=u16::MAX).find(|word| {
        let frame = built(&head, &word.to_be_bytes());
        frame[40..42] == [0xff, 0xff]
    });
    let frame = built(&head, &found.expect("one of all words").to_be_bytes());
    assert!(parse(&frame, UdpChecksum::Verified).is_ok());
}

#[test]
fn nobody_answers_a_group_or_nobody() {
    for from in ["224.0.0.1:1", "255.255.255.255:1", "127.0.0.1:1", "0.0.0.0:1", "0.1.2.3:1", "192.0.2.1:0"] {
        let frame = built(&head(from, "192.0.2.9:443", None), b"x");
        assert_eq!(parse(&frame, UdpChecksum::Verified), Err(NotOurs::Unanswerable), "{from}");
    }
    for from in ["[ff02::1]:1", "[::1]:1", "[::]:1", "[::ffff:192.0.2.1]:1", "[2001:db8::1]:0"] {
        let frame = built(&head(from, "[2001:db8::9]:443", None), b"x");
        assert_eq!(parse(&frame, UdpChecksum::Verified), Err(NotOurs::Unanswerable), "{from}");
    }
}

#[test]
fn what_cannot_be_written_is_said() {
    for head in [ipv4(), ipv6()] {
        assert!(!head.write(&mut vec![0; head.bytes() - 1]));
        assert!(head.write(&mut vec![0; head.bytes()]));
        assert!(!head.write(&mut vec![0; 14 + 65_536]));
        assert!(head.write(&mut vec![0; 14 + 65_535]));
    }
    let mixed = Head { from: ipv4().from, to: ipv6().to, ..ipv4() };
    assert!(!mixed.write(&mut [0; 200]));
    let mixed = Head { from: ipv6().from, to: ipv4().to, ..ipv4() };
    assert!(!mixed.write(&mut [0; 200]));
}
