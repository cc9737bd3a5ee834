use super::*;

/// What becomes of a text, and what is said about it.
fn migrated(program: Program, text: &str, provider: Option<ProviderRole>) -> Migration {
    let migration = migrate(program, text, provider).unwrap();
    // What is up to date stays as it is.
    let again = migrate(program, &migration.text, provider).unwrap();
    assert_eq!((again.text.as_str(), again.changes.as_slice()), (migration.text.as_str(), &[][..]));
    migration
}

fn server(text: &str) -> String {
    migrated(Program::Server, text, None).text
}

#[test]
fn addresses_get_a_scheme_and_all_else_stays() {
    let old = "# ours\n[Server]\n  Identifier = \"mix1\" # the name\n  Addresses = [\"192.0.2.1:3219\", \"quic://[::1]:7\"] # two\n\n\
               [[PKI.Voting.Authorities]]\n  Addresses = [\"127.0.0.1:1\"]\n[[PKI.Voting.Authorities]]\n  addresses = [\"a.example:2\"]\n";
    let new = old
        .replace("\"192.0.2.1", "\"tcp://192.0.2.1")
        .replace("\"127", "\"tcp://127")
        .replace("\"a.example", "\"tcp://a.example");
    assert_eq!(server(old), new);
}

#[test]
fn what_has_no_effect_goes_and_what_was_split_is_split() {
    let old = "[Debug]\n  CotenancyFactor = 1\n  numproviderworkers = 3\n  ProviderDelay = 500\n  ServiceDelay = 7\n[Management]\n  Disable = false\n\
               [SphinxGeometry]\n  SURBIDLength = 16\n  NrHops = 5\n";
    let new = server(old);
    let table: toml::Table = new.parse().unwrap();
    let debug = table["Debug"].as_table().unwrap();
    let number = |key: &str| debug.get(key).and_then(toml::Value::as_integer);
    assert_eq!(["NumGatewayWorkers", "NumServiceWorkers", "GatewayDelay"].map(number), [Some(3), Some(3), Some(500)]);
    assert_eq!(number("ServiceDelay"), Some(7), "what is there stays");
    assert_eq!(debug.len(), 4, "{new}");
    assert!(new.contains("\n  NumGatewayWorkers = 3\n"), "it looks like its neighbours: {new}");
    assert_eq!(table["Management"]["Enable"].as_bool(), Some(true));
    assert_eq!(table["SphinxGeometry"].as_table().unwrap().len(), 1);
}

#[test]
fn alternative_addresses_become_what_is_advertised() {
    let old = "[Server]\nAddresses = [\"10.0.0.1:1\"]\nOnlyAdvertiseAltAddresses = true\n[Server.AltAddresses]\nTCP4 = [\"192.0.2.1:2\"]\n";
    let table: toml::Table = server(old).parse().unwrap();
    assert_eq!(table["Server"]["Addresses"], toml::Value::from(vec!["tcp4://192.0.2.1:2"]));
    assert_eq!(table["Server"]["BindAddresses"], toml::Value::from(vec!["tcp://10.0.0.1:1"]));
    let table: toml::Table = server(&old.replace("true", "false")).parse().unwrap();
    assert_eq!(table["Server"]["Addresses"], toml::Value::from(vec!["tcp://10.0.0.1:1", "tcp4://192.0.2.1:2"]));
}

const PROVIDER: &str = "[Server]\n  IsProvider = true\n\n[Provider]\n  BinaryRecipients = true\n  [Provider.SpoolDB]\n    Backend = \"bolt\"\n\
                        \n  [[Provider.Kaetzchen]]\n    Capability = \"echo\"\n    Endpoint = \"+echo\"\n";

