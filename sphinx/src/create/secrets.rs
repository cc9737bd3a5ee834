//! Elements and keys of a path's hops (sphinx.md 6.1 step 2, 7.1 step 1).

use super::CreateError;
use crate::keys::PacketKeys;
use crate::path::PathHop;
use crypto_simd::random::{Random, SeededRandom};
use crypto_simd::schemes::{Kem, Nike, SchemeError, SharedSecret};
use zeroize::Zeroizing;

/// What one hop sees in the element's place, and its keys.
pub(super) struct HopSecrets {
    pub element: Vec<u8>,
    pub keys: PacketKeys,
}

/// One encapsulation per hop.
pub(super) fn by_kem(kem: &dyn Kem, path: &[PathHop], random: &mut dyn Random) -> Result<Vec<HopSecrets>, CreateError> {
    let mut secret = SharedSecret::default();
    path.iter()
        .enumerate()
        .map(|(hop, node)| {
            let mut element = vec![0; kem.info().ciphertext_bytes];
            kem.encapsulate(&node.public_key, random, &mut element, &mut secret)
                .map_err(|source| CreateError::PublicKey { hop, source })?;
            Ok(HopSecrets { element, keys: PacketKeys::new(secret.as_bytes()) })
        })
        .collect()
}

/// One ephemeral key whose exchange with each hop is blinded by the factors of all hops before it.
///
/// Goes through the hops once: when hop `i`'s secret is final, its factor blinds the secrets of all later hops and the
/// element in one batch.
pub(super) fn by_nike(
    nike: &dyn Nike,
    path: &[PathHop],
    random: &mut dyn Random,
) -> Result<Vec<HopSecrets>, CreateError> {
    let ephemeral = nike.generate(random);
    let ephemeral = nike.load(&ephemeral).map_err(CreateError::EphemeralKey)?;
    let publics: Vec<&[u8]> = path.iter().map(|hop| hop.public_key.as_slice()).collect();
    let mut secrets = vec![SharedSecret::default(); path.len()];
    let mut results = vec![Ok(()); path.len()];
    ephemeral.derive_batch(&publics, &mut secrets, &mut results);
    first_error(0, &results)?;

    let mut pending: Vec<Zeroizing<Vec<u8>>> =
        secrets.iter().map(|secret| Zeroizing::new(secret.as_bytes().to_vec())).collect();
    let mut element = ephemeral.public_key().to_vec();
    let mut hops = Vec::with_capacity(path.len());
    for hop in 0..path.len() {
        let (done, later) = pending.split_at_mut(hop + 1);
        let keys = PacketKeys::new(&done[hop]);
        let mut next_element = Vec::new();
        if !later.is_empty() {
            next_element = blind_later(nike, hop, &keys, later, &element)?;
        }
        hops.push(HopSecrets { element: std::mem::replace(&mut element, next_element), keys });
    }
    Ok(hops)
}

/// Blinds the secrets of the hops after `hop` in place, and gives the next element.
fn blind_later(
    nike: &dyn Nike,
    hop: usize,
    keys: &PacketKeys,
    later: &mut [Zeroizing<Vec<u8>>],
    element: &[u8],
) -> Result<Vec<u8>, CreateError> {
    let factor = nike.generate(&mut SeededRandom::new(keys.blinding_seed()));
    let count = later.len() + 1;
    let bytes = nike.info().public_key_bytes;
    let mut blinded = Zeroizing::new(vec![0; count * bytes]);
    let mut results = vec![Ok(()); count];
    {
        let factors = vec![factor.as_slice(); count];
        let inputs: Vec<&[u8]> = later.iter().map(|secret| secret.as_slice()).chain([element]).collect();
        let mut outputs: Vec<&mut [u8]> = blinded.chunks_mut(bytes).collect();
        nike.blind_batch(&factors, &inputs, &mut outputs, &mut results);
    }
    first_error(hop + 1, &results)?;
    let mut outputs = blinded.chunks(bytes);
    for (secret, output) in later.iter_mut().zip(&mut outputs) {
        *secret = Zeroizing::new(output.to_vec());
    }
    Ok(outputs.next().map(<[u8]>::to_vec).unwrap_or_default())
}

/// The first failure; `results[0]` belongs to hop `first`.
pub(super) fn first_error(first: usize, results: &[Result<(), SchemeError>]) -> Result<(), CreateError> {
    match results.iter().enumerate().find_map(|(index, result)| result.err().map(|source| (index, source))) {
        Some((index, source)) => Err(CreateError::PublicKey { hop: first + index, source }),
        None => Ok(()),
    }
}
