use super::*;

#[test]
fn every_level_of_this_host_has_kernels() {
    for level in Level::ALL {
        assert_eq!(Kernels::of(level).map(|kernels| kernels.level), level.is_here().then_some(level));
    }
    assert_eq!(Ok(kernels().level), level());
}
