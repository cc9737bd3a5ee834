use super::*;
use crate::Strictness;
use crate::explain::{Answer, explain};
use crate::server::parse;
use crate::server::tests::fixture::{load_text, main_file, sources};

fn config(text: &str) -> ServerConfig {
    load_text(text).expect("a good file").config
}

#[test]
fn every_live_key_is_a_key_and_shows_its_changes() {
    for key in LIVE {
        let Answer::Keys(entries) = explain(key.path) else { panic!("{} is no key", key.path) };
        assert!(entries.iter().any(|entry| entry.path == key.path && entry.meaning.contains("RELOAD")));
    }
    let text = main_file();
    let changed = [
        ("Level = \"NOTICE\"", "Level = \"debug\"", "Logging.Level", "NOTICE", "DEBUG"),
        ("SchedulerQueueSize = 0", "SchedulerQueueSize = 9", "Debug.SchedulerQueueSize", "unlimited", "9"),
        ("UnwrapDelay = 250", "UnwrapDelay = 251", "Debug.UnwrapDelay", "250 ms", "251 ms"),
        ("GatewayDelay = 500", "GatewayDelay = 501", "Debug.GatewayDelay", "500 ms", "501 ms"),
        ("ServiceDelay = 500", "ServiceDelay = 501", "Debug.ServiceDelay", "500 ms", "501 ms"),
        ("SchedulerSlack = 450", "SchedulerSlack = 451", "Debug.SchedulerSlack", "450 ms", "451 ms"),
        ("SendSlack = 50", "SendSlack = 51", "Debug.SendSlack", "50 ms", "51 ms"),
        ("DecoySlack = 15000", "DecoySlack = 15001", "Debug.DecoySlack", "15000 ms", "15001 ms"),
        ("ReauthInterval = 30000", "ReauthInterval = 300", "Debug.ReauthInterval", "30000 ms", "300 ms"),
        ("DisableRateLimit = false", "DisableRateLimit = true", "Debug.DisableRateLimit", "false", "true"),
    ];
    assert_eq!(changed.len(), LIVE.len());
    for (before, after, key, from, to) in changed {
        assert!(text.contains(before));
        let (old, new) = (config(&text), config(&text.replace(before, after)));
        let changes = old.changes(&new);
        assert_eq!(changes.live, [Change { key, from: from.into(), to: to.into() }]);
        assert_eq!(changes.needs_restart, Vec::<String>::new(), "{key}");
        let mut taken = old.clone();
        taken.take_live(&new);
        assert_eq!(taken.changes(&new), Changes::default());
        // And back again.
        assert_eq!(taken.changes(&old).live, [Change { key, from: to.into(), to: from.into() }]);
    }
}

#[test]
fn what_else_has_changed_is_named() {
    let text = main_file();
    let old = config(&text);
    assert_eq!(old.changes(&old), Changes::default());
    let other = text
        .replace("MetricsAddress = \"127.0.0.1:30016\"", "metricsaddress = \"127.0.0.1:30017\"")
        .replace("HandshakeTimeout = 3000", "HandshakeTimeout = 4000\n  NoSuchKey = 3")
        .replace("  ConnectTimeout = 60000\n", "")
        .replace("Identifier = \"auth2\"", "Identifier = \"auth5\"")
        .replace("SendSlack = 50", "SendSlack = 70");
    let changes = old.changes(&config(&other));
    assert_eq!(changes.live.len(), 1);
    // A key that is gone is named beside those whose values count.
    assert_eq!(
        changes.needs_restart,
        ["Debug.ConnectTimeout", "Debug.HandshakeTimeout", "PKI.Voting.Authorities", "Server.MetricsAddress"]
    );
}

#[test]
fn another_way_to_write_the_same_is_no_change() {
    let text = main_file();
    let old = config(&text);
    let same = text
        .replace("  ConnectTimeout = 60000\n", "  # as ever\n")
        .replace("KaetzchenDelay = 750", "kaetzchendelay = 7_50")
        .replace("IsGatewayNode = false\n", "")
        .replace('\n', "\r\n");
    assert_ne!(old.written, config(&same).written);
    assert_eq!(old.changes(&config(&same)), Changes::default());
}

#[test]
fn the_own_file_counts_as_well() {
    let text = main_file();
    let with = |own: Option<&str>| {
        let own = own.map(|own| ("/etc/katzensprung.toml".into(), own.to_owned()));
        let sources = crate::server::Sources { own, ..sources(&text) };
        parse(&sources, Strictness::Lenient).expect("a good file").config
    };
    let (none, some) = (with(None), with(Some("[dataplane]\nshards = 2\n")));
    assert_eq!(none.changes(&some).needs_restart, ["dataplane.shards"]);
    assert_eq!(some.changes(&none).needs_restart, ["dataplane.shards"]);
    assert_eq!(none.changes(&with(Some("# nothing\n"))), Changes::default());
}
