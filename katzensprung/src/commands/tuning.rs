//! `tuning`: how this host is set for a node, and changes that can be taken back.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tuning::change::{self, STATE_FILE};
use tuning::finding::{Finding, Remedy, Report, Write};
use tuning::host::Host;
use tuning::profile::{Cpu, Profile};
use tuning::stages::{Bypass, Context, STAGES, Stage, writes};

/// Arguments of `tuning`.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Shows processors, cards and settings, and suggests lines for katzensprung.toml
    Inspect(Look),
    /// Says what should be set otherwise, and why
    ///
    /// Exit status: 0 when all is well, 1 when not. Nothing is changed.
    Check(Look),
    /// Changes what `check` found, as far as it can be changed and taken back
    ///
    /// Changes last until the host is started again. Exit status: 0 when all is changed, 1 when not.
    Apply(Apply),
    /// Puts back what was before the first `apply`
    Undo(Undo),
}

#[derive(clap::Args)]
struct Look {
    /// Hardware profile: one of those that come along, or a file [default: that of the processor]
    #[arg(long)]
    profile: Option<String>,
    /// Processors of the shards, as in `dataplane.pin_cpus` [default: as `inspect` suggests]
    #[arg(long, value_name = "N,...", value_delimiter = ',')]
    pin_cpus: Option<Vec<usize>>,
    /// What is to carry datagrams of quic:// links past the kernel
    #[arg(long, value_name = "NAME", default_value = "none")]
    bypass: BypassName,
    /// Only this stage; may be given several times
    #[arg(long = "stage", value_name = "NAME", value_parser = clap::builder::PossibleValuesParser::new(STAGES.map(|stage| stage.name)))]
    stages: Vec<String>,
    /// Folder under which the host's /proc and /sys are
    #[arg(long, default_value = "/", value_name = "FOLDER")]
    root: PathBuf,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum BypassName {
    None,
    Xdp,
    Dpdk,
}

#[derive(clap::Args)]
struct Apply {
    #[command(flatten)]
    look: Look,
    /// Only print the lines of a shell that do the same
    #[arg(long)]
    dry_run: bool,
    /// Where to keep what was before [default: /var/lib/katzensprung/tuning.json]
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
}

#[derive(clap::Args)]
struct Undo {
    /// Where it is kept what was before [default: /var/lib/katzensprung/tuning.json]
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Folder under which the host's /proc and /sys are
    #[arg(long, default_value = "/", value_name = "FOLDER")]
    root: PathBuf,
}

/// Does what is asked.
pub fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    match &arguments.what {
        What::Inspect(look) => look.with(inspect),
        What::Check(look) => look.with(|_, _, reports| check(reports)),
        What::Apply(arguments) => arguments.look.with(|_, _, reports| apply(arguments, reports)),
        What::Undo(Undo { state, root }) => {
            let state = state_file(root, state.as_deref());
            told(change::undo(root, &state, &mut tell))
        }
    }
}

type Reports = [(&'static Stage, Report)];

impl Look {
    fn with(
        &self,
        work: impl FnOnce(&Host, &Context<'_>, &Reports) -> Result<ExitCode, String>,
    ) -> Result<ExitCode, String> {
        let host = Host::read(&self.root);
        let profile = self.profile.as_deref().map_or_else(|| Profile::detect(&host), Profile::named);
        let profile = profile.map_err(|error| error.to_string())?;
        let bypass = match self.bypass {
            BypassName::None => Bypass::None,
            BypassName::Xdp => Bypass::Xdp,
            BypassName::Dpdk => Bypass::Dpdk,
        };
        let context = Context { bypass, ..Context::new(&host, &profile, self.pin_cpus.as_deref()) };
        let is_wanted = |stage: &&Stage| self.stages.is_empty() || self.stages.iter().any(|name| name == stage.name);
        let reports: Vec<_> = STAGES.iter().filter(is_wanted).map(|stage| (stage, stage.check(&context))).collect();
        work(&host, &context, &reports)
    }
}

fn state_file(root: &Path, given: Option<&Path>) -> PathBuf {
    given.map_or_else(|| root.join(STATE_FILE.trim_start_matches('/')), Into::into)
}

/// A change is told as it happens; who does not listen must not stop it in the middle.
fn tell(line: &str) {
    let _nobody_listens = super::print(format_args!("{line}\n"));
}

fn told(outcome: Result<(), change::ChangeError>) -> Result<ExitCode, String> {
    outcome.map(|()| ExitCode::SUCCESS).map_err(|error| error.to_string().replace('\n', "\n  "))
}

fn inspect(host: &Host, context: &Context<'_>, reports: &Reports) -> Result<ExitCode, String> {
    let name = Cpu::of(host).name;
    let name = if name.is_empty() { "of unknown kind" } else { &name };
    let mut text = format!("processor      {name}\nprofile        {}\n", context.profile.name);
    for (stage, report) in reports {
        let _written = writeln!(text, "{:<14} {} ({})", stage.name, report.seen, stage.purpose);
    }
    super::print(format_args!("{text}\nfor katzensprung.toml:\n\n{}", context.suggestion()))?;
    Ok(ExitCode::SUCCESS)
}

fn check(reports: &Reports) -> Result<ExitCode, String> {
    let mut text = String::new();
    for (stage, report) in reports {
        let said = if report.findings.is_empty() { "ok  " } else { "FIND" };
        let _written = writeln!(text, "{said}  {:<14} {}", stage.name, report.seen);
        report.findings.iter().for_each(|finding| text += &finding_text(finding));
    }
    let (all, found) = (reports.len(), reports.iter().filter(|(_, report)| !report.findings.is_empty()).count());
    super::print(format_args!("{text}{} of {all} stages are well\n", all - found))?;
    Ok(if found == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn finding_text(Finding { what, value, wanted, why, remedy }: &Finding) -> String {
    let remedy = match remedy {
        Remedy::Writes(_) => "`tuning apply` does it, `tuning apply --dry-run` shows how",
        Remedy::Advice(advice) => advice,
    };
    format!("      {what}: {value}; wanted: {wanted}\n        why     {why}\n        remedy  {remedy}\n")
}

fn apply(arguments: &Apply, reports: &Reports) -> Result<ExitCode, String> {
    let all: Vec<Write> = reports.iter().flat_map(|(_, report)| writes(report)).cloned().collect();
    if arguments.dry_run {
        let lines = all.iter().map(|write| write.shell_line() + "\n");
        super::print(format_args!("{}", lines.collect::<String>()))?;
        return Ok(ExitCode::SUCCESS);
    }
    let root = &arguments.look.root;
    let outcome = told(change::apply(root, &all, &state_file(root, arguments.state.as_deref()), &mut tell))?;
    if all.is_empty() {
        tell("nothing to change");
    }
    Ok(outcome)
}
