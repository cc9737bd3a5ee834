use super::{Geometry, GeometryError};
use crate::testing::{items, same, text};
use crypto_simd::schemes::{kem, nike};
use serde_json::Value;
use vectors::hex;

fn parse(value: &Value) -> Result<Geometry, String> {
    serde_json::from_value(value.clone()).map_err(|error| error.to_string())
}

/// Sizes come from the registry, so that schemes that are not built in are checked as well.
#[test]
fn computes_the_derived_geometries() {
    let canary = "/geometries/0/geometry/SURBLength";
    vectors::verify("derived/geometries.json", canary, |value, tally| {
        for case in items(&value["geometries"]) {
            let recorded = parse(&case["geometry"])?;
            let with_surb = case["with_surb"].as_bool().ok_or("not a flag")?;
            let (name, hops) = (text(&case["scheme"]), recorded.nr_hops);
            let (computed, registered) = match text(&case["kind"]) {
                "NIKE" => (
                    Geometry::nike(name, recorded.user_forward_payload_length, hops, with_surb),
                    nike::registered().iter().any(|info| info.name == name),
                ),
                _ => (
                    Geometry::kem(name, recorded.user_forward_payload_length, hops, with_surb),
                    kem::registered().iter().any(|info| info.name == name),
                ),
            };
            if !registered {
                return Err(format!("{name} is not registered under this spelling"));
            }
            same("geometry", &computed.map_err(|error| error.to_string())?, &recorded)?;
            same("validation", &recorded.validate(), &Ok(()))?;
            same("hash", &recorded.hash().to_vec(), &hex(&case["hash_blake2b256"]))?;
            tally.assert_case();
        }
        Ok(())
    });
}

#[test]
fn hashes_like_the_reference() {
    vectors::verify("pki_sphinx_geometry_hash.json", "/cases/0/hash", |value, tally| {
        for case in items(&value["cases"]) {
            let geometry = parse(&case["geometry"])?;
            same("CBOR", &geometry.canonical_cbor(), &hex(&case["cbor"]))?;
            same("hash", &geometry.hash().to_vec(), &hex(&case["hash"]))?;
            tally.assert_case();
        }
        Ok(())
    });
}

fn good() -> Geometry {
    Geometry::nike("X25519", 2000, 5, true).expect("a good geometry")
}

#[test]
fn writes_what_it_reads() {
    let geometry = good();
    let text = geometry.to_toml();
    assert!(text.starts_with("[SphinxGeometry]\n  PacketLength = 3082\n  NrHops = 5\n  HeaderLength = 476\n"));
    assert!(text.ends_with("  SPRPKeyMaterialLength = 64\n  NIKEName = \"x25519\"\n  KEMName = \"\"\n"));
    let table: toml::Table = text.parse().expect("TOML");
    assert_eq!(table["SphinxGeometry"].clone().try_into(), Ok(geometry));
}

#[test]
fn names_every_field_that_is_wrong() {
    let mut geometry = good();
    geometry.packet_length += 1;
    geometry.surb_length = 0;
    let expected = vec![
        GeometryError::Mismatch { field: "PacketLength", found: 3083, expected: 3082 },
        GeometryError::Mismatch { field: "SURBLength", found: 0, expected: 572 },
    ];
    assert_eq!(geometry.validate(), Err(expected));
}

#[test]
fn refuses_missing_sizes_and_names() {
    let errors = Geometry::default().validate().expect_err("must be refused");
    assert_eq!(errors[0], GeometryError::NoScheme);
    assert_eq!(errors.len(), 6, "the scheme and five sizes: {errors:?}");
    let both = Geometry { kem_name: "XWING".into(), ..good() };
    assert_eq!(both.validate(), Err(vec![GeometryError::TwoSchemes]));
    let unknown = Geometry { nike_name: "x25518".into(), ..good() };
    let errors = unknown.validate().expect_err("must be refused");
    assert!(matches!(errors[..], [GeometryError::UnknownScheme { field: "NIKEName", .. }]), "{errors:?}");
}

#[test]
fn refuses_sizes_out_of_range() {
    let error = |user_bytes, hops| Geometry::nike("x25519", user_bytes, hops, true).expect_err("must be refused");
    assert_eq!(error(1, 0), GeometryError::Zero { field: "NrHops" });
    assert!(matches!(error(1, usize::MAX), GeometryError::TooLarge { field: "NrHops", .. }));
    assert!(matches!(error(usize::MAX, 5), GeometryError::TooLarge { field: "UserForwardPayloadLength", .. }));
}
