//! A folder with three authorities, and the nodes that upload to them.

use crate::support::folder::geometry;
use crate::support::free_address;
use crate::support::program::{finish, program};
use controlplane::directory::session::{Caller, Clocks, Dialler};
use crypto_simd::pem;
use crypto_simd::random::OsRandom;
use crypto_simd::schemes::{SignatureSigningKey, kem, signature};
use pki::address::Addresses;
use pki::authority::{Authority, DescriptorCode};
use pki::descriptor::{LoopStats, MixDescriptor, OwnProfile, SignedUpload};
use pki::neighbours::{OwnNode, Role};
use pki::{Epoch, EpochClock, EpochTime, VerifyingKey};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, DirBuilder};
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;
use testnet::network::{SIGNATURE_SCHEME, WIRE_KEM};
use wire::Command as WireCommand;

/// How many authorities there are.
pub const AUTHORITIES: usize = 3;

/// Names and roles of the nodes.
const NODES: [(&str, Role); 5] = [
    ("mix1", Role::Mix),
    ("mix2", Role::Mix),
    ("mix3", Role::Mix),
    ("gateway1", Role::Gateway),
    ("servicenode1", Role::Service),
];

/// An authority of the network.
pub struct Site {
    pub address: SocketAddr,
    pub metrics: SocketAddr,
    /// Its DataDir, with its configuration file beside it.
    pub data_dir: PathBuf,
    pub config: PathBuf,
}

/// The network.
pub struct Network {
    pub folder: TempDir,
    pub clock: EpochClock,
    pub authorities: Vec<Site>,
    /// A node's file with which documents are fetched.
    pub node_config: PathBuf,
    pub nodes: Vec<Node>,
}

/// A node that uploads.
pub struct Node {
    pub own: OwnNode,
    identity: Box<dyn SignatureSigningKey>,
    pub caller: Caller,
}

