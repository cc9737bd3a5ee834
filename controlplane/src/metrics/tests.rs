use super::*;
use crate::directory::Nodes;
use crate::logging::Log;
use interplane::reason::DropReason;
use pki::document::Layer;
use std::collections::BTreeMap;
use std::net::TcpListener;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn sources() -> Sources {
    Sources {
        identifier: "mix<1>".into(),
        history: History::default(),
        order: Arc::default(),
        plugins: vec![Arc::new(Tally::new("courier"))],
        users: Some(Arc::default()),
        loops: LoopCounts::create().expect("memfds work").0,
        counters: Counters::heap(2),
        directory: Arc::default(),
        reached: Reached::default(),
        health: Arc::default(),
        clock: EpochClock::from_variable(None).unwrap(),
        selfcheck: SelfCheck::default(),
    }
}

#[test]
fn shards_are_summed_under_the_names_of_the_reference() {
    let sources = sources();
    for shard in 0..2 {
        let writer = sources.counters.shard(shard).unwrap();
        writer.add(Counter::UNWRAPS, 3);
        writer.dropped(DropReason::ALL[0]);
    }
    sources.directory.lock().unwrap().counts.entry(9).or_default().fetched = 1;
    let text = render(&sources);
    assert!(text.contains("\nkatzenpost_sphinx_unwraps_total 6\n"), "{text}");
    assert!(text.contains(&format!("katzenpost_dropped_reason_total{{reason=\"{}\"}} 2", DropReason::ALL[0].label())));
    assert!(text.contains("katzenpost_fetched_pki_docs_per_epoch_total{epoch=\"9\"} 1"));
    assert!(text.contains("\nkatzenpost_dropped_packets_total "));
    assert!(text.contains("\nprocess_cpu_seconds_total "));
    // An alarm on what is not there would never ring.
    assert!(text.contains("\nkatzensprung_published_epoch 0\n"), "{text}");
}

#[test]
fn histograms_are_cumulative_and_in_seconds() {
    let sources = sources();
    let writer = sources.counters.shard(0).unwrap();
    writer.observe(interplane::Histogram::LATENESS_US, 20);
    writer.observe(interplane::Histogram::LATENESS_US, 100);
    let text = render(&sources);
    assert!(text.contains("katzensprung_lateness_seconds_bucket{le=\"0.000032\"} 1\n"), "{text}");
    assert!(text.contains("katzensprung_lateness_seconds_bucket{le=\"0.000128\"} 2\n"));
    assert!(text.contains("katzensprung_lateness_seconds_count 2\n"));
    assert!(text.contains("katzensprung_lateness_seconds_sum 0.00012\n"));
}

/// Reads the exposition format as strictly as Prometheus: names, labels, types before series, no series twice.
fn parse(text: &str) -> BTreeMap<String, f64> {
    let is_name = |name: &str| {
        !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
    };
    let (mut types, mut series) = (BTreeMap::new(), BTreeMap::new());
    assert!(text.ends_with('\n'));
    for line in text.lines() {
        if let Some(described) = line.strip_prefix("# TYPE ") {
            let (name, kind) = described.split_once(' ').unwrap();
            assert!(["counter", "gauge", "histogram", "summary"].contains(&kind), "{line}");
            assert!(types.insert(name.to_owned(), kind.to_owned()).is_none(), "twice: {line}");
        } else if let Some(described) = line.strip_prefix("# HELP ") {
            assert!(is_name(described.split_once(' ').unwrap().0), "{line}");
        } else {
            let (name, value) = line.rsplit_once(' ').unwrap();
            let plain = name.split('{').next().unwrap();
            assert!(is_name(plain), "{line}");
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| plain.strip_suffix(end));
            assert!(types.contains_key(plain) || family.is_some_and(|family| types.contains_key(family)), "{line}");
            if types.get(plain).is_some_and(|kind| kind == "counter") {
                assert!(plain.ends_with("_total"), "{line}");
            }
            let value = if value == "+Inf" { f64::INFINITY } else { value.parse().unwrap() };
            assert!(series.insert(name.to_owned(), value).is_none(), "twice: {line}");
        }
    }
    series
}

#[test]
fn what_is_known_of_the_node_is_written_and_can_be_parsed() {
    let sources = sources();
    let before = parse(&render(&sources));
    assert_eq!(before["katzenpost_node_ready"], 0.0);
    assert_eq!(before["katzensprung_data_plane_attached"], 0.0);
    assert!(!before.contains_key("katzensprung_keys_locked") && !before.contains_key("katzensprung_document_epoch"));
    let epoch = epoch_time(&sources.clock).epoch.0;
    assert_eq!(before["katzenpost_node_current_epoch"], epoch as f64);
    sources.health.attached(std::process::id() as i32);
    sources.health.restarting();
    sources.health.stalled();
    sources.health.keys_locked(true);
    {
        let mut status = sources.directory.lock().unwrap();
        status.documents = vec![epoch, epoch + 1];
        status.published = Some(epoch + 1);
    }
    let after = parse(&render(&sources));
    for (name, value) in [
        ("katzenpost_node_ready", 1.0),
        ("katzensprung_document_epoch", (epoch + 1) as f64),
        ("katzensprung_published_epoch", (epoch + 1) as f64),
        ("katzensprung_data_plane_attached", 1.0),
        ("katzensprung_data_plane_restarts_total", 1.0),
        ("katzensprung_data_plane_stalls_total", 1.0),
        ("katzensprung_keys_locked", 1.0),
        ("katzenpost_server_selfcheck_num_cpu", 0.0),
    ] {
        assert_eq!(after[name], value, "{name}");
    }
    for name in ["process_resident_memory_bytes", "katzensprung_data_plane_process_resident_memory_bytes"] {
        assert!(after[name] > 1e6, "{name}");
    }
    assert!(after.keys().any(|name| name.starts_with("katzensprung_build_info{simd=")), "{after:?}");
    sources.health.lost();
    assert_eq!(sources.health(), Err("no data plane is attached"));
    assert_eq!(sources.readiness(), Err("no data plane is attached"));
}

