//! `genconfig`: the files of a whole network, as the reference's tool of that name writes them (pki.md 14.1).

use crypto_simd::schemes::{LookupError, kem, nike, signature};
use pki::voting::Parameters;
use std::fs;
use std::path::{Path, PathBuf};
use testnet::compose;
use testnet::generate::{self, KeyPair, Known, TextFile};
use testnet::layout::{Layout, Ports, Shape};
use testnet::settings::{Decoys, Settings, geometry};
use zeroize::Zeroizing;

/// Arguments of `genconfig`, under the reference's names.
#[derive(clap::Args)]
pub struct Arguments {
    /// Mix layers
    #[arg(short = 'L', long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=18))]
    layers: u16,
    /// Mixes of all layers together
    #[arg(short = 'n', long, value_name = "N", default_value_t = 6)]
    nodes: u16,
    /// Gateways
    #[arg(long, value_name = "N", default_value_t = 1)]
    gateways: u16,
    /// Service nodes, with echo and testdest
    #[arg(long = "serviceNodes", value_name = "N", default_value_t = 1)]
    service_nodes: u16,
    /// Storage replicas, of which this version has none
    #[arg(long = "storageNodes", value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=0))]
    storage_nodes: u16,
    /// Write authorities too; without them nodes have no PKI section
    #[arg(short = 'v', long)]
    voting: bool,
    /// Authorities
    #[arg(long = "nrVoting", value_name = "N", default_value_t = 3)]
    nr_voting: u16,
    /// Leave out `[Topology]`: authorities deal mixes to layers by lot (the reference's crash)
    #[arg(short = 'D', long)]
    dynamic: bool,
    /// The network's folder where it will run
    #[arg(short = 'b', long = "baseDir", value_name = "PATH")]
    base_dir: PathBuf,
    /// The folder into which all is written
    #[arg(short = 'o', long = "outDir", value_name = "PATH")]
    out_dir: PathBuf,
    /// KEM of links
    #[arg(long, value_name = "NAME")]
    wirekem: String,
    /// The port before the first one
    #[arg(short = 'P', long, value_name = "PORT", default_value_t = 30_000)]
    port: u16,
    /// Accepted, and of no meaning
    #[arg(short = 'a', long, value_name = "ADDRESS", hide = true)]
    addr: Option<String>,
    /// Image in docker-compose.yml
    #[arg(short = 'd', long = "dockerImage", value_name = "NAME", default_value = "katzenpost-go_mod")]
    docker_image: String,
    /// End of the programs' names there
    #[arg(short = 'S', long = "binSuffix", value_name = "TEXT", default_value = "")]
    bin_suffix: String,
    /// NIKE of packets
    #[arg(long, value_name = "NAME", default_value = "x25519")]
    nike: String,
    /// KEM of packets, instead of a NIKE
    #[arg(long, value_name = "NAME", default_value = "")]
    kem: String,
    /// Signatures of the directory
    #[arg(long = "pkiScheme", value_name = "NAME", default_value = "ed25519")]
    pki_scheme: String,
    /// Bytes of a user's payload
    #[arg(long = "UserForwardPayloadLength", value_name = "BYTES", default_value_t = 2000)]
    payload: usize,
    #[command(flatten)]
    rates: RateArguments,
    #[command(flatten)]
    decoys: DecoyArguments,
    /// Length of an epoch in docker-compose.yml
    #[arg(long = "epochDuration", value_name = "TIME", default_value = "")]
    epoch_duration: String,
    /// Leave out prometheus.yml
    #[arg(long = "noMetrics")]
    no_metrics: bool,
    /// What goes into the logs
    #[arg(long = "logLevel", value_name = "LEVEL", default_value = "DEBUG", value_parser = ["ERROR", "WARNING", "NOTICE", "INFO", "DEBUG"])]
    log_level: String,
}

/// Rates per millisecond.
#[derive(clap::Args)]
struct RateArguments {
    /// 1 / mean delay at each hop
    #[arg(long, value_name = "X", default_value_t = 0.005)]
    mu: f64,
    /// Packets of a client
    #[arg(long = "lambdaP", value_name = "X", default_value_t = 0.001)]
    lambda_p: f64,
    /// Loops of a client
    #[arg(long = "lambdaL", value_name = "X", default_value_t = 0.0005)]
    lambda_l: f64,
    /// Loops of a mix
    #[arg(long = "lambdaM", value_name = "X", default_value_t = 0.2)]
    lambda_m: f64,
    /// Packets of replicas and couriers
    #[arg(long = "lambdaR", value_name = "X", default_value_t = 0.0005)]
    lambda_r: f64,
}

/// Who sends no loops. Written with a value, `--noMixDecoy=false`, where the default is to send none.
#[derive(clap::Args)]
struct DecoyArguments {
    /// Nobody sends loops
    #[arg(long = "noDecoy")]
    nobody: bool,
    /// The client sends none
    #[arg(long = "noClientDecoy")]
    no_client: bool,
    /// Mixes send none
    #[arg(long = "noMixDecoy", num_args = 0..=1, require_equals = true, value_name = "BOOL", default_value_t = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    no_mix: bool,
    /// Gateways send none
    #[arg(long = "noGatewayDecoy", num_args = 0..=1, require_equals = true, value_name = "BOOL", default_value_t = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    no_gateway: bool,
    /// Accepted: there are no couriers and replicas in this version
    #[arg(long = "noCourierReplicaDecoy", hide = true)]
    _no_courier: bool,
}

