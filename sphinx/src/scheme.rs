//! The scheme that a geometry names, and what can go wrong when something is set up for a geometry.

use crate::geometry::{Geometry, GeometryError};
use crypto_simd::schemes::{Kem, LookupError, Nike, SchemeError, kem, nike};

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

/// A geometry's scheme, built in.
#[derive(Clone, Copy)]
pub(crate) enum Scheme {
    Nike(&'static dyn Nike),
    Kem(&'static dyn Kem),
}

impl Scheme {
    pub fn of(geometry: &Geometry) -> Result<Self, LookupError> {
        if geometry.kem_name.is_empty() {
            nike::by_name(&geometry.nike_name).map(Self::Nike)
        } else {
            kem::by_name(&geometry.kem_name).map(Self::Kem)
        }
    }
}
