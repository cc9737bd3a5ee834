//! `bench`: measures a node on this host.

mod plan;
mod scale;

use crate::host;
use pki::neighbours::Role;
use rig::{Failure, Service};
use std::path::PathBuf;
use std::process::ExitCode;

/// No figure can be given, through no fault of the node.
const NO_FIGURE: u8 = 3;

/// Arguments of `bench`.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Both processes of one node on loopback, with a network played around it
    ///
    /// Exit status: 0 when every packet was right, every new link came up and the node's account balances; 1 when not, and
    /// for errors; 3 when no figure can be given because the host was too busy for a measurement: that says nothing about
    /// the node.
    Node(Node),
    /// How far a mix grows with its shards: on this host, and on a simulated one with what its stages cost here
    ///
    /// Exit status: as of `bench node`. On two processors it takes about three minutes, of which the simulation is one.
    Scale(scale::Scale),
    /// What a rate of packets needs on a card of 10, 25 or 100 Gbit/s, and what limits it: from what a node was measured to cost
    ///
    /// Every number stands beside its formula. A mix's shards are also simulated with these costs, behind a card with queues
    /// and rings. Exit status: 0, 1 for errors, 3 as of `bench node`.
    Plan(plan::Arguments),
    /// Plays the plugin of `bench node --service plugin`
    #[command(hide = true)]
    Plugin {
        /// Where it listens
        #[arg(long)]
        socket: PathBuf,
    },
}

/// What the measured node is.
#[derive(Clone, Copy, clap::ValueEnum)]
enum RoleName {
    /// A mix
    Mix,
    /// A gateway: packets from clients, packets to clients, new clients meanwhile, idle clients
    Gateway,
    /// A service node: requests with reply blocks, and the replies
    Service,
}

/// What answers at a service node.
#[derive(Clone, Copy, clap::ValueEnum)]
enum ServiceName {
    /// The echo that is built in
    Echo,
    /// A plugin that echoes
    Plugin,
}

/// What carries links.
#[derive(Clone, Copy, clap::ValueEnum)]
enum TransportName {
    /// TCP
    Tcp,
    /// QUIC, over UDP
    Quic,
}

/// Where a gateway has its users.
#[derive(Clone, Copy, clap::ValueEnum)]
enum UsersName {
    /// In a file of its own
    File,
    /// In PostgreSQL
    Sql,
}

/// Where a gateway has its users' mail beside the memory.
#[derive(Clone, Copy, clap::ValueEnum)]
enum SpoolName {
    /// Nowhere
    Memory,
    /// In a file of its own
    File,
    /// In PostgreSQL, with its users
    Sql,
}

/// Arguments of `bench node`.
#[derive(clap::Args)]
struct Node {
    /// What the node is
    #[arg(long, value_name = "ROLE", default_value = "mix")]
    role: RoleName,
    /// What answers at a service node
    #[arg(long, value_name = "NAME", default_value = "echo")]
    service: ServiceName,
    /// Clients of a gateway that send and get packets, without a limit of their rate; 1 to 1024
    #[arg(long, value_name = "N", default_value_t = 256)]
    clients: usize,
    /// Clients of a gateway that do nothing, measured by themselves; 0 leaves that out, 14000 are the most
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    idle_clients: usize,
    /// For how many seconds they do nothing
    #[arg(long, value_name = "N", default_value_t = 20)]
    idle_seconds: u64,
    /// A gateway that knows its users, which all of its clients are: each is written down when it comes first
    #[arg(long, value_name = "WHERE")]
    users: Option<UsersName>,
    /// Where their mail is kept beside the memory
    #[arg(long, value_name = "WHERE", default_value = "memory", requires = "users")]
    spool: SpoolName,
    /// PostgreSQL with the schema of `katzensprung sql schema`, as Gateway.SQLDB.DataSourceName has it
    #[arg(long, value_name = "URL", requires = "users")]
    database: Option<String>,
    /// Seconds for which capacity and lateness are measured, each
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Links on either side of the node
    #[arg(long, default_value_t = 2)]
    links: usize,
    /// The node's shards, each on a processor of its own
    #[arg(long, value_name = "N", default_value_t = 1)]
    shards: usize,
    /// The data plane's backend, as `[dataplane] backend` names it, or xdp: datagrams past the kernel, with --transport quic
    /// [default: the node's choice]
    #[arg(long, value_name = "NAME")]
    io: Option<String>,
    /// Node and rig in network namespaces of their own, with a cable of virtual interfaces between them; always with --io xdp
    #[arg(long)]
    apart: bool,
    /// What carries the links
    #[arg(long, value_name = "NAME", default_value = "tcp")]
    transport: TransportName,
    /// Packets per second while lateness is measured [default: half of the capacity, then 80 % of it]
    #[arg(long, value_name = "N")]
    rate: Option<u32>,
    /// Delays as in a network (exponential with a mean of 200 ms, 5.5 s at most) instead of short ones
    #[arg(long)]
    network_delays: bool,
    /// Also measure the mix of another implementation, in turns with ours: its `server`, which takes `-f FILE`
    #[arg(long, value_name = "PATH")]
    peer_server: Option<PathBuf>,
    /// Afterwards put the node under load for so many minutes, over changes of the epoch
    ///
    /// Every minute gives a line on standard error. Exit status 1 if a packet was lost or wrong, if an account did not
    /// balance, or if the memory of the node's processes grew.
    #[arg(long, value_name = "MINUTES")]
    soak: Option<u64>,
    /// That load, in percent of the capacity; --rate sets packets per second instead
    #[arg(long, value_name = "PERCENT", default_value_t = 80, requires = "soak")]
    load: u32,
    /// NIKE or KEM of the packets; nike: or kem: before it decides where both have the name
    #[arg(long, value_name = "NAME", default_value = "x25519")]
    sphinx: String,
    /// Bytes of user payload, 1 to 100000
    #[arg(long, value_name = "BYTES", default_value_t = 2000)]
    payload: usize,
    /// Print the report as one line of JSON
    #[arg(long)]
    json: bool,
    /// Also write the report as a page with pictures, in one file
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
}

