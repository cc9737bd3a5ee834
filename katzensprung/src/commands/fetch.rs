//! `fetch`: asks the authorities of a node's configuration file for a document and prints it.

use super::findings_text;
use super::testnet::Metrics;
use config::address::{HostNames, parse_host_port};
use config::{ServerConfig, Strictness};
use controlplane::directory::epoch_time;
use controlplane::directory::once::NEVER;
use controlplane::directory::session::Caller;
use controlplane::node;
use pki::authority::{Authorities, DocumentVerifier};
use pki::document::{Consensus, Document};
use pki::{Epoch, EpochClock};
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Arguments of `fetch`.
#[derive(clap::Args)]
pub struct Arguments {
    /// A node's configuration file, for its authorities and geometry [env: KATZENPOST_CONFIG] [default: katzenpost.toml]
    #[arg(short = 'f', long = "config")]
    config: Option<PathBuf>,
    /// The epoch (the default is the current one)
    #[arg(short, long)]
    epoch: Option<u64>,
    /// Write the signed document to this file instead of printing it readably
    #[arg(short, long)]
    out: Option<PathBuf>,
    /// First wait until the nodes with these metrics addresses say that they take part in the current epoch
    #[arg(long, value_name = "HOST:PORT,...", value_delimiter = ',', value_parser = metrics_address)]
    require_ready: Vec<String>,
    /// Seconds that this may take [default: three epochs]
    #[arg(long, value_name = "SECONDS", requires = "require_ready")]
    ready_within: Option<u64>,
}

fn metrics_address(text: &str) -> Result<String, String> {
    match parse_host_port(text, HostNames::Allowed) {
        Ok((Some(_), _)) => Ok(text.into()),
        Ok((None, _)) | Err(_) => Err("write host:port, as in the node's Server.MetricsAddress".into()),
    }
}

/// Epochs that nodes may take to be ready: one until they upload, one until the document is in force, one to spare.
const READY_EPOCHS: u32 = 3;

/// Between two looks at nodes that are not ready.
const READY_PAUSE: Duration = Duration::from_secs(1);

/// Fetches and prints.
pub fn run(arguments: &Arguments) -> Result<(), String> {
    if let Some(file) = arguments.out.as_deref().filter(|file| file.symlink_metadata().is_ok()) {
        return Err(cannot_write(file, &std::io::ErrorKind::AlreadyExists.into()));
    }
    let file = super::config_file(arguments.config.as_deref())?;
    let loaded = ServerConfig::load(&file, Strictness::Lenient)
        .map_err(|findings| format!("failed to load config file:\n  {}", findings_text(&findings)))?;
    let clock = EpochClock::from_variable(std::env::var(pki::epoch::PERIOD_VARIABLE).ok().as_deref())
        .map_err(|error| error.to_string())?;
    let runtime = super::runtime()?;
    if !arguments.require_ready.is_empty() {
        runtime.block_on(wait_until_ready(&arguments.require_ready, &clock, arguments.ready_within))?;
    }
    // It may be another one by now.
    let epoch = arguments.epoch.map_or_else(|| epoch_time(&clock).epoch, Epoch);
    let fetched = runtime.block_on(fetch(&loaded.config, &clock, epoch));
    let consensus = fetched.map_err(|said| with_hint(said, &clock, arguments.epoch))?;
    match &arguments.out {
        Some(file) => File::create_new(file)
            .and_then(|mut new| new.write_all(consensus.raw()))
            .map_err(|error| cannot_write(file, &error)),
        None => super::print(format_args!("{}", readable(&consensus))),
    }
}

/// Waits until every node says that it takes part in the current epoch.
async fn wait_until_ready(nodes: &[String], clock: &EpochClock, limit: Option<u64>) -> Result<(), String> {
    let limit = limit.map_or(clock.period() * READY_EPOCHS, Duration::from_secs);
    let begun = tokio::time::Instant::now();
    loop {
        let mut late = Vec::new();
        for node in nodes {
            let lack = match Metrics::of(node).await {
                Ok(metrics) => metrics.lack_of_readiness(epoch_time(clock).epoch),
                Err(error) => Some(error),
            };
            late.extend(lack.map(|lack| format!("{node}: {lack}")));
        }
        if late.is_empty() {
            return Ok(());
        }
        if begun.elapsed() > limit {
            return Err(format!("not ready within {} s:\n  {}", limit.as_secs(), late.join("\n  ")));
        }
        tokio::time::sleep(READY_PAUSE).await;
    }
}

