use super::*;
use crate::cpu::{Kernels, Level};
use crate::random::{Random, SeededRandom};

fn each_kernel(test: impl Fn(&str, Kernel)) {
    test("emulated", emulated);
    for kernels in Level::ALL.into_iter().filter_map(Kernels::of) {
        if let Some(kernel) = kernels.x25519 {
            test(kernels.level.name(), kernel);
        }
    }
}

/// Coordinates at the edges: 0, 1, p - 1, p, p + 1, 2^255 - 1 and two of order 8.
fn edges() -> Vec<[u8; BYTES]> {
    let near_p = |first: u8| {
        let mut bytes = [0xffu8; BYTES];
        (bytes[0], bytes[31]) = (first, 0x7f);
        bytes
    };
    let order_8 = [
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    ];
    let mut edges = vec![[0; BYTES], std::array::from_fn(|index| u8::from(index == 0))];
    edges.extend([0xec, 0xed, 0xee, 0xff].map(near_p));
    edges.extend(order_8.map(|text| <[u8; BYTES]>::try_from(hex::decode(text).unwrap()).unwrap()));
    edges
}

fn expected(scalar: &[u8; BYTES], point: &[u8; BYTES]) -> [u8; BYTES] {
    x25519_dalek::x25519(*scalar, *point)
}

/// Random lanes, with one lane at a time an edge or with the ignored bit set: all lanes agree with another library.
#[test]
fn batches_agree_with_another_library() {
    each_kernel(|level, kernel| {
        let mut random = SeededRandom::new(&[9; 32]);
        let (mut scalars, mut points, mut products) = ([[0; BYTES]; BATCH], [[0; BYTES]; BATCH], [[0; BYTES]; BATCH]);
        for (round, edge) in edges().iter().cycle().take(64).enumerate() {
            random.fill(scalars.as_flattened_mut());
            random.fill(points.as_flattened_mut());
            points[round % BATCH] = *edge;
            kernel(&scalars, &points, &mut products);
            for lane in 0..BATCH {
                let expected = expected(&scalars[lane], &points[lane]);
                assert_eq!(products[lane], expected, "level {level}, round {round}, lane {lane}");
            }
        }
    });
}

/// RFC 7748 5.2: 1,000 iterations, in every lane.
#[test]
fn rfc_7748_iterated() {
    each_kernel(|level, kernel| {
        let mut base = [0; BYTES];
        base[0] = 9;
        let (mut scalars, mut points) = ([base; BATCH], [base; BATCH]);
        for _ in 0..1000 {
            let mut products = [[0; BYTES]; BATCH];
            kernel(&scalars, &points, &mut products);
            (points, scalars) = (scalars, products);
        }
        let expected = "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51";
        assert!(scalars.iter().all(|scalar| hex::encode(scalar) == expected), "level {level}");
    });
}
