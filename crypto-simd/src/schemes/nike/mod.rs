//! Non-interactive key exchanges (sphinx.md 10): Diffie-Hellman with blinding.
//!
//! | module | what it holds |
//! |---|---|
//! | `interface` | what a NIKE is, and the sizes of all registered ones |
//! | `montgomery` | what X25519 and X448 have in common |
//! | `x25519`, `x448` | the curves |

pub(super) mod interface;
mod montgomery;
pub(super) mod x25519;
pub(super) mod x448;

pub use interface::{Nike, NikeInfo, NikePrivateKey};

use super::registry::{LookupError, Registry};
use interface::ROWS;

static REGISTRY: Registry<NikeInfo, dyn Nike> = Registry {
    kind: "NIKE",
    rows: ROWS,
    built_in: &[&x25519::X25519, &x448::X448],
    name: |row| row.name,
    info: |scheme| scheme.info(),
};

/// The sizes of every registered scheme (sphinx.md 10.1), built in or not.
pub fn registered() -> &'static [NikeInfo] {
    ROWS
}

/// The scheme of that name.
pub fn by_name(name: &str) -> Result<&'static dyn Nike, LookupError> {
    REGISTRY.by_name(name)
}
