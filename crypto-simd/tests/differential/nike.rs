//! X25519 and X448: shared secrets and blindings.

use super::edges::{self, point, scalar};
use super::oracles;
use super::source::{Outcome, Source, compare};
use crypto_simd::schemes::{SchemeError, SharedSecret, nike};

pub fn x25519_derive(source: &mut Source, count: usize) {
    derive::<32>(source, count, "x25519", &edges::X25519, oracles::x25519);
}

pub fn x25519_blind(source: &mut Source, count: usize) {
    blind::<32>(source, count, "x25519", &edges::X25519, oracles::x25519);
}

pub fn x448_derive(source: &mut Source, count: usize) {
    derive::<56>(source, count, "x448", &edges::X448, oracles::x448);
}

pub fn x448_blind(source: &mut Source, count: usize) {
    blind::<56>(source, count, "x448", &edges::X448, oracles::x448);
}

type Multiply = fn(&[u8], &[u8]) -> Outcome;

/// One private key with a batch of points.
fn derive<const N: usize>(source: &mut Source, count: usize, name: &str, edges: &[[u8; N]], oracle: Multiply) {
    let scheme = nike::by_name(name).unwrap();
    let private = scalar::<N>(source);
    let points: Vec<_> = (0..count).map(|_| point(source, edges)).collect();
    let expected: Vec<_> = points.iter().map(|point| oracle(&private, point)).collect();
    let key = scheme.load(&private).unwrap();
    compare(source, &expected, |arrangement| {
        let points: Vec<&[u8]> = arrangement.iter().map(|index| &points[*index][..]).collect();
        // Left over from earlier, as in a node's buffers.
        let mut secrets = vec![SharedSecret::default(); points.len()];
        secrets.iter_mut().for_each(|secret| secret.reset(48).fill(0x55));
        let mut results = vec![Ok(()); points.len()];
        key.derive_batch(&points, &mut secrets, &mut results);
        results.iter().zip(&secrets).map(|(result, secret)| result.map(|()| secret.as_bytes().to_vec())).collect()
    });
}

/// A batch of factors, each with its own point.
fn blind<const N: usize>(source: &mut Source, count: usize, name: &str, edges: &[[u8; N]], oracle: Multiply) {
    let scheme = nike::by_name(name).unwrap();
    let factors: Vec<_> = (0..count).map(|_| scalar::<N>(source)).collect();
    let points: Vec<_> = (0..count).map(|_| point(source, edges)).collect();
    let expected: Vec<_> = factors.iter().zip(&points).map(|(factor, point)| oracle(factor, point)).collect();
    compare(source, &expected, |arrangement| {
        let factors: Vec<&[u8]> = arrangement.iter().map(|index| &factors[*index][..]).collect();
        let points: Vec<&[u8]> = arrangement.iter().map(|index| &points[*index][..]).collect();
        let mut blinded = vec![[0x55; N]; points.len()];
        let mut slices: Vec<&mut [u8]> = blinded.iter_mut().map(|bytes| &mut bytes[..]).collect();
        let mut results = vec![Ok(()); points.len()];
        scheme.blind_batch(&factors, &points, &mut slices, &mut results);
        results.iter().zip(&blinded).map(|(result, blinded)| result.map(|()| blinded.to_vec())).collect()
    });
}

pub fn x25519_edges(source: &mut Source, _: usize) {
    every_edge::<32>(source, "x25519", &edges::X25519, oracles::x25519);
}

pub fn x448_edges(source: &mut Source, _: usize) {
    every_edge::<56>(source, "x448", &edges::X448, oracles::x448);
}

/// Each edge point under an edge scalar and a random one, in each lane of a kernel among good lanes, which it may not
/// spoil; then edges in all lanes.
fn every_edge<const N: usize>(source: &mut Source, name: &str, edges: &[[u8; N]], oracle: Multiply) {
    const LANES: usize = 8;
    let scheme = nike::by_name(name).unwrap();
    let good: [([u8; N], [u8; N]); LANES] = std::array::from_fn(|_| (source.array(), source.array()));
    let good_products = good.map(|(factor, point)| oracle(&factor, &point));
    let run = |factors: &[&[u8]], points: &[&[u8]], expected: &[Outcome]| {
        let mut blinded = vec![[0x55; N]; points.len()];
        let mut slices: Vec<&mut [u8]> = blinded.iter_mut().map(|bytes| &mut bytes[..]).collect();
        let mut results = vec![Ok(()); points.len()];
        scheme.blind_batch(factors, points, &mut slices, &mut results);
        for (lane, (result, blinded)) in results.iter().zip(&blinded).enumerate() {
            let outcome = result.map(|()| blinded.to_vec());
            assert!(outcome == expected[lane], "lane {lane} of {}", hex::encode(points.concat()));
        }
    };
    for (index, edge) in edges.iter().enumerate() {
        let factor: Vec<u8> = if index % 2 == 0 { edges[edges.len() - 1 - index].into() } else { source.bytes(N) };
        let product = oracle(&factor, edge);
        let lane = index % LANES;
        let mut factors = good.each_ref().map(|(factor, _)| &factor[..]);
        let mut points = good.each_ref().map(|(_, point)| &point[..]);
        let mut expected = good_products.clone();
        (factors[lane], points[lane], expected[lane]) = (&factor, edge, product);
        run(&factors, &points, &expected);
    }
    for points in edges.chunks(LANES) {
        let factors = vec![&good[0].0[..]; points.len()];
        let points: Vec<&[u8]> = points.iter().map(|point| &point[..]).collect();
        let expected: Vec<_> = points.iter().map(|point| oracle(&good[0].0, point)).collect();
        run(&factors, &points, &expected);
    }
    // Every point of small order in every lane, and in all lanes but one.
    let degenerate: Vec<_> = edges.iter().filter(|edge| oracle(&good[0].0, &edge[..]).is_err()).collect();
    assert!(degenerate.len() >= 5);
    for edge in degenerate {
        for lane in 0..LANES {
            let factors = good.each_ref().map(|(factor, _)| &factor[..]);
            let mut points = good.each_ref().map(|(_, point)| &point[..]);
            let mut expected = good_products.clone();
            (points[lane], expected[lane]) = (edge, Err(SchemeError::Degenerate));
            run(&factors, &points, &expected);
            let (mut points, mut expected) = ([&edge[..]; LANES], [const { Err(SchemeError::Degenerate) }; LANES]);
            (points[lane], expected[lane]) = (&good[lane].1, good_products[lane].clone());
            run(&factors, &points, &expected);
        }
    }
}
