//! `[Logging]` (server.md 2.7).

use super::own_files::{check_file, holds_key, is_own_file, is_same_file};
use super::raw;
use crate::finding::Findings;
use crate::reader::At;
use std::path::{Path, PathBuf};

/// The least severe lines that are logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Only errors.
    Error,
    /// And warnings.
    Warning,
    /// And what an operator should know.
    #[default]
    Notice,
    /// And the course of events.
    Info,
    /// And single packets: linkable data.
    Debug,
}

impl LogLevel {
    /// As the file has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "ERROR",
            Self::Warning => "WARNING",
            Self::Notice => "NOTICE",
            Self::Info => "INFO",
            Self::Debug => "DEBUG",
        }
    }
}

/// Where log lines go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LogDestination {
    /// Nowhere.
    Silent,
    /// Standard output.
    #[default]
    Stdout,
    /// Appended to a file.
    File(PathBuf),
}

/// Log of the node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Logging {
    /// The least severe lines that are logged.
    pub level: LogLevel,
    /// Where they go.
    pub destination: LogDestination,
}

/// `config_files` are read by the node, and so are none to be written to.
pub fn logging(raw: Option<raw::Logging>, data_dir: &Path, config_files: &[&Path], findings: &mut Findings) -> Logging {
    let raw = raw.unwrap_or_default();
    let level = raw.level.and_then(|at| {
        let level = level(&at, findings)?;
        if level == LogLevel::Debug {
            findings.warning(
                "log-level-debug",
                &at.place,
                "Unsafe Debug logging is enabled: it links packets",
                "use NOTICE in production",
            );
        }
        Some(level)
    });
    let destination = match (raw.disable, raw.file) {
        (Some(At { value: true, .. }), _) => LogDestination::Silent,
        (_, Some(file)) if !file.value.is_empty() => {
            let path = data_dir.join(&file.value);
            check_file(&file, &path, data_dir, findings);
            if config_files.iter().any(|other| is_same_file(other, &path)) {
                findings.error("own-file", &file.place, "is a configuration file", "give another name");
            } else if holds_key(&path) && !is_own_file(&path, data_dir) {
                findings.error("own-file", &file.place, "is a file that holds a key", "give another name");
            }
            LogDestination::File(path)
        }
        _ => LogDestination::Stdout,
    };
    Logging { level: level.unwrap_or_default(), destination }
}

/// The level of that name; none after a finding.
pub fn level(at: &At<String>, findings: &mut Findings) -> Option<LogLevel> {
    Some(match at.value.to_ascii_uppercase().as_str() {
        "" | "NOTICE" => LogLevel::Notice,
        "ERROR" => LogLevel::Error,
        "WARNING" => LogLevel::Warning,
        "INFO" => LogLevel::Info,
        "DEBUG" => LogLevel::Debug,
        _ => {
            let problem = format!("config: Logging: Level '{}' is invalid", at.value);
            findings.error("log-level", &at.place, problem, "use ERROR, WARNING, NOTICE, INFO or DEBUG");
            return None;
        }
    })
}