impl Network {
    /// Makes all files; the authorities' keys are made by the program.
    pub fn new(period: Duration) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let nodes: Vec<Node> = NODES.map(|(name, role)| Node::generate(name, role)).into();
        for node in &nodes {
            let dir = folder.path().join(&node.own.name);
            fs::create_dir(&dir).expect("a folder");
            fs::write(dir.join("identity.public.pem"), public_pem(SIGNATURE_SCHEME, &node.own.identity_key))
                .expect("the file");
        }
        let authorities = (1..=AUTHORITIES).map(|number| {
            let data_dir = folder.path().join(format!("auth{number}"));
            DirBuilder::new().mode(0o700).create(&data_dir).expect("a folder");
            let config = folder.path().join(format!("auth{number}.toml"));
            Site { address: free_address(), metrics: free_address(), data_dir, config }
        });
        let clock = EpochClock::with_period(period).expect("a period");
        let node_config = folder.path().join("katzenpost.toml");
        let network = Self { authorities: authorities.collect(), folder, clock, node_config, nodes };
        // Once for the keys, with anybody's in the list, and once with all that were made.
        let anybody = &network.nodes[0].own;
        let keys = (anybody.identity_key.clone(), anybody.link_key.clone());
        network.write_files(&network.authority_block("anybody", &keys, network.authorities[0].address));
        for site in &network.authorities {
            finish(program().arg("dirauth").arg("--generate-only").arg("-f").arg(&site.config)).succeeded();
        }
        network.write_files(&network.authority_blocks());
        network
    }

    /// Starts authority `number`, from 0 on, with the network's epochs.
    pub fn start(&self, number: usize) -> Running {
        Running(self.command(number).spawn().expect("the program starts"))
    }

    /// What starts it.
    pub fn command(&self, number: usize) -> Command {
        self.command_of(number, program())
    }

    /// The same of a program under limits.
    pub fn command_of(&self, number: usize, mut command: Command) -> Command {
        let period = format!("{}ms", self.clock.period().as_millis());
        command.env("KATZENPOST_EPOCH_DURATION", period).arg("dirauth").arg("-f").arg(&self.authorities[number].config);
        command
    }

    /// Puts a line into authority `number`'s [Server].
    pub fn set(&self, number: usize, line: &str) {
        let config = &self.authorities[number].config;
        let text = fs::read_to_string(config).expect("the file");
        fs::write(config, text.replace("[Server]\n", &format!("[Server]\n  {line}\n"))).expect("the file");
    }

    /// Authority `number` as the others know it when it dials.
    pub fn caller(&self, number: usize) -> Caller {
        let private = fs::read_to_string(self.authorities[number].data_dir.join("link.private.pem")).expect("the file");
        let private = pem::decode(&private, &pem::private_key_type(WIRE_KEM)).expect("a key");
        let link_key = kem::by_name(WIRE_KEM).expect("built in").load(&private).expect("a key");
        Caller { link_key: link_key.into(), additional_data: self.authority(number).identity.id().to_vec() }
    }

    /// The present moment.
    pub fn now(&self) -> EpochTime {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        self.clock.now(unix).expect("after 2017")
    }

    /// What each authority says to the upload of each node for the next epoch.
    pub fn post_all(&self, epoch: Epoch) -> Vec<Result<DescriptorCode, String>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let authorities: Vec<_> = (0..AUTHORITIES).map(|number| self.authority(number)).collect();
        runtime.block_on(async {
            let mut said = Vec::new();
            for node in &self.nodes {
                let payload = node.upload(epoch);
                for authority in &authorities {
                    said.push(node.post(authority, epoch, &payload).await);
                }
            }
            said
        })
    }

    /// Authority `number` as the nodes know it.
    pub fn authority(&self, number: usize) -> Authority {
        let site = &self.authorities[number];
        let scheme = signature::by_name(SIGNATURE_SCHEME).expect("built in");
        let identity = read_pem(&site.data_dir.join("identity.public.pem"), SIGNATURE_SCHEME);
        Authority {
            name: format!("auth{}", number + 1),
            identity: VerifyingKey::new(scheme, &identity).expect("a key"),
            link_key: read_pem(&site.data_dir.join("link.public.pem"), WIRE_KEM),
            addresses: vec![format!("tcp://{}", site.address)],
        }
    }

    fn write_files(&self, authorities: &str) {
        for site in &self.authorities {
            fs::write(&site.config, self.authority_file(site, authorities)).expect("the file");
        }
        let authorities = authorities.replace("[[Authorities]]", "[[PKI.Voting.Authorities]]");
        let text = format!(
            "[Server]\n  Identifier = \"mix1\"\n  WireKEM = \"{WIRE_KEM}\"\n  PKISignatureScheme = \
             \"{SIGNATURE_SCHEME}\"\n  Addresses = [\"tcp://127.0.0.1:1\"]\n  DataDir = \"{}\"\n{authorities}\n{}",
            self.folder.path().join("mix1").display(),
            geometry().to_toml()
        );
        fs::write(&self.node_config, text).expect("the file");
    }

    fn authority_blocks(&self) -> String {
        let blocks = (0..AUTHORITIES).map(|number| {
            let authority = self.authority(number);
            let keys = (authority.identity.bytes().to_vec(), authority.link_key.clone());
            self.authority_block(&authority.name, &keys, self.authorities[number].address)
        });
        blocks.collect()
    }

    fn authority_block(&self, name: &str, (identity, link): &(Vec<u8>, Vec<u8>), address: SocketAddr) -> String {
        let escaped = |scheme: &str, key: &[u8]| public_pem(scheme, key).replace('\n', "\\n");
        format!(
            "\n[[Authorities]]\n  Identifier = \"{name}\"\n  IdentityPublicKey = \"{}\"\n  PKISignatureScheme = \
             \"{SIGNATURE_SCHEME}\"\n  LinkPublicKey = \"{}\"\n  WireKEMScheme = \"{WIRE_KEM}\"\n  Addresses = \
             [\"tcp://{address}\"]\n",
            escaped(SIGNATURE_SCHEME, identity),
            escaped(WIRE_KEM, link),
        )
    }

    fn authority_file(&self, site: &Site, authorities: &str) -> String {
        let mut text = format!(
            "[Server]\n  Identifier = \"authority\"\n  WireKEMScheme = \"{WIRE_KEM}\"\n  PKISignatureScheme = \
             \"{SIGNATURE_SCHEME}\"\n  Addresses = [\"tcp://{}\"]\n  MetricsAddress = \"{}\"\n  DataDir = \"{}\"\n\
             {authorities}\n[Logging]\n  File = \"katzenpost.log\"\n  Level = \"INFO\"\n\n[Parameters]\n  Mu = 0.005\n\n\
             [Debug]\n  Layers = 3\n  MinNodesPerLayer = 1\n\n",
            site.address,
            site.metrics,
            site.data_dir.display()
        );
        let listed = |table: &str, name: &str| {
            format!(
                "[[{table}]]\n  Identifier = \"{name}\"\n  IdentityPublicKeyPem = \"../{name}/identity.public.pem\"\n"
            )
        };
        for (name, role) in NODES {
            let table = match role {
                Role::Gateway => "GatewayNodes",
                Role::Service => "ServiceNodes",
                _ => "Mixes",
            };
            text += &listed(table, name);
        }
        text += "[Topology]\n";
        for (name, _) in NODES.iter().filter(|(_, role)| *role == Role::Mix) {
            let _ = write!(text, "[[Topology.Layers]]\n{}", listed("Topology.Layers.Nodes", name));
        }
        text + &geometry().to_toml()
    }
}

