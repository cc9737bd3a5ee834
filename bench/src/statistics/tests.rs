use super::*;

#[test]
fn medians() {
    assert_eq!(median(&mut []), 0.0);
    assert_eq!(median(&mut [3.0]), 3.0);
    assert_eq!(median(&mut [9.0, 1.0, 5.0]), 5.0);
    assert_eq!(median(&mut [4.0, 1.0, 100.0, 2.0]), 3.0);
}

#[test]
fn quartiles_ignore_outliers() {
    let samples = [10.0, 10.0, 11.0, 12.0, 1000.0];
    let figure = Figure::of(samples.into_iter()).expect("there are samples");
    assert_eq!(figure, Figure { median: 11.0, spread: 2.0 / 11.0 });
    assert_eq!(Figure::of([7.0; 25].into_iter()), Some(Figure { median: 7.0, spread: 0.0 }));
    assert_eq!(Figure::of([].into_iter()), None);
}
