//! The rig's end of QUIC. The rig speaks TCP with a relay beside it, and the relay QUIC with the node: all of the rig's connections
//! to one address go on to the node, and what the node dials goes on to the rig's listeners. What the relay needs of the
//! rig's processor is no part of the node's figures; it lowers the rig's own ceiling.

mod half;
mod pair;
#[cfg(test)]
mod tests;

use super::on_processor;
use datagram::udp;
use half::Half;
use pair::Ears;
use quic::Common;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// The longest sleep: so soon the thread finds that it is not wanted any more.
const SLEEP_MAX: Duration = Duration::from_millis(20);

/// Sockets of a relay that is not at work yet.
pub struct Doors {
    listener: TcpListener,
    /// What the node dials.
    behind: Vec<(OwnedFd, SocketAddr)>,
}

/// A relay at work. It ends when it is dropped.
pub struct Relay {
    /// Where connections to the node are taken.
    pub address: SocketAddr,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Doors {
    /// For so many nodes behind the measured one, which it reaches at `host`.
    pub fn open(host: IpAddr, behind: usize) -> Result<Self, String> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| error.to_string())?;
        let open = || {
            let socket = udp::bind((host, 0).into(), false)?;
            let address = udp::local_address(&socket)?;
            Ok::<_, std::io::Error>((socket, address))
        };
        let behind = (0..behind).map(|_| open()).collect::<Result<_, _>>().map_err(|error| error.to_string())?;
        Ok(Self { listener, behind })
    }

    /// Where the nodes behind are reached over QUIC.
    pub fn behind(&self) -> Vec<SocketAddr> {
        self.behind.iter().map(|(_, address)| *address).collect()
    }

    /// Relays between `node` and the rig's `listeners`, which are those of the nodes behind.
    pub fn relay(self, node: SocketAddr, listeners: &[SocketAddr], processor: Option<usize>) -> Result<Relay, String> {
        let Self { listener, behind } = self;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        listener.set_nonblocking(true).map_err(|error| error.to_string())?;
        let common = Common::new().map_err(|error| error.to_string())?;
        let ears = Ears::new()?;
        ears.add_listener(&listener)?;
        let mut halves = vec![Half::dialling(&ears, common.clone(), listener, node)?];
        for ((socket, _), listener) in behind.into_iter().zip(listeners) {
            let number = halves.len();
            halves.push(Half::listening(&ears, number, common.clone(), socket, *listener)?);
        }
        let is_over = Arc::new(AtomicBool::new(false));
        let ending = Arc::clone(&is_over);
        let run = move || {
            let outcome = on_processor::<(), String>(processor, || work(&ears, &mut halves, &ending));
            if let Err(reason) = outcome {
                super::say(format_args!("the rig's relay has ended: {reason}"));
            }
        };
        let thread = std::thread::Builder::new().name("relay".into()).spawn(run).map_err(|error| error.to_string())?;
        Ok(Relay { address, is_over, thread: Some(thread) })
    }
}

fn work(ears: &Ears, halves: &mut [Half], is_over: &AtomicBool) -> Result<(), String> {
    super::cpu::wake_in_time();
    while !is_over.load(Ordering::Relaxed) {
        let sleep = halves.iter().map(Half::sleep).min().unwrap_or(SLEEP_MAX);
        for heard in ears.listen(sleep.min(SLEEP_MAX))? {
            if let Some(half) = halves.get_mut(heard.half) {
                half.note(heard)?;
            }
        }
        for half in &mut *halves {
            half.round(ears)?;
        }
    }
    Ok(())
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // Why it has ended is said already.
            let _ended = thread.join();
        }
    }
}