impl Node {
    fn generate(name: &str, role: Role) -> Self {
        let scheme = signature::by_name(SIGNATURE_SCHEME).expect("built in");
        let identity = scheme.load(&scheme.generate(&mut OsRandom)).expect("a fresh key");
        let kem = kem::by_name(WIRE_KEM).expect("built in");
        let link = kem.load(&kem.generate(&mut OsRandom)).expect("a fresh key");
        let (identity_key, link_key) = (identity.public_key().to_vec(), link.public_key().to_vec());
        let caller = Caller { link_key: Arc::from(link), additional_data: pki::hash(&identity_key).to_vec() };
        Self { own: OwnNode { name: name.into(), identity_key, link_key, role }, identity, caller }
    }

    /// The same bytes each time.
    pub fn upload(&self, epoch: Epoch) -> Vec<u8> {
        self.upload_of(epoch, "tcp://127.0.0.1:1", 32)
    }

    /// An upload that says where the node is, with mix keys of so many bytes.
    pub fn upload_of(&self, epoch: Epoch, url: &str, mix_key_bytes: usize) -> Vec<u8> {
        let addresses = BTreeMap::from([("tcp4".to_owned(), vec![url.to_owned()])]);
        let profile = OwnProfile { addresses, ..OwnProfile::default() };
        let keys = (0..pki::MIX_KEY_EPOCHS).map(|later| (epoch.after(later), vec![7; mix_key_bytes])).collect();
        self.sign(MixDescriptor::of_node(&self.own, &profile, epoch, &keys).expect("well formed"))
    }

    /// An upload with an address that no honest node would sign.
    pub fn upload_at(&self, epoch: Epoch, url: &str) -> Vec<u8> {
        let honest = SignedUpload::decode(&self.upload(epoch)).expect("an upload").descriptor.expect("a descriptor");
        let addresses = Addresses::from(&BTreeMap::from([("tcp4".to_owned(), vec![url.to_owned()])]));
        self.sign(MixDescriptor { addresses: Some(addresses), ..honest })
    }

    fn sign(&self, descriptor: MixDescriptor) -> Vec<u8> {
        let epoch = descriptor.epoch;
        let stats = LoopStats {
            epoch,
            segment_ratios: Some(BTreeMap::new()),
            mix_identity_hash: Some(pki::hash(&self.own.identity_key)),
        };
        SignedUpload::sign(descriptor, stats, &*self.identity, &mut OsRandom).expect("its own key").encode()
    }

    async fn post(&self, authority: &Authority, epoch: Epoch, payload: &[u8]) -> Result<DescriptorCode, String> {
        let command = WireCommand::PostDescriptor { epoch: epoch.0, payload };
        let take = |answer: &WireCommand<'_>| match answer {
            WireCommand::PostDescriptorStatus { error_code } => DescriptorCode::from_wire(*error_code),
            _ => None,
        };
        dialler().exchange(authority, &self.caller, &command, take).await.map_err(|error| error.to_string())
    }
}

/// How tests reach authorities.
pub fn dialler() -> Dialler {
    Dialler {
        kem: kem::by_name(WIRE_KEM).expect("built in"),
        pki_public_key_bytes: signature::by_name(SIGNATURE_SCHEME).expect("built in").info().public_key_bytes,
        connect_limit: Duration::from_secs(10),
        handshake_limit: Duration::from_secs(10),
        answer_limit: Duration::from_secs(10),
        clocks: Clocks::default(),
    }
}

/// A process that ends with the test.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.0.kill();
        let _ended = self.0.wait();
    }
}

fn public_pem(scheme: &str, key: &[u8]) -> String {
    pem::encode(&pem::public_key_type(scheme), key).expect("not all zero")
}

fn read_pem(path: &std::path::Path, scheme: &str) -> Vec<u8> {
    let text = fs::read_to_string(path).expect("the file");
    pem::decode(&text, &pem::public_key_type(scheme)).expect("a key")
}
