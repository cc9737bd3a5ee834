//! A running node and all that is around it.

use super::authority::Authority;
use super::folder::{AuthorityKeys, Folder, NODE_NAME, geometry};
use super::program::program;
use super::traffic::Traffic;
use super::{free_address, wait_for};
use crypto_simd::pem;
use pki::Epoch;
use pki::descriptor::MixDescriptor;
use pki::neighbours::Role;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;
use testnet::members::Member;
use testnet::network::{Network, QUIC, SIGNATURE_SCHEME, WIRE_KEM, clock_starting_at};
use testnet::session::unix_now;
use wire::PeerCredentials;

/// More than anything takes that is under way.
pub const SOON: Duration = Duration::from_secs(10);

/// A node's folder, and the network that it is a mix of. A new epoch begins with it.
pub struct Site {
    pub folder: Folder,
    pub network: Arc<Network>,
    pub credentials: PeerCredentials,
    authority: SocketAddr,
    listed: MixDescriptor,
    /// Where the node behind listens.
    listener: TcpListener,
}

impl Site {
    /// One node before the node, one behind it, and epochs of at least `period`. The node has its keys.
    pub fn new(period: Duration) -> Self {
        Self::in_role(period, Role::Mix, None)
    }

    /// The same with the node over TCP and QUIC, and the node behind over QUIC alone, at that address; gives the node's
    /// address over QUIC too.
    pub fn over_quic(period: Duration, behind: SocketAddr) -> (Self, SocketAddr) {
        let site = Self::in_role(period, Role::Mix, Some(behind));
        let (tcp, over_quic) = (site.folder.address, free_address());
        site.folder.edit(&format!("[\"tcp://{tcp}\"]"), &format!("[\"tcp://{tcp}\", \"quic://{over_quic}\"]"));
        (site, over_quic)
    }

    /// The same with the node as the network's gateway.
    pub fn of_gateway(period: Duration) -> Self {
        Self::in_role(period, Role::Gateway, None)
    }

    /// The same with the node as the network's service node, with a section of its services.
    pub fn of_service_node(period: Duration, services: &str) -> Self {
        let site = Self::in_role(period, Role::Service, None);
        site.folder.edit("[Management]", &format!("{services}\n[Management]"));
        site
    }

    fn in_role(period: Duration, role: Role, behind_over_quic: Option<SocketAddr>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
        let address = listener.local_addr().expect("an address");
        let clock = clock_starting_at(unix_now(), period).expect("a clock");
        let listed = behind_over_quic.unwrap_or(address);
        let mut network = Network::new(geometry(), clock, 0.001, 1, &[listed]).expect("a network");
        network.role = role;
        if behind_over_quic.is_some() {
            network.downstream[0].scheme = QUIC;
        }
        let keys = AuthorityKeys {
            identity: network.authority.public_key().to_vec(),
            link: network.authority_identity.link_key.public_key().to_vec(),
        };
        let authority = free_address();
        let folder = Folder::with_authority(&keys, authority);
        match role {
            Role::Mix => {}
            Role::Gateway => folder.edit("[Server]\n", "[Server]\n  IsGatewayNode = true\n"),
            Role::Service => folder.edit("[Server]\n", "[Server]\n  IsServiceNode = true\n"),
        }
        folder.generate_keys();
        let public = |file: &str, scheme: &str| {
            let text = fs::read_to_string(folder.data(file)).expect("a key file");
            pem::decode(&text, &pem::public_key_type(scheme)).expect("a key")
        };
        let (identity, link) = (public("identity.public.pem", SIGNATURE_SCHEME), public("link.public.pem", WIRE_KEM));
        let credentials = PeerCredentials { additional_data: pki::hash(&identity).to_vec(), public_key: link.clone() };
        let url = format!("tcp://{}", folder.address);
        let node = Member { name: NODE_NAME.into(), role, identity_key: identity, link_key: link, url };
        // The authority lists it with other mix keys and for its own epochs.
        let listed = node.descriptor(network.epoch(), |_| vec![1; 32]);
        Self { folder, network: Arc::new(network), credentials, authority, listed, listener }
    }

