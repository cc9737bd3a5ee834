use super::{Probe, full_width};

#[test]
fn one_wrong_reading_does_not_make_the_core_wide() {
    let mut widths = vec![4.5; 99];
    widths.push(9.0);
    assert_eq!(full_width(&widths), 4.5);
    assert_eq!(full_width(&[]), 0.0);
    let mut quarter_busy = vec![2.4; 25];
    quarter_busy.extend([4.5; 75]);
    assert_eq!(full_width(&quarter_busy), 4.5);
}

#[test]
fn the_probe_reads_a_plausible_core() {
    let mut probe = Probe::default();
    let readings: Vec<_> = (0..50).map(|_| probe.read()).collect();
    assert!(readings.iter().all(|reading| reading.ghz > 0.1 && reading.ghz < 10.0), "{readings:?}");
    // A chain that the compiler has folded would look like a core of hundreds of adds.
    assert!((1.0..12.0).contains(&probe.full_width()), "{}", probe.full_width());
}
