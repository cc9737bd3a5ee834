//! Gateways and service nodes.

use super::fixture::{load_text, main_file};
use crate::reader::Value;
use crate::server::{
    BuiltIn, BuiltInService, DataSource, ExternUrl, Gateway, Keyserver, MailStore, PluginProtocol, PluginService, Role,
    ServiceNode, UserStore, Users,
};
use std::collections::BTreeMap;

fn gateway_file(section: &str) -> String {
    main_file()
        .replace("IsGatewayNode = false", "IsGatewayNode = true")
        .replace("[Management]", &format!("{section}\n[Management]"))
}

fn service_file(section: &str) -> String {
    main_file()
        .replace("IsServiceNode = false", "IsServiceNode = true")
        .replace("[Management]", &format!("{section}\n[Management]"))
}

#[track_caller]
fn findings_of(text: &str) -> Vec<(&'static str, String, String)> {
    let findings = load_text(text).map(|loaded| loaded.findings).unwrap_or_else(|findings| findings);
    findings.into_iter().map(|finding| (finding.code, finding.key, finding.problem)).collect()
}

#[test]
fn a_gateway() {
    for section in ["", "[Gateway]", "[Gateway.SpoolDB]\nBackend = \"\""] {
        let config = load_text(&gateway_file(section)).unwrap_or_else(|findings| panic!("{findings:#?}")).config;
        assert_eq!(
            config.role,
            Role::Gateway(Gateway { spool_path: "/var/lib/katzenpost/mix1/spool.db".into(), users: None, mail: None })
        );
    }
    let section = "[Gateway]\n[Gateway.AltAddresses]\ntcp = [\"x\"]\n[Gateway.SpoolDB]\nBackend = \"bolt\"\n\
                   [Gateway.SpoolDB.Bolt]\nSpoolDB = \"/srv/spool.db\"\n";
    let loaded = load_text(&gateway_file(section)).unwrap_or_else(|findings| panic!("{findings:#?}"));
    assert_eq!(loaded.findings, []);
    assert_eq!(
        loaded.config.role,
        Role::Gateway(Gateway { spool_path: "/srv/spool.db".into(), users: None, mail: None })
    );
    let onion = gateway_file("").replace(
        "Addresses = [\"tcp://192.0.2.1:30014\"]",
        "Addresses = [\"tcp://192.0.2.1:30014\", \"onion://a.onion:1\"]",
    );
    assert_eq!(load_text(&onion).expect("gateways may").findings, []);
}

fn users_of(section: &str) -> Users {
    let loaded = load_text(&gateway_file(section)).unwrap_or_else(|findings| panic!("{findings:#?}"));
    assert_eq!(loaded.findings, []);
    let Role::Gateway(Gateway { users: Some(users), .. }) = loaded.config.role else { panic!("no users") };
    users
}

