//! The formulas by hand, and files that are not what they should be.

use super::*;

const TEXT: &str = r#"{"role":"mix","sphinx":"x25519 NIKE","packet_bytes":3082,"shards":1,"packets_per_second":50000.0,
    "cpu_us_per_packet":20.0,"stages":[{"name":"unwrap","seconds":1.0,"samples":100000},
    {"name":"send","seconds":1.0,"samples":100000}],"good":true,"quiet":true}"#;

fn measured() -> Measured {
    Measured::parse(TEXT, "here").unwrap()
}

fn demand(rate: Option<f64>) -> Demand {
    Demand {
        rate,
        card_gbit: 100,
        transport: Transport::Tcp,
        links: 2,
        busy: 0.5,
        cores: Some(16),
        memory_bytes: None,
        delay_ms: 200.0,
    }
}

fn value(plan: &Plan, name: &str) -> f64 {
    let all = plan.needs.iter().chain(&plan.ceilings);
    all.filter(|quantity| quantity.name == name).map(|quantity| quantity.value).next_back().expect(name)
}

#[test]
fn a_plan_is_what_its_formulas_say() {
    let plan = Plan::new(&demand(Some(1_000_000.0)), &measured(), None).unwrap();
    assert_eq!(value(&plan, "shards, cores of their own"), 40.0);
    assert_eq!((value(&plan, "the same at 80 % busy"), value(&plan, "hosts")), (25.0, 3.0));
    // 3,124 bytes in segments of 1,448, each 1,538 on the line and half an acknowledgement of 90.
    let bytes = 3124.0 / 1448.0 * (1538.0 + 45.0);
    assert!((value(&plan, "line for a packet") - bytes).abs() < 1e-6);
    assert!((value(&plan, "line, each way") - bytes * 8e-3).abs() < 1e-6);
    // Three keys, eight bytes for each tag, six of ten slots taken after 20 minutes.
    assert!((value(&plan, "replay sets of three keys") / (3.0 * 8.0 * 1200e6 / 0.6 / 1e9) - 1.0).abs() < 0.01);
    assert_eq!(value(&plan, "packets in flight"), 200_000.0);
    assert_eq!((plan.limit, plan.is_enough, value(&plan, "processors")), ("processors", false, 400_000.0));
}

#[test]
fn without_a_rate_the_line_decides_and_what_is_lowest_limits() {
    let small = Demand { card_gbit: 1, ..demand(None) };
    let plan = Plan::new(&small, &measured(), None).unwrap();
    assert!((plan.packets_per_second - 0.8e9 / 8.0 / (3124.0 / 1448.0 * 1583.0)).abs() < 1.0);
    assert_eq!((plan.limit, plan.is_enough), ("line", true));
    let memory = Demand { memory_bytes: Some(1 << 28), ..small };
    let plan = Plan::new(&memory, &measured(), None).unwrap();
    assert_eq!((plan.limit, plan.is_enough), ("memory", false));
    let most = value(&plan, "memory");
    let fits = Plan::new(&Demand { rate: Some(most), ..memory }, &measured(), None).unwrap();
    assert!(fits.is_enough && most > 100.0, "{most}");
}

#[test]
fn quic_costs_more_of_both_and_the_plan_says_that_it_is_estimated() {
    let quic = Demand { transport: Transport::Quic, ..demand(Some(100_000.0)) };
    let plan = Plan::new(&quic, &measured(), None).unwrap();
    assert!(value(&plan, "one shard") < 1e6 / 30.0);
    assert!(plan.to_string().contains("for quic, ESTIMATED"), "{plan}");
    let over_quic = Measured::parse(&TEXT.replacen('{', r#"{"transport":"quic","#, 1), "here").unwrap();
    let plan = Plan::new(&quic, &over_quic, None).unwrap();
    assert_eq!(value(&plan, "one shard"), 50_000.0);
    assert!(!plan.to_string().contains("ESTIMATED"), "{plan}");
}

#[test]
fn a_gateway_carries_both_ways() {
    let other = TEXT.replace("mix", "gateway").replace("20.0", "40.0");
    let both = TEXT.replace("mix", "gateway").replacen('{', &format!("{{\"to_clients\":{other},"), 1);
    let shard = Measured::parse(&both, "here").unwrap().shard(Transport::Tcp);
    assert!((shard.packets_per_second - 1e6 / 30.0).abs() < 1.0, "{shard:?}");
}

#[test]
fn what_is_no_report_and_what_is_about_other_packets_is_refused() {
    for (text, reason) in [
        ("[]", "not what `bench node --json` writes"),
        (&TEXT.replace("50000.0", "0.0"), "has no capacity"),
        (&TEXT.replace("50000.0", "1e999"), "not what"),
        (&TEXT.replace("\"shards\":1", "\"shards\":0"), "has no capacity"),
        (&TEXT.replace("\"seconds\":1.0", "\"seconds\":-1.0"), "cannot be"),
        (&TEXT.replace("3082", "0"), "cannot be"),
        (&TEXT.replace("mix", "moon"), "role \"moon\""),
    ] {
        let error = Measured::parse(text, "here").unwrap_err();
        assert!(error.contains(reason), "{error}");
    }
    let measured = measured();
    measured.check(None, None).unwrap();
    measured.check(Some("x25519"), Some(2000)).unwrap();
    assert!(measured.check(Some("x448"), None).unwrap_err().contains("--sphinx x448 --payload 2000"));
    assert!(measured.check(None, Some(3000)).unwrap_err().contains("packets of 3082 bytes"));
    assert_eq!(measured.geometry().unwrap().packet_length, 3082);
}

#[test]
fn a_node_has_as_many_shards_as_the_plan_thinks() {
    assert_eq!(demand::SHARDS_OF_NODE_MAX, interplane::counter::SHARDS_MAX);
}
