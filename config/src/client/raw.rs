//! The reference's `client.toml` as it is written: every key under the reference's name (client.md 3.2). The
//! declarations are also the manual (`docs/reference/client-config.md`).

use crate::reader::{At, GoDuration, Value};
use crate::section;
use crate::server::raw::{Geometry, Logging};

section! {
    /// The whole file.
    AnyCase Root {
        /// Signature scheme of the directory, the same in the whole network. Letter case does not matter.
        pki_signature_scheme: String = ("PKISignatureScheme", "required", "");
        /// KEM of links, the same in the whole network. Letter case does not matter.
        wire_kem_scheme: String = ("WireKEMScheme", "required", "");
        /// Transports in the order in which a gateway's addresses are tried: `tcp`, `tcp4`, `tcp6`, `quic`; `ws` and `onion` are known.
        prefered_transports: Vec<At<String>> = ("PreferedTransports", "`tcp`, `tcp4`, `tcp6`, `quic`", "Spelled with one `r`. `ws` and `onion` are not dialled.");
        /// `host:port` on which the client daemon serves metrics.
        metrics_address: String = ("MetricsAddress", "off", "Without effect: for the daemon only.");
        /// Allow host names instead of IP literals in addresses.
        allow_hostname_addresses: bool = ("AllowHostnameAddresses", "false", "");
        /// How long the client daemon keeps the state of an application that went away.
        session_grace_period: GoDuration = ("SessionGracePeriod", "`10m`", "Checked, and without effect: for the daemon only.");
        /// Where the client daemon listens for applications.
        listen: Listen = ("Listen", "none", "Without effect: for the daemon only.");
        /// The sizes of the network's packets: copied from the network's configuration, the same everywhere.
        sphinx_geometry: Geometry = ("SphinxGeometry", "required", "Every derived size is recomputed; a file whose sizes do not follow from scheme, hops and user payload is refused.");
        /// Log of the client daemon.
        logging: Logging = ("Logging", "NOTICE to standard output", "Without effect: for the daemon only.");
        /// A proxy through which the gateway is reached.
        upstream_proxy: UpstreamProxy = ("UpstreamProxy", "none", "");
        /// Switches.
        debug: Debug = ("Debug", "every key at its default", "");
        /// Gateways that are dialled before there is a document.
        pinned_gateways: PinnedGateways = ("PinnedGateways", "required", "");
        /// The directory authorities. They are never dialled: documents come through the gateway.
        voting_authority: VotingAuthority = ("VotingAuthority", "required", "");
        /// A document for the first connection.
        cached_document: Value = ("CachedDocument", "none", "Without effect: pinned gateways give one.");
        /// Sizes of the storage protocol.
        pigeonhole_geometry: Value = ("PigeonholeGeometry", "none", "Refused, as by the reference: it follows from `[SphinxGeometry]`.");
    }

    /// Where the client daemon listens for applications: one of the three.
    AnyCase Listen {
        /// A Unix socket.
        unix: ListenAddress = ("Unix", "none", "");
        /// A TCP socket.
        tcp: ListenAddress = ("Tcp", "none", "");
        /// A WebSocket.
        ws: ListenAddress = ("Ws", "none", "");
    }

    /// One way to listen.
    AnyCase ListenAddress {
        /// Path of the socket, or `host:port`.
        address: String = ("Address", "required", "");
        /// `tcp`, `tcp4` or `tcp6`.
        network: String = ("Network", "`tcp`", "");
    }

    /// A proxy through which the gateway is reached.
    AnyCase UpstreamProxy {
        /// `none`, `socks5` or `tor+socks5`.
        kind: String = ("Type", "`none`", "Anything but `none` is refused in this version.");
        /// `tcp` or `unix`.
        network: String = ("Network", "none", "");
        /// Where the proxy is.
        address: String = ("Address", "none", "");
        /// Name at the proxy.
        user: String = ("User", "none", "");
        /// Password at the proxy.
        password: String = ("Password", "none", "");
    }

    /// Switches.
    AnyCase Debug {
        /// Leave idle slots empty and send no loops.
        disable_decoy_traffic: bool = ("DisableDecoyTraffic", "false", "Then it can be seen from outside when something is sent.");
        /// Time to connect, in s.
        session_dial_timeout: i64 = ("SessionDialTimeout", "30 s", "Without effect, as in the reference.");
        /// Time to the first document, in s.
        initial_max_pki_retrieval_delay: i64 = ("InitialMaxPKIRetrievalDelay", "30 s", "Without effect, as in the reference.");
        /// Time between two questions for messages, in s.
        polling_interval: i64 = ("PollingInterval", "10 s", "Without effect, as in the reference: the gateway pushes.");
        /// Go by the gateway's clock.
        enable_time_sync: bool = ("EnableTimeSync", "false", "Without effect.");
    }

    /// Gateways that are dialled before there is a document.
    AnyCase PinnedGateways {
        /// One table for each.
        gateways: Vec<PinnedGateway> = ("Gateways", "required", "At least one.");
    }

    /// One gateway. Key names are matched with their letter case; all are required.
    ExactCase PinnedGateway {
        /// Its name.
        name: String = ("Name", "required", "");
        /// KEM of its link key: the network's.
        wire_kem_scheme: String = ("WireKEMScheme", "required", "");
        /// Signature scheme of its identity key.
        pki_signature_scheme: String = ("PKISignatureScheme", "required", "");
        /// Its identity key, PEM text.
        identity_key: String = ("IdentityKey", "required", "");
        /// Its link key, PEM text.
        link_key: String = ("LinkKey", "required", "");
        /// URLs at which it is reached: `tcp://`, `tcp4://`, `tcp6://`, `quic://`; `onion://` is known and not dialled.
        addresses: Vec<At<String>> = ("Addresses", "required", "At least one.");
    }

    /// The directory authorities.
    AnyCase VotingAuthority {
        /// One table for each. A document is trusted with the signatures of more than half of them.
        peers: Vec<Peer> = ("Peers", "required", "At least one.");
    }

    /// One authority. Key names are matched with their letter case.
    ExactCase Peer {
        /// Name of the authority.
        identifier: String = ("Identifier", "required", "");
        /// Its identity key, PEM text.
        identity_public_key: String = ("IdentityPublicKey", "required", "Two authorities with the same key are refused: their signatures would count twice.");
        /// Signature scheme of that key.
        pki_signature_scheme: String = ("PKISignatureScheme", "required", "");
        /// Its link key, PEM text.
        link_public_key: String = ("LinkPublicKey", "required", "");
        /// KEM of that key.
        wire_kem_scheme: String = ("WireKEMScheme", "required", "");
        /// URLs at which it is reached.
        addresses: Vec<At<String>> = ("Addresses", "required", "");
        /// Where the authority listens.
        bind_addresses: Vec<At<String>> = ("BindAddresses", "none", "Without effect: for the authority itself.");
    }
}
