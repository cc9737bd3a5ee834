//! The words and the object.

use super::*;

fn host_row(shards: usize, packets_per_second: f64) -> HostRow {
    HostRow::of(rig::Report {
        shards,
        links: 3,
        packets_per_second,
        node_cpu_share: 0.99,
        rig_processor: Some(1),
        account_balanced: true,
        stages: vec![rig::Stage { name: "unwrap".into(), seconds: 0.2, samples: 10_000 }],
        ..rig::Report::default()
    })
}

#[test]
fn ratios_are_to_one_shard_with_as_many_links() {
    let geometry = Geometry::nike("x25519", 200, 5, true).unwrap();
    let mut report = Report::new(&geometry, 2, 7);
    report.measured(host_row(1, 40_000.0));
    report.measured(host_row(2, 60_000.0));
    let costs = report.host[0].costs(8, None);
    assert_eq!((costs.unwrap_ns, costs.open_ns, costs.lanes), (20_000, 0, 8));
    report.simulated(costs, Vec::new());
    let json: serde_json::Value = serde_json::from_str(&report.to_json().unwrap()).unwrap();
    assert_eq!((&json["host"][1]["to_one_shard"], &json["host"][1]["efficiency"]), (&1.5.into(), &0.75.into()));
    let text = report.to_string();
    assert!(text.contains("1.50") && text.contains("all shards are full"), "{text}");
}
