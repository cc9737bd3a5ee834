//! The gateways' decoy rate, with the natural logarithm that Go computes: one bit decides whether signatures count
//! (pki.md 10.6, appendix B).

use super::configuration::{Configuration, Topology};

const LN2_HIGH: f64 = f64::from_bits(0x3fe6_2e42_fee0_0000);
const LN2_LOW: f64 = f64::from_bits(0x3dea_39ef_3579_3c76);
const SQRT_HALF: f64 = f64::from_bits(0x3fe6_a09e_667f_3bcd);
const L: [f64; 7] = [
    f64::from_bits(0x3fe5_5555_5555_5593),
    f64::from_bits(0x3fd9_9999_9997_fa04),
    f64::from_bits(0x3fd2_4924_9422_9359),
    f64::from_bits(0x3fcc_71c5_1d8e_78af),
    f64::from_bits(0x3fc7_4664_96cb_03de),
    f64::from_bits(0x3fc3_9a09_d078_c69f),
    f64::from_bits(0x3fc2_f112_df3e_5244),
];

/// `LambdaG` of this configuration: a document carries it, nobody votes on it.
pub(super) fn lambda_g(configuration: &Configuration) -> f64 {
    let parameters = &configuration.parameters;
    match (layer_nodes_max(configuration), configuration.gateways.len()) {
        (0 | 1, _) | (_, 0) => parameters.lambda_p + parameters.lambda_l,
        (nodes, gateways) => mesh_rate(nodes, gateways, parameters.mu),
    }
}

/// The most mixes that a layer may have.
fn layer_nodes_max(configuration: &Configuration) -> usize {
    match &configuration.topology {
        Topology::Fixed(layers) => layers.iter().map(Vec::len).max().unwrap_or(0),
        Topology::Dynamic { layers } => configuration.mixes.len().div_ceil((*layers).max(1)),
    }
}

fn mesh_rate(nodes: usize, gateways: usize, mu: f64) -> f64 {
    let (nodes, gateways) = (nodes as f64, gateways as f64);
    nodes * nodes * ln(nodes) * mu / gateways
}

/// Go's logarithm of a positive, normal number: the operations in this order, each rounded, none fused.
fn ln(x: f64) -> f64 {
    const EXPONENT: u64 = 0x7ff << 52;
    // x = fraction * 2^exponent, with the fraction in [0.5, 1).
    let mut exponent = ((x.to_bits() & EXPONENT) >> 52) as i64 - 1022;
    let mut fraction = f64::from_bits((x.to_bits() & !EXPONENT) | 1022 << 52);
    if fraction < SQRT_HALF {
        fraction *= 2.0;
        exponent -= 1;
    }
    let (f, k) = (fraction - 1.0, exponent as f64);
    let s = f / (2.0 + f);
    let s2 = s * s;
    let s4 = s2 * s2;
    let [l1, l2, l3, l4, l5, l6, l7] = L;
    let t1 = s2 * (l1 + s4 * (l3 + s4 * (l5 + s4 * l7)));
    let t2 = s4 * (l2 + s4 * (l4 + s4 * l6));
    let r = t1 + t2;
    let half_square = 0.5 * f * f;
    k * LN2_HIGH - ((half_square - (s * (half_square + r) + k * LN2_LOW)) - f)
}

#[cfg(test)]
mod tests;
