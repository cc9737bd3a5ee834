//! Two network namespaces with a pair of virtual interfaces between them. They end with the threads that hold them.

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags, open};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, gettid, move_into_link_name_space, unshare_unsafe};
use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

/// One end of the wire.
pub struct Host {
    namespace: OwnedFd,
    thread: i32,
    number: u8,
    _end: Sender<()>,
}

impl Host {
    fn new(number: u8) -> Option<Self> {
        let (end, ends) = channel::<()>();
        let (tell, told) = channel();
        thread::spawn(move || hold(&tell, &ends));
        let (namespace, thread) = told.recv().unwrap()?;
        Some(Self { namespace, thread, number, _end: end })
    }

    /// Runs this in a thread that is at the host; so are the processes that it starts.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                move_into_link_name_space(self.namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
                work()
            });
            inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Runs `ip` with these words.
    #[track_caller]
    pub fn ip(&self, words: &str) {
        let output = self.run(|| Command::new("ip").args(words.split(' ')).output().unwrap());
        assert!(output.status.success(), "ip {words}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// What `ip` says.
    pub fn ip_says(&self, words: &str) -> String {
        let output = self.run(|| Command::new("ip").args(words.split(' ')).output().unwrap());
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub fn interface(&self) -> &'static str {
        "wire"
    }

    pub fn v4(&self) -> IpAddr {
        [10, 77, 0, self.number].into()
    }

    pub fn v6(&self) -> IpAddr {
        [0xfd77, 0, 0, 0, 0, 0, 0, u16::from(self.number)].into()
    }

    /// An address of the host of the family, with a port.
    pub fn at(&self, is_ipv6: bool, port: u16) -> SocketAddr {
        SocketAddr::new(if is_ipv6 { self.v6() } else { self.v4() }, port)
    }
}

/// Holds a namespace of its own until nobody wants it any more.
fn hold(tell: &Sender<Option<(OwnedFd, i32)>>, ends: &Receiver<()>) {
    // SAFETY: another network for this thread changes no memory or descriptor that others use.
    let is_apart = unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.is_ok();
    let namespace = || open("/proc/thread-self/ns/net", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok();
    let told = is_apart.then(namespace).flatten().map(|fd| (fd, gettid().as_raw_nonzero().get()));
    let _nobody_waits = tell.send(told);
    let _ended = ends.recv();
}

/// Two hosts; none, and said so, where this process may not make them or use XDP.
pub fn pair(queues: u32) -> Option<(Host, Host)> {
    if Command::new("ip").arg("-V").output().is_err() {
        testhost::lacks_tool("ip");
        return None;
    }
    let (Some(first), Some(second)) = (Host::new(1), Host::new(2)) else {
        testhost::lacks("network_namespaces", "this process may not make one");
        return None;
    };
    let count = format!("numtxqueues {queues} numrxqueues {queues}");
    let made = first.run(|| {
        let words = format!("link add wire {count} type veth peer name other {count}");
        Command::new("ip").args(words.split(' ')).output().unwrap()
    });
    if !made.status.success() {
        testhost::lacks("veth", String::from_utf8_lossy(&made.stderr).trim());
        return None;
    }
    first.ip(&format!("link set other netns {}", second.thread));
    second.ip("link set other name wire");
    for host in [&first, &second] {
        host.ip(&format!("addr add {}/24 dev wire", host.v4()));
        host.ip(&format!("addr add {}/64 dev wire nodad", host.v6()));
        host.ip("link set wire up");
        host.ip("link set lo up");
    }
    match first.run(|| xdp::Attachment::new("wire", &xdp::Mode::ALL).map(|_| ())) {
        Ok(()) => Some((first, second)),
        Err(refusal) => {
            testhost::lacks("af_xdp", refusal);
            None
        }
    }
}
