//! Peers that send what nobody fetches yet.

use super::*;

/// More than a shard has buffers for what it receives.
const HOARDERS: usize = 80;
const MESSAGE_BYTES: usize = 100;

/// Reads one message from each connection, as a handshake does that then waits for its step. Answers those that begin
/// with `h`, and lets the others wait.
struct Waiter {
    ending: Arc<AtomicBool>,
    heard: Arc<AtomicU64>,
    connections: HashMap<ConnId, Vec<u8>>,
}

impl Waiter {
    fn read(&mut self, io: &mut impl Io, conn: ConnId) {
        let Some(message) = self.connections.get_mut(&conn) else { return };
        while message.len() < MESSAGE_BYTES {
            match io.recv(conn, MESSAGE_BYTES - message.len()) {
                Received::Bytes { bytes, .. } => message.extend_from_slice(bytes),
                Received::WouldBlock => return,
                Received::Closed | Received::Failed => {
                    io.close(conn);
                    return drop(self.connections.remove(&conn));
                }
            }
        }
        self.heard.fetch_add(1, Ordering::SeqCst);
        if message.starts_with(b"h") && io.sending(conn).is_none() {
            io.send(conn, std::mem::take(message));
        }
    }
}

impl Task for Waiter {
    fn poll(&mut self, io: &mut impl Io) -> Option<Next> {
        while let Some(event) = io.next_event() {
            match event {
                Event::Accepted { conn, .. } => {
                    self.connections.insert(conn, Vec::new());
                    self.read(io, conn);
                }
                Event::Readable { conn } => self.read(io, conn),
                _ => {}
            }
        }
        (!self.ending.load(Ordering::SeqCst)).then_some(Next::ParkUntil(Instant::NEVER))
    }
}

#[test]
fn strangers_who_dribble_keep_no_other_from_being_read() {
    on_each(|backend| {
        let (ending, heard) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let task = Waiter { ending: ending.clone(), heard: heard.clone(), connections: HashMap::new() };
        let (driver, address) = start(backend, task);
        let dial = || {
            let stream = TcpStream::connect(address).expect("somebody listens");
            stream.set_nodelay(true).expect("a socket");
            stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a socket");
            stream
        };
        let mut hoarders: Vec<_> = (0..HOARDERS).map(|_| dial()).collect();
        hoarders.iter_mut().for_each(|hoarder| hoarder.write_all(&[b'x'; MESSAGE_BYTES + 1]).expect("a connection"));
        reaches(&heard, HOARDERS);
        for _ in 0..12 {
            hoarders.iter_mut().for_each(|hoarder| hoarder.write_all(b"x").expect("a connection"));
            std::thread::sleep(Duration::from_millis(2));
        }
        let mut honest = dial();
        honest.write_all(&[b'h'; MESSAGE_BYTES]).expect("a connection");
        let mut answer = [0; MESSAGE_BYTES];
        let answered = honest.read_exact(&mut answer);
        ending.store(true, Ordering::SeqCst);
        driver.join();
        answered.unwrap_or_else(|error| panic!("{backend:?}: nobody answered: {error}"));
    });
}
