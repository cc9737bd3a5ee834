//! The options that describe a network, and what they come to.

use super::peers::{PeerRoles, Peers};
use client::ping::PAYLOAD_BYTES_MIN;
use crypto_simd::schemes::{kem, nike, signature};
use pki::epoch::{PERIOD_VARIABLE, parse_go_duration};
use pki::voting::Parameters;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;
use testnet::layout::{Layout, NetworkTransport, Ports, PortsError, Shape};
use testnet::settings::{Decoys, SHARED_PROFILE, Settings, geometry};

/// Epochs of a network that is all ours.
const EPOCH: Duration = Duration::from_secs(30);
/// Epochs with nodes of another implementation among them: the shortest that the reference's own test network uses.
const EPOCH_WITH_PEERS: Duration = Duration::from_secs(120);
/// Epochs where everybody signs for seconds.
const EPOCH_OF_SLOW_SIGNATURES: Duration = Duration::from_secs(120);
/// Below, nodes have too little time to upload and authorities to vote.
const EPOCH_MIN: Duration = Duration::from_secs(10);
/// Above, nobody waits for the first document.
const EPOCH_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// One event in 1000 seconds: whatever waits for a rarer one seems to hang.
const RATE_MIN: f64 = 1e-6;
/// A busy host makes packets late, and what is late is dropped: here only what is very late.
const LATENESS_MS_MAX: u32 = 5_000;

/// What a network is to be like.
#[derive(clap::Args, Clone, Debug)]
pub struct NetworkOptions {
    /// Directory authorities: one alone would agree with nobody
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(2..=9))]
    authorities: u16,
    /// Mix layers
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=18))]
    layers: u16,
    /// Mixes of each layer
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=32))]
    mixes: u16,
    /// Gateways
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=32))]
    gateways: u16,
    /// Service nodes
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=32))]
    services: u16,
    /// Length of an epoch, for example 30s or 2m [default: 30s; 2m with SPHINCS+ and with --peers]
    #[arg(long, value_name = "TIME", value_parser = epoch)]
    epoch: Option<Duration>,
    /// NIKE or KEM of the packets; nike: or kem: before it decides where both have the name
    #[arg(long, value_name = "NAME", default_value = "x25519")]
    sphinx: String,
    /// KEM of the links
    #[arg(long, value_name = "NAME", default_value = "xwing")]
    wire_kem: String,
    /// Signatures of the directory
    #[arg(long, value_name = "NAME", default_value = "Ed25519")]
    pki_signature: String,
    /// Bytes of a user's payload
    #[arg(long, value_name = "BYTES", default_value_t = 2000)]
    payload: usize,
    /// 1 / mean delay at each hop, per millisecond
    #[arg(long, value_name = "X", default_value_t = 0.01, value_parser = rate)]
    mu: f64,
    /// Packets of a client, per millisecond
    #[arg(long, value_name = "X", default_value_t = 0.02, value_parser = rate)]
    lambda_p: f64,
    /// Loops of a client, per millisecond
    #[arg(long, value_name = "X", default_value_t = 0.001, value_parser = rate)]
    lambda_l: f64,
    /// Loops of a mix, per millisecond (with --decoys)
    #[arg(long, value_name = "X", default_value_t = 0.001, value_parser = rate)]
    lambda_m: f64,
    /// Packets of replicas and couriers, per millisecond
    #[arg(long, value_name = "X", default_value_t = 0.0005, value_parser = rate)]
    lambda_r: f64,
    /// Mixes and gateways send loops too
    #[arg(long)]
    decoys: bool,
    /// On ::1 instead of 127.0.0.1; with --transport mixed every second member
    #[arg(long)]
    ipv6: bool,
    /// What carries the links: of a mixed network one member is reached over TCP, the next over QUIC, the next over both
    #[arg(long, value_name = "WHICH", default_value = "tcp", value_parser = ["tcp", "quic", "mixed"])]
    transport: String,
    /// Nodes keep their mix keys over a stop, so that a member that is swapped goes on with them
    #[arg(long)]
    keep_mix_keys: bool,
    /// First of the ports; otherwise free ones are taken at random
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1024..))]
    port_base: Option<u16>,
    /// What goes into the logs: ERROR, WARNING, NOTICE, INFO or DEBUG
    #[arg(long, value_name = "LEVEL", default_value = "NOTICE", value_parser = ["ERROR", "WARNING", "NOTICE", "INFO", "DEBUG"])]
    log_level: String,
    /// Folder of another implementation's programs (`dirauth`, `server`, `ping`)
    #[arg(long, value_name = "DIR", requires = "peer_roles")]
    peers: Option<PathBuf>,
    /// Which members they play, for example authority=1,mix=2,gateway=1,service=1,client=1
    #[arg(long, value_name = "ROLE=N,...", requires = "peers")]
    peer_roles: Option<PeerRoles>,
}

fn epoch(text: &str) -> Result<Duration, String> {
    let period = parse_go_duration(text).map_err(|error| error.to_string())?;
    if period < EPOCH_MIN {
        return Err(format!("write {}s or more: nodes and authorities need the time", EPOCH_MIN.as_secs()));
    }
    if period > EPOCH_MAX {
        return Err("write 24h or less: the first document comes after one epoch".into());
    }
    Ok(period)
}

fn rate(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|rate| (RATE_MIN..=1.0).contains(rate));
    number.ok_or_else(|| "write events per millisecond, at least 0.000001 and at most 1".into())
}

impl NetworkOptions {
    /// How many there are of each.
    pub fn shape(&self) -> Shape {
        Shape {
            authorities: self.authorities.into(),
            layers: self.layers.into(),
            mixes: usize::from(self.layers) * usize::from(self.mixes),
            gateways: self.gateways.into(),
            services: self.services.into(),
        }
    }

