//! What a strict check of a node's or authority's files finds. `--validate-only` and `config check` say the same, and
//! refuse what every start refuses (server.md 2.2).

use config::authority::{self, AuthorityConfig, Purpose};
use config::keys::{self, DataDir, KeyError};
use config::schemes::{KemScheme, SignatureScheme};
use config::{Finding, Loaded, ServerConfig, Severity, Strictness};
use controlplane::node;
use std::path::Path;

/// A node's file. Nothing is changed.
pub fn server(file: &Path) -> Result<Loaded, Vec<Finding>> {
    let Loaded { config, mut findings } = ServerConfig::load(file, Strictness::Strict)?;
    findings.extend(node::findings_of_limits(file, &config));
    findings.extend(data_dir(file, &config.data_dir, config.pki_signature_scheme, config.wire_kem));
    if is_refused(&findings) { Err(findings) } else { Ok(Loaded { config, findings }) }
}

/// An authority's file. Nothing is changed.
pub fn authority(file: &Path, purpose: Purpose) -> Result<authority::Loaded, Vec<Finding>> {
    let authority::Loaded { config, mut findings } = AuthorityConfig::load(file, Strictness::Strict, purpose)?;
    findings.extend(data_dir(file, &config.data_dir, config.pki_signature_scheme, config.wire_kem));
    if is_refused(&findings) { Err(findings) } else { Ok(authority::Loaded { config, findings }) }
}

/// Whether an error is among them.
pub fn is_refused(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.severity == Severity::Error)
}

/// What a start would refuse of the folder and the key files in it. What cannot be seen is no finding.
fn data_dir(file: &Path, dir: &Path, identity: SignatureScheme, link: KemScheme) -> Option<Finding> {
    let mut problem = DataDir::look(dir).err().map(|error| error.to_string());
    if problem.is_none() {
        let looked = super::with_secrets(|| keys::look(dir, identity, link).or_else(ignore_unseen));
        problem = looked.err();
    }
    let key = "Server.DataDir".to_owned();
    problem.map(|problem| Finding {
        severity: Severity::Error,
        code: "data-dir",
        file: file.to_path_buf(),
        line: config::line_of(file, &key),
        key,
        problem,
        remedy: String::new(),
    })
}

fn ignore_unseen(error: KeyError) -> Result<(), String> {
    match error {
        KeyError::Io { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => Ok(()),
        error => Err(error.to_string()),
    }
}