/// Writes the network.
pub fn run(arguments: &Arguments) -> Result<(), String> {
    let shape = arguments.shape()?;
    let settings = arguments.settings()?;
    if !arguments.base_dir.is_absolute() {
        return Err(format!("--baseDir {}: nodes need an absolute path", arguments.base_dir.display()));
    }
    let layout =
        Layout::new(&shape, Ports::After(arguments.port), str::to_owned).map_err(|error| format!("--port: {error}"))?;
    let known = known_identities(&arguments.out_dir, &layout, &settings)?;
    let network = generate::Network::new(&settings, &layout, &arguments.base_dir, &known)?;
    let mut files = network.files()?;
    let compose = compose::Options {
        image: &arguments.docker_image,
        suffix: &arguments.bin_suffix,
        base: &arguments.base_dir.display().to_string(),
        epoch: &arguments.epoch_duration,
    };
    files.push(text_file("docker-compose.yml", compose::docker_compose(&layout, &compose)));
    if !arguments.no_metrics {
        files.push(text_file("prometheus.yml", compose::prometheus(&layout)));
    }
    generate::write_all_or_none(&arguments.out_dir, &files).map_err(|error| error.to_string())?;
    super::print(format_args!("{} files in {}\n", files.len(), arguments.out_dir.display()))
}

fn text_file(name: &str, text: String) -> TextFile {
    TextFile { path: name.into(), text: Zeroizing::new(text) }
}

impl Arguments {
    fn shape(&self) -> Result<Shape, String> {
        let (layers, mixes) = (usize::from(self.layers), usize::from(self.nodes));
        if mixes < layers {
            return Err(format!("--nodes {mixes}: {layers} layers need a mix each"));
        }
        for (option, number) in [("--gateways", self.gateways), ("--serviceNodes", self.service_nodes)] {
            if number == 0 {
                return Err(format!("{option} 0: authorities demand one at least"));
            }
        }
        if self.voting && self.nr_voting == 0 {
            return Err("--nrVoting 0: write 1 or more, or leave out --voting".into());
        }
        let authorities = if self.voting { self.nr_voting.into() } else { 0 };
        Ok(Shape { authorities, layers, mixes, gateways: self.gateways.into(), services: self.service_nodes.into() })
    }

    fn settings(&self) -> Result<Settings, String> {
        // The KEM wins where both are given: the NIKE has a default.
        let (sphinx, option, not_found) = match self.kem.is_empty() {
            true => (format!("nike:{}", self.nike), "--nike", nike::by_name(&self.nike).err()),
            false => (format!("kem:{}", self.kem), "--kem", kem::by_name(&self.kem).err()),
        };
        // One that is not built in has sizes all the same: other programs may have it.
        if let Some(error @ LookupError::Unknown { .. }) = not_found {
            return Err(format!("{option}: {error}"));
        }
        let RateArguments { mu, lambda_p, lambda_l, lambda_m, lambda_r } = self.rates;
        for (option, rate) in [
            ("--mu", mu),
            ("--lambdaP", lambda_p),
            ("--lambdaL", lambda_l),
            ("--lambdaM", lambda_m),
            ("--lambdaR", lambda_r),
        ] {
            if !(rate.is_finite() && rate >= 0.0) {
                return Err(format!("{option} {rate}: write events per millisecond, 0 or more"));
            }
        }
        let sends = |not: bool| !self.decoys.nobody && !not;
        Ok(Settings {
            geometry: geometry(&sphinx, self.payload, self.layers.into())
                .map_err(|error| format!("{option}, --UserForwardPayloadLength: {error}"))?,
            wire_kem: kem::by_name(&self.wirekem).map_err(|error| format!("--wirekem: {error}"))?,
            signature: signature::by_name(&self.pki_scheme).map_err(|error| format!("--pkiScheme: {error}"))?,
            rates: Parameters { mu, lambda_p, lambda_l, lambda_m, lambda_r },
            is_topology_fixed: !self.dynamic,
            decoys: Decoys {
                clients: sends(self.decoys.no_client),
                mixes: sends(self.decoys.no_mix),
                gateways: sends(self.decoys.no_gateway),
            },
            log_level: self.log_level.clone(),
            allow_hostnames: true,
            lateness_ms_max: 0,
            keeps_mix_keys: false,
            own_file: None,
        })
    }
}

/// Identity keys that are there already: they are kept.
fn known_identities(folder: &Path, layout: &Layout, settings: &Settings) -> Result<Known, String> {
    let mut known = Known::new();
    for member in &layout.members {
        let path = folder.join(&member.name).join("identity.private.pem");
        match fs::read_to_string(&path).map(Zeroizing::new) {
            Ok(text) => {
                let pair = KeyPair::read(settings.signature, &text)
                    .map_err(|error| format!("{}: {error}; move it away for a new key", path.display()))?;
                known.insert(member.name.clone(), pair);
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(format!("cannot read {}: {error}", path.display())),
        }
    }
    Ok(known)
}
