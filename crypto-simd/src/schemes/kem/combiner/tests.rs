use super::*;
use vectors::hex;

#[test]
fn splitprf_vectors() {
    vectors::verify("hpqc/splitprf_v1.json", "/vectors/0/out_hex", |file, tally| {
        for row in file["vectors"].as_array().unwrap() {
            let secrets: Vec<SharedSecret> =
                row["ss_hex"].as_array().unwrap().iter().map(|s| secret(&hex(s))).collect();
            let ciphertexts: Vec<Vec<u8>> = row["ct_hex"].as_array().unwrap().iter().map(hex).collect();
            let components: Vec<_> = secrets.iter().zip(ciphertexts.iter().map(Vec::as_slice)).collect();
            let mut combined = SharedSecret::default();
            split_prf(&components, &mut combined).map_err(|error| error.to_string())?;
            if combined.as_bytes() != hex(&row["out_hex"]) {
                return Err(format!("secret differs in {row}"));
            }
            tally.assert_case();
        }
        Ok(())
    });
}

fn secret(bytes: &[u8]) -> SharedSecret {
    let mut secret = SharedSecret::default();
    secret.reset(bytes.len()).copy_from_slice(bytes);
    secret
}

#[test]
fn empty_components_are_refused() {
    let mut combined = SharedSecret::default();
    assert_eq!(split_prf(&[(&SharedSecret::EMPTY, &[1])], &mut combined), Err(SchemeError::Length));
    assert_eq!(split_prf(&[(&secret(&[1]), &[])], &mut combined), Err(SchemeError::Length));
    assert_eq!(split_prf(&[], &mut combined), Err(SchemeError::Length));
}
