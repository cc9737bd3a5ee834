use super::*;
use crate::cpu::Level;
use crate::dispatch::Kernels;
use crate::random::{Random, SeededRandom};

mod ranges;

fn each_kernel(test: impl Fn(&str, Kernel)) {
    test("single", SINGLE);
    test("emulated 28", EMULATED_28);
    test("emulated 45", EMULATED_45);
    for kernels in Level::ALL.into_iter().filter_map(Kernels::of) {
        if let Some(kernel) = kernels.x448 {
            test(kernels.level.name(), kernel);
        }
    }
}

fn bytes(text: &str) -> [u8; BYTES] {
    hex::decode(text).unwrap().try_into().unwrap()
}

fn run(kernel: Kernel, scalars: &[[u8; BYTES]], points: &[[u8; BYTES]]) -> Vec<[u8; BYTES]> {
    let mut products = vec![[0; BYTES]; kernel.lanes];
    (kernel.multiply)(scalars, points, &mut products);
    products
}

/// Coordinates at the edges: 0, 1, 2, p - 2 to p + 2, φ - 1, φ, φ + 1, 2^448 - 2 and 2^448 - 1. Of these 0, 1 and -1,
/// and what is the same modulo p, have low order.
fn edges() -> Vec<[u8; BYTES]> {
    let small = |value: u8| std::array::from_fn(|index| if index == 0 { value } else { 0 });
    let above = |half: u8, value: u8| {
        let mut bytes = [half; BYTES];
        bytes[BYTES / 2..].fill(value);
        bytes
    };
    // p - 1 is 2^448 - 2^224 - 2.
    let mut below_p = above(0xff, 0xff);
    below_p[28] = 0xfe;
    let (mut p_minus_1, mut p_minus_2) = (below_p, below_p);
    (p_minus_1[0], p_minus_2[0]) = (0xfe, 0xfd);
    let p_plus = |value: u8| {
        let mut bytes = above(0, 0xff);
        bytes[0] = value - 1;
        bytes
    };
    let mut phi = [0; BYTES];
    phi[28] = 1;
    let (mut below_phi, mut above_phi, mut last) = (above(0xff, 0), phi, [0xff; BYTES]);
    (below_phi[0], above_phi[0], last[0]) = (0xff, 1, 0xfe);
    vec![
        small(0),
        small(1),
        small(2),
        p_minus_2,
        p_minus_1,
        below_p,
        p_plus(1),
        p_plus(2),
        below_phi,
        phi,
        above_phi,
        last,
        [0xff; BYTES],
    ]
}

/// Random lanes, with one lane at a time an edge, each edge in each lane: all lanes agree with another library.
#[test]
fn batches_agree_with_another_library() {
    each_kernel(|level, kernel| {
        let mut random = SeededRandom::new(&[9; 32]);
        let (mut scalars, mut points) = (vec![[0; BYTES]; kernel.lanes], vec![[0; BYTES]; kernel.lanes]);
        for edge in edges() {
            for position in 0..kernel.lanes {
                random.fill(scalars.as_flattened_mut());
                random.fill(points.as_flattened_mut());
                points[position] = edge;
                let products = run(kernel, &scalars, &points);
                for lane in 0..kernel.lanes {
                    let expected = crrl::x448::x448(&points[lane], &scalars[lane]);
                    assert_eq!(products[lane], expected, "level {level}, lane {lane}, edge {edge:x?} in {position}");
                }
            }
        }
    });
}

/// Scalars of all zeros and all ones, before clamping, and edges in all lanes at once.
#[test]
fn extreme_scalars() {
    each_kernel(|level, kernel| {
        for scalar in [[0; BYTES], [0xff; BYTES]] {
            for points in edges().chunks(kernel.lanes) {
                let mut points = points.to_vec();
                points.resize(kernel.lanes, [0x55; BYTES]);
                let products = run(kernel, &vec![scalar; kernel.lanes], &points);
                for (point, product) in points.iter().zip(products) {
                    assert_eq!(product, crrl::x448::x448(point, &scalar), "level {level}, point {point:x?}");
                }
            }
        }
    });
}

/// RFC 7748 5.2, in every lane.
#[test]
fn rfc_7748_vectors() {
    let vectors = [
        [
            "3d262fddf9ec8e88495266fea19a34d28882acef045104d0d1aae121700a779c984c24f8cdd78fbff44943eba368f54b29259a4f1c600ad3",
            "06fce640fa3487bfda5f6cf2d5263f8aad88334cbd07437f020f08f9814dc031ddbdc38c19c6da2583fa5429db94ada18aa7a7fb4ef8a086",
            "ce3e4ff95a60dc6697da1db1d85e6afbdf79b50a2412d7546d5f239fe14fbaadeb445fc66a01b0779d98223961111e21766282f73dd96b6f",
        ],
        [
            "203d494428b8399352665ddca42f9de8fef600908e0d461cb021f8c538345dd77c3e4806e25f46d3315c44e0a5b4371282dd2c8d5be3095f",
            "0fbcc2f993cd56d3305b0b7d9e55d4c1a8fb5dbb52f8e9a1e9b6201b165d015894e56c4d3570bee52fe205e28a78b91cdfbde71ce8d157db",
            "884a02576239ff7a2f2f63b2db6a9ff37047ac13568e1e30fe63c4a7ad1b3ee3a5700df34321d62077e63633c575c1c954514e99da7c179d",
        ],
    ];
    each_kernel(|level, kernel| {
        for [scalar, point, product] in vectors {
            let products = run(kernel, &vec![bytes(scalar); kernel.lanes], &vec![bytes(point); kernel.lanes]);
            assert!(products.iter().all(|result| *result == bytes(product)), "level {level}");
        }
    });
}

/// RFC 7748 5.2: 1,000 iterations, in every lane.
#[test]
fn rfc_7748_iterated() {
    each_kernel(|level, kernel| {
        let mut base = [0; BYTES];
        base[0] = 5;
        let (mut scalars, mut points) = (vec![base; kernel.lanes], vec![base; kernel.lanes]);
        for _ in 0..1000 {
            let products = run(kernel, &scalars, &points);
            (points, scalars) = (scalars, products);
        }
        let expected = bytes(
            "aa3b4749d55b9daf1e5b00288826c467274ce3ebbdd5c17b975e09d4af6c67cf10d087202db88286e2b79fceea3ec353ef54faa26e219f38",
        );
        assert!(scalars.iter().all(|scalar| *scalar == expected), "level {level}");
    });
}