/// The documented keys of earlier releases (server.md D.2), in the place that they have now.
#[test]
fn a_gateway_with_a_user_database() {
    for (section, path, trusts_on_first_use, admits_ephemeral) in [
        (
            "[Gateway]\nEnableEphemeralClients = false\n[Gateway.UserDB]",
            "/var/lib/katzenpost/mix1/users.db",
            false,
            false,
        ),
        (
            "[Gateway]\nTrustOnFirstUse = true\n[Gateway.UserDB]\nBackend = \"bolt\"",
            "/var/lib/katzenpost/mix1/users.db",
            true,
            false,
        ),
        (
            "[Gateway]\nEnableEphemeralClients = true\n[Gateway.UserDB.Bolt]\nUserDB = \"/srv/users.db\"",
            "/srv/users.db",
            false,
            true,
        ),
    ] {
        let loaded = load_text(&gateway_file(section)).unwrap_or_else(|findings| panic!("{findings:#?}"));
        assert_eq!(loaded.findings, []);
        let store = UserStore::Embedded(path.into());
        let users = Some(Users { store, trusts_on_first_use, admits_ephemeral });
        assert_eq!(
            loaded.config.role,
            Role::Gateway(Gateway {
                spool_path: "/var/lib/katzenpost/mix1/spool.db".into(),
                users,
                mail: Some(MailStore::Embedded)
            })
        );
    }
    // A program that is asked, by each of the names that its table and its URL have had; PostgreSQL.
    for section in [
        "[Gateway]\nEnableEphemeralClients = false\n[Gateway.UserDB]\nBackend = \"extern\"\n[Gateway.UserDB.Extern]\nProviderURL = \"http://localhost:8080/\"",
        "[Gateway]\nEnableEphemeralClients = false\n[Gateway.UserDB.Extern]\nGatewayURL = \"http://localhost:8080\"",
        "[Gateway]\nEnableEphemeralClients = false\n[Gateway.UserDB.ExternUserDB]\nProviderURL = \"http://localhost:8080/\"",
    ] {
        let url = ExternUrl { authority: "localhost:8080".into(), path: String::new() };
        assert_eq!(users_of(section).store, UserStore::Extern(url), "{section}");
    }
    let below = users_of(
        "[Gateway]\nEnableEphemeralClients = false\n[Gateway.UserDB.Extern]\nProviderURL = \"http://[::1]/a/b/\"",
    );
    assert_eq!(below.store, UserStore::Extern(ExternUrl { authority: "[::1]:80".into(), path: "/a/b".into() }));
    let source = "postgresql://provider:s3cr3tp0stgr355@127.0.0.1:5433/katzenpost";
    let sql = format!(
        "[Gateway]\nEnableEphemeralClients = false\n[Gateway.SQLDB]\nBackend = \"pgx\"\nDataSourceName = \"{source}\"\n[Gateway.UserDB]\nBackend = \"sql\""
    );
    assert_eq!(users_of(&sql).store, UserStore::Sql(DataSource::new(source.into())));
    assert!(!format!("{:?}", load_text(&gateway_file(&sql))).contains("s3cr3t"));
    let with_mail = load_text(&gateway_file(&format!("{sql}\n[Gateway.SpoolDB]\nBackend = \"sql\""))).expect("good");
    assert!(matches!(with_mail.config.role, Role::Gateway(Gateway { mail: Some(MailStore::Sql), .. })));
    let without = load_text(&gateway_file(&format!("{sql}\n[Gateway.SpoolDB]\nBackend = \"memory\""))).expect("good");
    assert!(matches!(without.config.role, Role::Gateway(Gateway { mail: None, .. })));
    // The old place is told of the new one.
    let old = load_text(&format!("{}\n[Provider.UserDB]\nBackend = \"bolt\"\n", gateway_file(""))).expect("ignored");
    let finding = &old.findings[0];
    assert_eq!((finding.code, finding.key.as_str()), ("removed-key", "Provider"));
    assert!(
        finding.remedy.contains("UserDB, SpoolDB, SQLDB, TrustOnFirstUse and EnableEphemeralClients go to [Gateway]")
    );
}

/// Files of the releases between have the tables, and every client was accepted.
#[test]
fn users_that_nobody_asks_for_are_ignored() {
    let sections = "[Gateway.UserDB]\nBackend = \"bolt\"\n[Gateway.SQLDB]\nBackend = \"mysql\"";
    let loaded = load_text(&gateway_file(sections)).expect("the reference takes it");
    assert!(matches!(loaded.config.role, Role::Gateway(Gateway { users: None, .. })));
    let told: Vec<_> = loaded.findings.iter().map(|finding| (finding.code, finding.key.as_str())).collect();
    assert_eq!(told, [("ignored-users", "Gateway.UserDB"), ("ignored-users", "Gateway.SQLDB")]);
}

