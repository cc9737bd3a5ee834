//! `bench`: measures a node on this host.

/// Arguments of `bench`.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Both processes of one mix on loopback, with a network played around it
    Node(Node),
}

/// Arguments of `bench node`.
#[derive(clap::Args)]
struct Node {
    /// Seconds for which capacity and lateness are measured, each
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Links on either side of the node
    #[arg(long, default_value_t = 2)]
    links: usize,
    /// NIKE or KEM of the packets; nike: or kem: before it decides where both have the name
    #[arg(long, value_name = "NAME", default_value = "x25519")]
    sphinx: String,
    /// Bytes of user payload
    #[arg(long, value_name = "BYTES", default_value_t = 2000)]
    payload: usize,
    /// Print the report as one line of JSON
    #[arg(long)]
    json: bool,
}

/// Measures, prints the report, and fails if a packet was wrong or is not accounted for.
pub fn run(arguments: &Arguments) -> Result<(), String> {
    let What::Node(node) = &arguments.what;
    let options = rig::Options {
        seconds: node.seconds,
        links: node.links,
        sphinx: node.sphinx.clone(),
        payload_bytes: node.payload,
        program: std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?,
    };
    let report = rig::run(&options)?;
    if node.json {
        println!("{}", report.to_json()?);
    } else {
        println!("{report}");
    }
    if report.is_good() { Ok(()) } else { Err("packets were lost or wrong, or the account does not balance".into()) }
}
