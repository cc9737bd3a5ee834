//! The other half of every backend, over the kernel's sockets.

use super::*;
use crate::io::driver::Backend as _;
use datagram::udp::{bind, local_address};
use datagram::{Datagrams, Ecn, SocketId, Train};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

/// Both halves.
trait Both: Io + Datagrams {}
impl<T: Io + Datagrams> Both for T {}

/// Runs one shard on this thread until `round` gives none, and for a minute at most.
fn run(backend: Backend, listeners: Vec<OwnedFd>, mut round: impl FnMut(&mut dyn Both) -> Option<Next> + 'static) {
    let start = std::time::Instant::now();
    let mut round = move |io: &mut dyn Both| {
        while io.next_event().is_some() {}
        assert!(start.elapsed() < Duration::from_secs(60), "{backend:?}: it does not happen");
        round(io)
    };
    let (choice, _) = Choice::make(backend, 1, Clock::start()).expect("it was tried");
    let ended = match choice {
        Choice::Uring(fabric) => Arc::new(fabric).run(0, listeners, move |io| round(io)),
        Choice::Epoll(fabric) => Arc::new(fabric).run(0, listeners, move |io| round(io)),
        Choice::Glommio(fabric) => Arc::new(fabric).run(0, listeners, move |io| round(io)),
    };
    ended.unwrap_or_else(|error| panic!("{backend:?}: {error}"));
}

/// Runs `case` on each backend and over both families, with a socket for others to reach.
fn on_each_family(case: impl Fn(Backend, OwnedFd)) {
    on_each(|backend| {
        for address in [(Ipv4Addr::LOCALHOST, 0).into(), SocketAddr::from((Ipv6Addr::LOCALHOST, 0))] {
            match bind(address, true) {
                Ok(socket) => case(backend, socket),
                Err(error) => testhost::lacks("ipv6", error),
            }
        }
    });
}

/// The bytes of a train, each datagram with its number.
fn bytes_of(train: u32, segments: usize, segment_bytes: usize, last_bytes: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for segment in 0..segments {
        let count = if segment + 1 == segments { last_bytes } else { segment_bytes };
        let mut datagram = vec![(train + segment as u32) as u8; count];
        let number = (train << 8 | segment as u32).to_be_bytes();
        datagram.iter_mut().zip(number.iter().rev()).for_each(|(byte, part)| *byte = *part);
        bytes.extend_from_slice(&datagram);
    }
    bytes
}

/// Sends what no train of the kernel holds, and what one does.
const SHAPES: [(usize, usize, usize); 6] =
    [(1, 1200, 1200), (1, 60, 60), (54, 1200, 1200), (44, 1452, 1000), (10, 1452, 1452), (3, 1200, 1)];

#[test]
fn trains_arrive_whole_in_order_and_with_their_bits() {
    on_each_family(|backend, listener| {
        let to = local_address(&listener).expect("a bound socket");
        let (mut sent, mut came, mut merged) = (Vec::new(), Vec::new(), 0);
        run(backend, vec![listener], move |io| {
            if sent.is_empty() {
                assert!(io.sockets()[0].is_listener && io.sockets()[0].local == to);
                let socket = io.open(to.is_ipv6()).expect("a socket");
                assert!(!io.sockets()[1].is_listener && socket == SocketId(1));
                for (number, (segments, segment_bytes, last_bytes)) in (0..).zip(SHAPES) {
                    let bytes = bytes_of(number, segments, segment_bytes, last_bytes);
                    let ecn = [None, Some(Ecn::Ect0), Some(Ecn::Ect1), Some(Ecn::Ce)][number as usize % 4];
                    assert!(io.room() > 0);
                    let mut buffer = io.buffer();
                    buffer.extend_from_slice(&bytes);
                    io.transmit(Train { socket, to, from: None, ecn, segment_bytes }, buffer);
                    let sizes = bytes.chunks(segment_bytes).map(|datagram| (datagram.to_vec(), ecn));
                    sent.extend(sizes);
                }
            }
            let can_merge = io.segments_max() > 1;
            while let Some(arrived) = io.next_train() {
                assert_eq!((arrived.socket, arrived.to), (SocketId(0), Some(to.ip())));
                assert_eq!(arrived.from.ip(), to.ip());
                let datagrams = arrived.bytes.chunks(arrived.segment_bytes);
                merged = merged.max(datagrams.len());
                came.extend(datagrams.map(|datagram| (datagram.to_vec(), arrived.ecn)));
            }
            if came.len() < sent.len() {
                return Some(Next::ParkUntil(io.now() + Duration::from_millis(100)));
            }
            assert!(came == sent, "{backend:?}: not what was sent");
            assert!(!can_merge || merged == 54, "{backend:?}: at most {merged} at once");
            assert_eq!(io.lost(), 0);
            None
        });
    });
}

