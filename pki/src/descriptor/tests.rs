use super::services::Parameters;
use super::*;
use crate::cbor::{Canonical, Value};
use crate::fixture::{ed25519, random, signer};
use crate::neighbours::{OwnNode, Role};
use proptest::prelude::*;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use vectors::{hex, verify};

fn cases<'a>(file: &'a Json, name: &str) -> Result<&'a Vec<Json>, String> {
    file[name].as_array().ok_or_else(|| format!("no {name}"))
}

fn seed(case: &Json) -> u8 {
    case["identity_seed_byte"].as_u64().unwrap_or_default() as u8
}

#[test]
fn mix_descriptors_and_uploads_of_the_reference() {
    verify("pki_mix_descriptor.json", "/descriptors/3/upload_signature", |file, tally| {
        let epoch = Epoch(file["epoch"].as_u64().ok_or("no epoch")?);
        for case in cases(file, "descriptors")? {
            let descriptor = MixDescriptor::decode(&hex(&case["cbor"])).map_err(|error| error.to_string())?;
            descriptor.check(epoch).map_err(|error| error.to_string())?;
            assert_eq!(descriptor.encode(), hex(&case["cbor"]));
            assert_eq!(descriptor.name, case["name"]);
            assert_eq!(descriptor.id()[..], hex(&case["identity_hash"]));
            assert_eq!(descriptor.link_key(), [seed(case) + 0x40; 32]);
            for n in 0..3 {
                assert_eq!(descriptor.mix_key(epoch.after(n)), Some(&[seed(case) + 1 + n as u8; 32][..]));
            }
            assert_eq!(rebuilt(&descriptor, epoch), Ok(descriptor.clone()));
            let signed = SignedUpload::decode(&hex(&case["upload_signed_cbor"])).map_err(|error| error.to_string())?;
            assert_eq!(signed.encode(), hex(&case["upload_signed_cbor"]));
            assert_eq!(signed.verify(ed25519()), Ok(&descriptor));
            let unsigned = SignedUpload { signature: None, ..signed.clone() };
            assert_eq!(unsigned.encode(), hex(&case["upload_unsigned_cbor"]));
            assert_eq!(unsigned.verify(ed25519()), Err(UploadError::NotSigned));
            let again =
                SignedUpload::sign(descriptor, signed.loop_stats.clone().unwrap(), &*signer(seed(case)), &mut random());
            let again = again.map_err(|error| error.to_string())?;
            assert_eq!(again.signature.as_ref().map(|s| s.payload.clone()), Some(hex(&case["upload_signature"])));
            assert_eq!(again.encode(), hex(&case["upload_signed_cbor"]));
            tally.assert_case();
        }
        let bare = hex(&file["upload_unsigned_nil_loopstats"]);
        let upload = SignedUpload::decode(&bare).map_err(|error| error.to_string())?;
        assert_eq!(upload.loop_stats, None);
        assert_eq!(upload.encode(), bare);
        tally.assert_case();
        Ok(())
    });
}

/// The descriptor made anew from what a node knows of itself; keys of other epochs stay out of it.
fn rebuilt(descriptor: &MixDescriptor, epoch: Epoch) -> Result<MixDescriptor, IllFormed> {
    let own = OwnNode {
        name: descriptor.name.clone(),
        identity_key: descriptor.identity_key().into(),
        link_key: descriptor.link_key().into(),
        role: match (descriptor.is_gateway_node, descriptor.is_service_node) {
            (true, _) => Role::Gateway,
            (_, true) => Role::Service,
            _ => Role::Mix,
        },
    };
    let transports = descriptor.addresses.iter().flat_map(Addresses::transports);
    let profile = OwnProfile {
        addresses: transports.map(|(name, urls)| (name.into(), urls.map(String::from).collect())).collect(),
        services: descriptor.kaetzchen.as_ref().map(capabilities).unwrap_or_default(),
        advertized_data: descriptor.kaetzchen_advertized_data.as_ref().map(capabilities).unwrap_or_default(),
    };
    let mut mix_keys: BTreeMap<Epoch, Vec<u8>> = [(epoch.before(1), vec![]), (epoch.after(3), vec![])].into();
    assert_eq!(MixDescriptor::of_node(&own, &profile, epoch, &mix_keys), Err(IllFormed::MixKeyMissing(epoch)));
    let published = descriptor.mix_keys.clone().unwrap_or_default();
    mix_keys.extend(published.into_iter().map(|(epoch, key)| (epoch, key.unwrap_or_default())));
    MixDescriptor::of_node(&own, &profile, epoch, &mix_keys)
}

fn capabilities(services: &Services) -> Capabilities {
    let parameters = |parameters: Parameters<'_>| {
        let value = |item| Value::from(&Canonical::any(item).expect("it was read"));
        parameters.iter().map(|(name, item)| (name.to_owned(), value(item))).collect()
    };
    services.iter().map(|(name, of)| (name.to_owned(), of.map(parameters))).collect()
}

#[test]
fn replica_descriptors_and_uploads_of_the_reference() {
    verify("pki_replica_descriptor.json", "/replicas/2/upload_signature", |file, tally| {
        for case in cases(file, "replicas")? {
            let descriptor = ReplicaDescriptor::decode(&hex(&case["cbor"])).map_err(|error| error.to_string())?;
            assert_eq!(descriptor.check(), Ok(()));
            assert_eq!(descriptor.encode(), hex(&case["cbor"]));
            assert_eq!(descriptor.name, case["name"]);
            assert_eq!(descriptor.id()[..], hex(&case["identity_hash"]));
            let signed = SignedReplicaUpload::decode(&hex(&case["upload_signed_cbor"])).map_err(|e| e.to_string())?;
            assert_eq!(signed.encode(), hex(&case["upload_signed_cbor"]));
            assert_eq!(signed.verify(ed25519()), Ok(&descriptor));
            let unsigned = SignedReplicaUpload { signature: None, ..signed };
            assert_eq!(unsigned.encode(), hex(&case["upload_unsigned_cbor"]));
            let again = SignedReplicaUpload::sign(descriptor, &*signer(seed(case)), &mut random());
            let again = again.map_err(|error| error.to_string())?;
            assert_eq!(again.signature.as_ref().map(|s| s.payload.clone()), Some(hex(&case["upload_signature"])));
            assert_eq!(again.encode(), hex(&case["upload_signed_cbor"]));
            tally.assert_case();
        }
        Ok(())
    });
}

