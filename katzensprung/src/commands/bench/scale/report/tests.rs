//! The words and the object.

use super::*;

fn host_row(shards: usize, packets_per_second: f64) -> HostRow {
    HostRow::of(rig::Report {
        shards,
        links: 3,
        packets_per_second,
        cpu_us_per_packet: 25.0,
        node_cpu_share: 0.99,
        rig_processor: Some(1),
        account_balanced: true,
        stages: [("unwrap", 0.3), ("open", 0.1)]
            .map(|(name, seconds)| rig::Stage { name: name.into(), seconds, samples: 10_000 })
            .to_vec(),
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
    // 40 us by the clock, of which somebody else had 15.
    assert_eq!((costs.unwrap_ns, costs.open_ns, costs.seal_ns, costs.lanes), (18_750, 6_250, 0, 8));
    report.simulated(costs, Vec::new());
    let json: serde_json::Value = serde_json::from_str(&report.to_json().unwrap()).unwrap();
    assert_eq!((&json["host"][1]["to_one_shard"], &json["host"][1]["efficiency"]), (&1.5.into(), &0.75.into()));
    let text = report.to_string();
    assert!(text.contains("1.50") && text.contains("all shards are full"), "{text}");
}
