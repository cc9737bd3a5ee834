//! Three authorities of ours agree.

use super::network::{AUTHORITIES, Network};
use crate::support::program::{finish, program};
use crate::support::wait_for;
use pki::Epoch;
use pki::authority::DescriptorCode;
use std::fs;
use std::time::Duration;

/// Short, so that a test lives to see some of them. A round that a loaded host loses is followed by another one.
const PERIOD: Duration = Duration::from_secs(16);

/// Rounds that may be lost before a test gives up.
const LIMIT: Duration = Duration::from_secs(600);

/// Uploads for each next epoch once, until `is_done` says so.
fn upload_until(network: &Network, mut is_done: impl FnMut(Epoch) -> bool) {
    let mut posted = None;
    wait_for("a consensus", LIMIT, || {
        let now = network.now();
        let next = now.epoch.after(1);
        if posted != Some(next) && now.elapsed < PERIOD / 10 {
            posted = Some(next);
            let said = network.post_all(next);
            assert!(
                said.iter().all(|said| !matches!(said, Ok(DescriptorCode::Invalid | DescriptorCode::Forbidden))),
                "{said:?}"
            );
        }
        is_done(next).then_some(())
    });
}

fn fetch(network: &Network, epoch: Epoch) -> Option<String> {
    let period = format!("{}ms", network.clock.period().as_millis());
    let mut fetch = program();
    fetch.env("KATZENPOST_EPOCH_DURATION", period).arg("fetch").arg("-e").arg(epoch.0.to_string());
    let outcome = finish(fetch.arg("-f").arg(&network.node_config));
    outcome.status.success().then_some(outcome.stdout)
}

fn log(network: &Network, number: usize) -> String {
    fs::read_to_string(network.authorities[number].data_dir.join("katzenpost.log")).unwrap_or_default()
}

/// The document is the one that all three have signed, and lists every node that has uploaded; an authority that was
/// killed comes back and signs again, and the others went on without it.
#[test]
fn three_authorities_reach_a_consensus_that_fetch_verifies() {
    let network = Network::new(PERIOD);
    let mut running: Vec<_> = (0..AUTHORITIES).map(|number| Some(network.start(number))).collect();
    let mut document = String::new();
    upload_until(&network, |next| {
        document = fetch(&network, next).unwrap_or_default();
        document.contains("signed by  3 authorities")
    });
    for name in ["mix1", "mix2", "mix3", "gateway1", "servicenode1"] {
        assert!(document.contains(&format!(" {name} ")), "{document}");
    }
    running[2] = None;
    upload_until(&network, |next| {
        document = fetch(&network, next).unwrap_or_default();
        document.contains("signed by  2 authorities")
    });
    running[2] = Some(network.start(2));
    upload_until(&network, |next| {
        document = fetch(&network, next).unwrap_or_default();
        document.contains("signed by  3 authorities")
    });
    for (number, authority) in running.iter_mut().enumerate() {
        let authority = authority.as_mut().expect("it runs");
        assert_eq!(authority.0.try_wait().expect("a child"), None, "{}", log(&network, number));
        assert!(log(&network, number).contains("consensus, signed by"), "{}", log(&network, number));
    }
}

/// What a scrape shows, and that a stop is one.
#[test]
fn metrics_probes_and_a_stop() {
    let network = Network::new(PERIOD);
    let mut authority = network.start(0);
    let address = network.authorities[0].metrics;
    let get = |path: &str| {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(address).ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    };
    let answer = wait_for("health", LIMIT, || get("/health").filter(|answer| answer.starts_with("HTTP/1.1 200")));
    assert!(answer.ends_with("healthy\n"), "{answer}");
    let answer = get("/ready").expect("it answers");
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("no document for the current epoch"), "{answer}");
    let metrics = get("/metrics").expect("it answers");
    for line in [
        "katzenpost_dirauth_voting_phase ",
        "katzenpost_dirauth_current_epoch ",
        "katzenpost_dirauth_consensus_reached_total 0",
        "katzenpost_dirauth_document_generation_seconds_count ",
        "katzensprung_dirauth_missing{authority=\"auth2\",part=\"vote\"} ",
        "katzensprung_build_info{",
    ] {
        assert!(metrics.contains(&format!("\n{line}")), "no {line} in {metrics}");
    }
    let pid = rustix::process::Pid::from_raw(authority.0.id() as i32).expect("a process");
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).expect("it runs");
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
    let status = wait_for("its end", LIMIT, || authority.0.try_wait().expect("a child"));
    assert_eq!(status.code(), Some(0));
    assert!(log(&network, 0).contains("Shutdown complete."), "{}", log(&network, 0));
}
