//! Schemes by the names that the file gives them: handles that can be compared and printed. The lists of names, and what
//! of them is built in, stand in `crypto-simd/src/schemes/{kem,nike,signature}`.

use crate::finding::Findings;
use crate::reader::At;
use crypto_simd::schemes::{Kem, LookupError, Signature, kem, signature};
use std::fmt;
use std::ops::Deref;

/// A key encapsulation mechanism that is built in.
#[derive(Clone, Copy)]
pub struct KemScheme(pub &'static dyn Kem);

/// A signature scheme that is built in.
#[derive(Clone, Copy)]
pub struct SignatureScheme(pub &'static dyn Signature);

macro_rules! handle {
    ($handle:ident, $scheme:ident) => {
        impl Deref for $handle {
            type Target = dyn $scheme;

            fn deref(&self) -> &Self::Target {
                self.0
            }
        }

        impl fmt::Debug for $handle {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.info().name)
            }
        }

        impl PartialEq for $handle {
            fn eq(&self, other: &Self) -> bool {
                self.info().name == other.info().name
            }
        }

        impl Eq for $handle {}
    };
}

handle!(KemScheme, Kem);
handle!(SignatureScheme, Signature);

/// The KEM of that name, or none after a finding.
pub(crate) fn kem_scheme(name: &At<String>, findings: &mut Findings) -> Option<KemScheme> {
    known(kem::by_name(&name.value), name, findings).map(KemScheme)
}

/// The signature scheme of that name, or none after a finding.
pub(crate) fn signature_scheme(name: &At<String>, findings: &mut Findings) -> Option<SignatureScheme> {
    known(signature::by_name(&name.value), name, findings).map(SignatureScheme)
}

fn known<S: ?Sized>(
    found: Result<&'static S, LookupError>,
    name: &At<String>,
    findings: &mut Findings,
) -> Option<&'static S> {
    match found {
        Ok(scheme) => Some(scheme),
        Err(LookupError::Unknown { kind, built_in, .. }) => {
            let problem = format!("unknown {kind} scheme '{}'", name.value);
            findings.error("unknown-scheme", &name.place, problem, format!("built in are: {built_in}"));
            None
        }
        Err(LookupError::NotBuiltIn { kind, name: scheme, built_in }) => {
            let problem = format!("{kind} scheme '{scheme}' is not built in yet");
            findings.error("scheme-not-built-in", &name.place, problem, format!("built in are: {built_in}"));
            None
        }
    }
}
