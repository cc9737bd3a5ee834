//! `config check`: the strict check of configuration files, whatever program they are for (server.md 2.2, 12.3).

use super::{findings_text, strict};
use config::authority::Purpose;
use config::program::Program;
use config::{ClientConfig, Finding, Strictness};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Arguments of `config`.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Checks files strictly: those of nodes, authorities and clients
    ///
    /// Exit status: 0 when all are valid, 1 when not. Nothing is changed.
    Check(Check),
}

#[derive(clap::Args)]
struct Check {
    /// For which program they are [default: what each looks like]
    #[arg(long = "type", value_enum)]
    kind: Option<Kind>,
    /// The files
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    Server,
    Authority,
    Client,
}

/// Checks, and says for each file whether it is valid.
pub fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    let What::Check(Check { kind, files }) = &arguments.what;
    let mut text = String::new();
    let mut failed = 0;
    for file in files {
        // Writing to a string cannot fail.
        let (said, told) = match check(file, *kind) {
            Ok(told) => ("OK  ", told),
            Err(told) => {
                failed += 1;
                ("FAIL", told)
            }
        };
        let _written = writeln!(text, "{said}  {}", file.display());
        if !told.is_empty() {
            let _written = writeln!(text, "  {told}");
        }
    }
    let all = files.len();
    super::print(format_args!("{text}{} of {all} valid\n", all - failed))?;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What is worth telling about the file; an error if it is not valid.
fn check(file: &Path, kind: Option<Kind>) -> Result<String, String> {
    let told = |findings: Vec<Finding>| findings_text(&findings);
    let kind = kind.map_or_else(|| detect(file), Ok)?;
    match kind {
        Kind::Server => strict::server(file).map(|loaded| told(loaded.findings)).map_err(told),
        Kind::Authority => strict::authority(file, Purpose::Run).map(|loaded| told(loaded.findings)).map_err(told),
        Kind::Client => ClientConfig::load(file, Strictness::Strict).map(|loaded| told(loaded.findings)).map_err(told),
    }
}

/// For whom the file is, told from its outermost keys. What could be several is a server's to complain about.
fn detect(file: &Path) -> Result<Kind, String> {
    // What cannot be read is told by the check.
    let text = config::server::read_text(file).unwrap_or_default();
    match Program::of_text(&text) {
        None | Some(Program::Server) => Ok(Kind::Server),
        Some(Program::Authority) => Ok(Kind::Authority),
        Some(Program::ClientDaemon) => Ok(Kind::Client),
        Some(Program::Katzensprung) => {
            Err("this is Katzensprung's own file; it is checked with the katzenpost.toml beside it".into())
        }
        Some(other) => Err(format!("this is {}, which this version does not check", other.file_kind())),
    }
}