async fn ask(address: std::net::SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn the_endpoint_serves_metrics_and_probes_and_nothing_else() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let sources = sources();
    let server = tokio::spawn(serve(listener, sources.clone(), Log::silent()));
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    for (path, status) in [("/metrics", "200"), ("/", "200"), ("/status", "404"), ("/health", "503"), ("/ready", "503")]
    {
        let answer = ask(address, &get(path)).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
    let refused = ask(address, "POST /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(refused.starts_with("HTTP/1.1 405 "), "{refused}");
    sources.health.attached(1);
    assert!(ask(address, &get("/health")).await.starts_with("HTTP/1.1 200 "));
    let answer = ask(address, &get("/ready")).await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("no document for the current epoch"), "{answer}");
    server.abort();
}

#[tokio::test]
async fn silent_connections_make_room_and_end() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(serve(listener, sources(), Log::silent()));
    let mut silent = Vec::new();
    for _ in 0..3 * http::CONNECTIONS_MAX {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let answer = ask(address, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 "));
    // The oldest made room, the youngest are closed when their time is over.
    let youngest = silent.pop().unwrap();
    for mut stream in [silent.swap_remove(0), youngest] {
        let _closed_or_reset = stream.read_to_end(&mut Vec::new()).await;
    }
    server.abort();
}

/// The page of a node that has carried packets, with the samples that its interval would have taken.
fn page_of(sources: &Sources, packets: &[u64]) -> String {
    let start = std::time::Instant::now();
    for (number, received) in packets.iter().enumerate() {
        let at = start + history::INTERVAL * number as u32;
        let account = interplane::counter::Account { received: *received, ..Default::default() };
        sources.history.add(Sample { at, account });
    }
    sources.status().expect("a node has a page")
}

#[test]
fn the_page_says_what_needs_attention_and_nothing_else_comes_from_elsewhere() {
    let sources = sources();
    let writer = sources.counters.shard(0).unwrap();
    let reason = DropReason::ALL[0];
    writer.dropped(reason);
    writer.set(Counter::replay_tags(interplane::counter::KeyEpoch::Current), 71);
    writer.set(Counter::replay_slots(interplane::counter::KeyEpoch::Current), 100);
    writer.set(Counter::connections(interplane::counter::PeerClass::Incoming), 1200);
    writer.observe(interplane::Histogram::LATENESS_US, 100);
    let places = [(pki::Epoch(4), (Layer::Gateway, 3)), (pki::Epoch(5), (Layer::Mix(1), 3))].into();
    sources.directory.lock().unwrap().nodes = Arc::new(Nodes { places, ..Nodes::default() });
    let page = page_of(&sources, &[0, 500, 1500, 1500]);
    for part in [
        "no data plane is attached: see the log",
        "the replay set of the current key is 71 % full",
        "<h1>mix&lt;1&gt; <span class=\"bad\">is not at work</span></h1>",
        "<b>layer 2 of 3</b>",
        "<b>1,200 in, 0 out</b>",
        &format!("<td><b>{}</b>", reason.label()),
        &page::escaped(reason.remedy()),
        "at most 200)",
        "<b>100</b>",
        "\u{2264} 0.128 ms",
        "points=\"0.0,40.0 300.0,2.0 600.0,78.0\"",
        "<small>15 s ago</small>",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    assert!(!page.contains("leaves the consensus"), "{page}");
    sources.order.drain();
    assert!(sources.status().expect("a page").contains("the node leaves the consensus and stops then"));
    for outside in ["http://", "https://", "<script", "src=", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn the_page_of_a_node_that_has_just_started_has_no_numbers_that_nobody_knows() {
    let page = page_of(&sources(), &[]);
    assert!(page.contains("none yet") && !page.contains("<svg") && page.contains("<p>None.</p>"), "{page}");
    let page = page_of(&sources(), &[5]);
    assert!(page.contains("none yet") && !page.contains("NaN"), "{page}");
}

/// A data plane that begins again counts from zero.
#[test]
fn rates_never_fall_below_zero_and_old_samples_go() {
    let sources = sources();
    let packets: Vec<u64> = (0..200).map(|number| number * 50).chain([0]).collect();
    let page = page_of(&sources, &packets);
    assert!(page.contains("<b>0.0</b>") && !page.contains(",-") && !page.contains("<b>-"), "{page}");
    assert_eq!(sources.history.samples().len(), 61);
}