#[test]
fn a_listener_at_all_addresses_answers_from_the_one_it_was_asked_at() {
    on_each(|backend| {
        let asked = [
            (IpAddr::from(Ipv4Addr::UNSPECIFIED), IpAddr::from(Ipv4Addr::new(127, 3, 2, 1))),
            (Ipv6Addr::UNSPECIFIED.into(), Ipv6Addr::LOCALHOST.into()),
        ];
        for (any, asked) in asked {
            let Ok(listener) = bind((any, 0).into(), true) else {
                testhost::lacks("ipv6", "no socket");
                continue;
            };
            let port = local_address(&listener).expect("a bound socket").port();
            let client = if asked.is_ipv6() { "[::1]:0" } else { "127.0.0.1:0" };
            let client = UdpSocket::bind(client).expect("a socket");
            client.send_to(b"question", (asked, port)).expect("sent");
            client.set_nonblocking(true).expect("a socket");
            run(backend, vec![listener], move |io| {
                let question = io.next_train().map(|arrived| {
                    assert_eq!((&*arrived.bytes, arrived.ecn), (&b"question"[..], None));
                    let Some(to) = arrived.to else { panic!("{backend:?}: nobody says where it was asked") };
                    Train { socket: arrived.socket, to: arrived.from, from: Some(to), ecn: None, segment_bytes: 6 }
                });
                if let Some(train) = question {
                    io.transmit(train, b"answer".to_vec());
                }
                match client.recv_from(&mut [0; 9]) {
                    Ok((count, from)) => {
                        assert_eq!((count, from), (6, (asked, port).into()));
                        None
                    }
                    Err(_) => Some(Next::ParkUntil(io.now() + Duration::from_millis(5))),
                }
            });
        }
    });
}

#[test]
fn what_finds_no_room_is_counted_and_nothing_hangs() {
    on_each_family(|backend, listener| {
        let to = local_address(&listener).expect("a bound socket");
        let (mut rounds, mut came) = (0, 0);
        run(backend, vec![listener], move |io| {
            rounds += 1;
            if rounds == 1 {
                let socket = io.open(to.is_ipv6()).expect("a socket");
                // Nobody asks for room, and nobody reads: 24 MB.
                for _ in 0..400 {
                    io.transmit(Train { socket, to, from: None, ecn: None, segment_bytes: 1000 }, vec![1; 60_000]);
                }
            }
            while let Some(arrived) = io.next_train() {
                came += arrived.bytes.len() / 1000;
                if arrived.bytes[0] == 2 {
                    assert!(came > 60 && came < 400 * 60, "{backend:?}: {came} came");
                    assert!(io.lost() > 0, "{backend:?}: {came} came, and nothing is lost");
                    return None;
                }
            }
            if rounds > 10 {
                let train = Train { socket: SocketId(1), to, from: None, ecn: None, segment_bytes: 1000 };
                io.transmit(train, vec![2; 1000]);
            }
            Some(Next::ParkUntil(io.now() + Duration::from_millis(2)))
        });
    });
}

#[test]
fn nobody_at_the_other_end_is_fatal_for_no_socket() {
    on_each_family(|backend, listener| {
        let to = local_address(&listener).expect("a bound socket");
        let nobody = local_address(bind((to.ip(), 0).into(), false).expect("a port")).expect("a bound socket");
        let mut rounds = 0;
        run(backend, vec![listener], move |io| {
            rounds += 1;
            let socket = if rounds == 1 { io.open(to.is_ipv6()).expect("a socket") } else { SocketId(1) };
            let train = |to| Train { socket, to, from: None, ecn: None, segment_bytes: 1000 };
            io.transmit(train(nobody), vec![1; 3000]);
            io.transmit(train(SocketAddr::new(to.ip(), 0)), vec![1; 3000]);
            // Larger than any packet.
            io.transmit(Train { segment_bytes: 70_000, ..train(to) }, vec![1; 70_000]);
            io.transmit(train(to), Vec::new());
            if rounds > 20 {
                io.transmit(train(to), vec![2; 1000]);
            }
            let came = io.next_train().map(|arrived| arrived.bytes.to_vec());
            came.is_none_or(|bytes| bytes != [2; 1000]).then(|| Next::ParkUntil(io.now() + Duration::from_millis(1)))
        });
    });
}