    /// Starts the authority.
    pub fn start_authority(&self) -> Authority {
        let started = Authority::start(self.network.clone(), Some(self.listed.clone()), self.authority);
        started.expect("the authority's address is free")
    }

    /// Starts the node, in a process group of its own.
    pub fn start_node(&self) -> Node {
        self.start_node_with(&[])
    }

    /// The same with variables in its environment.
    pub fn start_node_with(&self, variables: &[(&str, &str)]) -> Node {
        let mut command = program();
        command.arg("server").envs(variables.iter().copied());
        self.start_node_as(command)
    }

    /// The same by a command that is called `server`.
    pub fn start_node_as(&self, mut command: Command) -> Node {
        let period = self.network.clock.period().as_nanos();
        command.arg("-f").arg(self.folder.config()).process_group(0);
        command.env(pki::epoch::PERIOD_VARIABLE, format!("{period}ns"));
        self.spawn(&mut command)
    }

    /// Starts a data plane that is nobody's child but the test's.
    pub fn start_data_plane_with(&self, variables: &[(&str, &str)]) -> Node {
        let mut command = program();
        command.arg("dataplane").arg("--socket").arg(self.folder.data("dataplane.sock"));
        self.spawn(command.envs(variables.iter().copied()))
    }

    fn spawn(&self, command: &mut Command) -> Node {
        let output = || {
            let path = self.folder.path().join("output");
            OpenOptions::new().create(true).append(true).open(path).expect("a file")
        };
        let child = command.stdin(Stdio::null()).stdout(output()).stderr(output()).spawn();
        Node(child.expect("the program starts"))
    }

    /// Links both neighbours to the node.
    #[track_caller]
    pub fn link(&self) -> Traffic {
        self.link_at(self.folder.address)
    }

    /// The same with the node before at another address of the node, or on a way to it.
    #[track_caller]
    pub fn link_at(&self, address: SocketAddr) -> Traffic {
        let listener = self.listener.try_clone().expect("a listener");
        Traffic::new(self.network.clone(), self.credentials.clone(), address, listener)
    }

    /// Where connections of the node end, whatever is on their way to the node behind.
    pub fn behind(&self) -> SocketAddr {
        self.listener.local_addr().expect("an address")
    }

    /// Lets the node behind take little at a time; only before it is dialled.
    pub fn narrow(&self) {
        socket2::SockRef::from(&self.listener).set_recv_buffer_size(4096).expect("a socket");
    }

    /// Whether anybody has dialled the node behind; only before [`Self::link`].
    pub fn is_dialled(&self) -> bool {
        self.listener.set_nonblocking(true).expect("a listener");
        let dialled = self.listener.accept().is_ok();
        self.listener.set_nonblocking(false).expect("a listener");
        dialled
    }

    /// The epoch after the current one.
    pub fn next_epoch(&self) -> Epoch {
        self.network.epoch().after(1)
    }

    /// How long ago the current epoch began.
    pub fn since_epoch_began(&self) -> Duration {
        self.network.clock.now(unix_now()).expect("a time after the first epoch").elapsed
    }

    /// The process that forwards packets.
    pub fn data_plane(&self) -> Option<Pid> {
        let socket = self.folder.data("dataplane.sock").display().to_string();
        let processes = fs::read_dir("/proc").expect("/proc").flatten();
        let mut found = processes.filter(|process| {
            let arguments = fs::read(process.path().join("cmdline")).unwrap_or_default();
            arguments.split(|byte| *byte == 0).any(|argument| argument == socket.as_bytes())
        });
        let pid = found.next()?.file_name().to_str()?.parse().ok()?;
        Pid::from_raw(pid)
    }

    /// Waits until there is a data plane other than `before`.
    #[track_caller]
    pub fn wait_for_data_plane(&self, before: Option<Pid>) -> Pid {
        wait_for("a data plane", SOON, || self.data_plane().filter(|pid| Some(*pid) != before))
    }

