//! Signature schemes of the directory (sphinx.md 12).
//!
//! | module | what it holds |
//! |---|---|
//! | `interface` | what a signature scheme is, and the sizes of all registered ones |
//! | `ed25519`, `sphincs` | the schemes |
//! | `hybrid` | two schemes as one |

mod ed25519;
mod hybrid;
mod interface;
mod sphincs;

pub use interface::{Signature, SignatureInfo, SignatureSigningKey};

use super::registry::{LookupError, Registry};
use interface::ROWS;

static REGISTRY: Registry<SignatureInfo, dyn Signature> = Registry {
    kind: "signature",
    rows: ROWS,
    built_in: &[&ed25519::Ed25519, &sphincs::SPHINCS, &hybrid::ED25519_SPHINCS, &hybrid::ED25519_SPHINCS_LEGACY],
    name: |row| row.name,
    info: |scheme| scheme.info(),
};

/// The sizes of every registered scheme (sphinx.md 12.1), built in or not.
pub fn registered() -> &'static [SignatureInfo] {
    ROWS
}

/// The scheme of that name.
pub fn by_name(name: &str) -> Result<&'static dyn Signature, LookupError> {
    REGISTRY.by_name(name)
}
