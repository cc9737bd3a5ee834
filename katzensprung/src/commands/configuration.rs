//! `config check`: the strict check of configuration files, whatever program they are for (server.md 2.2, 12.3).
//! `config explain`: what a key means. `config migrate`: a file of an older release as today's.

use super::{findings_text, strict};
use config::authority::Purpose;
use config::explain::{self, Answer, Entry};
use config::migrate::{self, Migration, ProviderRole};
use config::program::Program;
use config::{ClientConfig, Finding, Strictness, authority, server};
use std::fmt::Write as _;
use std::io::Write as _;
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
    /// Says what a key means, its type and its default
    ///
    /// Exit status: 0 when there is such a key, 1 when not.
    Explain(Explain),
    /// Brings a file of an older release up to today's keys, as a diff
    ///
    /// Changes nothing: `patch` takes the diff, and --output writes the new file. What only you can decide, and what is wrong
    /// with the new file, goes to standard error. Exit status: 0 when the new file is valid, 1 when not.
    Migrate(Migrate),
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

#[derive(clap::Args)]
struct Explain {
    /// Its path, or the end of it: `Server.Identifier`, `batch_max`, `Management` [default: lists all keys]
    key: Option<String>,
}

#[derive(clap::Args)]
struct Migrate {
    /// For which program it is [default: what it looks like]
    #[arg(long = "type", value_enum)]
    kind: Option<Kind>,
    /// What a provider is to be, which was both
    #[arg(long, value_enum)]
    provider_as: Option<ProviderAs>,
    /// A file to write, which must not exist, instead of a diff
    #[arg(long)]
    output: Option<PathBuf>,
    /// The file
    file: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum ProviderAs {
    Gateway,
    ServiceNode,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    Server,
    Authority,
    Client,
}

/// Does what is asked.
pub fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    match &arguments.what {
        What::Check(arguments) => check_all(arguments),
        What::Explain(Explain { key }) => tell(key.as_deref()),
        What::Migrate(arguments) => bring_up_to_date(arguments),
    }
}

/// Explains a key, or lists all.
fn tell(key: Option<&str>) -> Result<ExitCode, String> {
    let Some(key) = key else {
        let lines = explain::all().into_iter().map(|entry| format!("{:<18} {}\n", entry.file.name(), entry.path));
        super::print(format_args!("{}", lines.collect::<String>()))?;
        return Ok(ExitCode::SUCCESS);
    };
    match explain::explain(key) {
        Answer::Keys(entries) => {
            let texts: Vec<_> = entries.iter().map(entry_text).collect();
            super::print(format_args!("{}", texts.join("\n")))?;
            Ok(ExitCode::SUCCESS)
        }
        Answer::Retired(file, hint) => Err(format!("{key}: a key of an older release in {}: {hint}", file.name())),
        Answer::Unknown(Some(nearest)) => Err(format!("no key is called '{key}'; did you mean '{nearest}'?")),
        Answer::Unknown(None) => Err(format!("no key is called '{key}'; `config explain` lists all")),
    }
}

fn entry_text(entry: &Entry) -> String {
    let Entry { file, path, kind, default, meaning, keys } = entry;
    let keys = if keys.is_empty() { String::new() } else { format!("  keys     {}\n", keys.join(", ")) };
    format!("{path}\n  file     {}\n  type     {kind}\n  default  {default}\n{keys}  {meaning}\n", file.name())
}

/// Checks, and says for each file whether it is valid.
fn check_all(Check { kind, files }: &Check) -> Result<ExitCode, String> {
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

/// Prints what would change, and what is left to do.
fn bring_up_to_date(Migrate { kind, provider_as, output, file }: &Migrate) -> Result<ExitCode, String> {
    let old = config::server::read_text(file).map_err(|findings| findings_text(&findings))?;
    let kind = kind.map_or_else(|| detect(file), Ok).map_err(|reason| format!("{}: {reason}", file.display()))?;
    let provider = provider_as.map(|role| match role {
        ProviderAs::Gateway => ProviderRole::Gateway,
        ProviderAs::ServiceNode => ProviderRole::ServiceNode,
    });
    let migration = migrate::migrate(kind.program(), &old, provider);
    let Migration { text, changes, undecided } = migration.map_err(|error| format!("{}: {error}", file.display()))?;
    let name = file.display().to_string();
    match output {
        None => {
            let diff = similar::TextDiff::from_lines(&old, &text);
            super::print(format_args!("{}", diff.unified_diff().header(&name, &name)))?;
        }
        Some(path) => {
            let file = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
            let written = file.and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()));
            written.map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        }
    }
    let (is_valid, told) = match check_text(file, kind, text) {
        Ok(told) => (undecided.is_empty(), told),
        Err(told) => (false, told),
    };
    let said = changes.iter().map(|change| format!("changed: {change}"));
    let said = said.chain(undecided.iter().map(|what| format!("to be decided: {what}")));
    let left = (!told.is_empty()).then(|| format!("the new file, by its own lines:\n  {told}"));
    // Nobody who reads the diff alone needs it.
    let _nobody_reads = writeln!(std::io::stderr(), "{}", said.chain(left).collect::<Vec<_>>().join("\n"));
    Ok(if is_valid { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The strict check of a text that is in no file yet.
fn check_text(path: &Path, kind: Kind, text: String) -> Result<String, String> {
    let told = |findings: Vec<Finding>| findings_text(&findings);
    match kind {
        Kind::Server => {
            let sources = server::Sources { text, ..server::Sources::read(path).map_err(told)? };
            server::parse(&sources, Strictness::Strict).map(|loaded| told(loaded.findings)).map_err(told)
        }
        Kind::Authority => {
            let sources = authority::Sources { text, ..authority::Sources::read(path).map_err(told)? };
            let parsed = authority::parse(&sources, Strictness::Strict, Purpose::Run);
            parsed.map(|loaded| told(loaded.findings)).map_err(told)
        }
        Kind::Client => {
            let parsed = ClientConfig::parse(path, &text, Strictness::Strict);
            parsed.map(|loaded| told(loaded.findings)).map_err(told)
        }
    }
}

impl Kind {
    fn program(self) -> Program {
        match self {
            Self::Server => Program::Server,
            Self::Authority => Program::Authority,
            Self::Client => Program::ClientDaemon,
        }
    }
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