#[test]
fn gateway_findings() {
    let backend = findings_of(&gateway_file("[Gateway.SpoolDB]\nBackend = \"sql\""));
    assert_eq!((backend.len(), backend[0].0), (1, "spool-backend"));
    assert_eq!(backend[0].2, "config: Provider: Invalid SpoolDB Backend: 'sql'");
    let path = findings_of(&gateway_file("[Gateway.SpoolDB.Bolt]\nSpoolDB = \"x\""));
    assert_eq!((path.len(), path[0].0, path[0].1.as_str()), (1, "not-absolute", "Gateway.SpoolDB.Bolt.SpoolDB"));
    let users =
        findings_of(&gateway_file("[Gateway]\nEnableEphemeralClients = false\n[Gateway.UserDB]\nBackend = \"ldap\""));
    assert_eq!((users.len(), users[0].0, users[0].1.as_str()), (1, "user-backend", "Gateway.UserDB.Backend"));
    let path =
        findings_of(&gateway_file("[Gateway]\nEnableEphemeralClients = false\n[Gateway.UserDB.Bolt]\nUserDB = \"x\""));
    assert_eq!((path.len(), path[0].0, path[0].1.as_str()), (1, "not-absolute", "Gateway.UserDB.Bolt.UserDB"));
    for (section, code, key) in [
        (
            "[Gateway]\nEnableEphemeralClients = false\n[Gateway.UserDB]\nBackend = \"sql\"",
            "without-sql",
            "Gateway.UserDB.Backend",
        ),
        (
            "[Gateway]\nEnableEphemeralClients = false\n[Gateway.UserDB]\nBackend = \"extern\"",
            "extern-url",
            "Gateway.UserDB.Backend",
        ),
        (
            "[Gateway]\nEnableEphemeralClients = false\n[Gateway.UserDB.Extern]\nProviderURL = \"https://a/\"",
            "extern-url",
            "Gateway.UserDB.Extern.ProviderURL",
        ),
        (
            "[Gateway]\nEnableEphemeralClients = false\n[Gateway.UserDB.Extern]\nProviderURL = \"http://a:b/\"",
            "extern-url",
            "Gateway.UserDB.Extern.ProviderURL",
        ),
        (
            "[Gateway]\nEnableEphemeralClients = false\n[Gateway.UserDB.Extern]\nProviderURL = \"http:///x\"",
            "extern-url",
            "Gateway.UserDB.Extern.ProviderURL",
        ),
        (
            "[Gateway]\nEnableEphemeralClients = false\n[Gateway.SQLDB]\nBackend = \"mysql\"",
            "sql-backend",
            "Gateway.SQLDB.Backend",
        ),
        (
            "[Gateway]\nEnableEphemeralClients = false\n[Gateway.SQLDB]\nBackend = \"pgx\"",
            "sql-source",
            "Gateway.SQLDB.DataSourceName",
        ),
        (
            "[Gateway]\nTrustOnFirstUse = true\n[Gateway.UserDB.Extern]\nProviderURL = \"http://a/\"",
            "trust-without-store",
            "Gateway.TrustOnFirstUse",
        ),
    ] {
        let findings = findings_of(&gateway_file(section));
        assert_eq!((findings.len(), findings[0].0, findings[0].1.as_str()), (1, code, key), "{findings:?}");
    }
    // What the reference ignores does nothing here either, unless there is a database.
    let flags = "[Gateway]\nTrustOnFirstUse = true\nEnableEphemeralClients = true";
    let codes: Vec<_> = findings_of(&gateway_file(flags)).into_iter().map(|finding| (finding.0, finding.1)).collect();
    assert_eq!(
        codes,
        [
            ("without-user-database", "Gateway.TrustOnFirstUse".into()),
            ("without-user-database", "Gateway.EnableEphemeralClients".into())
        ]
    );
    let only_onion = gateway_file("").replace("[\"tcp://192.0.2.1:30014\"]", "[\"onion://hidden:1\"]");
    let codes: Vec<_> = findings_of(&only_onion).into_iter().map(|finding| finding.0).collect();
    assert_eq!(codes, ["onion-name", "no-address"]);
}

#[test]
fn blocks_without_their_role() {
    for (section, problem) in [
        ("[Gateway]", "config: Gateway block set when not a Gateway"),
        ("[ServiceNode]", "config: Service node block set when not a Service node"),
    ] {
        let text = main_file().replace("[Management]", &format!("{section}\n[Management]"));
        let findings = findings_of(&text);
        assert_eq!((findings.len(), findings[0].0, findings[0].2.as_str()), (1, "role-block", problem));
    }
    let both = gateway_file("").replace("IsServiceNode = false", "IsServiceNode = true");
    let findings = findings_of(&both);
    assert_eq!((findings.len(), findings[0].0, findings[0].1.as_str()), (1, "two-roles", "Server.IsServiceNode"));
}

const SERVICES: &str = r#"
[ServiceNode]

  [[ServiceNode.Kaetzchen]]
    Capability = "echo"
    Endpoint = "+echo"
    Disable = false

  [[ServiceNode.Kaetzchen]]
    Capability = "testdest"
    Endpoint = "+testdest"
    Disable = true

  [[ServiceNode.CBORPluginKaetzchen]]
    Capability = "courier"
    Endpoint = "courier"
    Command = "/usr/bin/courier"
    MaxConcurrency = 1
    Disable = false
    [ServiceNode.CBORPluginKaetzchen.Config]
      c = "/etc/courier.toml"
      a = "b"
    [ServiceNode.CBORPluginKaetzchen.PKIAdvertizedData]
      [ServiceNode.CBORPluginKaetzchen.PKIAdvertizedData.courier]
        linkPublicKey = "-----BEGIN"
