use super::*;
use crate::built_in::BuiltIn;
use crypto_simd::random::SeededRandom;
use sphinx::path::{Terminal, compose};
use sphinx::plaintext::pad_reply;
use sphinx::{MixKey, Sphinx, Unwrapper, decrypt_surb_payload};

/// One mix between the service and the client, and the reply block through it.
struct Way {
    sphinx: Sphinx,
    mix: MixKey,
    client: MixKey,
    surb: sphinx::surb::Surb,
}

fn way(geometry: Geometry) -> Way {
    let mut random = SeededRandom::new(&[1; 32]);
    let mut key = || {
        let private = match geometry.kem_name.as_str() {
            "" => crypto_simd::schemes::nike::by_name(&geometry.nike_name).expect("built in").generate(&mut random),
            kem => crypto_simd::schemes::kem::by_name(kem).expect("built in").generate(&mut random),
        };
        MixKey::new(&geometry, &private).expect("a generated key")
    };
    let (mix, client) = (key(), key());
    let sphinx = Sphinx::new(geometry).expect("a sound geometry");
    let nodes = [([1; 32], mix.public_key().to_vec()), ([2; 32], client.public_key().to_vec())];
    let terminal = Terminal { recipient: [3; 32], surb_id: Some([4; 16]), delay_ms: None };
    let path = compose(nodes, &[7], &terminal).expect("one delay");
    let surb = sphinx.new_surb(&path, &mut random).expect("a reply path");
    Way { sphinx, mix, client, surb }
}

impl Way {
    /// The buffer of a request after its unwrap.
    fn request(&self, surb: Option<&[u8]>, payload: &[u8]) -> Vec<u8> {
        let geometry = self.sphinx.geometry();
        let content = BlockSphinxPlaintext::build(geometry, surb, payload).expect("it fits");
        let mut packet = vec![0xAA; geometry.packet_length];
        let start = packet.len() - content.len();
        packet[start..].copy_from_slice(&content);
        packet
    }

    /// What the client reads after both hops.
    fn open(&self, mut packet: Vec<u8>) -> Vec<u8> {
        let mut unwrapper = Unwrapper::new(self.sphinx.geometry(), 1).expect("a sound geometry");
        unwrapper.unwrap(&self.mix, &mut packet).expect("the mix opens it");
        unwrapper.unwrap(&self.client, &mut packet).expect("the client's gateway opens it");
        let mut keys = self.surb.keys.to_vec();
        let start = self.sphinx.geometry().header_length;
        decrypt_surb_payload(&mut packet[start..], &mut keys).expect("the reply is whole").to_vec()
    }
}

fn geometries() -> [Geometry; 3] {
    [
        Geometry::nike("x25519", 103, 5, true).expect("sound"),
        Geometry::nike("x25519", 2000, 5, true).expect("sound"),
        Geometry::kem("Xwing", 500, 5, true).expect("sound"),
    ]
}

#[test]
fn every_answer_comes_back_to_the_client_padded_with_zeros() {
    for geometry in geometries() {
        let way = way(geometry.clone());
        let mut responder = Responder::new(&geometry);
        let payload: Vec<u8> = (0..geometry.user_forward_payload_length).map(|at| at as u8).collect();
        let answers = [
            (BuiltIn::Echo.answer(), &payload[..]),
            (BuiltIn::TestDest.answer(), &payload[..]),
            (BuiltIn::Loop.answer(), &[][..]),
            (Answer::Bytes(b"from a plugin"), b"from a plugin"),
        ];
        for (answer, expected) in answers {
            let mut packet = way.request(Some(&way.surb.bytes), &payload);
            assert_eq!(responder.read(&packet), Ok(Request { wants_reply: true }));
            assert_eq!(responder.payload(&packet), payload);
            assert_eq!(responder.answer(&mut packet, answer), Ok([1; 32]), "the first hop");
            let padded = pad_reply(&geometry, expected).expect("it fits");
            let (same, first_hop) = way.sphinx.new_packet_from_surb(&way.surb.bytes, &padded).expect("our block");
            assert_eq!((&packet, first_hop), (&same, [1; 32]), "the same packet as one that is made anew");
            assert_eq!(way.open(packet), padded);
        }
    }
}

#[test]
fn a_kept_reply_block_makes_the_reply_in_any_buffer() {
    let [geometry, ..] = geometries();
    let way = way(geometry.clone());
    let responder = Responder::new(&geometry);
    let mut packet = vec![0xBB; geometry.packet_length];
    assert_eq!(responder.reply(&mut packet, &way.surb.bytes, Answer::Bytes(b"late")), Ok([1; 32]));
    assert_eq!(way.open(packet), pad_reply(&geometry, b"late").expect("it fits"));
}

#[test]
fn requests_of_the_wrong_layout_and_answers_of_the_wrong_length_are_refused() {
    let [geometry, ..] = geometries();
    let way = way(geometry.clone());
    let mut responder = Responder::new(&geometry);
    let good = way.request(None, b"no answer, please");
    assert_eq!(responder.read(&good), Ok(Request { wants_reply: false }));
    let start = geometry.header_length + geometry.payload_tag_length;
    for (at, value, error) in [(start, 2, PlaintextError::Flags(2)), (start + 1, 9, PlaintextError::Reserved(9))] {
        let mut bad = good.clone();
        bad[at] = value;
        assert_eq!(responder.read(&bad), Err(error));
    }
    for length in [0, start, good.len() - 1] {
        assert!(matches!(responder.read(&good[..length]), Err(PlaintextError::Length { .. })), "{length} bytes");
    }
    let most = geometry.forward_payload_length;
    let mut packet = way.request(Some(&way.surb.bytes), b"");
    let long = vec![1; most + 1];
    let too_long = RequestError::AnswerLength { found: most + 1, most };
    assert_eq!(responder.answer(&mut packet, Answer::Bytes(&long)), Err(too_long));
    for (packet, surb) in
        [(&mut vec![0; 5], &way.surb.bytes[..]), (&mut packet, &way.surb.bytes[1..]), (&mut vec![], &[])]
    {
        assert!(responder.reply(packet, surb, Answer::Empty).is_err());
        assert!(responder.reply(packet, surb, Answer::Echo).is_err());
    }
    let without = Geometry::nike("x25519", 103, 5, false).expect("sound");
    let packet = vec![0; without.packet_length];
    assert_eq!(Responder::new(&without).read(&packet), Err(PlaintextError::NoRoom));
}
