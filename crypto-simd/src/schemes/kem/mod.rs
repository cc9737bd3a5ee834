//! Key encapsulation mechanisms (sphinx.md 11), used by KEM Sphinx and by the link handshake.
//!
//! | module | what it holds |
//! |---|---|
//! | `interface` | what a KEM is, and the sizes of all registered ones |
//! | `adapter` | a NIKE as a KEM |
//! | `mlkem`, `kyber` | ML-KEM-768 and Kyber768 |
//! | `xwing` | X-Wing |
//! | `combiner` | two KEMs as one |

mod adapter;
mod combiner;
mod interface;
mod kyber;
mod mlkem;
mod xwing;

pub use interface::{Kem, KemDecapsulationKey, KemInfo};

use super::registry::{LookupError, Registry};
use interface::ROWS;

static REGISTRY: Registry<KemInfo, dyn Kem> = Registry {
    kind: "KEM",
    rows: ROWS,
    built_in: &[
        &adapter::X25519,
        &adapter::X448,
        &mlkem::MLKEM768,
        &xwing::XWING,
        &combiner::KYBER768_X25519,
        &combiner::MLKEM768_X25519,
        &combiner::MLKEM768_X448,
    ],
    name: |row| row.name,
    info: |scheme| scheme.info(),
};

/// The sizes of every registered scheme (sphinx.md 11.1), built in or not.
pub fn registered() -> &'static [KemInfo] {
    ROWS
}

/// The scheme of that name.
pub fn by_name(name: &str) -> Result<&'static dyn Kem, LookupError> {
    REGISTRY.by_name(name)
}
