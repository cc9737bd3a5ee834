use super::*;
use crate::fixture::{GEOMETRY_HASH, authorities, document, link_key, random, signed, time};

const EPOCH: Epoch = Epoch(50);

fn verifier() -> DocumentVerifier {
    DocumentVerifier { authorities: Arc::new(authorities()), geometry_hash: GEOMETRY_HASH }
}

fn raw(epoch: Epoch) -> Arc<[u8]> {
    signed(&document(epoch, &[&[10], &[11]]), &[1, 2])
}

#[test]
fn the_first_good_answer_is_the_document() {
    let (mut pass, now) = (FetchPass::new(EPOCH, 3), time(EPOCH, 1, 2));
    let mut answer = |authority, code, payload| pass.handle_answer(authority, code, payload, &verifier(), &now);
    let wrong_epoch = answer(0, Some(ConsensusCode::Ok), raw(EPOCH.before(1)));
    assert!(matches!(wrong_epoch, Answer::Useless(Some(DocumentError::WrongEpoch { .. }))));
    assert!(matches!(answer(1, Some(ConsensusCode::NotFound), Arc::new([])), Answer::Useless(None)));
    assert!(matches!(answer(2, Some(ConsensusCode::Ok), Arc::new([1, 2, 3])), Answer::Useless(Some(_))));
    match answer(2, Some(ConsensusCode::Ok), raw(EPOCH)) {
        Answer::Document(consensus) => assert_eq!(consensus.epoch(), EPOCH),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_pass_without_a_document_tells_why() {
    let (mut pass, now) = (FetchPass::new(EPOCH, 4), time(EPOCH, 1, 2));
    pass.handle_answer(0, Some(ConsensusCode::Gone), Arc::new([]), &verifier(), &now);
    pass.handle_answer(0, Some(ConsensusCode::Gone), Arc::new([]), &verifier(), &now);
    pass.handle_answer(1, None, Arc::new([]), &verifier(), &now);
    pass.handle_unreachable(2);
    pass.handle_unreachable(2);
    pass.handle_unreachable(77);
    assert_eq!(pass.answered, [true, true, true, false]);
    assert_eq!(pass.answers(), Answers { gone: 1, not_found: 0, invalid: 1, unreachable: 2 });
    pass.handle_answer(3, Some(ConsensusCode::NotFound), Arc::new([]), &verifier(), &now);
    assert_eq!(pass.answered, [true; 4]);
    assert_eq!(pass.answers(), Answers { gone: 1, not_found: 1, invalid: 1, unreachable: 1 });
}

#[test]
fn the_authority_at_the_other_end_is_checked() {
    let authorities = authorities();
    let first = &authorities.list()[0];
    assert!(first.is_peer(first.identity.id(), &link_key(1)));
    assert!(!first.is_peer(first.identity.id(), &link_key(2)));
    assert!(!first.is_peer(authorities.list()[1].identity.id(), &link_key(1)));
    assert!(!first.is_peer(&[], &link_key(1)));
}

#[test]
fn lists_of_authorities() {
    assert_eq!(authorities().threshold(), 2);
    assert_eq!([1, 2, 3, 4, 5].map(threshold), [1, 2, 2, 3, 3]);
    assert_eq!(Authorities::new(vec![]), Err(AuthoritiesError::None));
    let twice = vec![authorities().list()[0].clone(), authorities().list()[0].clone()];
    assert_eq!(Authorities::new(twice), Err(AuthoritiesError::Twice("auth1".into(), "auth1".into())));
}

#[test]
fn codes_of_the_wire() {
    use ConsensusCode::{Gone, NotFound};
    assert_eq!([0, 1, 2, 3].map(ConsensusCode::from_wire), [Some(ConsensusCode::Ok), Some(NotFound), Some(Gone), None]);
    use DescriptorCode::{Conflict, Forbidden, Invalid, Ok};
    let codes = [Some(Ok), Some(Invalid), Some(Conflict), Some(Forbidden), None];
    assert_eq!([0, 1, 2, 3, 4].map(DescriptorCode::from_wire), codes);
}

#[test]
fn delays_between_tries() {
    assert_eq!([0, 1, 2, 3, 4, 5, 6, 99].map(|n| post_retry_delay(n).as_secs()), [2, 2, 4, 8, 16, 20, 20, 20]);
    let mut random = random();
    for (retry, middle_ms) in [(1, 10.0), (2, 20.0), (9, 2560.0), (10, 3000.0), (u32::MAX, 3000.0)] {
        let delay_ms = connect_retry_delay(retry, &mut random).as_secs_f64() * 1e3;
        assert!((0.8 * middle_ms..=1.2 * middle_ms).contains(&delay_ms), "{retry}: {delay_ms}");
    }
}
