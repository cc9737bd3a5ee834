//! Many peers that send a little each.

use super::*;

const PEERS: usize = 200;
/// A packet, and what has come when a peer was not read for a moment.
const MESSAGES_BYTES: [usize; 2] = [3000, 20_000];
/// Of the rounds that read anything, far fewer than peers: a round takes what many of them have sent.
const ROUNDS_MAX: u64 = 40;

/// Reads what each connection has, once it may.
struct Reader {
    board: Arc<Board>,
    readable: Vec<ConnId>,
}

impl Task for Reader {
    fn poll(&mut self, io: &mut impl Io) -> Option<Next> {
        while let Some(event) = io.next_event() {
            match event {
                Event::Accepted { conn, .. } => {
                    self.board.accepted.fetch_add(1, Ordering::SeqCst);
                    // Nothing is there yet: from here on it is told of what comes.
                    assert!(matches!(io.recv(conn, 100_000), Received::WouldBlock));
                }
                Event::Readable { conn } => self.readable.push(conn),
                _ => {}
            }
        }
        if !self.board.is_deaf.load(Ordering::SeqCst) && !self.readable.is_empty() {
            self.board.rounds.fetch_add(1, Ordering::SeqCst);
            for conn in std::mem::take(&mut self.readable) {
                while let Received::Bytes { bytes, .. } = io.recv(conn, 100_000) {
                    self.board.sent.fetch_add(bytes.len() as u64, Ordering::SeqCst);
                }
            }
        }
        let now = io.now();
        (!self.board.ending.load(Ordering::SeqCst)).then_some(Next::ParkUntil(now + Duration::from_millis(1)))
    }
}

#[test]
fn a_round_takes_what_many_peers_have_sent() {
    on_each(|backend| MESSAGES_BYTES.into_iter().for_each(|bytes| take_all(backend, bytes)));
}

fn take_all(backend: Backend, message_bytes: usize) {
    let board = Arc::new(Board::default());
    board.is_deaf.store(true, Ordering::SeqCst);
    let (driver, address) = start(backend, Reader { board: board.clone(), readable: Vec::new() });
    let mut peers: Vec<_> = (0..PEERS).map(|_| TcpStream::connect(address).expect("somebody listens")).collect();
    let are_accepted = reaches(&board.accepted, PEERS);
    peers.iter_mut().for_each(|peer| peer.write_all(&vec![b'x'; message_bytes]).expect("a connection"));
    board.is_deaf.store(false, Ordering::SeqCst);
    let is_read = reaches(&board.sent, PEERS * message_bytes);
    let rounds = board.rounds.load(Ordering::SeqCst);
    board.ending.store(true, Ordering::SeqCst);
    driver.join();
    assert!(are_accepted && is_read, "{backend:?}");
    assert!(rounds <= ROUNDS_MAX, "{backend:?}: {rounds} rounds for {message_bytes} bytes each");
}
