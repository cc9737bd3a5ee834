use super::*;
use vectors::hex;

/// With the recorded randomizer the signature is the recorded one, byte for byte.
#[test]
fn recorded_signature() {
    vectors::verify("sphincsplus/sphincs_shake_256f_robust.json", "/sig", |file, tally| {
        let (public, message, signature) = (hex(&file["pk"]), hex(&file["msg"]), hex(&file["sig"]));
        SPHINCS.verify(&public, &message, &signature).map_err(|error| error.to_string())?;
        let key = SigningKey { private: Zeroizing::new(hex(&file["sk"]).try_into().unwrap()) };
        if key.public_key() != public {
            return Err("public key differs".into());
        }
        let randomizer = *array(&signature[..N]).unwrap();
        if key.sign_with(&randomizer, &message) != signature {
            return Err("signature differs".into());
        }
        if Hypertree::root(&Hasher::new(key.part(2), key.part(0))) != *key.part(3) {
            return Err("root differs".into());
        }
        tally.assert_case();
        Ok(())
    });
}