"#;

#[test]
fn a_service_node() {
    let loaded = load_text(&service_file(SERVICES)).unwrap_or_else(|findings| panic!("{findings:#?}"));
    assert_eq!(loaded.findings, []);
    let expected = ServiceNode {
        built_in: vec![BuiltIn { service: BuiltInService::Echo, endpoint: "+echo".into() }],
        plugins: vec![PluginService {
            capability: "courier".into(),
            endpoint: "courier".into(),
            command: "/usr/bin/courier".into(),
            arguments: vec![("c".into(), "/etc/courier.toml".into()), ("a".into(), "b".into())],
            advertised: Some(BTreeMap::from([("linkPublicKey".into(), Value::Text("-----BEGIN".into()))])),
            protocol: PluginProtocol::Stream { asks_parameters: false },
        }],
        keyserver: None,
    };
    assert_eq!(loaded.config.role, Role::ServiceNode(expected));
    assert_eq!(BuiltInService::Echo.capability(), "echo");
    let bare = load_text(&service_file("")).expect("good").config;
    assert_eq!(bare.role, Role::ServiceNode(ServiceNode::default()));
}

/// It is there once, and needs a file.
#[test]
fn a_keyserver() {
    let with = |config: &str| {
        let entry = SERVICES.replace("Capability = \"testdest\"", "Capability = \"keyserver\"");
        let entry = entry.replace("\"+testdest\"\n    Disable = true", &format!("\"+keyserver\"\n{config}"));
        load_text(&service_file(&entry))
    };
    let loaded =
        with("Config = { IdentityKeys = \"/etc/katzenpost/keys\" }").unwrap_or_else(|found| panic!("{found:#?}"));
    assert_eq!(loaded.findings, []);
    let Role::ServiceNode(node) = loaded.config.role else { panic!("another role") };
    let keys = Keyserver { endpoint: "+keyserver".into(), identity_keys: "/etc/katzenpost/keys".into() };
    assert_eq!((node.keyserver, node.built_in.len()), (Some(keys), 1));
    for (config, code) in [
        ("", "keyserver-keys"),
        ("Config = { Other = \"/keys\" }", "keyserver-keys"),
        ("Config = { IdentityKeys = 1 }", "keyserver-keys"),
        ("Config = { IdentityKeys = \"keys\" }", "not-absolute"),
    ] {
        let findings = with(config).expect_err("it has no keys");
        let found: Vec<_> = findings.iter().map(|finding| (finding.code, finding.key.as_str())).collect();
        assert_eq!(found, [(code, "ServiceNode.Kaetzchen[1].Config.IdentityKeys")], "{config}");
    }
}

/// What the file of a plugin says of the way in which it is spoken to.
#[test]
fn protocols_of_plugins() {
    let with = |lines: &str| load_text(&service_file(&SERVICES.replace("MaxConcurrency = 1", lines)));
    let (stream, http) =
        (|asks_parameters| PluginProtocol::Stream { asks_parameters }, |processes| PluginProtocol::Http { processes });
    for (lines, expected) in [
        // As the reference has it, whatever the number is.
        ("", stream(false)),
        ("MaxConcurrency = -7", stream(false)),
        ("Protocol = \"stream\"\nMaxConcurrency = 5", stream(false)),
        ("AskParameters = true", stream(true)),
        ("Protocol = \"http\"", http(1)),
        ("Protocol = \"http\"\nMaxConcurrency = 0", http(1)),
        ("Protocol = \"http\"\nMaxConcurrency = 64\nAskParameters = true", http(64)),
    ] {
        let loaded = with(lines).unwrap_or_else(|findings| panic!("{lines}: {findings:#?}"));
        assert_eq!(loaded.findings, [], "{lines}");
        let Role::ServiceNode(node) = loaded.config.role else { panic!("another role") };
        assert_eq!(node.plugins[0].protocol, expected, "{lines}");
    }
    let plugin = "ServiceNode.CBORPluginKaetzchen[0]";
    for (lines, code, key) in [
        ("Protocol = \"HTTP/2\"", "plugin-protocol", "Protocol"),
        ("Protocol = \"http\"\nMaxConcurrency = 65", "plugin-processes", "MaxConcurrency"),
        ("Protocol = \"http\"\nMaxConcurrency = -1", "plugin-processes", "MaxConcurrency"),
        ("Protocol = \"http\"\nAskParameters = false", "plugin-parameters", "AskParameters"),
    ] {
        let findings = findings_of(&service_file(&SERVICES.replace("MaxConcurrency = 1", lines)));
        let found: Vec<_> = findings.iter().map(|finding| (finding.0, finding.1.clone())).collect();
        assert_eq!(found, [(code, format!("{plugin}.{key}"))], "{lines}: {findings:?}");
    }
}

