//! One file per subcommand: arguments and wiring only. Each gives one message for standard error when it fails.

pub mod bench;
pub mod dataplane;
pub mod fetch;
pub mod geometry;
pub mod keygen;
pub mod server;

use config::Finding;

/// Version and the level of the vector kernels on this host.
pub fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// All findings, one line each.
pub fn findings_text(findings: &[Finding]) -> String {
    findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n  ")
}
