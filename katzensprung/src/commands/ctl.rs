//! `ctl`: commands for a running node over its management socket (server.md 9).

use super::findings_text;
use config::{ServerConfig, Strictness};
use serde_json::Value;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
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
    /// STATUS, DRAIN, SHUTDOWN, HELP, START_KAETZCHEN CAPABILITY, STOP_KAETZCHEN CAPABILITY; letter case does not matter
    #[arg(required = true)]
    command: Vec<String>,
}

/// Tells the node, and prints what it says.
pub fn run(arguments: &Arguments) -> Result<(), String> {
    let socket = match &arguments.socket {
        Some(socket) => socket.clone(),
        None => socket_of(&configuration(arguments.config.as_deref())?)?,
    };
    if let [word] = &arguments.command[..]
        && word.eq_ignore_ascii_case("STATUS")
    {
        let json = ask_status(&socket)?;
        let unreadable = |error| format!("{}: the answer to STATUS is no JSON: {error}", socket.display());
        return match arguments.json {
            true => super::print(format_args!("{json}\n")),
            false => super::print(format_args!("{}", text(&serde_json::from_str(&json).map_err(unreadable)?))),
        };
    }
    let line = arguments.command.join(" ");
    if line.contains(['\r', '\n']) {
        return Err("a command is one line".into());
    }
    let answer = ask(&socket, &line)?;
    match answer.starts_with('2') {
        true => super::print(format_args!("{answer}\n")),
        false => Err(format!("the node answers '{answer}' to {line}; HELP lists its commands")),
    }
}

/// The node's configuration.
pub fn configuration(file: Option<&Path>) -> Result<ServerConfig, String> {
    let file = super::config_file(file)?;
    let loaded = ServerConfig::load(&file, Strictness::Lenient);
    let refused = |findings: Vec<_>| format!("failed to load config file:\n  {}", findings_text(&findings));
    loaded.map(|loaded| loaded.config).map_err(refused)
}

/// Where a node is asked.
pub fn socket_of(config: &ServerConfig) -> Result<PathBuf, String> {
    match &config.management {
        management if management.enabled => Ok(management.path.clone()),
        _ => Err("Management.Enable is false, so that nobody can ask the node; write true, and start it again".into()),
    }
}

/// What the node answers to STATUS.
pub fn ask_status(socket: &Path) -> Result<String, String> {
    let answer = ask(socket, "STATUS")?;
    let json = answer.strip_prefix("250 ").filter(|rest| rest.starts_with('{')).map(str::to_owned);
    json.ok_or_else(|| format!("{}: no answer to STATUS; check that the node is ours", socket.display()))
}

/// The line that answers a line.
fn ask(socket: &Path, line: &str) -> Result<String, String> {
    let describe = |error: std::io::Error| format!("{}: {error}; check that the node runs", socket.display());
    let mut stream = UnixStream::connect(socket).map_err(describe)?;
    stream.set_read_timeout(Some(LIMIT)).map_err(describe)?;
    stream.write_all(format!("{line}\r\nQUIT\r\n").as_bytes()).map_err(describe)?;
    let mut lines = BufReader::new(stream.take(ANSWER_BYTES_MAX)).lines();
    let greeting = lines.next().transpose().map_err(describe)?.unwrap_or_default();
    if !greeting.starts_with("220 ") {
        return Err(format!("{}: this is no management socket of a node", socket.display()));
    }
    let answer = lines.next().transpose().map_err(describe)?;
    answer.ok_or_else(|| format!("{}: no answer; the node may be stopping", socket.display()))
}

/// STATUS for people.
fn text(status: &Value) -> String {
    let mut text = String::new();
    let mut row = |name: &str, value: String| {
        // Writing to a string cannot fail.
        let _written = writeln!(text, "{name:<16} {value}");
    };
    let number = |path: &str| status.pointer(path).and_then(Value::as_u64).unwrap_or_default();
    let word = |path: &str| status.pointer(path).and_then(Value::as_str).unwrap_or("unknown").to_owned();
    row(
        "node",
        format!(
            "{}, version {}, {} for {} s",
            word("/identifier"),
            word("/version"),
            word("/state"),
            number("/uptime_seconds")
        ),
    );
    row("epoch", format!("{}, {} s to go", number("/epoch"), number("/epoch_seconds_left")));
    let documents = list(status.get("documents")).iter().map(Value::to_string).collect::<Vec<_>>().join(", ");
    let is_listed = list(status.get("documents")).iter().any(|epoch| epoch.as_u64() == Some(number("/epoch")));
    let consensus = match (is_listed, documents.is_empty()) {
        (true, _) => format!("listed; documents of epochs {documents}"),
        (false, true) => "no document lists this node".into(),
        (false, false) => format!("not listed in this epoch; documents of epochs {documents}"),
    };
    row("consensus", consensus);
    row("published", format!("for epoch {}", status.pointer("/published_epoch").unwrap_or(&Value::Null)));
    for (name, answered) in status.get("authorities").and_then(Value::as_object).into_iter().flatten() {
        row(
            "authority",
            format!("{name}: {}", if answered == &Value::Bool(true) { "answers" } else { "does not answer" }),
        );
    }
    for (key, fill) in status.get("mix_keys").and_then(Value::as_object).into_iter().flatten() {
        let (tags, slots) = (fill["replay_tags"].as_u64().unwrap_or(0), fill["replay_slots"].as_u64().unwrap_or(0));
        let percent = if slots == 0 { 0.0 } else { 100.0 * tags as f64 / slots as f64 };
        row("mix key", format!("{key}: {tags} packets seen, replay set {percent:.1} % full"));
    }
    row(
        "data plane",
        match status.pointer("/data_plane/process").and_then(Value::as_u64) {
            Some(process) => {
                format!("process {process}, {} shards, {} restarts", number("/shards"), number("/data_plane/restarts"))
            }
            None => "none is at work".into(),
        },
    );
    for (name, count) in status.get("packets").and_then(Value::as_object).into_iter().flatten() {
        if count.as_u64().is_some_and(|count| count > 0) {
            row("packets", format!("{name}: {count}"));
        }
    }
    row("unaccounted", number("/packets_unaccounted").to_string());
    text
}

fn list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}
