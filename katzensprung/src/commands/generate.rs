//! `generate`: manual pages and completions out of the parser itself, for packages.

use clap::Command;
use clap_complete::Shell;
use std::path::{Path, PathBuf};

/// Arguments of `generate`.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Manual pages, one for each command
    Man(Target),
    /// Completions for bash, zsh and fish
    Completions(Target),
}

#[derive(clap::Args)]
struct Target {
    /// The folder into which they are written
    dir: PathBuf,
}

/// Writes the files for a program of that command line.
pub fn run(arguments: &Arguments, mut program: Command) -> Result<(), String> {
    let (What::Man(Target { dir }) | What::Completions(Target { dir })) = &arguments.what;
    std::fs::create_dir_all(dir).map_err(|error| format!("cannot make the folder {}: {error}", dir.display()))?;
    let written = match &arguments.what {
        What::Man(_) => manual_pages(&program, dir),
        What::Completions(_) => completions(&mut program, dir),
    };
    written.map_err(|error| format!("cannot write to {}: {error}", dir.display()))
}

/// Hidden commands have no page; neither have those that the parser adds.
fn manual_pages(program: &Command, dir: &Path) -> std::io::Result<()> {
    // The page's date would make two builds of the same source differ, and the kernels' level those of two hosts.
    let plain = without_level(program.clone().disable_help_subcommand(true));
    clap_mangen::generate_to(plain, dir)
}

/// The version alone, for every command that has one.
fn without_level(command: Command) -> Command {
    let command = if command.get_version().is_some() { command.version(env!("CARGO_PKG_VERSION")) } else { command };
    command.mut_subcommands(without_level)
}

fn completions(program: &mut Command, dir: &Path) -> std::io::Result<()> {
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, program, "katzensprung", dir)?;
    }
    Ok(())
}
