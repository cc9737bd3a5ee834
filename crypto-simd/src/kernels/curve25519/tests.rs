use super::*;
use crate::cpu::Level;
use crate::dispatch::Kernels;
use crate::random::{Random, SeededRandom};

/// A call with owned operands.
fn products(multiply: Multiply, scalars: &[[u8; BYTES]], points: &[[u8; BYTES]]) -> Vec<[u8; BYTES]> {
    let mut products = vec![[0; BYTES]; points.len()];
    let (scalars, points): (Vec<_>, Vec<_>) = scalars.iter().zip(points).unzip();
    multiply(&scalars, &points, &mut products);
    products
}

fn each_kernel(test: impl Fn(&str, usize, Multiply)) {
    test("emulated radix 2^51", 8, emulated_radix51);
    test("emulated doubles", 4, emulated_doubles);
    for kernels in Level::ALL.into_iter().filter_map(Kernels::of) {
        if let Some(kernel) = kernels.x25519 {
            test(kernels.level.name(), kernel.lanes, kernel.multiply);
        }
    }
}

/// Coordinates at the edges: 0, 1, p - 1, p, p + 1, 2^255 - 1, two of order 8, the same with the ignored bit set, and
/// the greatest and least limbs.
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
    let ignored_bit_set: Vec<_> =
        edges.iter().map(|edge| std::array::from_fn(|at| edge[at] | if at == 31 { 0x80 } else { 0 })).collect();
    edges.extend(ignored_bit_set);
    // All limbs 2^50 - 1, 2^50 and 2^50 + 1, around which signed limbs change their sign.
    for limb in [(1u128 << 50) - 1, 1 << 50, (1 << 50) + 1] {
        let mut bytes = [0u8; BYTES];
        for bit in (0..255).filter(|bit| limb >> (bit % 51) & 1 == 1) {
            bytes[bit / 8] |= 1 << (bit % 8);
        }
        edges.push(bytes);
    }
    edges
}

fn expected(scalar: &[u8; BYTES], point: &[u8; BYTES]) -> [u8; BYTES] {
    x25519_dalek::x25519(*scalar, *point)
}

/// Random lanes of every batch size, with one edge or with the ignored bit set: all agree with another library.
#[test]
fn batches_agree_with_another_library() {
    each_kernel(|level, _, multiply| {
        let mut random = SeededRandom::new(&[9; 32]);
        let edges = edges();
        let mut edges = edges.iter().cycle();
        for count in 1..=BATCH_MAX {
            let (mut scalars, mut points) = (vec![[0; BYTES]; count], vec![[0; BYTES]; count]);
            random.fill(scalars.as_flattened_mut());
            random.fill(points.as_flattened_mut());
            points[count * 7 % count.next_power_of_two() % count] = *edges.next().unwrap();
            let products = products(multiply, &scalars, &points);
            for lane in 0..count {
                let expected = expected(&scalars[lane], &points[lane]);
                assert_eq!(products[lane], expected, "level {level}, count {count}, lane {lane}");
            }
        }
    });
}

/// One edge in each lane of each of three groups: the shared inversion lets it change no other lane.
#[test]
fn an_edge_spoils_no_good_lane() {
    each_kernel(|level, lanes, multiply| {
        let mut random = SeededRandom::new(&[10; 32]);
        let count = 3 * lanes - 1;
        let (mut scalars, mut good) = (vec![[0; BYTES]; count], vec![[0; BYTES]; count]);
        random.fill(scalars.as_flattened_mut());
        random.fill(good.as_flattened_mut());
        let good_products: Vec<_> = scalars.iter().zip(&good).map(|(scalar, point)| expected(scalar, point)).collect();
        for (number, edge) in edges().iter().enumerate() {
            for place in 0..count {
                let (mut points, mut expected_products) = (good.clone(), good_products.clone());
                points[place] = *edge;
                expected_products[place] = expected(&scalars[place], edge);
                let found = products(multiply, &scalars, &points);
                assert!(found == expected_products, "level {level}, edge {number} at {place}");
            }
        }
    });
}

/// RFC 7748 5.2: 1,000 iterations, in every lane.
#[test]
fn rfc_7748_iterated() {
    each_kernel(|level, lanes, multiply| {
        let mut base = [0; BYTES];
        base[0] = 9;
        let (mut scalars, mut points) = (vec![base; lanes], vec![base; lanes]);
        for _ in 0..1000 {
            let products = products(multiply, &scalars, &points);
            (points, scalars) = (scalars, products);
        }
        let expected = "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51";
        assert!(scalars.iter().all(|scalar| hex::encode(scalar) == expected), "level {level}");
    });
}
