use super::*;
use crate::SocketId;

fn addresses() -> [SocketAddr; 3] {
    ["192.0.2.7:4321", "[2001:db8::7]:65535", "[fe80::1%9]:1"].map(|text| text.parse().expect("an address"))
}

fn train(to: SocketAddr, from: Option<IpAddr>) -> Train {
    Train { socket: SocketId(0), to, from, ecn: Some(Ecn::Ect0), segment_bytes: 1200 }
}

#[test]
fn addresses_come_back_as_they_were() {
    for address in addresses() {
        let mut name = [0xff; NAME_BYTES];
        let length = write_name(address, &mut name);
        assert_eq!(read_name(&name[..length]), Some(address));
        for short in 0..length {
            assert!(read_name(&name[..short]).is_none_or(|read| read.is_ipv4()), "{short} of {length} bytes");
        }
    }
    assert_eq!(read_name(&[0; NAME_BYTES]), None, "no address of the internet");
}

/// The kernel takes and gives the same messages but for the size of segments and the place of IPv4's address.
#[test]
fn what_is_said_of_a_train_is_read_again() {
    let [v4, v6, _] = addresses();
    let mut control = Control::default();
    let length = write(&train(v6, Some(v6.ip())), 2400, &mut control);
    let said = read(&control.0[..length]);
    assert_eq!((said.to, said.ecn, said.segment_bytes, said.time), (Some(v6.ip()), Some(Ecn::Ect0), None, None));
    let sent: Vec<_> = kinds(&control.0[..length]);
    assert_eq!(sent[0], (libc::SOL_UDP, libc::UDP_SEGMENT));
    let length = write(&train(v4, None), 1200, &mut control);
    assert_eq!(kinds(&control.0[..length]), [(libc::IPPROTO_IP, libc::IP_TOS)], "one datagram is not cut up");
}

fn kinds(mut control: &[u8]) -> Vec<(i32, i32)> {
    let mut found = Vec::new();
    while let Some((level, kind, _, after)) = first(control) {
        found.push((level, kind));
        control = after;
    }
    found
}

#[test]
fn nothing_that_could_stand_there_is_read_past_its_end() {
    let [_, v6, _] = addresses();
    let mut control = Control::default();
    let length = write(&train(v6, Some(v6.ip())), 2400, &mut control);
    for end in 0..=length {
        read(&control.0[..end]);
    }
    for value in [0usize, 1, 15, 16, 17, 300, usize::MAX] {
        control.0[..8].copy_from_slice(&value.to_ne_bytes());
        read(&control.0[..length]);
    }
    assert_eq!(read(&[]), Said::default());
}
