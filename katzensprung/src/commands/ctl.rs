//! `ctl`: commands for a running node over its management socket (server.md 9).

#[cfg(test)]
mod tests;
mod text;

use super::findings_text;
use config::{ServerConfig, Strictness};
use serde_json::Value;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// How long the node may take to answer: more than its own limits for RELOAD together.
const LIMIT: Duration = Duration::from_secs(20);
/// Bytes of the longest answer.
const ANSWER_BYTES_MAX: u64 = 16 << 20;

/// Arguments of `ctl`.
#[derive(clap::Args)]
pub struct Arguments {
    /// The node's configuration file, which says where its socket is [env: KATZENPOST_CONFIG] [default: katzenpost.toml]
    #[arg(short = 'f', long = "config")]
    config: Option<PathBuf>,
    /// The management socket, for users who may not read the configuration
    #[arg(long, conflicts_with = "config")]
    socket: Option<PathBuf>,
    /// Print the answers to STATUS, PEERS, KEYS, LOOPS and RELOAD as the node gives them
    #[arg(long)]
    json: bool,
    /// STATUS, PEERS, KEYS, LOOPS, RELOAD, DRAIN, SHUTDOWN, HELP, START_KAETZCHEN CAPABILITY, STOP_KAETZCHEN CAPABILITY, SEND_RATE
    /// NUMBER, SEND_BURST NUMBER, ADD_USER NAME KEY and others (HELP names all); letter case does not matter
    #[arg(required = true)]
    command: Vec<String>,
}

/// Tells the node, and prints what it says.
pub fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    let socket = match &arguments.socket {
        Some(socket) => socket.clone(),
        None => {
            let (file, config) = configuration(arguments.config.as_deref())?;
            socket_of(&file, &config)?
        }
    };
    let line = arguments.command.join(" ").trim().to_owned();
    if line.is_empty() || line.contains(char::is_control) {
        return Err("a command is one line of words, such as STATUS".into());
    }
    let answer = ask(&socket, &line)?;
    let (code, rest) = answer.split_once(' ').unwrap_or((&answer, ""));
    let is_good = code.starts_with('2');
    let Some(show) = text::of(&line) else {
        let answer = printable(&answer);
        return if is_good { print(format_args!("{answer}\n"), true) } else { Err(refused(&answer, &line)) };
    };
    let json = serde_json::from_str::<Value>(rest);
    match (json, is_good) {
        // What is wrong is for tools, too.
        (Ok(_), is_good) if arguments.json => print(format_args!("{}\n", printable(rest)), is_good),
        (Ok(json), true) => print(format_args!("{}", show(&json)), true),
        (Ok(json), false) => Err(show(&json).trim_end().to_owned()),
        (Err(error), true) => Err(format!("{}: the answer to {line} is no JSON: {error}", socket.display())),
        (Err(_), false) => Err(refused(&printable(&answer), &line)),
    }
}

/// Prints an answer; a refusal ends the program with 1.
fn print(text: std::fmt::Arguments<'_>, is_good: bool) -> Result<ExitCode, String> {
    super::print(text).map(|()| ExitCode::from(u8::from(!is_good)))
}

fn refused(answer: &str, line: &str) -> String {
    format!("the node answers '{answer}' to {line}; HELP lists its commands")
}

/// The node's configuration, and its file.
fn configuration(file: Option<&Path>) -> Result<(PathBuf, ServerConfig), String> {
    let file = super::config_file(file)?;
    let loaded = ServerConfig::load(&file, Strictness::Lenient);
    let refused = |findings: Vec<_>| {
        let findings = findings_text(&findings);
        format!("failed to load config file:\n  {findings}\n  or name the running node's socket with --socket")
    };
    loaded.map(|loaded| (file, loaded.config)).map_err(refused)
}

/// Where a node is asked.
fn socket_of(file: &Path, config: &ServerConfig) -> Result<PathBuf, String> {
    match &config.management {
        management if management.enabled => Ok(management.path.clone()),
        _ => Err(format!(
            "{}: Management.Enable is false, so that nobody can ask the node; write true, and start it again",
            file.display()
        )),
    }
}

/// The line that answers a line, within [`LIMIT`] whatever is at the other end.
fn ask(socket: &Path, line: &str) -> Result<String, String> {
    let (path, command) = (socket.to_owned(), format!("{line}\r\nQUIT\r\n"));
    let (sender, answers) = std::sync::mpsc::channel();
    // Connecting to a socket whose owner accepts nothing has no limit of its own.
    std::thread::spawn(move || sender.send(converse(&path, &command)));
    let silent = || format!("{}: no answer within {} s", socket.display(), LIMIT.as_secs());
    let answer = answers.recv_timeout(LIMIT).map_err(|_| silent())?;
    answer.map_err(|problem| format!("{}: {problem}", socket.display()))
}

/// The greeting has to be a node's; then the answer.
fn converse(socket: &Path, command: &str) -> Result<String, String> {
    let describe = |error: std::io::Error| match error.kind() {
        ErrorKind::PermissionDenied => format!("{error}; only the user of the node may ask it"),
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => format!("{error}; check that the node runs"),
        _ => error.to_string(),
    };
    let mut stream = UnixStream::connect(socket).map_err(describe)?;
    let mut lines = BufReader::new(stream.try_clone().map_err(describe)?.take(ANSWER_BYTES_MAX)).lines();
    let greeting = lines.next().transpose().ok().flatten().unwrap_or_default();
    if !greeting.starts_with("220 ") {
        return Err("this is no management socket of a node".into());
    }
    stream.write_all(command.as_bytes()).map_err(describe)?;
    let answer = lines.next().transpose().map_err(describe)?;
    answer.ok_or_else(|| "no answer; the node may be stopping".into())
}

/// Without what a terminal would obey.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
