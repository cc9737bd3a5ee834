use super::*;

pub(crate) fn setup() -> Setup {
    Setup {
        name: "mix1".into(),
        node_id: [1; 32],
        role: Role::Mix,
        geometry: Geometry::nike("x25519", 2000, 5, true).expect("the scheme exists"),
        wire_kem: "XWING".into(),
        epoch_period: Duration::from_secs(1200),
        times: Times::default(),
        limits: Limits::default(),
        clients: Clients::default(),
        machine: Machine::default(),
        sends_decoys: false,
        populates_replay_sets: false,
        replay_buckets: 1 << 16,
    }
}

#[test]
fn a_sound_setup_crosses_whole() {
    let encoded = postcard::to_stdvec(&setup()).expect("setups encode");
    let found: Setup = postcard::from_bytes(&encoded).expect("setups decode");
    assert_eq!(found, setup());
    assert_eq!(found.check(), Ok(()));
    assert_eq!(found.epoch_clock().map(|clock| clock.period()), Ok(Duration::from_secs(1200)));
}

#[test]
fn what_cannot_run_is_found() {
    let broken = |change: fn(&mut Setup)| {
        let mut setup = setup();
        change(&mut setup);
        setup.check()
    };
    assert!(matches!(broken(|setup| setup.geometry.header_length += 1), Err(SetupError::Geometry(_))));
    assert!(matches!(broken(|setup| setup.epoch_period = Duration::ZERO), Err(SetupError::Period(_))));
    assert!(matches!(broken(|setup| setup.machine.cpus = vec![1, 2]), Err(SetupError::Cpus { cpus: 2, shards: 1 })));
    let ranges: [fn(&mut Setup); 6] = [
        |setup| setup.machine.shards = 0,
        |setup| setup.machine.shards = 257,
        |setup| setup.machine.batch_packets_max = 33,
        |setup| setup.machine.slots_per_shard = 1,
        |setup| setup.replay_buckets = 0,
        |setup| setup.limits.link_queue_packets = 0,
    ];
    for change in ranges {
        assert!(matches!(broken(change), Err(SetupError::Range { .. })));
    }
}
