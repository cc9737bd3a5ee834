use super::*;
use interplane::reason::DropReason;

fn sources() -> Sources {
    Sources { counters: Counters::heap(2), directory: Arc::default() }
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

#[tokio::test]
async fn the_endpoint_serves_metrics_and_nothing_else() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(serve(listener, sources()));
    for (path, status) in [("/metrics", "200"), ("/", "404")] {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
    server.abort();
}
