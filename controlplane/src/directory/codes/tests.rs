use super::*;

/// wire.md 6.9
#[test]
fn numbers_of_the_wire() {
    use ConsensusCode::{Gone, NotFound};
    assert_eq!([0, 1, 2, 3].map(of_consensus), [Some(ConsensusCode::Ok), Some(NotFound), Some(Gone), None]);
    use DescriptorCode::{Conflict, Forbidden, Invalid, Ok};
    assert_eq!([0, 1, 2, 3, 4].map(of_post), [Some(Ok), Some(Invalid), Some(Conflict), Some(Forbidden), None]);
}