/// Does what is asked for.
pub fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    match &arguments.what {
        What::Node(node) => measure(node),
        What::Scale(options) => scale::run(options),
        What::Plan(arguments) => plan::run(arguments),
        What::Plugin { socket } => rig::plugin::serve(socket).map(|()| ExitCode::SUCCESS),
    }
}

/// Measures and prints the report; the exit status says whether all was right.
fn measure(node: &Node) -> Result<ExitCode, String> {
    // Many clients are many open files, here and in the node, which inherits the limit.
    host::raise_descriptor_limit();
    let is_xdp = node.io.as_deref() == Some("xdp");
    let options = rig::Options {
        role: match node.role {
            RoleName::Mix => Role::Mix,
            RoleName::Gateway => Role::Gateway,
            RoleName::Service => Role::Service,
        },
        service: match node.service {
            ServiceName::Echo => Service::Echo,
            ServiceName::Plugin => Service::Plugin,
        },
        clients: node.clients,
        idle_clients: node.idle_clients,
        idle_seconds: node.idle_seconds,
        seconds: node.seconds,
        links: node.links,
        shards: node.shards,
        io: node.io.clone().filter(|_| !is_xdp),
        is_quic: matches!(node.transport, TransportName::Quic),
        is_apart: node.apart || is_xdp,
        is_xdp,
        rate: node.rate,
        users: users(node)?,
        only_capacity: false,
        network_delays: node.network_delays,
        peer_server: node.peer_server.clone(),
        soak: node.soak.map(|minutes| rig::SoakOptions { minutes, load_percent: node.load }),
        sphinx: node.sphinx.clone(),
        payload_bytes: node.payload,
        program: std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?,
    };
    look_first(node)?;
    let report = match rig::run(&options) {
        Ok(report) => report,
        Err(Failure::Failed(reason)) => return Err(reason),
        Err(Failure::NoFigure(reason)) => {
            super::complain(format_args!("NO FIGURE\n\n  {reason}"));
            return Ok(ExitCode::from(NO_FIGURE));
        }
    };
    if node.json {
        super::print(format_args!("{}\n", report.to_json()?))?;
    } else {
        super::print(format_args!("{report}\n"))?;
    }
    if let Some(path) = &node.report {
        std::fs::write(path, report.to_html()).map_err(|error| format!("--report {}: {error}", path.display()))?;
    }
    Ok(if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The users of a gateway that is to know them.
fn users(node: &Node) -> Result<Option<rig::UserOptions>, String> {
    let Some(users) = node.users else { return Ok(None) };
    let database = match (users, &node.database) {
        (UsersName::File, _) => None,
        (UsersName::Sql, Some(source)) => Some(source.clone()),
        (UsersName::Sql, None) => {
            return Err("--users sql: where is it? --database postgresql://user:password@host/database".into());
        }
    };
    let spool = match node.spool {
        SpoolName::Memory => rig::Spool::Memory,
        SpoolName::File => rig::Spool::File,
        SpoolName::Sql if database.is_some() => rig::Spool::Database,
        SpoolName::Sql => return Err("--spool sql: with --users sql only".into()),
    };
    Ok(Some(rig::UserOptions { database, spool }))
}

/// Refuses what would fail only after everything was measured.
fn look_first(node: &Node) -> Result<(), String> {
    if node.io.as_deref() == Some("xdp") && !matches!(node.transport, TransportName::Quic) {
        return Err("--io xdp: only datagrams go past the kernel; add --transport quic".into());
    }
    if let Some(path) = &node.report {
        let opened = std::fs::OpenOptions::new().append(true).create(true).open(path);
        opened.map_err(|error| format!("--report {}: {error}", path.display()))?;
    }
    if let Some(path) = &node.peer_server {
        rustix::fs::access(path, rustix::fs::Access::EXEC_OK)
            .map_err(|errno| format!("--peer-server {}: {}", path.display(), std::io::Error::from(errno)))?;
    }
    Ok(())
}