    /// Names and ports.
    pub fn layout(&self) -> Result<Layout, String> {
        let (address, host) = self.loopback();
        let ports = self.port_base.map_or(Ports::Free(address), Ports::After);
        let layout = Layout::new(&self.shape(), ports, |_| host.into()).map_err(|error| match error {
            PortsError::Host(_) => error.to_string(),
            PortsError::Beyond(_) | PortsError::NoneFree { .. } => format!("{error}; --port-base chooses others"),
        })?;
        let transport = match self.transport.as_str() {
            "quic" => NetworkTransport::Quic,
            "mixed" => NetworkTransport::Mixed,
            _ => NetworkTransport::Tcp,
        };
        let mut layout = layout.over(transport);
        if self.ipv6 && transport == NetworkTransport::Mixed {
            layout.members.iter_mut().skip(1).step_by(2).for_each(|member| member.host = "127.0.0.1".into());
        }
        Ok(layout)
    }

    /// The address of all members, and as it stands before a port.
    fn loopback(&self) -> (IpAddr, &'static str) {
        match self.ipv6 {
            true => (Ipv6Addr::LOCALHOST.into(), "[::1]"),
            false => (Ipv4Addr::LOCALHOST.into(), "127.0.0.1"),
        }
    }

    /// An error if somebody listens where members are to.
    fn check_ports(&self, layout: &Layout) -> Result<(), String> {
        let Some(base) = self.port_base else { return Ok(()) };
        for member in &layout.members {
            for port in [member.port, member.metrics_port] {
                let at = (self.loopback().0, port);
                if let Err(error) = TcpListener::bind(at).and_then(|_tcp| UdpSocket::bind(at)) {
                    let name = &member.name;
                    return Err(format!(
                        "--port-base {base}: {name} cannot listen at port {port}: {error}; choose another"
                    ));
                }
            }
        }
        Ok(())
    }

    /// Schemes, sizes and rates.
    pub fn settings(&self) -> Result<Settings, String> {
        let named = |option: &str, error: &dyn std::fmt::Display| format!("{option}: {error}");
        let geometry = geometry(&self.sphinx, self.payload, self.layers.into())
            .map_err(|error| named("--sphinx, --payload", &error))?;
        // Sizes are known of more schemes than are built in.
        let built_in = match geometry.nike_name.as_str() {
            "" => kem::by_name(&geometry.kem_name).map(|_| ()),
            name => nike::by_name(name).map(|_| ()),
        };
        built_in.map_err(|error| named("--sphinx", &error))?;
        Ok(Settings {
            geometry,
            wire_kem: kem::by_name(&self.wire_kem).map_err(|error| named("--wire-kem", &error))?,
            signature: signature::by_name(&self.pki_signature).map_err(|error| named("--pki-signature", &error))?,
            rates: Parameters {
                mu: self.mu,
                lambda_p: self.lambda_p,
                lambda_l: self.lambda_l,
                lambda_m: self.lambda_m,
                lambda_r: self.lambda_r,
            },
            is_topology_fixed: true,
            decoys: Decoys { clients: true, mixes: self.decoys, gateways: self.decoys },
            log_level: self.log_level.clone(),
            allow_hostnames: false,
            lateness_ms_max: LATENESS_MS_MAX,
            keeps_mix_keys: self.keep_mix_keys,
            own_file: Some(SHARED_PROFILE),
        })
    }

    /// An error if anything of this cannot be had.
    pub fn check(&self) -> Result<(), String> {
        self.settings()?;
        if self.payload < PAYLOAD_BYTES_MIN {
            let bytes = self.payload;
            return Err(format!(
                "--payload {bytes}: no room for a ping in {bytes} bytes; write {PAYLOAD_BYTES_MIN} or more"
            ));
        }
        self.peers()?;
        self.check_ports(&self.layout()?)
    }

    /// Who is played by other programs; an error if one is not there.
    pub fn peers(&self) -> Result<Option<Peers>, String> {
        match (&self.peers, &self.peer_roles) {
            (Some(folder), Some(roles)) => Peers::new(folder, roles, &self.shape()).map(Some),
            _ => Ok(None),
        }
    }

    /// The length of an epoch, and why it is that where nobody has chosen it.
    pub fn epoch(&self) -> (Duration, Option<&'static str>) {
        match (self.epoch, &self.peers) {
            (Some(epoch), _) => (epoch, None),
            (None, None) if self.pki_signature.to_lowercase().contains("sphincs") => {
                let reason = "epochs of 2 minutes: a SPHINCS+ signature takes seconds on a busy host, and a tenth of an \
                              epoch is all the time for it; --epoch chooses others";
                (EPOCH_OF_SLOW_SIGNATURES, Some(reason))
            }
            (None, None) => (EPOCH, None),
            (None, Some(_)) => {
                let reason =
                    "epochs of 2 minutes: other implementations' timers are made for these; --epoch chooses others";
                (EPOCH_WITH_PEERS, Some(reason))
            }
        }
    }
}

/// The variable by which every process learns the length of epochs.
pub fn variables(period: Duration) -> Vec<(String, String)> {
    vec![(PERIOD_VARIABLE.into(), format!("{}ns", period.as_nanos()))]
}

/// The configuration file that all others would find in the same place.
pub fn file_of(folder: &Path, member: &testnet::layout::Member) -> PathBuf {
    let name = match member.role {
        testnet::layout::Role::Authority => "authority.toml",
        _ => "katzenpost.toml",
    };
    folder.join(&member.name).join(name)
}
