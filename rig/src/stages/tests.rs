use super::{Stage, parse};

const TEXT: &str = "HTTP/1.1 200 OK\r\n\r\n# TYPE katzensprung_stage_seconds histogram
katzensprung_stage_seconds_bucket{stage=\"unwrap\",shard=\"0\",le=\"0.001\"} 10
katzensprung_stage_seconds_sum{stage=\"seal\",shard=\"0\"} 0.5
katzensprung_stage_seconds_count{stage=\"seal\",shard=\"0\"} 7
katzensprung_stage_seconds_sum{stage=\"unwrap\",shard=\"0\"} 1.5
katzensprung_stage_seconds_sum{stage=\"unwrap\",shard=\"1\"} 2
katzensprung_stage_seconds_count{stage=\"unwrap\",shard=\"0\"} 12
katzensprung_stage_seconds_count{stage=\"unwrap\",shard=\"1\"} 8
katzensprung_packets_sent_total 104
";

#[test]
fn sums_over_shards_and_sorts_by_cost() {
    let stage = |name: &str, seconds, samples| Stage { name: name.into(), seconds, samples };
    assert_eq!(parse(TEXT), [stage("unwrap", 3.5, 20), stage("seal", 0.5, 7)]);
    assert_eq!(parse("katzensprung_packets_sent_total 104\n"), []);
}
