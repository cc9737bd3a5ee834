//! `ctl`: commands for a running node over its management socket (server.md 9).

use super::findings_text;
use config::{ServerConfig, Strictness};
use serde_json::Value;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[cfg(test)]
mod tests;

/// How long the node may take to answer.
const LIMIT: Duration = Duration::from_secs(10);
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
    /// Print the answer to STATUS as the node gives it
    #[arg(long)]
    json: bool,
    /// STATUS, DRAIN, SHUTDOWN, HELP, START_KAETZCHEN CAPABILITY, STOP_KAETZCHEN CAPABILITY, ADD_USER NAME KEY and others
    /// (HELP names all); letter case does not matter
    #[arg(required = true)]
    command: Vec<String>,
}

/// Tells the node, and prints what it says.
pub fn run(arguments: &Arguments) -> Result<(), String> {
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
    if line.eq_ignore_ascii_case("STATUS") {
        let json = ask_status(&socket)?;
        let unreadable = |error| format!("{}: the answer to STATUS is no JSON: {error}", socket.display());
        return match arguments.json {
            true => super::print(format_args!("{json}\n")),
            false => super::print(format_args!("{}", text(&serde_json::from_str(&json).map_err(unreadable)?))),
        };
    }
    let answer = printable(&ask(&socket, &line)?);
    match answer.starts_with('2') {
        true => super::print(format_args!("{answer}\n")),
        false => Err(format!("the node answers '{answer}' to {line}; HELP lists its commands")),
    }
}

/// The node's configuration, and its file.
pub fn configuration(file: Option<&Path>) -> Result<(PathBuf, ServerConfig), String> {
    let file = super::config_file(file)?;
    let loaded = ServerConfig::load(&file, Strictness::Lenient);
    let refused = |findings: Vec<_>| format!("failed to load config file:\n  {}", findings_text(&findings));
    loaded.map(|loaded| (file, loaded.config)).map_err(refused)
}

/// Where a node is asked.
pub fn socket_of(file: &Path, config: &ServerConfig) -> Result<PathBuf, String> {
    match &config.management {
        management if management.enabled => Ok(management.path.clone()),
        _ => Err(format!(
            "{}: Management.Enable is false, so that nobody can ask the node; write true, and start it again",
            file.display()
        )),
    }
}

/// What the node answers to STATUS.
pub fn ask_status(socket: &Path) -> Result<String, String> {
    let answer = ask(socket, "STATUS")?;
    let json = answer.strip_prefix("250 ").filter(|rest| rest.starts_with('{')).map(str::to_owned);
    json.ok_or_else(|| format!("{}: no answer to STATUS; check that the node is ours", socket.display()))
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

/// STATUS for people.
fn text(status: &Value) -> String {
    let rows = [
        of_node(status),
        each(status, "authorities", "authority", |name, answered| {
            Some(format!("{name}: {}", if answered == &Value::Bool(true) { "answers" } else { "does not answer" }))
        }),
        each(status, "mix_keys", "mix key", |key, fill| {
            let (tags, slots) = (number(fill, "/replay_tags"), number(fill, "/replay_slots"));
            let percent = if slots == 0 { 0.0 } else { 100.0 * tags as f64 / slots as f64 };
            Some(format!("{key}: {tags} packets seen, replay set {percent:.1} % full"))
        }),
        vec![("data plane", data_plane(status))],
        each(status, "packets", "packets", |name, count| {
            count.as_u64().filter(|count| *count > 0).map(|count| format!("{name}: {count}"))
        }),
        vec![("unaccounted", number(status, "/packets_unaccounted").to_string())],
    ];
    let lines = rows.concat().into_iter().map(|(name, value)| format!("{name:<16} {}\n", printable(&value)));
    lines.collect()
}

type Rows = Vec<(&'static str, String)>;

/// Itself, the epoch, its place in the consensus.
fn of_node(status: &Value) -> Rows {
    let word = |path: &str| status.pointer(path).and_then(Value::as_str).unwrap_or("unknown");
    let (name, version, state) = (word("/identifier"), word("/version"), word("/state"));
    let (epoch, left) = (number(status, "/epoch"), number(status, "/epoch_seconds_left"));
    let documents = status.get("documents").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let is_listed = documents.iter().any(|of| of.as_u64() == Some(epoch));
    let documents = documents.iter().map(Value::to_string).collect::<Vec<_>>().join(", ");
    let consensus = match (is_listed, documents.is_empty()) {
        (true, _) => format!("listed; documents of epochs {documents}"),
        (false, true) => "no document lists this node".into(),
        (false, false) => format!("not listed in this epoch; documents of epochs {documents}"),
    };
    vec![
        ("node", format!("{name}, version {version}, {state} for {} s", number(status, "/uptime_seconds"))),
        ("epoch", format!("{epoch}, {left} s to go")),
        ("consensus", consensus),
        ("published", format!("for epoch {}", status.get("published_epoch").unwrap_or(&Value::Null))),
    ]
}

fn data_plane(status: &Value) -> String {
    match status.pointer("/data_plane/process").and_then(Value::as_u64) {
        Some(process) => {
            let (shards, restarts) = (number(status, "/shards"), number(status, "/data_plane/restarts"));
            format!("process {process}, {shards} shards, {restarts} restarts")
        }
        None => "none is at work".into(),
    }
}

/// A row for each entry of a table that is worth one.
fn each(status: &Value, table: &str, name: &'static str, row: impl Fn(&str, &Value) -> Option<String>) -> Rows {
    let entries = status.get(table).and_then(Value::as_object).into_iter().flatten();
    entries.filter_map(|(key, value)| Some((name, row(key, value)?))).collect()
}

fn number(value: &Value, path: &str) -> u64 {
    value.pointer(path).and_then(Value::as_u64).unwrap_or_default()
}

/// Without what a terminal would obey.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
