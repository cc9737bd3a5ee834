//! One that has just come, beside many that always have something to be read.

use super::*;

const LINKS: usize = 200;
/// What a link sends at a time.
const MESSAGE_BYTES: usize = 3000;
const HELLO_BYTES: usize = 100;
/// Rounds until the newcomer is read, once it has sent: far fewer than it takes to read something of each link.
const ROUNDS_MAX: u64 = 8;
/// What a piece costs, so that the links always have more by the time that they are read again.
const WORK: Duration = Duration::from_micros(50);

/// What the shard and the test tell each other.
#[derive(Default)]
struct Seen {
    accepted: AtomicU64,
    newcomer_has_sent: AtomicBool,
    newcomer_bytes: AtomicU64,
    /// From the first to the second of these two.
    rounds: AtomicU64,
    ending: AtomicBool,
}

/// Reads whatever is readable, and works on it.
struct Worker {
    seen: Arc<Seen>,
    readable: Vec<ConnId>,
    newcomer: Option<ConnId>,
}

impl Worker {
    fn greet(&self, io: &mut impl Io, newcomer: ConnId) {
        if let Received::Bytes { bytes, .. } = io.recv(newcomer, HELLO_BYTES) {
            self.seen.newcomer_bytes.fetch_add(bytes.len() as u64, Ordering::SeqCst);
        }
    }

    fn work(&self, io: &mut impl Io, link: ConnId) {
        while let Received::Bytes { .. } = io.recv(link, 100_000) {
            let start = std::time::Instant::now();
            while start.elapsed() < WORK {
                std::hint::spin_loop();
            }
        }
    }
}

impl Task for Worker {
    fn poll(&mut self, io: &mut impl Io) -> Option<Next> {
        while let Some(event) = io.next_event() {
            match event {
                Event::Accepted { conn, .. } => {
                    let is_newcomer = self.seen.accepted.fetch_add(1, Ordering::SeqCst) == LINKS as u64;
                    if is_newcomer {
                        self.newcomer = Some(conn);
                        self.greet(io, conn);
                    } else {
                        assert!(matches!(io.recv(conn, 100_000), Received::WouldBlock));
                    }
                }
                Event::Readable { conn } if self.newcomer == Some(conn) => self.greet(io, conn),
                Event::Readable { conn } => self.readable.push(conn),
                _ => {}
            }
        }
        if self.seen.newcomer_has_sent.load(Ordering::SeqCst) && self.seen.newcomer_bytes.load(Ordering::SeqCst) == 0 {
            self.seen.rounds.fetch_add(1, Ordering::SeqCst);
        }
        std::mem::take(&mut self.readable).into_iter().for_each(|link| self.work(io, link));
        let now = io.now();
        (!self.seen.ending.load(Ordering::SeqCst)).then_some(Next::ParkUntil(now))
    }
}

#[test]
fn a_newcomer_is_read_before_the_backlogs_of_all_others() {
    on_each(|backend| {
        let seen = Arc::new(Seen::default());
        let (driver, address) = start(backend, Worker { seen: seen.clone(), readable: Vec::new(), newcomer: None });
        let mut links: Vec<_> = (0..LINKS).map(|_| TcpStream::connect(address).expect("somebody listens")).collect();
        let are_accepted = reaches(&seen.accepted, LINKS);
        let shared = seen.clone();
        let sender = std::thread::spawn(move || {
            while !shared.ending.load(Ordering::SeqCst) {
                for link in &mut links {
                    link.set_nonblocking(true).expect("a socket");
                    let _as_much_as_fits = link.write(&[b'x'; MESSAGE_BYTES]);
                }
            }
        });
        std::thread::sleep(Duration::from_millis(100));
        let mut newcomer = TcpStream::connect(address).expect("somebody listens");
        let is_accepted = reaches(&seen.accepted, LINKS + 1);
        std::thread::sleep(Duration::from_millis(20));
        newcomer.write_all(&[b'h'; HELLO_BYTES]).expect("a connection");
        seen.newcomer_has_sent.store(true, Ordering::SeqCst);
        let is_read = reaches(&seen.newcomer_bytes, HELLO_BYTES);
        let rounds = seen.rounds.load(Ordering::SeqCst);
        seen.ending.store(true, Ordering::SeqCst);
        driver.join();
        sender.join().expect("a thread");
        assert!(are_accepted && is_accepted && is_read, "{backend:?}");
        assert!(rounds <= ROUNDS_MAX, "{backend:?}: the newcomer waited for {rounds} rounds");
    });
}
