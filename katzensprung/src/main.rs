//! `katzensprung <subcommand>`, the only binary; called as one of the reference's programs, or with an option of
//! `server` first, it is that program.
//!
//! Exit status: 0 when what was asked for is done, 1 for any error; `bench node` and `ping` have one more, see their help. A panic, which
//! is a mistake in the program, ends the planes of a node by SIGABRT.
#![forbid(unsafe_code)]

mod commands;
mod host;
mod profiling;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use std::ffi::OsString;
use std::process::ExitCode;

/// A mix node for Katzenpost networks.
#[derive(Parser)]
#[command(name = "katzensprung", version = commands::version(), disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs a node with the reference's configuration file
    #[command(version = commands::version(), disable_version_flag = true)]
    Server(commands::server::Arguments),
    /// Runs a directory authority with the reference's configuration file
    #[command(version = commands::version(), disable_version_flag = true)]
    Dirauth(commands::dirauth::Arguments),
    /// Makes a key pair (`server -g` makes those of a node that are missing)
    Keygen(commands::keygen::Arguments),
    /// Unseals kept mix keys, for the way back to the reference
    Keys(commands::keys::Arguments),
    /// Prints the Sphinx geometry of a scheme and payload
    Geometry(commands::geometry::Arguments),
    /// Prints what a gateway's PostgreSQL has to have
    Sql(commands::sql::Arguments),
    /// Fetches a document from the authorities and prints it
    Fetch(commands::fetch::Arguments),
    /// Sends packets to a service that returns them, through the whole network
    ///
    /// Exit status: 0 when every ping was answered, and after SIGINT or SIGTERM; 1 when not, and for errors in what was
    /// given; 2 when nothing could be sent, because there was no gateway, no document or no such service.
    #[command(version = commands::version(), disable_version_flag = true)]
    Ping(commands::ping::Arguments),
    /// Writes the files of a whole network
    Genconfig(Box<commands::genconfig::Arguments>),
    /// Asks a running node how it fares, or tells it what to do: STATUS, PEERS, KEYS, LOOPS, RELOAD, DRAIN, SHUTDOWN and others
    Ctl(commands::ctl::Arguments),
    /// Checks configuration files
    Config(commands::configuration::Arguments),
    /// Looks for what must be mended about a node: on its own host, or as others see it
    ///
    /// Exit status: 0 when nothing must be mended, 1 when something must. Nothing is changed.
    Doctor(commands::doctor::Arguments),
    /// Looks how this host is set for a node, mends what can be mended, and takes it back
    Tuning(commands::tuning::Arguments),
    /// Measures a node on this host
    Bench(commands::bench::Arguments),
    /// Runs a whole network on this host, and pings through it
    Testnet(Box<commands::testnet::Arguments>),
    /// The process that forwards packets; started by `server`
    #[command(hide = true)]
    Dataplane(commands::dataplane::Arguments),
    /// Becomes the program of a plugin; started by `server`
    #[command(hide = true)]
    Plugin(commands::plugin::Arguments),
    /// Writes manual pages and completions, for packages
    #[command(hide = true)]
    Generate(commands::generate::Arguments),
}

/// Secrets get pages of their own; all else comes from the system's allocator.
#[global_allocator]
static ALLOCATOR: secret_memory::SecretAllocator = secret_memory::SecretAllocator;

