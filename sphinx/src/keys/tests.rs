use super::PacketKeys;
use crate::testing::{DERIVED, items, same};
use vectors::hex;

#[test]
fn derives_the_recorded_keys_of_every_hop() {
    for file in DERIVED {
        vectors::verify(file, "/tests/0/hops/0/payload_key", |value, tally| {
            for case in items(&value["tests"]) {
                for hop in items(&case["hops"]) {
                    let keys = PacketKeys::new(&hex(&hop["shared_secret"]));
                    let fields = ["header_mac_key", "header_enc_key", "header_enc_iv", "payload_key", "kdf_seed"];
                    let expected: Vec<u8> = fields.iter().flat_map(|field| hex(&hop[*field])).collect();
                    same("keys", &keys.bytes.to_vec(), &expected)?;
                }
                tally.assert_case();
            }
            Ok(())
        });
    }
}
