use super::*;
use std::path::Path;

fn parsed(text: &str) -> (OwnConfig, Vec<crate::Finding>) {
    let mut findings = Findings::new(Path::new("katzensprung.toml"));
    let own = parse(text, &mut findings);
    (own, findings.into_sorted())
}

#[test]
fn everything_is_optional() {
    for text in ["", "[dataplane]\n[controlplane]\n"] {
        assert_eq!(parsed(text), (OwnConfig::default(), Vec::new()));
    }
}

#[test]
fn every_key() {
    let (own, findings) = parsed(
        "[dataplane]\nshards = 2\npin_cpus = [4, 5, 6]\nbackend = \"epoll\"\ndatagrams = \"xdp\"\ninterface = \"eth0\"\nline_rate_packets_per_second = 20000\nbatch_max = 16\n\
         batch_wait_us = 0\nspread_delays = true\nslots = 1024\nconnections_per_address = 0\nmailbox_messages = 7\nspool_mib = 8\nrun_as_two_units = true\n\
         [controlplane]\nshutdown_withdraw = true\nkept_mail_mib = 9\nkept_mail_days = 2\n[keys]\nseal = \"systemd\"\n",
    );
    assert_eq!(findings, []);
    assert_eq!(
        own,
        OwnConfig {
            dataplane: Dataplane {
                shards: NonZeroUsize::new(2),
                pin_cpus: vec![4, 5, 6],
                backend: Backend::Epoll,
                interface: Some("eth0".into()),
                line_rate_packets_per_second: Some(20_000),
                batch_max: 16,
                batch_wait: Duration::ZERO,
                spread_delays: true,
                slots: Some(1_024),
                connections_per_address: Some(0),
                mailbox_messages: Some(7),
                spool_mib: Some(8),
                run_as_two_units: true,
            },
            controlplane: Controlplane {
                shutdown_withdraw: Some(true),
                kept_mail_mib: Some(9),
                kept_mail_days: Some(2),
            },
            keys: Keys { seal: Seal::Systemd },
        }
    );
    assert_eq!(parsed("[dataplane]\npin_cpus = [1, 0]").0.dataplane.shards, NonZeroUsize::new(2));
}

#[test]
fn every_finding() {
    for (text, code, line) in [
        ("[dataplane]\nshards = 0", "out-of-range", 2),
        ("[dataplane]\nshards = 257", "out-of-range", 2),
        ("[dataplane]\nline_rate_packets_per_second = -1", "out-of-range", 2),
        ("[dataplane]\nbatch_max = 0", "out-of-range", 2),
        ("[dataplane]\nbatch_wait_us = 10001", "out-of-range", 2),
        ("[dataplane]\nslots = 1", "out-of-range", 2),
        ("[dataplane]\nbatch_max = 33", "out-of-range", 2),
        ("[dataplane]\nconnections_per_address = -1", "out-of-range", 2),
        ("[dataplane]\nmailbox_messages = 0", "out-of-range", 2),
        ("[dataplane]\nspool_mib = 1000001", "out-of-range", 2),
        ("[dataplane]\ndatagrams = \"dpdk\"", "datagrams", 2),
        ("[dataplane]\ndatagrams = \"xdp\"", "interface", 2),
        ("[dataplane]\ndatagrams = \"xdp\"\ninterface = \"\"", "interface", 3),
        ("[dataplane]\ndatagrams = \"xdp\"\ninterface = \"eth0:1\"", "interface", 3),
        ("[dataplane]\ndatagrams = \"xdp\"\ninterface = \"sixteen-letters-\"", "interface", 3),
        ("[dataplane]\ndatagrams = \"xdp\"\ninterface = \"eth0\"\nbackend = \"glommio\"", "backend", 4),
        ("[controlplane]\nkept_mail_mib = 0", "out-of-range", 2),
        ("[controlplane]\nkept_mail_mib = 65537", "out-of-range", 2),
        ("[controlplane]\nkept_mail_days = 3651", "out-of-range", 2),
        ("[keys]\nseal = \"tpm\"", "seal", 2),
        ("[dataplane]\npin_cpus = [\n0,\n-1]", "out-of-range", 4),
        ("[dataplane]\npin_cpus = [\n0,\n0]", "pin-cpus", 4),
        ("[dataplane]\nshards = 3\npin_cpus = [0, 1]", "pin-cpus", 3),
        ("[dataplane]\nprofile = \"zen4\"", "unknown-key", 2),
        ("[dataplane]\nrun_as_two_units = 4", "wrong-type", 2),
        ("[dataplane]\nshard = 4", "unknown-key", 2),
        ("shards = 1", "unknown-key", 1),
        ("shards = 1\nslots = 512", "missing-header", 1),
        ("[dataplane]\nline_rate = 1", "unknown-key", 2),
        ("dataplane = 4", "wrong-type", 1),
        ("[dataplane", "syntax", 1),
    ] {
        let (_, findings) = parsed(text);
        let found: Vec<_> = findings.iter().map(|finding| (finding.code, finding.line)).collect();
        assert_eq!(found, [(code, Some(line))], "{text}: {findings:?}");
        assert!(
            findings.iter().all(|finding| finding.severity == crate::Severity::Error && !finding.remedy.is_empty())
        );
    }
}

#[test]
fn an_interface_that_nothing_uses_is_said() {
    for text in ["[dataplane]\ninterface = \"eth0\"", "[dataplane]\ninterface = \"eth0\"\ndatagrams = \"kernel\""] {
        let (own, findings) = parsed(text);
        assert_eq!(own.dataplane.interface, None);
        let found: Vec<_> = findings.iter().map(|finding| (finding.code, finding.line, finding.severity)).collect();
        assert_eq!(found, [("interface", Some(2), crate::Severity::Warning)], "{text}");
    }
}

#[test]
fn what_a_key_was_meant_to_be() {
    for (text, remedy) in [
        ("shards = 1", "it belongs under [dataplane]"),
        ("shards = 1\nslots = 512", "write [dataplane] above this line"),
        ("[dataplane]\nline_rate = 1", "did you mean line_rate_packets_per_second?"),
        ("[dataplane]\nlineratepacketspersecond = 1", "did you mean line_rate_packets_per_second?"),
        ("[dataplane]\nshutdown_withdraw = true", "it belongs under [controlplane]"),
        ("[Server]\n[PKI]\n[Debug]\n", "remove it, or move it to where it belongs"),
    ] {
        let (_, findings) = parsed(text);
        assert_eq!(findings.len(), 1, "{text}: {findings:?}");
        assert_eq!(findings[0].remedy, remedy, "{text}");
    }
}
