use super::*;
use crate::cpu::Level;
use crate::dispatch::Kernels;
use crate::random::{Random, SeededRandom};
use crate::schemes::value::array;

fn bytes(text: &str) -> [u8; BYTES] {
    hex::decode(text).unwrap().try_into().unwrap()
}

fn multiply(kernel: Option<Kernel>, scalars: &[&[u8]], points: &[&[u8]]) -> Vec<Result<[u8; BYTES], SchemeError>> {
    let mut products = vec![Err(SchemeError::Malformed); points.len()];
    let operands = |index: usize| Ok((array(scalars[index])?, array(points[index])?));
    multiply_batch(kernel, points.len(), operands, |index, product| products[index] = product.copied());
    products
}

fn single(scalar: &[u8], point: &[u8]) -> Result<[u8; BYTES], SchemeError> {
    multiply(None, &[scalar], &[point])[0]
}

/// RFC 7748 6.2.
#[test]
fn rfc_7748_key_exchange() {
    let alice = bytes(
        "9a8f4925d1519f5775cf46b04b5800d4ee9ee8bae8bc5565d498c28dd9c9baf574a9419744897391006382a6f127ab1d9ac2d8c0a598726b",
    );
    let alice_public = bytes(
        "9b08f7cc31b7e3e67d22d5aea121074a273bd2b83de09c63faa73d2c22c5d9bbc836647241d953d40c5b12da88120d53177f80e532c41fa0",
    );
    let bob = bytes(
        "1c306a7ac2a0e2e0990b294470cba339e6453772b075811d8fad0d1d6927c120bb5ee8972b0d3e21374c9c921b09d1b0366f10b65173992d",
    );
    let bob_public = bytes(
        "3eb7a829b0cd20f5bcfc0b599b6feccf6da4627107bdb0d4f345b43027d8b972fc3e34fb4232a13ca706dcb57aec3dae07bdc1c67bf33609",
    );
    let shared = bytes(
        "07fff4181ac6cc95ec1c16a94a0f74d12da232ce40a77552281d282bb60c0b56fd2464c335543936521c24403085d59a449a5037514a879d",
    );
    assert_eq!(multiply_base(&alice), alice_public);
    assert_eq!(multiply_base(&bob), bob_public);
    assert_eq!(single(&alice, &bob_public), Ok(shared));
    assert_eq!(single(&bob, &alice_public), Ok(shared));
}

/// At each level every length of batch, with degenerate and short keys among good ones: each result is that of the
/// single multiplication.
#[test]
fn batches_agree_with_single_multiplications() {
    let mut random = SeededRandom::new(&[6; 32]);
    let (mut scalars, mut points) = (vec![[0; BYTES]; 64], vec![[0; BYTES]; 64]);
    random.fill(scalars.as_flattened_mut());
    random.fill(points.as_flattened_mut());
    points[1] = [0; BYTES];
    points[9][1..].fill(0);
    points[9][0] = 1;
    let scalars: Vec<&[u8]> = scalars.iter().map(|scalar| &scalar[..]).collect();
    let mut points: Vec<&[u8]> = points.iter().map(|point| &point[..]).collect();
    points[2] = &points[2][1..];
    let expected: Vec<_> = scalars.iter().zip(&points).map(|(scalar, point)| single(scalar, point)).collect();
    assert_eq!(expected[1], Err(SchemeError::Degenerate));
    assert_eq!(expected[2], Err(SchemeError::Length));
    assert_eq!(expected[9], Err(SchemeError::Degenerate));
    for kernels in Level::ALL.into_iter().filter_map(Kernels::of) {
        for count in 0..=64 {
            // The end of the keys, too, so that each meets each place in a kernel.
            for range in [0..count, 64 - count..64] {
                let products = multiply(kernels.x448, &scalars[range.clone()], &points[range.clone()]);
                assert_eq!(products, expected[range], "level {}, {count} keys", kernels.level);
            }
        }
    }
}
