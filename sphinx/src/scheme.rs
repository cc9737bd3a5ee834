//! The scheme that a geometry names, and what can go wrong when something is set up for a geometry.

use crate::geometry::{Geometry, GeometryError};
use crypto_simd::random::Random;
use crypto_simd::schemes::{Kem, LookupError, Nike, SchemeError, kem, nike};
use zeroize::Zeroizing;

/// Why nothing can be set up for a geometry or key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// The geometry does not fit together.
    #[error("geometry: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Geometry(Vec<GeometryError>),
    /// The scheme is not in this build.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// The private key is refused.
    #[error("private key: {0}")]
    Key(#[from] SchemeError),
}

impl From<Vec<GeometryError>> for SetupError {
    fn from(errors: Vec<GeometryError>) -> Self {
        Self::Geometry(errors)
    }
}

/// The scheme that a geometry names, with which mix keys are made.
#[derive(Clone, Copy)]
pub enum Scheme {
    /// Diffie-Hellman with blinding.
    Nike(&'static dyn Nike),
    /// One encapsulation per hop.
    Kem(&'static dyn Kem),
}

impl Scheme {
    /// The scheme that the geometry's two name fields select.
    pub fn of(geometry: &Geometry) -> Result<Self, LookupError> {
        if geometry.kem_name.is_empty() {
            nike::by_name(&geometry.nike_name).map(Self::Nike)
        } else {
            kem::by_name(&geometry.kem_name).map(Self::Kem)
        }
    }

    /// A new private key in its serialised form.
    pub fn generate(self, random: &mut dyn Random) -> Zeroizing<Vec<u8>> {
        match self {
            Self::Nike(scheme) => scheme.generate(random),
            Self::Kem(scheme) => scheme.generate(random),
        }
    }

    /// The public key of a serialised private key.
    pub fn public_key(self, private: &[u8]) -> Result<Vec<u8>, SchemeError> {
        match self {
            Self::Nike(scheme) => scheme.public_key(private),
            Self::Kem(scheme) => scheme.load(private).map(|key| key.public_key().to_vec()),
        }
    }
}