#[test]
fn what_a_provider_becomes_is_its_operators_choice() {
    let undecided = migrated(Program::Server, PROVIDER, None);
    assert_eq!(undecided.text, PROVIDER);
    assert!(undecided.undecided[0].contains("--provider-as gateway"), "{undecided:?}");
    let gateway = migrated(Program::Server, PROVIDER, Some(ProviderRole::Gateway));
    let table: toml::Table = gateway.text.parse().unwrap();
    assert!(gateway.undecided.is_empty() && !table.contains_key("Provider"));
    assert_eq!(table["Server"]["IsGatewayNode"].as_bool(), Some(true));
    assert_eq!(table["Gateway"], toml::Value::Table("[SpoolDB]\nBackend = \"bolt\"\n".parse().unwrap()));
    let service = migrated(Program::Server, PROVIDER, Some(ProviderRole::ServiceNode));
    let table: toml::Table = service.text.parse().unwrap();
    assert_eq!(table["Server"]["IsServiceNode"].as_bool(), Some(true));
    assert_eq!(table["ServiceNode"]["Kaetzchen"][0]["Capability"].as_str(), Some("echo"));
    assert_eq!(table["ServiceNode"].as_table().unwrap().len(), 1);
    assert_eq!(server("[Server]\nIsProvider = false\n"), "[Server]\n");
}

#[test]
fn authorities_and_clients_too() {
    let old = "[Server]\nAddresses = [\"127.0.0.1:1\"]\n[Parameters]\nMu = 0.1\nMuMaxDelay = 5\nLambdaD = 1.0\nlambdag = 0.1\n";
    let new = migrated(Program::Authority, old, None).text;
    assert_eq!(new, "[Server]\nAddresses = [\"tcp://127.0.0.1:1\"]\n[Parameters]\nMu = 0.1\n");
    let old = "ListenNetwork = \"tcp\"\nListenAddress = \"127.0.0.1:64331\"\n[PigeonholeGeometry]\na = 1\n";
    let table: toml::Table = migrated(Program::ClientDaemon, old, None).text.parse().unwrap();
    assert_eq!(table["Listen"]["Tcp"]["Address"].as_str(), Some("127.0.0.1:64331"));
    assert_eq!(table.len(), 1);
}

#[test]
fn what_is_no_toml_is_said() {
    assert!(migrate(Program::Server, "[Server", None).unwrap_err().contains("line 1"));
}

#[test]
fn nothing_is_lost_that_was_not_said() {
    // A table that is there already, by hand.
    let both =
        format!("{PROVIDER}[ServiceNode]\n  # ours\n  [[ServiceNode.Kaetzchen]]\n    Capability = \"testdest\"\n");
    let migration = migrated(Program::Server, &both, Some(ProviderRole::ServiceNode));
    assert_eq!((migration.text.as_str(), migration.undecided.len()), (both.as_str(), 1));
    for old in [
        "[Management]\nDisable = \"true\"\n",
        "[Debug]\n[Debug.ProviderDelay]\nx = 1\n",
        "[Server]\nAddresses = []\nAltAddresses = \"oops\"\n",
        "[Server]\nBindAddresses = [\"tcp://10.0.0.9:5\"]\n[Server.AltAddresses]\nTCP4 = [\"192.0.2.1:2\"]\n",
        "[Server.AltAddresses]\nTCP4 = [\"192.0.2.1:2\", 7]\n",
        "[[ServiceNode.CBORPluginKaetzchen]]\n[ServiceNode.CBORPluginKaetzchen.Config]\nAddresses = [\"foo:bar\"]\n",
    ] {
        assert_eq!(server(old), old);
    }
    for old in [
        "ListenNetwork = \"tcp\"\n",
        "ListenNetwork = \"tcp\"\nListenAddress = \"a:1\"\n[Listen.Unix]\nAddress = \"/x\"\n",
    ] {
        let migration = migrated(Program::ClientDaemon, old, None);
        assert_eq!((migration.text.as_str(), migration.undecided.len()), (old, 1));
    }
    // `[Provider]` alone was never read.
    let ignored = "[Server]\nIsProvider = false\n[Provider]\n";
    assert_eq!(migrated(Program::Server, ignored, Some(ProviderRole::Gateway)).text, "[Server]\n[Provider]\n");
    assert_eq!(server("[Server.AltAddresses]\ntcp = [\"192.0.2.1:2\"]\n").matches("Addresses").count(), 1);
}

#[test]
fn comments_and_line_ends_stay() {
    let old = "[Debug]\n  # agreed with ops\n  CotenancyFactor = 1\n  # workers\n  NumSphinxWorkers = 7\n";
    assert_eq!(server(old), "[Debug]\n  # agreed with ops\n  # workers\n  NumSphinxWorkers = 7\n");
    let marked = "\u{feff}[Server]\r\nAddresses = [\"127.0.0.1:1\"]\r\n";
    assert_eq!(server(marked), marked.replace("127", "tcp://127"));
}