/// The vectors' word for an error.
fn reason(error: &IllFormed) -> &'static str {
    match error {
        IllFormed::NameMissing => "name_missing",
        IllFormed::NameTooLong => "name_too_long",
        IllFormed::LinkKeyMissing => "link_key_null",
        IllFormed::IdentityKeyMissing => "identity_key_null",
        IllFormed::MixKeyMissing(_) => "mix_key_for_epoch_missing",
        IllFormed::MixKeyOutOfRange(_) => "mix_key_epoch_out_of_range",
        IllFormed::NoAddresses => "no_addresses",
        IllFormed::EmptyAddressList(_) => "empty_address_list",
        IllFormed::Address(AddressError::NotAUrl(_)) => "address_not_a_url",
        IllFormed::Address(AddressError::NoPort(_)) => "address_without_port",
        IllFormed::Address(AddressError::Scheme(_)) => "address_scheme",
        IllFormed::Address(AddressError::Onion(_)) => "onion_on_non_gateway",
        IllFormed::ServicesOnOtherNode => "kaetzchen_on_non_service_node",
        IllFormed::ServiceParametersMissing(_) => "kaetzchen_null_parameters",
        IllFormed::EndpointMissing(_) => "kaetzchen_no_endpoint",
        IllFormed::EndpointNotText(_) => "kaetzchen_endpoint_not_text",
        IllFormed::EndpointLength(_) => "kaetzchen_endpoint_length",
        _ => "none of the vectors'",
    }
}

#[test]
fn crafted_descriptors_are_judged_as_the_reference_does() {
    verify("pki_descriptor_decode_cases.json", "/cases/1/reason", |file, tally| {
        let epoch = Epoch(file["epoch"].as_u64().ok_or("no epoch")?);
        for case in cases(file, "cases")? {
            let name = &case["name"];
            match MixDescriptor::decode(&hex(&case["input"])) {
                Ok(descriptor) => {
                    assert_eq!(case["decodes"], true, "{name}");
                    assert_eq!(descriptor.encode(), hex(&case["reencoded"]), "{name}");
                    let judged = descriptor.check(epoch);
                    assert_eq!(case["well_formed"], judged.is_ok(), "{name}: {judged:?}");
                    assert_eq!(case.get("reason").and_then(Json::as_str), judged.as_ref().err().map(reason), "{name}");
                }
                Err(error) => {
                    assert_eq!(case["decodes"], false, "{name}: {error}");
                    let expected = match error {
                        CborError::Range { .. } => "integer_overflow",
                        CborError::Type { .. } => "wrong_type",
                        CborError::Trailing(_) => "trailing_bytes",
                        CborError::Empty => "empty_input",
                        _ => "none of the vectors'",
                    };
                    assert_eq!(case["reason"], expected, "{name}");
                }
            }
            tally.assert_case();
        }
        Ok(())
    });
}

#[test]
fn uploads_need_the_descriptors_own_key() {
    let descriptor = crate::fixture::descriptor(10, Epoch(5));
    let error = SignedUpload::sign(descriptor.clone(), LoopStats::default(), &*signer(11), &mut random());
    assert_eq!(error, Err(UploadError::OtherKey));
    let mut upload = SignedUpload::sign(descriptor, LoopStats::default(), &*signer(10), &mut random()).unwrap();
    upload.descriptor.as_mut().unwrap().name.push('x');
    assert_eq!(upload.verify(ed25519()), Err(UploadError::BadSignature));
    upload.descriptor.as_mut().unwrap().identity_key = Some(vec![1, 2, 3]);
    assert_eq!(upload.verify(ed25519()), Err(UploadError::BadSignature));
    upload.descriptor = None;
    assert_eq!(upload.verify(ed25519()), Err(UploadError::NoDescriptor));
}

proptest! {
    #[test]
    fn random_and_damaged_bytes_never_panic(noise in proptest::collection::vec(any::<u8>(), 0..300), at in any::<usize>(), byte: u8) {
        for bytes in [noise, damaged(at, byte)] {
            let _ = SignedReplicaUpload::decode(&bytes).map(|upload| upload.verify(ed25519()).is_ok());
            let _ = ReplicaDescriptor::decode(&bytes).map(|descriptor| descriptor.check());
            let _ = MixDescriptor::decode(&bytes).map(|descriptor| descriptor.check(Epoch(5)));
            if let Ok(upload) = SignedUpload::decode(&bytes) {
                let _ = upload.verify(ed25519());
                let again = SignedUpload::decode(&upload.encode()).expect("the writer's output is readable");
                prop_assert_eq!(again.encode(), upload.encode());
            }
        }
    }
}

fn damaged(at: usize, byte: u8) -> Vec<u8> {
    let descriptor = crate::fixture::descriptor(200, Epoch(5));
    let mut bytes =
        SignedUpload::sign(descriptor, LoopStats::default(), &*signer(200), &mut random()).unwrap().encode();
    let at = at % bytes.len();
    bytes[at] = byte;
    bytes
}
