//! Names that enter descriptors: node identifiers (pki.md 4.6) and service endpoints (server.md 2.11).

#[cfg(test)]
mod tests;

use precis_profiles::UsernameCaseMapped;
use precis_profiles::precis_core::profile::PrecisFastInvocation;

pub use pki::name::NAME_BYTES_MAX;

/// The identifier in the form that the directory uses. None for what cannot be a host name.
pub fn normalise_identifier(identifier: &str) -> Option<String> {
    // Far above any name that fits; keeps the mapping's work bounded.
    if identifier.len() > 64 * NAME_BYTES_MAX {
        return None;
    }
    pki::name::normalise(identifier).ok()
}

/// A client's name in the form in which it is registered: PRECIS UsernameCaseMapped (RFC 8265), at most 32 bytes. None for
/// what cannot be one.
pub fn user_name(name: &str) -> Option<String> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return None;
    }
    let name = UsernameCaseMapped::enforce(name).ok()?.into_owned();
    (1..=NAME_BYTES_MAX).contains(&name.len()).then_some(name)
}

/// What is wrong with an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Empty or too long for a descriptor.
    #[error("is {0} bytes long, must be 1 to {NAME_BYTES_MAX}")]
    Length(usize),
    /// Not in normal form.
    #[error("is not normalized; its normal form is '{0}'")]
    NotNormal(String),
    /// A character that no user name may have.
    #[error("has characters that an endpoint cannot have")]
    Disallowed,
    /// Not a local part of a mail address.
    #[error("is not the local part of a mail address")]
    NotLocalPart,
}

/// Checks that an endpoint equals its PRECIS UsernameCaseMapped form (RFC 8265) and is a legal local part of a mail
/// address (RFC 5322).
pub fn check_endpoint(endpoint: &str) -> Result<(), EndpointError> {
    if endpoint.is_empty() || endpoint.len() > NAME_BYTES_MAX {
        return Err(EndpointError::Length(endpoint.len()));
    }
    let normal = UsernameCaseMapped::enforce(endpoint).map_err(|_| EndpointError::Disallowed)?;
    if normal != endpoint {
        return Err(EndpointError::NotNormal(normal.into_owned()));
    }
    // The reference holds every name beyond ASCII against the rule for text of two directions (RFC 5893): such a name
    // begins with a letter, and ends with one or with a digit.
    let ends = (endpoint.chars().next(), endpoint.chars().last());
    if let (false, (Some(first), Some(last))) = (endpoint.is_ascii(), ends)
        && !(first.is_alphabetic() && last.is_alphanumeric())
    {
        return Err(EndpointError::Disallowed);
    }
    if is_local_part(endpoint) { Ok(()) } else { Err(EndpointError::NotLocalPart) }
}

/// A dot-atom or a quoted string.
fn is_local_part(text: &str) -> bool {
    match text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(quoted) => is_quoted_content(quoted),
        None => text.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atom_character)),
    }
}

fn is_atom_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || !c.is_ascii()
}

fn is_quoted_content(text: &str) -> bool {
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match c {
            '"' => return false,
            '\\' if characters.next().is_none() => return false,
            _ => {}
        }
    }
    !text.is_empty()
}
