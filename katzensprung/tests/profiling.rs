//! Profiles by the reference's variables: where they are built in they come, of both processes; where not, that is said.

use crate::support::site::Site;
use std::time::Duration;

/// An epoch that no test outlives.
const LONG: Duration = Duration::from_secs(300);

#[cfg(not(feature = "pyroscope"))]
#[test]
fn a_build_without_a_profiler_says_how_to_get_one() {
    let site = Site::new(LONG);
    let _authority = site.start_authority();
    let mut node =
        site.start_node_with(&[("PYROSCOPE_SERVER_ADDRESS", "http://127.0.0.1:1"), ("PYROSCOPE_APP_NAME", "mix")]);
    site.wait_for_document();
    node.stop();
    let output = site.output();
    assert_eq!(output.matches("PYROSCOPE").count(), 1, "{output}");
    assert!(output.contains("WARNING: PYROSCOPE_SERVER_ADDRESS is set"), "{output}");
    assert!(output.contains("--features pyroscope"), "{output}");
}

#[cfg(feature = "pyroscope")]
mod with_profiler {
    use super::{LONG, Site};
    use crate::support::wait_for;
    use std::collections::BTreeMap;
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;
    use std::sync::mpsc::{Sender, channel};
    use std::time::Duration;

    /// Takes one request; gives its first line and its body.
    fn take(listener: &TcpListener, to: &Sender<(String, String)>) {
        let (mut stream, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap());
        let (mut first, mut bytes) = (String::new(), 0);
        lines.read_line(&mut first).unwrap();
        loop {
            let mut line = String::new();
            lines.read_line(&mut line).unwrap();
            if line.trim().is_empty() {
                break;
            }
            if let Some(length) = line.to_lowercase().strip_prefix("content-length:") {
                bytes = length.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; bytes];
        lines.read_exact(&mut body).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
        let _test_is_over = to.send((first, String::from_utf8(body).unwrap()));
    }

    #[test]
    fn profiles_of_both_processes_come() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (sender, profiles) = channel();
        std::thread::spawn(move || {
            loop {
                take(&listener, &sender);
            }
        });
        let site = Site::new(LONG);
        let authority = site.start_authority();
        let variables = [
            ("PYROSCOPE_SERVER_ADDRESS", address.as_str()),
            ("PYROSCOPE_APP_NAME", "katzenpost_mix"),
            ("PYROSCOPE_SERVICE_TAG", "mix1"),
        ];
        let mut node = site.start_node_with(&variables);
        let (mut traffic, descriptor, epoch) = site.traffic(&authority);
        let mut samples = BTreeMap::new();
        // A control plane has so little to do that most of its profiles are empty.
        wait_for("a profile of each process, with something in the data plane's", Duration::from_secs(90), || {
            let packets = traffic.packets(&descriptor, epoch, 100);
            // Whether each comes out in time on a host that does much else is for other tests.
            traffic.send(&packets);
            while let Ok((first, body)) = profiles.try_recv() {
                assert!(first.starts_with("POST /ingest?name=katzenpost_mix%7Bservice%3Dmix1%2Cprocess%3D"), "{first}");
                assert!(
                    first.contains("format=folded") && first.contains("&from=") && first.contains("&until="),
                    "{first}"
                );
                for line in body.lines() {
                    let (stack, count) = line.rsplit_once(' ').unwrap();
                    assert!(stack.contains(';') && count.parse::<u64>().unwrap() > 0, "{line}");
                }
                let process = if first.contains("data_plane") { "data" } else { "control" };
                *samples.entry(process).or_insert(0) += body.lines().count();
            }
            (samples.len() == 2 && samples["data"] > 0).then_some(())
        });
        node.stop();
        site.is_quiet();
    }

    #[test]
    fn half_of_the_variables_is_none() {
        let site = Site::new(LONG);
        let mut node = site.start_node_with(&[("PYROSCOPE_APP_NAME", "mix")]);
        assert_eq!(node.wait().code(), Some(1));
        assert!(site.output().contains("PYROSCOPE_SERVER_ADDRESS is not set"), "{}", site.output());
    }
}
