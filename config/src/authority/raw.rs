//! The reference's `authority.toml` as it is written: every key under the reference's name (pki.md 13.1). The
//! declarations are also the manual (`docs/reference/authority-config.md`).

use crate::reader::{At, GoDuration};
use crate::section;
use crate::server::raw::{Authority, Geometry, Logging};

section! {
    /// The whole file.
    AnyCase Root {
        /// Who the authority is and where it listens.
        server: Server = ("Server", "required", "");
        /// The voting authorities, this one included.
        authorities: Vec<Authority> = ("Authorities", "required", "A document needs the signatures of more than half of them.");
        /// Log of the authority.
        logging: Logging = ("Logging", "NOTICE to standard output", "");
        /// The rates of the network's traffic that this authority votes for.
        parameters: Parameters = ("Parameters", "every key at its default", "The same on all authorities: a value needs more than half of the votes.");
        /// The shape of the network, and switches.
        debug: Debug = ("Debug", "every key at its default", "");
        /// The mixes that may take part.
        mixes: Vec<Node> = ("Mixes", "none", "");
        /// The gateways that may take part.
        gateway_nodes: Vec<Node> = ("GatewayNodes", "required", "At least one.");
        /// The service nodes that may take part.
        service_nodes: Vec<Node> = ("ServiceNodes", "required", "At least one.");
        /// The storage replicas that may take part.
        storage_replicas: Vec<Replica> = ("StorageReplicas", "none", "The same on all authorities.");
        /// Which mix stands in which layer.
        topology: Topology = ("Topology", "layers are drawn from the shared random value", "The same on all authorities, the order of nodes included. Authorities of the reference need it.");
        /// The sizes of the network's packets: the same on every authority and node.
        sphinx_geometry: Geometry = ("SphinxGeometry", "required", "Documents carry its hash, which the spelling of names enters.");
    }

    /// Who the authority is and where it listens.
    AnyCase Server {
        /// Name of the authority, for the log.
        identifier: String = ("Identifier", "none", "");
        /// KEM of link keys and link handshakes, the same in the whole network. Letter case does not matter.
        wire_kem_scheme: String = ("WireKEMScheme", "required", "");
        /// Signature scheme of the directory, the same in the whole network.
        pki_signature_scheme: String = ("PKISignatureScheme", "required", "Signed under its canonical name however it is written; the reference's authority ends at its first vote when it is written otherwise.");
        /// URLs at which others reach this authority, and listened on unless `BindAddresses` is set: `tcp://` or `quic://`, IP literal, port.
        addresses: Vec<At<String>> = ("Addresses", "`tcp://<address>:62472` with the first globally routable IPv4 address of an interface", "Their families are those over which other authorities are dialled.");
        /// URLs to listen on instead of `Addresses`: for authorities behind address translation.
        bind_addresses: Vec<At<String>> = ("BindAddresses", "none", "");
        /// Absolute path of the folder of keys and state. Created with mode 0700 when missing; an existing one must be a real directory of exactly mode 0700.
        data_dir: String = ("DataDir", "required", "Locked while the authority runs, so that a second one on the same folder is refused.");
        /// Time to connect to another authority, in seconds.
        dial_timeout_sec: i64 = ("DialTimeoutSec", "30", "");
        /// Time for a link handshake, in seconds, incoming and outgoing; who dials in has as long again to begin its request.
        handshake_timeout_sec: i64 = ("HandshakeTimeoutSec", "3", "");
        /// Time to receive a command and to send one, in seconds.
        response_timeout_sec: i64 = ("ResponseTimeoutSec", "30", "");
        /// Time to wait before closing a connection, in seconds.
        close_delay_sec: i64 = ("CloseDelaySec", "10", "Without effect, as in the reference.");
        /// Tries after the first one to send something to another authority.
        peer_retry_max_attempts: i64 = ("PeerRetryMaxAttempts", "20", "No try begins later than 5 s, in epochs below 160 s a 32nd of the epoch, before the phase ends.");
        /// Wait before the first of them; it doubles with each.
        peer_retry_base_delay: GoDuration = ("PeerRetryBaseDelay", "`10ms`", "");
        /// The longest such wait.
        peer_retry_max_delay: GoDuration = ("PeerRetryMaxDelay", "`3s`", "");
        /// By which part of itself such a wait is randomly longer or shorter.
        peer_retry_jitter: f64 = ("PeerRetryJitter", "0.2", "");
        /// Do not dial other authorities over IPv4.
        disable_ipv4: bool = ("DisableIPv4", "false", "");
        /// Do not dial other authorities over IPv6.
        disable_ipv6: bool = ("DisableIPv6", "false", "");
        /// `host:port` on which Prometheus metrics are served.
        metrics_address: String = ("MetricsAddress", "off", "");
        /// Allow host names instead of IP literals in all addresses of this file.
        allow_hostname_addresses: bool = ("AllowHostnameAddresses", "false", "");
    }

    /// The rates of the network's traffic, in events per millisecond. 0 means the default.
    AnyCase Parameters {
        /// Inverse of the mean delay at each hop. More than 0.2 is a warning: nodes delay by slots of 250 us, which show in departures where they are more than a twentieth of the mean.
        mu: f64 = ("Mu", "0.00025", "");
        /// Rate at which clients send, messages and decoys together.
        lambda_p: f64 = ("LambdaP", "0.00025", "");
        /// Rate of clients' decoy loops.
        lambda_l: f64 = ("LambdaL", "0.00025", "");
        /// Rate of mixes' decoy loops.
        lambda_m: f64 = ("LambdaM", "0.00025", "");
        /// Rate of decoys between couriers and replicas.
        lambda_r: f64 = ("LambdaR", "0.00025", "");
    }

    /// The shape of the network, and switches.
    AnyCase Debug {
        /// Layers of mixes.
        layers: i64 = ("Layers", "3", "The reference's authorities refuse more than 3.");
        /// Mixes that each layer must have at least: so many times the layers must be listed under `[[Mixes]]`.
        min_nodes_per_layer: i64 = ("MinNodesPerLayer", "2", "");
        /// Make the keys and stop, as `--generate-only`.
        generate_only: bool = ("GenerateOnly", "false", "");
    }

    /// A node that may take part.
    AnyCase Node {
        /// Its name in the directory: it must upload under exactly this one.
        identifier: String = ("Identifier", "required", "Mapped to lower-case ASCII as a host name.");
        /// File with its identity key, relative to `DataDir` or absolute.
        identity_public_key_pem: String = ("IdentityPublicKeyPem", "required", "The reference takes every path as relative to `DataDir` here.");
    }

    /// A storage replica that may take part.
    AnyCase Replica {
        /// Its name in the directory: it must upload under exactly this one.
        identifier: String = ("Identifier", "required", "Mapped to lower-case ASCII as a host name.");
        /// File with its identity key, relative to `DataDir` or absolute.
        identity_public_key_pem: String = ("IdentityPublicKeyPem", "required", "");
        /// Its number, 0 to 255; each may be there once.
        replica_id: i64 = ("ReplicaID", "0", "");
    }

    /// Which mix stands in which layer.
    AnyCase Topology {
        /// The layers, the one behind the gateways first.
        layers: Vec<Layer> = ("Layers", "required", "");
    }

    /// One layer.
    AnyCase Layer {
        /// Its mixes.
        nodes: Vec<Node> = ("Nodes", "required", "");
    }
}
