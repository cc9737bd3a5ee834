use super::equal;

#[test]
fn every_bit_and_both_lengths_count() {
    let a: [u8; 37] = std::array::from_fn(|at| at as u8 * 7);
    assert!(equal(&a, &a) && equal(&[], &[]));
    for at in 0..a.len() {
        for bit in 0..8 {
            let mut b = a;
            b[at] ^= 1 << bit;
            assert!(!equal(&a, &b), "bit {bit} of byte {at}");
        }
        assert!(!equal(&a[..at], &a) && !equal(&a, &a[..at]), "{at} bytes");
    }
}
