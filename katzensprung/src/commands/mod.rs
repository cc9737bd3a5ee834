//! One file per subcommand: arguments and wiring only. Each gives one message for standard error when it fails.

pub mod bench;
pub mod dataplane;
pub mod fetch;
pub mod geometry;
pub mod keygen;
pub mod server;

use config::Finding;
use std::sync::OnceLock;

/// Version and the level of the vector kernels that this process would use.
pub fn version() -> &'static str {
    static VERSION: OnceLock<String> = OnceLock::new();
    VERSION.get_or_init(|| {
        let version = env!("CARGO_PKG_VERSION");
        match crypto_simd::cpu::level() {
            Ok(level) => format!("{version} ({level})"),
            Err(error) => format!("{version} ({error})"),
        }
    })
}

/// All findings, one line each.
pub fn findings_text(findings: &[Finding]) -> String {
    findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n  ")
}

/// Runs a process that holds private keys: nobody may look into it, and they lie on locked pages and stacks.
fn with_secrets(work: impl FnOnce() -> Result<(), String> + Send) -> Result<(), String> {
    secret_memory::harden()
        .and_then(|()| secret_memory::with_protected_stack("node", work))
        .unwrap_or_else(|error| Err(format!("cannot protect private keys in memory: {error}")))
}
