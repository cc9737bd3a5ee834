//! What watches the node: a Prometheus with the alert rules of the package where there is one, else plain scrapes.

use super::holds;
use crate::support::free_address;
use crate::support::wait_for;
use serde_json::Value;
use std::cell::Cell;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);
/// Longer than any packet waits for.
const QUIET: Duration = Duration::from_secs(3);

/// A watcher of one node.
pub struct Watch {
    node: SocketAddr,
    prometheus: Option<(Child, SocketAddr)>,
    scrapes: Cell<usize>,
}

impl Watch {
    /// Begins to watch the node with its metrics at that port.
    pub fn begin(port: u16, folder: &Path) -> Self {
        let node = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let prometheus = Command::new("prometheus").arg("--version").output().is_ok().then(|| prometheus(node, folder));
        if prometheus.is_none() {
            testhost::lacks_tool("prometheus");
        }
        Self { node, prometheus, scrapes: Cell::new(0) }
    }

    /// The sum of the node's series of that name that hold a label.
    fn value(&self, name: &str, label: &str) -> Option<f64> {
        let page = get(self.node, "/metrics")?;
        self.scrapes.set(self.scrapes.get() + 1);
        let of_it = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']));
        let lines = page.lines().filter(of_it).filter(|line| line.contains(label));
        Some(lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum())
    }

    /// Looks once more, where nobody else does.
    pub fn look(&self) {
        wait_for("the node's metrics", SOON, || self.value("katzenpost_node_ready", ""));
    }

    /// A counter of the node grows by that much by what is done, and by no more.
    #[track_caller]
    pub fn counts_more(&self, name: &str, label: &str, more: usize, done: impl FnOnce()) {
        // What is still under way of others is none of it.
        let before = wait_for("quiet", SOON, || {
            let value = self.value(name, label);
            std::thread::sleep(QUIET);
            value.filter(|_| self.value(name, label) == value)
        });
        done();
        let counted = || self.value(name, label).map(|value| value - before);
        wait_for(name, SOON, || counted().filter(|counted| *counted >= more as f64));
        assert_eq!(counted(), Some(more as f64), "{name} {label}");
    }

    /// What has been seen.
    pub fn end(self) {
        let Some((_, address)) = &self.prometheus else {
            return holds(format_args!("watched by {} plain scrapes: there is no Prometheus here", self.scrapes.get()));
        };
        let ask = |query: &str| {
            let answer = get(*address, &format!("/api/v1/query?query={}", percent_encoded(query))).expect("Prometheus");
            let answer: Value = serde_json::from_str(answer.split_once("\r\n\r\n").expect("a body").1).expect("JSON");
            let values = answer["data"]["result"].as_array().expect("a vector").clone();
            values.into_iter().map(|value| (value["metric"].clone(), text(&value["value"][1]))).collect::<Vec<_>>()
        };
        let one = |query: &str| ask(query).first().map(|(_, value)| value.clone()).unwrap_or_else(|| "none".into());
        assert_eq!(one("up"), "1");
        // Its next scrape comes within a second.
        wait_for("the replays", SOON, || {
            (one(r#"katzenpost_dropped_reason_total{reason="replay"}"#) == "20").then_some(())
        });
        let rules = get(*address, "/api/v1/rules").expect("Prometheus");
        let fired = ask(r#"max by (alertname, alertstate) (max_over_time(ALERTS[30m]))"#);
        let fired: Vec<_> = fired
            .iter()
            .map(|(alert, _)| format!("{} {}", text(&alert["alertname"]), text(&alert["alertstate"])))
            .collect();
        let wrong = rules.matches(r#""health":"err""#).count();
        assert_eq!(wrong, 0, "{rules}");
        holds(format_args!(
            "watched by a Prometheus: {} scrapes, {} of them while the node was away; {} alert rules evaluated; alerts: {}",
            one("count_over_time(up[30m])"),
            one("count_over_time(up[30m]) - sum_over_time(up[30m])"),
            rules.matches(r#""type":"alerting""#).count(),
            if fired.is_empty() { "none".into() } else { fired.join(", ") },
        ));
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some((child, _)) = &mut self.prometheus {
            let _gone = child.kill().and_then(|()| child.wait());
        }
    }
}

fn prometheus(node: SocketAddr, folder: &Path) -> (Child, SocketAddr) {
    let (address, file) = (free_address(), folder.join("prometheus.yml"));
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/prometheus/katzensprung.rules.yml");
    let text = format!(
        "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [{}]\nscrape_configs:\n  \
         - job_name: katzensprung\n    static_configs: [{{targets: ['{node}']}}]\n",
        rules.canonicalize().expect("the rules").display()
    );
    fs::write(&file, text).expect("a file");
    let mut command = Command::new("prometheus");
    command.arg(format!("--config.file={}", file.display())).arg(format!("--web.listen-address={address}"));
    command.arg(format!("--storage.tsdb.path={}", folder.join("prometheus").display()));
    let output = fs::File::create(folder.join("prometheus.log")).expect("a file");
    command.stdin(Stdio::null()).stdout(output.try_clone().expect("a file")).stderr(output);
    (command.spawn().expect("prometheus starts"), address)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// What answers a request with status 200, its head included.
fn get(address: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(SOON)).ok()?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: test\r\n\r\n").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.lines().next()?.contains(" 200").then_some(answer)
}

fn percent_encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
