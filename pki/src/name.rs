//! Identifiers of nodes and replicas (pki.md 4.6).

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

/// The longest name in a descriptor, in bytes.
pub const NAME_BYTES_MAX: usize = 32;

/// An identifier that IDNA refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an acceptable identifier: letters, digits, dots and inner hyphens are")]
pub struct NameError(pub String);

/// The normal form of an identifier by IDNA's look-up rules: what a descriptor's `Name` has to be.
pub fn normalise(identifier: &str) -> Result<String, NameError> {
    Uts46::new()
        .to_ascii(identifier.as_bytes(), AsciiDenyList::STD3, Hyphens::Check, DnsLength::Ignore)
        .map(|name| name.into_owned())
        .map_err(|_| NameError(identifier.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_normalised_as_the_reference_does() {
        vectors::verify("pki_identifier_normalisation.json", "/cases/6/1", |file, tally| {
            for case in file["cases"].as_array().ok_or("no cases")? {
                let input = case[0].as_str().ok_or("no input")?;
                if normalise(input).ok().as_deref() != case[1].as_str() {
                    return Err(format!("{case}: {:?}", normalise(input)));
                }
                tally.assert_case();
            }
            Ok(())
        });
    }
}