#[test]
fn service_findings() {
    let plugin = "ServiceNode.CBORPluginKaetzchen[0]";
    for (from, to, code, key, problem) in [
        ("Capability = \"echo\"", "", "required", "ServiceNode.Kaetzchen[0].Capability", "Capability is invalid"),
        (
            "Capability = \"echo\"",
            "Capability = \"panda\"",
            "capability-unsupported",
            "ServiceNode.Kaetzchen[0].Capability",
            "provider: Kaetzchen: Unsupported capability: 'panda'",
        ),
        (
            "Capability = \"testdest\"",
            "Capability = \"echo\"",
            "capability-doubled",
            "ServiceNode.Kaetzchen[1].Capability",
            "config: Kaetzchen: 'echo' configured multiple times",
        ),
        (
            "Capability = \"echo\"",
            "Capability = \"courier\"",
            "capability-unsupported",
            "ServiceNode.Kaetzchen[0].Capability",
            "Unsupported capability",
        ),
        (
            "Endpoint = \"+testdest\"",
            "Endpoint = \"+echo\"",
            "endpoint-doubled",
            "ServiceNode.Kaetzchen[1].Endpoint",
            "multiple times",
        ),
        ("\"+echo\"", "\"+Echo\"", "endpoint", "ServiceNode.Kaetzchen[0].Endpoint", "'+echo'"),
        ("\"+echo\"", "\"a b\"", "endpoint", "ServiceNode.Kaetzchen[0].Endpoint", "characters"),
        ("Command = \"/usr/bin/courier\"", "", "required", &format!("{plugin}.Command"), "Command is invalid"),
        ("a = \"b\"", "a = 1", "plugin-argument", &format!("{plugin}.Config.a"), "not a string"),
    ] {
        let all = SERVICES.replace("Disable = true", "Disable = false");
        let findings = findings_of(&service_file(&all.replacen(from, to, 1)));
        let first = &findings[0];
        assert_eq!((first.0, first.1.as_str()), (code, key), "{findings:?}");
        assert!(first.2.contains(problem), "{findings:?}");
    }
    let renamed = SERVICES.replace("PKIAdvertizedData.courier]", "PKIAdvertizedData.other]");
    let findings = findings_of(&service_file(&renamed));
    assert_eq!((findings.len(), findings[0].0), (1, "advertised-data-unused"));
}

/// The reference checks the names of disabled entries, and nothing else of them.
#[test]
fn disabled_entries() {
    let disabled = SERVICES.replace("Disable = false", "Disable = true");
    let role = load_text(&service_file(&disabled)).unwrap_or_else(|findings| panic!("{findings:#?}")).config.role;
    assert_eq!(role, Role::ServiceNode(ServiceNode::default()));
    for (from, to, codes) in [
        ("\"testdest\"", "\"keyserver\"", &[][..]),
        ("\"+testdest\"", "\"+echo\"", &[]),
        ("a = \"b\"", "a = 1", &[]),
        ("\"testdest\"", "\"echo\"", &["capability-doubled"]),
        ("\"+testdest\"", "\"+Test\"", &["endpoint"]),
        ("\"/usr/bin/courier\"", "\"\"", &["required"]),
    ] {
        let findings = findings_of(&service_file(&disabled.replacen(from, to, 1)));
        let found: Vec<_> = findings.iter().map(|finding| finding.0).collect();
        assert_eq!(found, codes, "{from} -> {to}: {findings:?}");
    }
}
