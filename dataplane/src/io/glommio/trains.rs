//! What whoever speaks over datagrams asks of a shard on glommio.

use super::*;
use datagram::{Arrived, Socket, Train};
use glommio::net::UdpSocket;
use std::cell::Cell;
use std::future::poll_fn;

/// How long to leave a socket alone after an error.
const PAUSE: Duration = Duration::from_millis(100);

/// What a task that waits for a socket and the shard tell each other.
#[derive(Default)]
pub(super) struct Watch {
    /// Something has come that the shard has not looked at.
    is_noted: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Watch {
    /// The socket has something.
    pub(super) fn is_noted(&self) -> bool {
        self.is_noted.get()
    }

    /// The shard reads all that is there: what comes then is to be told.
    fn look_again(&self) {
        self.is_noted.set(false);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Ends when the shard has looked.
    async fn looked_at(&self) {
        poll_fn(|context| {
            if self.is_noted.get() {
                *self.waker.borrow_mut() = Some(context.waker().clone());
                return Poll::Pending;
            }
            Poll::Ready(())
        })
        .await;
    }
}

impl GlommioIo {
    /// Has a task wait for a socket: it looks at the first byte of what comes, and leaves it there.
    pub(super) fn watch(&mut self, socket: SocketId) -> std::io::Result<()> {
        let fd = self.udp.socket(socket).ok_or(std::io::ErrorKind::NotFound)?.try_clone_to_owned()?;
        // SAFETY: the descriptor is owned and given up here, so the socket is its only owner.
        let socket = unsafe { UdpSocket::from_raw_fd(fd.into_raw_fd()) };
        let (watch, fabric, shard) = (Rc::new(Watch::default()), self.fabric.clone(), self.shard);
        self.watches.push(watch.clone());
        glommio::spawn_local(async move {
            loop {
                if socket.peek_from(&mut [0; 1]).await.is_err() {
                    Timer::new(PAUSE).await;
                }
                watch.is_noted.set(true);
                fabric.wake(shard);
                watch.looked_at().await;
            }
        })
        .detach();
        Ok(())
    }
}

impl Datagrams for GlommioIo {
    fn sockets(&self) -> &[Socket] {
        self.udp.sockets()
    }

    fn open(&mut self, is_ipv6: bool) -> Result<SocketId, std::io::Error> {
        let socket = self.udp.open(is_ipv6)?;
        self.watch(socket)?;
        Ok(socket)
    }

    fn next_train(&mut self) -> Option<Arrived<'_>> {
        if !self.udp.may_have_more() {
            for (watch, number) in self.watches.iter().zip(0..) {
                if watch.is_noted() {
                    self.udp.note_readable(SocketId(number));
                    watch.look_again();
                }
            }
        }
        self.udp.next_train()
    }

    fn segments_max(&self) -> usize {
        self.udp.segments_max()
    }

    fn datagram_bytes_max(&self) -> usize {
        self.udp.datagram_bytes_max()
    }

    fn room(&self) -> usize {
        self.udp.room()
    }

    fn buffer(&mut self) -> Vec<u8> {
        self.udp.buffer()
    }

    fn transmit(&mut self, train: Train, bytes: Vec<u8>) {
        self.udp.transmit(train, bytes);
    }

    fn lost(&self) -> u64 {
        self.udp.lost()
    }
}
