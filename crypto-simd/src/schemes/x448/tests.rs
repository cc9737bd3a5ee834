use super::*;

fn bytes(text: &str) -> [u8; BYTES] {
    hex::decode(text).unwrap().try_into().unwrap()
}

const ALICE: &str =
    "9a8f4925d1519f5775cf46b04b5800d4ee9ee8bae8bc5565d498c28dd9c9baf574a9419744897391006382a6f127ab1d9ac2d8c0a598726b";
const ALICE_PUBLIC: &str =
    "9b08f7cc31b7e3e67d22d5aea121074a273bd2b83de09c63faa73d2c22c5d9bbc836647241d953d40c5b12da88120d53177f80e532c41fa0";
const BOB: &str =
    "1c306a7ac2a0e2e0990b294470cba339e6453772b075811d8fad0d1d6927c120bb5ee8972b0d3e21374c9c921b09d1b0366f10b65173992d";
const BOB_PUBLIC: &str =
    "3eb7a829b0cd20f5bcfc0b599b6feccf6da4627107bdb0d4f345b43027d8b972fc3e34fb4232a13ca706dcb57aec3dae07bdc1c67bf33609";
const SHARED: &str =
    "07fff4181ac6cc95ec1c16a94a0f74d12da232ce40a77552281d282bb60c0b56fd2464c335543936521c24403085d59a449a5037514a879d";

/// RFC 7748 6.2.
#[test]
fn rfc_7748_key_exchange() {
    assert_eq!(multiply_base(&bytes(ALICE)), bytes(ALICE_PUBLIC));
    assert_eq!(multiply_base(&bytes(BOB)), bytes(BOB_PUBLIC));
    assert_eq!(*multiply(&bytes(ALICE), &bytes(BOB_PUBLIC)).unwrap(), bytes(SHARED));
    assert_eq!(*multiply(&bytes(BOB), &bytes(ALICE_PUBLIC)).unwrap(), bytes(SHARED));
}

/// RFC 7748 5.2: 1,000 iterations from the base point.
#[test]
fn rfc_7748_iterated() {
    let (mut k, mut u) = ([0; BYTES], [0; BYTES]);
    k[0] = 5;
    u[0] = 5;
    for _ in 0..1000 {
        (k, u) = (*multiply(&k, &u).unwrap(), k);
    }
    let expected = "aa3b4749d55b9daf1e5b00288826c467274ce3ebbdd5c17b975e09d4af6c67cf10d087202db88286e2b79fceea3ec353ef54faa26e219f38";
    assert_eq!(hex::encode(k), expected);
}

/// Small values and p: 0, 1 and -1, in least and in other residues, are refused; p + 2 is 2.
#[test]
fn low_order_points_are_degenerate() {
    let mut p = [0xff; BYTES];
    p[28] = 0xfe;
    let shifted = |amount: i8| {
        let mut value = p;
        value[0] = if amount < 0 { 0xfe } else { 0 };
        if amount >= 0 {
            // p + amount: the carry runs through all ones below byte 28.
            value[1..28].fill(0);
            value[28] = 0xff;
            value[0] = amount as u8 - 1;
        }
        value
    };
    let small = |value: u8| std::array::from_fn(|index| if index == 0 { value } else { 0 });
    for degenerate in [small(0), small(1), p, shifted(-1), shifted(1)] {
        assert_eq!(multiply(&bytes(ALICE), &degenerate), Err(SchemeError::Degenerate));
    }
    assert_eq!(multiply(&bytes(ALICE), &shifted(2)).unwrap(), multiply(&bytes(ALICE), &small(2)).unwrap());
}
