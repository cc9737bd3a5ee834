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

/// Reads whatever is readable, and works on it.
struct Worker {
    board: Arc<Board>,
    readable: Vec<ConnId>,
    newcomer: Option<ConnId>,
}

impl Worker {
    fn greet(&self, io: &mut impl Io, newcomer: ConnId) {
        if let Received::Bytes { bytes, .. } = io.recv(newcomer, HELLO_BYTES) {
            self.board.sent.fetch_add(bytes.len() as u64, Ordering::SeqCst);
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
                    let is_newcomer = self.board.accepted.fetch_add(1, Ordering::SeqCst) == LINKS as u64;
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
        if self.board.is_busy.load(Ordering::SeqCst) && self.board.sent.load(Ordering::SeqCst) == 0 {
            self.board.rounds.fetch_add(1, Ordering::SeqCst);
        }
        std::mem::take(&mut self.readable).into_iter().for_each(|link| self.work(io, link));
        let now = io.now();
        (!self.board.ending.load(Ordering::SeqCst)).then_some(Next::ParkUntil(now))
    }
}

#[test]
fn a_newcomer_is_read_before_the_backlogs_of_all_others() {
    on_each(|backend| {
        let clock = Clock::start();
        let (choice, _) = Choice::make(backend, 1, clock).expect("it was tried");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let board = Arc::new(Board::default());
        let task = Worker { board: board.clone(), readable: Vec::new(), newcomer: None };
        let driver = choice.spawn(clock, vec![Plan { cpu: None, listeners: vec![listener.into()], task }]);
        let driver = driver.expect("a thread");
        driver.wait_until_ready(Duration::from_secs(20)).expect("a shard that polls");
        let reaches = |count: &AtomicU64, wanted: usize| {
            let start = std::time::Instant::now();
            while count.load(Ordering::SeqCst) < wanted as u64 && start.elapsed() < Duration::from_secs(60) {
                std::thread::sleep(Duration::from_millis(1));
            }
            count.load(Ordering::SeqCst) == wanted as u64
        };
        let mut links: Vec<_> = (0..LINKS).map(|_| TcpStream::connect(address).expect("somebody listens")).collect();
        let are_accepted = reaches(&board.accepted, LINKS);
        let ending = board.clone();
        let sender = std::thread::spawn(move || {
            while !ending.ending.load(Ordering::SeqCst) {
                for link in &mut links {
                    link.set_nonblocking(true).expect("a socket");
                    let _as_much_as_fits = link.write(&[b'x'; MESSAGE_BYTES]);
                }
            }
        });
        std::thread::sleep(Duration::from_millis(100));
        let mut newcomer = TcpStream::connect(address).expect("somebody listens");
        let is_accepted = reaches(&board.accepted, LINKS + 1);
        std::thread::sleep(Duration::from_millis(20));
        newcomer.write_all(&[b'h'; HELLO_BYTES]).expect("a connection");
        board.is_busy.store(true, Ordering::SeqCst);
        let is_read = reaches(&board.sent, HELLO_BYTES);
        let rounds = board.rounds.load(Ordering::SeqCst);
        board.ending.store(true, Ordering::SeqCst);
        driver.join();
        sender.join().expect("a thread");
        assert!(are_accepted && is_accepted && is_read, "{backend:?}");
        assert!(rounds <= ROUNDS_MAX, "{backend:?}: the newcomer waited for {rounds} rounds");
    });
}
