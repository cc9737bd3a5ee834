//! The examples of the operators' handbook of the first releases: mix, provider, PostgreSQL, plugins. As they are, each is
//! told what has replaced it; as `config migrate` brings them up to date, each runs, or the message says what is left to do.

use super::fixture::{load_text, main_file, sources};
use crate::migrate::{Migration, ProviderRole, migrate};
use crate::program::Program;
use crate::server::{BuiltInService, DataSource, Gateway, MailStore, PluginProtocol, Role, UserStore, Users, parse};
use crate::{Finding, Strictness};
use ProviderRole::{Gateway as AsGateway, ServiceNode as AsServiceNode};

/// A provider's file of today but for its role, and the example below it.
fn provider_file(example: &str) -> String {
    main_file().replace("  IsGatewayNode = false\n  IsServiceNode = false\n", "  IsProvider = true\n") + example
}

/// Where findings are, and what to do about them.
fn told(findings: &[Finding]) -> Vec<(&str, &str)> {
    findings.iter().map(|finding| (finding.key.as_str(), finding.remedy.as_str())).collect()
}

fn migrated(example: &str, role: ProviderRole) -> Migration {
    let migration = migrate(Program::Server, &provider_file(example), Some(role)).expect("it is TOML");
    assert_eq!(migration.undecided, [""; 0], "{example}");
    migration
}

/// The role that the migrated example has, when nothing of it is left to be said.
#[track_caller]
fn runs(example: &str, role: ProviderRole) -> Role {
    let text = migrated(example, role).text;
    let loaded = parse(&sources(&text), Strictness::Strict).unwrap_or_else(|findings| panic!("{findings:#?}\n{text}"));
    assert_eq!(loaded.findings, [], "{text}");
    loaded.config.role
}

/// The migrated example is refused at one key with this remedy.
#[track_caller]
fn is_refused(example: &str, role: ProviderRole, key: &str, remedy: &str) {
    let text = migrated(example, role).text;
    let findings = load_text(&text).expect_err("something is left to do");
    let [(found, said)] = told(&findings)[..] else { panic!("{findings:#?}\n{text}") };
    assert_eq!(found, key);
    assert!(said.contains(remedy), "{said}");
}

/// What the migration says when it takes the example's keys out.
#[track_caller]
fn is_taken_out(example: &str, role: ProviderRole, said: &str) {
    let changes = migrated(example, role).changes;
    assert!(changes.iter().any(|change| change.contains(said)), "{changes:#?}");
}