#[test]
fn an_idle_shard_sleeps_and_a_datagram_wakes_it() {
    on_each_family(|backend, listener| {
        let to = local_address(&listener).expect("a bound socket");
        let (rounds, heard) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (counted, noted) = (rounds.clone(), heard.clone());
        let shard = std::thread::spawn(move || {
            run(backend, vec![listener], move |io| {
                counted.fetch_add(1, Ordering::SeqCst);
                let mut is_over = false;
                while let Some(arrived) = io.next_train() {
                    is_over |= arrived.bytes == b"end";
                    noted.fetch_add(1, Ordering::SeqCst);
                }
                (!is_over).then_some(Next::ParkUntil(Instant::NEVER))
            });
        });
        let client = UdpSocket::bind((to.ip(), 0)).expect("a socket");
        for number in 1..=50 {
            client.send_to(b"", to).expect("sent");
            client.send_to(b"wake up", to).expect("sent");
            assert!(reaches(&heard, number), "{backend:?} sleeps on");
        }
        std::thread::sleep(Duration::from_millis(100));
        let before = count(&rounds);
        std::thread::sleep(Duration::from_millis(500));
        let idle = count(&rounds) - before;
        client.send_to(b"end", to).expect("sent");
        shard.join().expect("no panic");
        assert!(idle <= 3, "{backend:?}: {idle} rounds without work");
    });
}

#[test]
fn a_datagram_counts_from_when_it_came_and_not_from_when_it_was_read() {
    on_each_family(|backend, listener| {
        let to = local_address(&listener).expect("a bound socket");
        let client = UdpSocket::bind((to.ip(), 0)).expect("a socket");
        let (mut sent, mut tries) = (None::<(Instant, Instant)>, 0);
        run(backend, vec![listener], move |io| {
            let came = io.next_train().map(|arrived| arrived.at);
            if let (Some(at), Some((before, after))) = (came, sent) {
                assert!(at >= before, "{backend:?}: counts from before it was sent");
                if at <= after {
                    return None;
                }
                // The host was busy elsewhere for a while.
                assert!(tries < 1000, "{backend:?}: counts from when it was read");
                sent = None;
            }
            if sent.is_none() {
                tries += 1;
                let before = io.now();
                client.send_to(b"bytes", to).expect("sent");
                sent = Some((before, io.now()));
                std::thread::sleep(Duration::from_micros(250));
            }
            Some(Next::Busy)
        });
    });
}

/// What is mapped after a shard is gone takes the place of its buffers if these are not kept.
#[test]
fn the_end_of_a_shard_frees_nothing_that_the_kernel_still_fills() {
    const MAPS: usize = 64;
    const MAP_BYTES: usize = 2 << 20;
    on_each_family(|backend, listener| {
        let to = local_address(&listener).expect("a bound socket");
        let ending = Arc::new(AtomicBool::new(false));
        let is_over = ending.clone();
        let flood = std::thread::spawn(move || {
            let client = UdpSocket::bind((to.ip(), 0)).expect("a socket");
            while !is_over.load(Ordering::SeqCst) {
                // Refused once the shard is gone.
                let _sent = client.send_to(&[0xa5; 1200], to);
            }
        });
        let mut rounds = 0;
        run(backend, vec![listener], move |io| {
            rounds += 1;
            if rounds == 1 {
                io.open(to.is_ipv6()).expect("a socket");
            }
            for _ in 0..20 {
                let train = Train { socket: SocketId(1), to, from: None, ecn: None, segment_bytes: 1000 };
                io.transmit(train, vec![0xa5; 60_000]);
            }
            (rounds < 5).then_some(Next::Busy)
        });
        let maps: Vec<Vec<u8>> = (0..MAPS).map(|_| vec![0x11; MAP_BYTES]).collect();
        std::thread::sleep(Duration::from_millis(50));
        let is_whole = maps.iter().all(|map| map.iter().all(|byte| *byte == 0x11));
        ending.store(true, Ordering::SeqCst);
        flood.join().expect("no panic");
        assert!(is_whole, "{backend:?}: memory that was freed is written to");
    });
}