fn main() -> ExitCode {
    controlplane::node::secure_inherited();
    // First of all: a log rotation may come at any moment.
    host::hold_hangups();
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    host::bear_file_limits();
    // Before anything needs a kernel, which has no way to say that the level is wrong.
    let level = crypto_simd::cpu::level().map_err(|error| error.to_string());
    let (words, program) = with_subcommand(std::env::args_os().collect());
    if let Some(message) = commands::server::with_one_dash(&words) {
        return failed(&message);
    }
    let arguments = match parse(words, program) {
        Ok(arguments) => arguments,
        Err(error) => {
            if let (ErrorKind::DisplayVersion, Err(message)) = (error.kind(), level) {
                return failed(&message);
            }
            // Help and version count as errors to the parser; a closed pipe is nothing to report.
            let _closed = error.print();
            return if error.use_stderr() { ExitCode::from(1) } else { ExitCode::SUCCESS };
        }
    };
    if !matches!(arguments.command, Command::Server(_) | Command::Dirauth(_) | Command::Dataplane(_)) {
        host::hear_hangups();
    }
    let done = |()| ExitCode::SUCCESS;
    let outcome = level.and_then(|_| match arguments.command {
        Command::Server(arguments) => {
            end_at_panic();
            commands::server::run(&arguments).map(done)
        }
        Command::Dirauth(arguments) => {
            end_at_panic();
            commands::dirauth::run(&arguments).map(done)
        }
        Command::Keygen(arguments) => commands::keygen::run(&arguments).map(done),
        Command::Keys(arguments) => commands::keys::run(&arguments).map(done),
        Command::Geometry(arguments) => commands::geometry::run(&arguments).map(done),
        Command::Sql(arguments) => commands::sql::run(&arguments).map(done),
        Command::Fetch(arguments) => commands::fetch::run(&arguments).map(done),
        Command::Ping(arguments) => commands::ping::run(&arguments),
        Command::Genconfig(arguments) => commands::genconfig::run(&arguments).map(done),
        Command::Ctl(arguments) => commands::ctl::run(&arguments),
        Command::Config(arguments) => commands::configuration::run(&arguments),
        Command::Doctor(arguments) => commands::doctor::run(&arguments),
        Command::Tuning(arguments) => commands::tuning::run(&arguments),
        Command::Bench(arguments) => commands::bench::run(&arguments),
        Command::Testnet(arguments) => commands::testnet::run(&arguments),
        Command::Plugin(arguments) => commands::plugin::run(&arguments).map(done),
        Command::Generate(arguments) => commands::generate::run(&arguments, Arguments::command()).map(done),
        Command::Dataplane(arguments) => {
            end_at_panic();
            commands::dataplane::run(&arguments).map(done)
        }
    });
    match outcome {
        Ok(status) => status,
        Err(message) => failed(&message),
    }
}

/// A plane or an authority without one of its threads or tasks looks alive and is not: a panic ends the whole process,
/// however it was built. The other plane, or whatever looks after the process, then does what is to be done.
fn end_at_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        std::process::abort();
    }));
}

/// Mistakes in the arguments are the parser's to tell, with the usage; this is about everything else.
fn failed(message: &str) -> ExitCode {
    commands::complain(format_args!("ERROR\n\n  {message}"));
    ExitCode::from(1)
}

/// The arguments with the subcommand that the program's name stands for, or that options of `server` at the beginning
/// ask for: unit files call the program by many names. Gives the subcommand and that name too where it is the subcommand's:
/// a program that is called `fetch` must never be a node.
fn with_subcommand(mut arguments: Vec<OsString>) -> (Vec<OsString>, Option<(String, String)>) {
    let program = arguments.first().map(std::path::PathBuf::from);
    let stem = program.as_deref().and_then(|path| path.file_stem());
    let commands = Arguments::command();
    let mut names = commands.get_subcommands().map(|command| command.get_name().to_owned());
    let called = names.find(|name| stem.is_some_and(|stem| stem == name.as_str()));
    let first = arguments.get(1).map(|argument| argument.to_string_lossy().into_owned()).unwrap_or_default();
    let is_own_option = ["-h", "--help", "-V", "--version"].contains(&first.as_str());
    match &called {
        Some(name) => arguments.insert(1, name.into()),
        None if first.starts_with('-') && !is_own_option => arguments.insert(1, "server".into()),
        None => {}
    }
    let path = program.unwrap_or_default().display().to_string();
    (arguments, called.map(|name| (name, path)))
}

fn parse(words: Vec<OsString>, program: Option<(String, String)>) -> Result<Arguments, clap::Error> {
    let mut command = Arguments::command();
    if let Some((name, path)) = program {
        command = command.mut_subcommand(name, |called| called.override_usage(format!("{path} [OPTIONS]")));
    }
    Arguments::from_arg_matches(&command.try_get_matches_from(words)?)
}