#[test]
fn a_node_of_the_first_releases() {
    let file = "[Server]\n  Identifier = \"example.com\"\n  Addresses = [ \"192.0.2.1:29483\", \"[2001:DB8::1]:29483\" ]\n  \
                DataDir = \"/var/lib/katzenpost\"\n  IsProvider = false\n\n[PKI]\n  [PKI.Nonvoting]\n    \
                Address = \"192.0.2.2:2323\"\n    PublicKey = \"kAiVchOBwHVtKJVFJLsdCQ9UyN2SlfhLHYqT8ePBetg=\"\n";
    let findings = parse(&sources(file), Strictness::Strict).expect_err("it cannot be used");
    let told = told(&findings);
    for (key, remedy) in [
        ("Server.Addresses[0]", "tcp://192.0.2.1:"),
        ("Server.Addresses[1]", "tcp://[2001:db8::1]:"),
        ("Server.IsProvider", "Server.IsGatewayNode or Server.IsServiceNode"),
        ("Server.WireKEM", "set WireKEM"),
        ("Server.PKISignatureScheme", "set PKISignatureScheme"),
        ("SphinxGeometry", "add [SphinxGeometry]"),
        ("PKI.Nonvoting", "use [[PKI.Voting.Authorities]]"),
    ] {
        assert!(told.iter().any(|(found, said)| *found == key && said.contains(remedy)), "{key}: {told:#?}");
    }
    let addresses = migrate(Program::Server, file, None).expect("it is TOML").text;
    assert!(addresses.contains(r#"[ "tcp://192.0.2.1:29483", "tcp://[2001:DB8::1]:29483" ]"#), "{addresses}");
}

#[test]
fn log_socket_and_debug() {
    let main = main_file().replace("File = \"katzenpost.log\"", "File = \"/var/log/katzenpost.log\"");
    let text = main
        .replace(
            "Enable = false\n  Path = \"/var/lib/katzenpost/mix1/management_sock\"",
            "Enable = true\n  Path = \"/var/lib/katzenpost/thwack.sock\"",
        )
        .replace(
            "  NumSphinxWorkers = 0\n",
            "  NumSphinxWorkers = 0\n  NumProviderWorkers = 3\n  ProviderDelay = 500\n  IdentityKey = \"\"\n",
        );
    let loaded = load_text(&text).unwrap_or_else(|findings| panic!("{findings:#?}"));
    assert!(loaded.config.management.enabled);
    assert_eq!(
        told(&loaded.findings),
        [
            ("Debug.NumProviderWorkers", "use Debug.NumGatewayWorkers and Debug.NumServiceWorkers"),
            ("Debug.ProviderDelay", "use Debug.GatewayDelay and Debug.ServiceDelay"),
            ("Debug.IdentityKey", "remove it"),
        ]
    );
    let disable = main_file().replace("Enable = false", "Disable = true");
    let loaded = load_text(&disable).expect("the reference ignores it");
    assert_eq!(told(&loaded.findings), [("Management.Disable", "use Management.Enable")]);
}

#[test]
fn whatever_a_provider_had_it_is_told_to_choose() {
    for example in [REGISTRATION, RECIPIENTS, SERVICES, PLUGIN, GRPC, BOLT, EXTERN, SPOOL, SQL] {
        let text = provider_file(example);
        let lenient = load_text(&text).expect("the reference ignores it").findings;
        let findings = parse(&sources(&text), Strictness::Strict).expect_err("it is no provider any more");
        assert_eq!(told(&findings), told(&lenient), "{example}");
        let [(is_provider, use_flags), (provider, split)] = told(&findings)[..] else { panic!("{findings:#?}") };
        assert_eq!((is_provider, provider), ("Server.IsProvider", "Provider"));
        assert!(use_flags.contains("IsGatewayNode") && split.contains("config migrate"), "{use_flags} {split}");
        let undecided = migrate(Program::Server, &text, None).expect("it is TOML");
        assert!(undecided.undecided[0].contains("--provider-as"), "{undecided:?}");
    }
}

const REGISTRATION: &str =
    "[Provider]\n  EnableUserRegistrationHTTP = true\n  UserRegistrationHTTPAddresses = [ \"127.0.0.1:8080\"]\n";
const RECIPIENTS: &str =
    "[Provider]\n  BinaryRecipients = false\n  CaseSensitiveRecipients = true\n  RecipientDelimiter = \"+\"\n";
const GRPC: &str = "[Provider]\n  [[Provider.PluginKaetzchen]]\n    Capability = \"zec\"\n    Command = \"/bin/zec\"\n";

#[test]
fn what_is_gone_is_told_with_what_to_do_instead() {
    for role in [AsGateway, AsServiceNode] {
        is_taken_out(REGISTRATION, role, "EnableUserRegistrationHTTP: removed, users are registered by ADD_USER");
        is_taken_out(RECIPIENTS, role, "RecipientDelimiter: removed, recipients are 32 bytes");
        is_taken_out(GRPC, role, "programs that speak CBOR are [[ServiceNode.CBORPluginKaetzchen]]");
        runs(REGISTRATION, role);
        runs(RECIPIENTS, role);
        runs(GRPC, role);
    }
}

const SERVICES: &str = "[Provider]\n  [[Provider.Kaetzchen]]\n    Capability = \"loop\"\n    Endpoint = \"+loop\"\n    \
                        Disable = false\n  [[Provider.Kaetzchen]]\n    Capability = \"keyserver\"\n    \
                        Endpoint = \"+keyserver\"\n    Disable = false\n";

#[test]
fn the_services_of_a_provider() {
    is_refused(SERVICES, AsServiceNode, "ServiceNode.Kaetzchen[1].Config.IdentityKeys", "the path of a file");
    let keys = "Endpoint = \"+keyserver\"\n    Config = { IdentityKeys = \"/etc/katzenpost/identity-keys\" }\n";
    let Role::ServiceNode(node) = runs(&SERVICES.replace("Endpoint = \"+keyserver\"\n", keys), AsServiceNode) else {
        panic!("another role")
    };
    assert_eq!((node.built_in[0].service, node.built_in[0].endpoint.as_str()), (BuiltInService::Loop, "+loop"));
    assert_eq!(node.keyserver.expect("a keyserver").endpoint, "+keyserver");
    is_taken_out(SERVICES, AsGateway, "Provider.Kaetzchen: removed, as [Gateway] has no such key");
}

const PLUGIN: &str = "[[Provider.CBORPluginKaetzchen]]\n  Capability = \"zec\"\n  Endpoint = \"+zec\"\n  Disable = false\n  \
                      Command = \"/home/user/test_mixnet/bin/currency\"\n  MaxConcurrency = 10\n  \
                      [Provider.CBORPluginKaetzchen.Config]\n    log_dir = \"/home/user/test_mixnet/zec_tx_logs\"\n    \
                      f = \"/home/user/test_mixnet/currency_zec/currency.toml\"\n";

/// Plugins of that time spoke HTTP, as many of a kind as the file says.
#[test]
fn a_plugin_of_a_provider() {
    let plugin = |example: &str| {
        let Role::ServiceNode(mut node) = runs(example, AsServiceNode) else { panic!("another role") };
        node.plugins.remove(0)
    };
    assert_eq!(plugin(PLUGIN).protocol, PluginProtocol::Stream { asks_parameters: false });
    is_taken_out(PLUGIN, AsServiceNode, "needs Protocol = \"http\"");
    let plugin = plugin(&PLUGIN.replace("  MaxConcurrency", "  Protocol = \"http\"\n  MaxConcurrency"));
    assert_eq!(plugin.protocol, PluginProtocol::Http { processes: 10 });
    assert_eq!((plugin.endpoint.as_str(), plugin.arguments.len()), ("+zec", 2));
}

const BOLT: &str =
    "[Provider.UserDB]\n  Backend = \"bolt\"\n\n  [Provider.UserDB.Bolt]\n    UserDB = \"my_users.db\"\n";
const EXTERN: &str =
    "[Provider.UserDB]\n  [Provider.UserDB.ExternUserDB]\n    ProviderURL = \"http://localhost:8080/\"\n";
const SPOOL: &str =
    "[Provider.SpoolDB]\n  Backend = \"bolt\"\n\n  [Provider.SpoolDB.Bolt]\n    SpoolDB = \"my_spool.db\"\n";
const SOURCE: &str = "postgresql://provider:s3cr3tp0stgr355@127.0.0.1:5433/katzenpost";
const SQL: &str = "[Provider]\n  [Provider.SQLDB]\n    Backend = \"pgx\"\n    \
                   DataSourceName = \"postgresql://provider:s3cr3tp0stgr355@127.0.0.1:5433/katzenpost\"\n  \
                   [Provider.SpoolDB]\n    Backend = \"sql\"\n  [Provider.UserDB]\n    Backend = \"sql\"\n";

#[track_caller]
fn gateway(example: &str) -> Gateway {
    let Role::Gateway(gateway) = runs(example, AsGateway) else { panic!("another role") };
    gateway
}

/// A provider with a user database took nobody else: neither does what it has become.
#[test]
fn the_users_of_a_provider() {
    is_refused(BOLT, AsGateway, "Gateway.UserDB.Bolt.UserDB", "a path that starts with /");
    let only = |store| Some(Users { store, trusts_on_first_use: false, admits_ephemeral: false });
    let bolt = gateway(&BOLT.replace("my_users", "/var/lib/katzenpost/my_users"));
    assert_eq!(bolt.users, only(UserStore::Embedded("/var/lib/katzenpost/my_users.db".into())));
    let Some(Users { store: UserStore::Extern(url), .. }) = gateway(EXTERN).users else { panic!("another store") };
    assert_eq!(url.authority, "localhost:8080");
    is_refused(SPOOL, AsGateway, "Gateway.SpoolDB.Bolt.SpoolDB", "a path that starts with /");
    let spool = gateway(&SPOOL.replace("my_spool", "/var/lib/katzenpost/my_spool"));
    assert_eq!((spool.spool_path.to_str(), spool.users), (Some("/var/lib/katzenpost/my_spool.db"), None));
    let sql = gateway(SQL);
    assert_eq!(sql.mail, Some(MailStore::Sql));
    assert_eq!(sql.users, only(UserStore::Sql(DataSource::new(SOURCE.into()))));
    is_taken_out(SQL, AsGateway, "Gateway.EnableEphemeralClients: is written as false");
    // Who has written down what it is to be keeps it.
    let trusting = SQL.replace("[Provider]\n", "[Provider]\n  TrustOnFirstUse = true\n");
    assert!(gateway(&trusting).users.is_some_and(|users| users.trusts_on_first_use && !users.admits_ephemeral));
}
