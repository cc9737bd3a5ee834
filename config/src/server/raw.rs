//! The reference's `server` configuration as it is written: every key under the reference's name (server.md 2.4 to
//! 2.11). The declarations are also the manual (`docs/reference/config.md`).

use crate::reader::{At, Value};
use crate::section;
use std::collections::BTreeMap;

section! {
    /// The whole file.
    AnyCase Root {
        /// Who the node is and where it listens.
        server: Server = ("Server", "required", "");
        /// Log of the node.
        logging: Logging = ("Logging", "NOTICE to standard output", "");
        /// The directory authorities.
        pki: Pki = ("PKI", "required", "");
        /// The management socket.
        management: Management = ("Management", "off", "");
        /// The sizes of the network's packets: copied from the network's configuration, the same on every node.
        sphinx_geometry: Geometry = ("SphinxGeometry", "required", "Every derived size is recomputed; a file whose sizes do not follow from scheme, hops and user payload is refused.");
        /// Gateway role; only with `Server.IsGatewayNode = true`.
        gateway: Gateway = ("Gateway", "defaults when the node is a gateway", "");
        /// Service role; only with `Server.IsServiceNode = true`.
        service_node: ServiceNode = ("ServiceNode", "defaults when the node is a service node", "");
        /// Timeouts, queues and switches.
        debug: Debug = ("Debug", "every key at its default", "");
    }

    /// Who the node is and where it listens.
    AnyCase Server {
        /// Name of the node in the directory. Mapped to lower-case ASCII as a host name; at most 32 bytes; the name under which the authorities pin the identity key.
        identifier: String = ("Identifier", "required", "");
        /// KEM of link keys and link handshakes, the same in the whole network. Letter case does not matter.
        wire_kem: String = ("WireKEM", "required", "");
        /// Signature scheme of the directory, the same in the whole network. Letter case does not matter.
        pki_signature_scheme: String = ("PKISignatureScheme", "required", "");
        /// URLs that are advertised, and listened on unless `BindAddresses` is set: `tcp://`, `quic://` or `onion://` (gateways), IP literal, port.
        addresses: Vec<At<String>> = ("Addresses", "`tcp://<address>:3219` with the first globally routable IPv4 address of an interface", "`tcp4://` and `tcp6://` are accepted with their obvious meaning.");
        /// URLs to listen on instead of `Addresses`, never advertised: for nodes behind address translation.
        bind_addresses: Vec<At<String>> = ("BindAddresses", "none", "");
        /// `host:port` on which Prometheus metrics are served.
        metrics_address: String = ("MetricsAddress", "off", "");
        /// Absolute path of the folder of keys and state. Created with mode 0700 when missing; an existing one must be a real directory of exactly mode 0700.
        data_dir: String = ("DataDir", "required", "Locked while the node runs, so that a second node on the same folder is refused.");
        /// The node is a gateway.
        is_gateway_node: bool = ("IsGatewayNode", "false", "Exclusive with `IsServiceNode`.");
        /// The node is a service node.
        is_service_node: bool = ("IsServiceNode", "false", "Exclusive with `IsGatewayNode`.");
        /// Allow host names instead of IP literals in `Addresses`, `BindAddresses`, `MetricsAddress` and the authorities' `Addresses`.
        allow_hostname_addresses: bool = ("AllowHostnameAddresses", "false", "");
        /// Stay up after the first SIGTERM until no consensus lists the node (up to two epochs).
        wait_for_consensus_exit_on_shutdown: bool = ("WaitForConsensusExitOnShutdown", "false", "`controlplane.shutdown_withdraw` of katzensprung.toml overrides it.");
        /// Write the mix keys to a folder on a clean stop and consume them at the next start. Exclusive with `WaitForConsensusExitOnShutdown`.
        persist_mix_keys_on_shutdown: bool = ("PersistMixKeysOnShutdown", "false", "");
        /// Absolute path of that folder.
        persist_mix_keys_on_shutdown_dir: String = ("PersistMixKeysOnShutdownDir", "`/dev/shm/katzenpost-mixkeys-<identity hash>`", "An error while `PersistMixKeysOnShutdown` is false.");
    }

    /// Log of the node.
    AnyCase Logging {
        /// Write no log.
        disable: bool = ("Disable", "false", "Real silence (the reference crashes at its first line).");
        /// File that is appended to, reopened on SIGHUP; relative paths start at `DataDir`.
        file: String = ("File", "standard output", "");
        /// `ERROR`, `WARNING`, `NOTICE`, `INFO` or `DEBUG`, in any letter case.
        level: String = ("Level", "`NOTICE`", "An empty level counts as `NOTICE`.");
    }

    /// The directory authorities.
    AnyCase Pki {
        /// The voting authorities.
        voting: Voting = ("Voting", "required", "");
    }

    /// The voting authorities.
    AnyCase Voting {
        /// One table for each authority. A document is trusted with the signatures of more than half of them.
        authorities: Vec<Authority> = ("Authorities", "required", "At least one.");
    }

    /// One authority. Key names are matched with their letter case; all are required.
    ExactCase Authority {
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
        /// URLs at which it is reached: `tcp://`, `quic://`, `onion://`.
        addresses: Vec<At<String>> = ("Addresses", "required", "May be empty: an authority that is trusted but not asked. What nobody can dial is left out at a start, and an error of `config check`.");
    }

    /// The management socket.
    AnyCase Management {
        /// Listen on it.
        enable: bool = ("Enable", "false", "");
        /// Path of the Unix socket.
        path: String = ("Path", "`<DataDir>/management_sock`", "A relative path starts at the working directory and gives a warning.");
    }

    /// The sizes of the network's packets, in bytes unless said otherwise.
    AnyCase Geometry {
        /// A whole packet.
        packet_length: i64 = ("PacketLength", "required", "");
        /// Hops of the longest path: mix layers, gateway and service node.
        nr_hops: i64 = ("NrHops", "required", "");
        /// Header of a packet.
        header_length: i64 = ("HeaderLength", "required", "");
        /// Encrypted routing information.
        routing_info_length: i64 = ("RoutingInfoLength", "required", "");
        /// Routing information of one hop.
        per_hop_routing_info_length: i64 = ("PerHopRoutingInfoLength", "required", "");
        /// A single-use reply block.
        surb_length: i64 = ("SURBLength", "required", "");
        /// Flags before the content of a forward payload.
        sphinx_plaintext_header_length: i64 = ("SphinxPlaintextHeaderLength", "required", "");
        /// Zero tag before the payload.
        payload_tag_length: i64 = ("PayloadTagLength", "required", "");
        /// Forward payload: user payload, flags and reply block.
        forward_payload_length: i64 = ("ForwardPayloadLength", "required", "");
        /// What a user may send in one packet.
        user_forward_payload_length: i64 = ("UserForwardPayloadLength", "required", "");
        /// A next_node command.
        next_node_hop_length: i64 = ("NextNodeHopLength", "required", "");
        /// Key and IV of the payload cipher.
        sprp_key_material_length: i64 = ("SPRPKeyMaterialLength", "required", "");
        /// Name of the NIKE; empty in KEM networks. The spelling enters the hash of the geometry.
        nike_name: String = ("NIKEName", "one of the two", "");
        /// Name of the KEM; empty in NIKE networks. The spelling enters the hash of the geometry.
        kem_name: String = ("KEMName", "one of the two", "");
    }

    /// Gateway role.
    AnyCase Gateway {
        /// Further addresses by transport.
        alt_addresses: BTreeMap<String, At<Vec<At<String>>>> = ("AltAddresses", "none", "Parsed and not used, as in the reference.");
        /// Where messages of absent clients are kept.
        spool_db: SpoolDb = ("SpoolDB", "`bolt`", "");
        /// Who may be a client.
        user_db: UserDb = ("UserDB", "none: every client is accepted", "The reference has none any more and ignores it; so does this node, unless `EnableEphemeralClients` or `TrustOnFirstUse` is written too.");
        /// The database of `sql`.
        sql_db: SqlDb = ("SQLDB", "none", "The reference has none any more and ignores it.");
        /// Register an unknown name with the key with which it comes first.
        trust_on_first_use: bool = ("TrustOnFirstUse", "false", "Only with `UserDB`, which it or `EnableEphemeralClients` switches on, whatever its value. `EnableEphemeralClients` goes before it.");
        /// Accept unknown names without writing them down; a name belongs to its key as long as its mailbox exists.
        enable_ephemeral_clients: bool = ("EnableEphemeralClients", "false", "Only with `UserDB`, which it or `TrustOnFirstUse` switches on, whatever its value. What clients of today need, who have a new name for each connection.");
    }

    /// Who may be a client.
    AnyCase UserDb {
        /// Kind of database: `bolt`, a file of this node's own; `extern`, a program that is asked over HTTP; `sql`, PostgreSQL.
        backend: String = ("Backend", "`bolt`, or `extern` where its table is there", "The file is one of redb; one of the reference's bbolt is refused.");
        /// Settings of `bolt`.
        bolt: BoltUsers = ("Bolt", "defaults", "");
        /// Settings of `extern`.
        r#extern: ExternUsers = ("Extern", "required by `extern`", "");
        /// Another name of `Extern`, which older documentation has.
        extern_user_db: ExternUsers = ("ExternUserDB", "none", "");
    }

    /// A program that is asked over HTTP.
    AnyCase ExternUsers {
        /// URL before the names of the questions (`isvalid`, `exists`, `getidkey`): `http://localhost:8080/`.
        provider_url: String = ("ProviderURL", "required", "");
        /// Another name of `ProviderURL`, which later releases have.
        gateway_url: String = ("GatewayURL", "none", "");
    }

    /// The database of `sql`.
    AnyCase SqlDb {
        /// Kind of database; only `pgx`, which is PostgreSQL 9.5 or later.
        backend: String = ("Backend", "required", "");
        /// How it is reached: `postgresql://user:password@host:port/database`, or pairs such as `host=/run/postgresql user=gateway dbname=katzenpost`; TLS by `sslmode` and `sslrootcert`.
        data_source_name: String = ("DataSourceName", "required", "Never shown in a log or message.");
    }

    /// Settings of the user database in a file.
    AnyCase BoltUsers {
        /// Absolute path of the file.
        user_db: String = ("UserDB", "`<DataDir>/users.db`", "Made with mode 0600.");
    }

    /// Where messages of absent clients are kept.
    AnyCase SpoolDb {
        /// Where the messages of registered clients are kept beside the memory: `bolt`, a file of this node's own; `sql`, PostgreSQL, only with `UserDB.Backend = "sql"`; `memory`, nowhere. Without a user database all are in memory alone.
        backend: String = ("Backend", "`bolt`", "The file is one of redb; one of the reference's bbolt is refused where it would be used. `memory` is ours.");
        /// Settings of that store.
        bolt: BoltSpool = ("Bolt", "defaults", "");
    }

    /// Settings of the store.
    AnyCase BoltSpool {
        /// Absolute path of the file.
        spool_db: String = ("SpoolDB", "`<DataDir>/spool.db`", "Made with mode 0600 where it is used.");
    }

    /// Service role.
    AnyCase ServiceNode {
        /// Services that are built in.
        kaetzchen: Vec<Kaetzchen> = ("Kaetzchen", "none", "");
        /// Services that are programs of their own.
        cbor_plugin_kaetzchen: Vec<CborPluginKaetzchen> = ("CBORPluginKaetzchen", "none", "");
    }

    /// A built-in service.
    AnyCase Kaetzchen {
        /// Kind of service: `echo`, `testdest`, `loop` or `keyserver`. Each may appear once over both lists.
        capability: String = ("Capability", "required", "");
        /// Recipient to which clients write: 1 to 32 bytes, lower case, no spaces; by custom it starts with `+`. Each may appear once in its list.
        endpoint: String = ("Endpoint", "required", "");
        /// Free-form settings.
        config: BTreeMap<String, At<Value>> = ("Config", "none", "Only `keyserver` has one: `IdentityKeys`, the absolute path of a file with a user's name and identity key in each line.");
        /// Skip this entry.
        disable: bool = ("Disable", "false", "");
    }

    /// A service that is a program of its own.
    AnyCase CborPluginKaetzchen {
        /// Name under which clients find the service. Each may appear once over both lists.
        capability: String = ("Capability", "required", "");
        /// Recipient to which clients write; as for built-in services.
        endpoint: String = ("Endpoint", "required", "");
        /// Data for the descriptor, by capability; only the entry of this capability is published.
        pki_advertized_data: BTreeMap<String, At<BTreeMap<String, At<Value>>>> = ("PKIAdvertizedData", "none", "");
        /// Arguments of the program: `-<key> <value>`; values are strings.
        config: BTreeMap<String, At<Value>> = ("Config", "none", "");
        /// Path of the program.
        command: String = ("Command", "required", "");
        /// How the program is spoken to: `stream` (CBOR over one connection, as the reference does) or `http` (a POST for each request, as the reference did up to v0.0.3).
        protocol: String = ("Protocol", "stream", "Ours; the reference ignores it.");
        /// Ask the program, as it starts, for parameters that the descriptor is to have beside its endpoint.
        ask_parameters: bool = ("AskParameters", "false", "Ours; the reference never asks. With `Protocol = \"http\"` programs are always asked.");
        /// Number of processes: 1 to 64 with `Protocol = "http"`.
        max_concurrency: i64 = ("MaxConcurrency", "1", "Ignored with `stream`, as in the reference: one process for each entry.");
        /// Skip this entry.
        disable: bool = ("Disable", "false", "");
    }

    /// Timeouts, queues and switches. A number that is zero, negative or absent means the default.
    AnyCase Debug {
        /// Threads that unwrap packets.
        num_sphinx_workers: i64 = ("NumSphinxWorkers", "number of processors", "Bounds the number of shards when `dataplane.shards` of katzensprung.toml is absent.");
        /// Threads of the gateway.
        num_gateway_workers: i64 = ("NumGatewayWorkers", "half the processors, at least 1", "Without effect: shards do this work.");
        /// Threads of the service node.
        num_service_workers: i64 = ("NumServiceWorkers", "half the processors, at least 1", "Without effect: shards do this work.");
        /// Threads of the services.
        num_kaetzchen_workers: i64 = ("NumKaetzchenWorkers", "half the processors, at least 1", "Without effect: shards do this work.");
        /// Keep delayed packets in a file.
        scheduler_external_memory_queue: bool = ("SchedulerExternalMemoryQueue", "false", "Without effect: delayed packets are in memory.");
        /// Packets that may wait for their delay; 0 is unlimited.
        scheduler_queue_size: i64 = ("SchedulerQueueSize", "0", "Also bounded by `dataplane.slots` of katzensprung.toml.");
        /// Packets sent in one round of the scheduler.
        scheduler_max_burst: i64 = ("SchedulerMaxBurst", "derived from the processors", "Without effect: all packets that are due leave.");
        /// Longest wait from arrival to unwrap, in ms; older packets are dropped.
        unwrap_delay: i64 = ("UnwrapDelay", "250 ms", "");
        /// Longest wait for the gateway, in ms.
        gateway_delay: i64 = ("GatewayDelay", "500 ms", "");
        /// Longest wait for the service node, in ms.
        service_delay: i64 = ("ServiceDelay", "500 ms", "");
        /// Longest wait for a service, in ms.
        kaetzchen_delay: i64 = ("KaetzchenDelay", "750 ms", "");
        /// How late a delayed packet may be, in ms; later ones are dropped.
        scheduler_slack: i64 = ("SchedulerSlack", "450 ms", "Raised to at least 450 ms.");
        /// How long a packet may wait for its outgoing link, in ms.
        send_slack: i64 = ("SendSlack", "50 ms", "Raised to at least 50 ms.");
        /// How late the node's own loops may come back, in ms.
        decoy_slack: i64 = ("DecoySlack", "15000 ms", "");
        /// Time to connect, in ms.
        connect_timeout: i64 = ("ConnectTimeout", "60000 ms", "");
        /// Time for a link handshake, in ms.
        handshake_timeout: i64 = ("HandshakeTimeout", "3000 ms", "");
        /// Interval at which peers are checked against the directory again, in ms.
        reauth_interval: i64 = ("ReauthInterval", "30000 ms", "");
        /// Send decoy loops at the rates of the consensus.
        send_decoy_traffic: bool = ("SendDecoyTraffic", "false", "");
        /// Let clients send faster than the consensus allows.
        disable_rate_limit: bool = ("DisableRateLimit", "false", "For tests only.");
        /// Make the keys and stop, as `--generate-only`.
        generate_only: bool = ("GenerateOnly", "false", "");
    }
}