    /// What the node has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.data("katzenpost.log")).unwrap_or_default()
    }

    /// What it has written elsewhere; nothing when all is well.
    pub fn output(&self) -> String {
        fs::read_to_string(self.folder.path().join("output")).unwrap_or_default()
    }

    /// Waits until the log has `count` lines with `text`.
    #[track_caller]
    pub fn wait_for_log(&self, text: &str, count: usize) {
        wait_for(text, SOON, || (self.log().matches(text).count() >= count).then_some(()));
    }

    /// Talks to the management socket: sends the lines, gives all that was answered.
    #[track_caller]
    pub fn manage(&self, lines: &[&str]) -> Vec<String> {
        let stream = wait_for("the management socket", SOON, || UnixStream::connect(self.management_socket()).ok());
        // In one piece: the node closes the connection at QUIT, whatever follows.
        let text: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        (&stream).write_all(text.as_bytes()).expect("the socket takes lines");
        stream.shutdown(std::net::Shutdown::Write).expect("a socket");
        BufReader::new(stream).lines().map(|line| line.expect("a line")).collect()
    }

    /// Where the management socket is.
    pub fn management_socket(&self) -> std::path::PathBuf {
        self.folder.data("management_sock")
    }

    /// Links through a node that has published its keys, and for which descriptor and epoch to make packets.
    #[track_caller]
    pub fn traffic(&self, authority: &Authority) -> (Traffic, MixDescriptor, Epoch) {
        let (traffic, epoch) = (self.link(), self.next_epoch());
        (traffic, authority.wait_for_post(epoch, SOON).descriptor(), epoch)
    }

    /// What STATUS says.
    #[track_caller]
    pub fn status(&self) -> serde_json::Value {
        let answers = self.manage(&["STATUS"]);
        let json = answers[1].strip_prefix("250 ").unwrap_or_else(|| panic!("{answers:?}"));
        serde_json::from_str(json).expect("JSON")
    }

    /// Waits until the node holds the current epoch's document.
    #[track_caller]
    pub fn wait_for_document(&self) {
        let epoch = self.network.epoch().0;
        wait_for("the document", SOON, || self.holds(epoch).then_some(()));
    }

    /// Whether the node holds the document of an epoch.
    pub fn holds(&self, epoch: u64) -> bool {
        self.status()["documents"].as_array().expect("a list").iter().any(|held| held.as_u64() == Some(epoch))
    }

    /// Nothing is left of the node but its files.
    #[track_caller]
    pub fn is_quiet(&self) {
        wait_for("the end of the data plane", SOON, || self.data_plane().is_none().then_some(()));
        assert!(!self.management_socket().exists(), "the management socket is left");
        assert!(!self.folder.data("dataplane.sock").exists(), "the control socket is left");
        // The kernel closes what an io_uring held a moment after the process is gone.
        wait_for("the end of the listener", SOON, || TcpListener::bind(self.folder.address).ok());
        assert_eq!(self.output(), "");
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(data_plane) = self.data_plane() {
            let _gone = kill_process(data_plane, Signal::KILL);
        }
        if std::thread::panicking() {
            eprintln!("--- log\n{}--- output\n{}---", self.log(), self.output());
        }
    }
}

/// The control plane's process, or the data plane's where the test has started that.
pub struct Node(Child);

impl Node {
    /// Its process id.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.0.id() as i32).expect("a process id")
    }

    /// Sends a signal.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("the node runs");
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        wait_for("the node's end", SOON, || self.0.try_wait().expect("a child"))
    }

    /// Whether it runs.
    pub fn runs(&mut self) -> bool {
        self.0.try_wait().expect("a child").is_none()
    }

    /// Ends it as nothing can prevent.
    #[track_caller]
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.wait();
    }

    /// Stops it as an operator would.
    #[track_caller]
    pub fn stop(&mut self) {
        self.signal(Signal::TERM);
        assert_eq!(self.wait().code(), Some(0));
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _gone = self.0.kill().and_then(|()| self.0.wait());
    }
}