fn cannot_write(file: &Path, error: &std::io::Error) -> String {
    let remedy = match error.kind() {
        std::io::ErrorKind::AlreadyExists => "; nothing is overwritten: give another name with -o, or move it away",
        std::io::ErrorKind::NotFound => "; check that the folder exists",
        _ => "",
    };
    format!("cannot write {}: {error}{remedy}", file.display())
}

/// Test networks have shorter epochs, and another length gives other numbers: the usual reason for "never".
fn with_hint(said: String, clock: &EpochClock, asked: Option<u64>) -> String {
    let variable = pki::epoch::PERIOD_VARIABLE;
    if asked.is_some() || !said.contains(NEVER) {
        return said;
    }
    format!(
        "{said}\n  the epoch was counted in epochs of {} s: if the network's are of another length, set {variable}, \
         for example {variable}=2m",
        clock.period().as_secs()
    )
}

/// The document of an epoch, from the first authority that has it.
pub async fn fetch(config: &ServerConfig, clock: &EpochClock, epoch: Epoch) -> Result<Consensus, String> {
    let authorities = node::authorities(config).map_err(|error| error.to_string())?;
    fetch_from(config, &authorities, clock, epoch).await
}

/// The same from some of the authorities.
pub async fn fetch_from(
    config: &ServerConfig,
    asked: &Authorities,
    clock: &EpochClock,
    epoch: Epoch,
) -> Result<Consensus, String> {
    let authorities = Arc::new(node::authorities(config).map_err(|error| error.to_string())?);
    let dialler = node::dialler(config);
    let verifier = DocumentVerifier { authorities, geometry_hash: config.geometry.hash() };
    let caller = Caller::anonymous(dialler.kem).map_err(|error| error.to_string())?;
    let limit = Duration::from_secs(60);
    controlplane::directory::once::fetch_once(&dialler, asked, &caller, &verifier, clock, epoch, limit).await
}

fn readable(consensus: &Consensus) -> String {
    let document = consensus.document();
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _always_ok = write_document(&mut text, consensus, document);
    text
}

fn write_document(text: &mut String, consensus: &Consensus, document: &Document) -> std::fmt::Result {
    writeln!(text, "document of epoch {} (genesis {})", document.epoch.0, document.genesis_epoch.0)?;
    writeln!(text, "sha        {}", hex(&consensus.sum256()))?;
    writeln!(text, "signed by  {} authorities ({})", consensus.signers().good.len(), document.pki_signature_scheme)?;
    writeln!(text, "geometry   {}", hex(&document.sphinx_geometry_hash))?;
    let rates = [
        ("Mu", document.mu),
        ("LambdaP", document.lambda_p),
        ("LambdaL", document.lambda_l),
        ("LambdaM", document.lambda_m),
        ("LambdaG", document.lambda_g),
        ("LambdaR", document.lambda_r),
    ];
    for (name, rate) in rates {
        writeln!(text, "{name:<10} {rate} per ms")?;
    }
    for (layer, node) in document.nodes() {
        let epochs: Vec<String> = node.mix_keys.iter().flatten().map(|(epoch, _)| epoch.0.to_string()).collect();
        let addresses: Vec<&str> = node.addresses().map(|(_, url)| url).collect();
        writeln!(
            text,
            "{layer:?} {:<16} {} keys {} at {}",
            node.name,
            hex(&node.id()[..8]),
            epochs.join(","),
            addresses.join(" ")
        )?;
        for (capability, endpoint) in node.endpoints() {
            writeln!(text, "    {capability}: {endpoint}")?;
        }
    }
    for replica in &document.storage_replicas {
        writeln!(text, "replica {:<16} {}", replica.name, hex(&replica.id()[..8]))?;
    }
    Ok(())
}

/// Bytes in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
