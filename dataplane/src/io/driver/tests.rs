use super::*;
use crate::io::choice::Choice;
use crate::io::epoll;
use interplane::setup::Backend as Wanted;
use std::sync::atomic::AtomicU64;

/// Ends after so many rounds.
struct Rounds(u64, Arc<AtomicU64>);

impl Task for Rounds {
    fn poll(&mut self, io: &mut impl Io) -> Option<Next> {
        while io.next_event().is_some() {}
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0 = self.0.checked_sub(1)?;
        Some(Next::Busy)
    }
}

fn plan(rounds: u64, cpu: Option<usize>) -> Plan<Rounds> {
    Plan { cpu, listeners: Vec::new(), task: Rounds(rounds, Arc::default()) }
}

fn start(plans: Vec<Plan<Rounds>>) -> Driver {
    let clock = Clock::start();
    let fabric = epoll::Fabric::new(plans.len(), clock).expect("every host has epoll");
    Driver::spawn(fabric, clock, plans).expect("threads")
}

fn error_of(driver: &Driver) -> DriverError {
    let start = std::time::Instant::now();
    loop {
        match driver.check() {
            Err(error) => return error,
            Ok(()) => assert!(start.elapsed() < Duration::from_secs(20), "it does not end"),
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_processor_that_is_not_there_is_named_with_those_that_are() {
    for cpu in [4095, CpuSet::MAX_CPU - 1] {
        let driver = start(vec![plan(u64::MAX, Some(cpu))]);
        let error = driver.wait_until_ready(Duration::from_secs(20)).expect_err("there is no such processor");
        let DriverError::Processor { cpu: named, allowed } = &error else { panic!("{error}") };
        assert!(*named == cpu && !allowed.is_empty());
        assert!(error.to_string().contains("dataplane.pin_cpus"));
    }
}

#[test]
fn a_shard_that_returns_is_an_error() {
    let driver = start(vec![plan(u64::MAX, None), plan(3, None)]);
    assert_eq!(error_of(&driver), DriverError::Returned { shard: 1 });
}

#[test]
fn a_backend_that_cannot_run_says_why() {
    struct Broken;
    impl Wakes for Broken {
        fn wake(&self, _shard: usize) {}
    }
    impl Backend for Broken {
        type Io = crate::io::sim::SimIo;
        fn run(
            self: Arc<Self>,
            _shard: usize,
            _listeners: Vec<OwnedFd>,
            _round: impl FnMut(&mut Self::Io) -> Option<Next> + 'static,
        ) -> Result<(), DriverError> {
            Err(DriverError::Ring { call: "io_uring_setup", code: libc::EPERM })
        }
    }
    let driver = Driver::spawn(Broken, Clock::start(), vec![plan(1, None)]).expect("a thread");
    let error = driver.wait_until_ready(Duration::from_secs(20)).expect_err("it is broken");
    assert!(error.to_string().contains("seccomp") && error.to_string().contains("dataplane.backend"), "{error}");
}

#[test]
fn a_shard_that_never_polls_is_an_error() {
    struct Silent;
    impl Wakes for Silent {
        fn wake(&self, _shard: usize) {}
    }
    impl Backend for Silent {
        type Io = crate::io::sim::SimIo;
        fn run(
            self: Arc<Self>,
            _shard: usize,
            _listeners: Vec<OwnedFd>,
            _round: impl FnMut(&mut Self::Io) -> Option<Next> + 'static,
        ) -> Result<(), DriverError> {
            loop {
                std::thread::park();
            }
        }
    }
    let driver = Driver::spawn(Silent, Clock::start(), vec![plan(1, None)]).expect("a thread");
    let error = driver.wait_until_ready(Duration::from_millis(50)).expect_err("it never polls");
    assert_eq!(error, DriverError::NeverPolled { shard: 0, seconds: 0 });
}

#[test]
fn auto_always_finds_one() {
    let (choice, refusal) = Choice::make(Wanted::Auto, 1, Clock::start()).expect("every host has epoll");
    assert_eq!(choice.name() == "epoll", refusal.is_some());
}
