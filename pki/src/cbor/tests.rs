use super::{CborError, DEPTH_MAX, Value, decode};
use proptest::prelude::*;
use vectors::hex;

#[test]
fn floats_take_the_shortest_exact_form() {
    vectors::verify("pki_cbor_floats.json", "/cases/5/cbor", |file, tally| {
        for case in file["cases"].as_array().ok_or("no cases")? {
            let bits =
                u64::from_str_radix(case["f64_bits"].as_str().ok_or("no bits")?, 16).map_err(|e| e.to_string())?;
            let number = f64::from_bits(bits);
            let encoded = Value::Float(number).encode();
            if encoded != hex(&case["cbor"]) {
                return Err(format!("{case}: wrote {encoded:02x?}"));
            }
            match decode(&encoded) {
                Ok(Value::Float(read)) if read.to_bits() == bits || read.is_nan() && number.is_nan() => {}
                other => return Err(format!("{case}: read back {other:?}")),
            }
            tally.assert_case();
        }
        Ok(())
    });
}

#[test]
fn geometry_hash_follows_from_the_writer() {
    vectors::verify("pki_sphinx_geometry_hash.json", "/cases/1/hash", |file, tally| {
        for case in file["cases"].as_array().ok_or("no cases")? {
            let entries = case["geometry"].as_object().ok_or("no geometry")?.iter().map(|(name, value)| {
                let value = match value.as_u64() {
                    Some(number) => Value::Uint(number),
                    None => Value::from(value.as_str().unwrap_or_default()),
                };
                (Value::from(name.as_str()), value)
            });
            let encoded = Value::Map(entries.collect()).encode();
            if encoded != hex(&case["cbor"]) || crate::hash(&encoded)[..] != hex(&case["hash"]) {
                return Err(format!("{case}"));
            }
            tally.assert_case();
        }
        Ok(())
    });
}

#[test]
fn keys_sort_by_length_first_and_the_last_duplicate_is_written() {
    let entries = [("aa", 1), ("b", 2), ("b", 3)].map(|(key, value)| (Value::from(key), Value::Uint(value)));
    assert_eq!(Value::Map(entries.into()).encode(), [0xa2, 0x61, b'b', 3, 0x62, b'a', b'a', 1]);
}

#[test]
fn malformed_input_is_refused() {
    assert_eq!(decode(&[]), Err(CborError::Empty));
    assert_eq!(decode(&[0xf6, 0x00]), Err(CborError::Trailing(1)));
    assert_eq!(decode(&[0x18]), Err(CborError::Truncated));
    assert_eq!(decode(&[0x61, 0xff]), Err(CborError::Utf8));
    assert_eq!(decode(&[0xff]), Err(CborError::Head(0xff)));
    assert_eq!(decode(&[0x1c]), Err(CborError::Head(0x1c)));
    assert_eq!(decode(&[0x9a, 0, 2, 0, 1]), Err(CborError::TooMany));
    assert_eq!(decode(&[0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), Err(CborError::Truncated));
    assert_eq!(decode(&[0x81; 100]), Err(CborError::TooDeep));
    let mut deepest = vec![0x81; DEPTH_MAX];
    deepest.push(0x00);
    assert!(decode(&deepest).is_ok());
}

#[test]
fn vast_nested_arrays_are_refused_before_they_fill_memory() {
    let mut bytes = vec![0x90];
    for _ in 0..16 {
        bytes.extend_from_slice(&[0x9a, 0x00, 0x02, 0x00, 0x00]);
        bytes.extend(std::iter::repeat_n(0x00, super::ARRAY_ELEMENTS_MAX));
    }
    assert_eq!(decode(&bytes), Err(CborError::TooMany));
}

#[test]
fn lenient_forms_are_read() {
    // [_ 1, tag 55799(2)], (_ h'01', h'02'), non-minimal 1, undefined
    assert_eq!(
        decode(&[0x9f, 0x01, 0xd9, 0xd9, 0xf7, 0x02, 0xff]),
        Ok(Value::Array(vec![Value::Uint(1), Value::Tag(55799, Box::new(Value::Uint(2)))]))
    );
    assert_eq!(decode(&[0x5f, 0x41, 1, 0x41, 2, 0xff]), Ok(Value::Bytes(vec![1, 2])));
    assert_eq!(decode(&[0x1b, 0, 0, 0, 0, 0, 0, 0, 1]), Ok(Value::Uint(1)));
    assert_eq!(decode(&[0xf7]), Ok(Value::Null));
}

proptest! {
    #[test]
    fn random_bytes_never_panic_and_read_values_survive_writing(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(value) = decode(&bytes) {
            let canonical = value.encode();
            let again = decode(&canonical).expect("the writer's output is readable");
            prop_assert_eq!(again.encode(), canonical);
        }
    }
}
