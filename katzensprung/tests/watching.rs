//! Alert rules and dashboards: what they ask for is what a running network exports, down to labels and their values.

use crate::support::free_address;
use crate::support::program::{finish, run};
use crate::support::site::Site;
use rustix::process::{Pid, Signal, kill_process};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// More than a network of short epochs takes on a host that does much else.
const LONG: Duration = Duration::from_secs(600);

/// Labels that Prometheus gives each series.
const OF_THE_TARGET: [&str; 2] = ["instance", "job"];

fn deploy(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(folder)
}

/// An expression, what is shown beside its series, and where it stands.
struct Question {
    place: String,
    expression: String,
    shown: String,
}

/// All that rules and dashboards ask for.
fn questions() -> Vec<Question> {
    let rules = fs::read_to_string(deploy("prometheus/katzensprung.rules.yml")).unwrap();
    let mut found = Vec::new();
    for alert in rules.split("- alert: ").skip(1) {
        let quoted = alert.split("expr: '").nth(1).and_then(|rest| rest.split("'\n").next()).unwrap();
        let (name, shown) = (alert.lines().next().unwrap(), alert.replace("$labels.", ""));
        found.push(Question { place: name.into(), expression: quoted.replace("''", "'"), shown });
    }
    assert!(found.len() > 20, "the rules were not read");
    for entry in fs::read_dir(deploy("grafana")).unwrap() {
        let path = entry.unwrap().path();
        let dashboard: serde_json::Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let before = found.len();
        for panel in dashboard["panels"].as_array().unwrap() {
            let place = format!("{}: {}", path.file_name().unwrap().display(), panel["title"]);
            for target in panel["targets"].as_array().unwrap() {
                let text = |key: &str| target[key].as_str().unwrap().to_owned();
                found.push(Question { place: place.clone(), expression: text("expr"), shown: text("legendFormat") });
            }
        }
        for variable in dashboard["templating"]["list"].as_array().unwrap() {
            let asked = variable["query"].as_str().unwrap().strip_prefix("label_values(");
            let Some((asked, _label)) = asked.and_then(|asked| asked.rsplit_once(", ")) else { continue };
            let place = format!("{}: {}", path.display(), variable["name"]);
            found.push(Question { place, expression: asked.into(), shown: String::new() });
        }
        assert!(found.len() > before + 10, "{} was not read", path.display());
    }
    found
}

/// A metric in an expression with its matchers: label, operator, value.
type Selector = (String, Vec<(String, String, String)>);

fn selectors(expression: &str) -> Vec<Selector> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = Vec::new();
    let mut rest = expression;
    while let Some(start) = rest.find(|c: char| is_name(c)) {
        let word_end = rest[start..].find(|c: char| !is_name(c)).map_or(rest.len(), |length| start + length);
        let word = &rest[start..word_end];
        rest = &rest[word_end..];
        if !["katzenpost_", "katzensprung_", "process_"].iter().any(|prefix| word.starts_with(prefix)) {
            continue;
        }
        let mut matchers = Vec::new();
        if let Some((inside, after)) = rest.strip_prefix('{').and_then(|inside| inside.split_once('}')) {
            rest = after;
            for matcher in inside.split(',') {
                let (left, value) = matcher.split_once('"').unwrap_or_else(|| panic!("{expression}: {matcher}"));
                let label = left.trim_end_matches(['=', '~', '!']);
                let operator = left[label.len()..].to_owned();
                matchers.push((label.to_owned(), operator, value.trim_end_matches('"').to_owned()));
            }
        }
        found.push((word.to_owned(), matchers));
    }
    found
}

/// Series by the names of their metrics: the labels of each.
type Exported = BTreeMap<String, Vec<BTreeMap<String, String>>>;

fn scrape(address: &str, into: &mut Exported) {
    // An authority that was ended says nothing.
    let Ok(mut stream) = TcpStream::connect(address) else { return };
    let mut page = String::new();
    let asked = stream.write_all(b"GET /metrics HTTP/1.0\r\nHost: test\r\n\r\n");
    if asked.and_then(|()| stream.read_to_string(&mut page)).is_err() {
        return;
    }
    for line in page.lines().filter(|line| line.starts_with("katzen") || line.starts_with("process_")) {
        let (series, _value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let labels = labels.trim_end_matches('}').split("\",").filter_map(|label| label.split_once("=\""));
        let labels = labels.map(|(label, value)| (label.to_owned(), value.trim_end_matches('"').to_owned()));
        into.entry(name.to_owned()).or_default().push(labels.collect());
    }
}

/// What an expression asks for and nobody exports.
fn missing(question: &Question, exported: &Exported) -> Vec<String> {
    let mut found = Vec::new();
    let mut labels: BTreeSet<&str> = OF_THE_TARGET.into();
    let asked = selectors(&question.expression);
    for (name, matchers) in &asked {
        let Some(series) = exported.get(name) else {
            found.push(format!("{}: nobody exports {name}", question.place));
            continue;
        };
        labels.extend(series.iter().flat_map(|series| series.keys()).map(String::as_str));
        for (label, operator, value) in matchers.iter().filter(|(label, ..)| !OF_THE_TARGET.contains(&label.as_str())) {
            let values: Vec<_> = series.iter().filter_map(|series| series.get(label)).collect();
            let wanted: Vec<&str> = if operator == "=~" { value.split('|').collect() } else { vec![value] };
            for one in wanted {
                if !values.iter().any(|value| *value == one) {
                    found.push(format!("{}: no {name} has {label}={one:?}", question.place));
                }
            }
        }
    }
    let between = |open: &'static str| question.shown.split(open).skip(1);
    let shown = between("{{").filter_map(|rest| rest.split("}}").next()).map(str::trim);
    let grouped = ["by (", "without ("].into_iter().flat_map(|open| question.expression.split(open).skip(1));
    let grouped = grouped.filter_map(|rest| rest.split(')').next()).flat_map(|list| list.split(", "));
    for label in shown.filter(|label| !label.starts_with('$')).chain(grouped) {
        if !labels.contains(label) && !asked.is_empty() {
            found.push(format!("{}: no series has the label {label}", question.place));
        }
    }
    found
}

#[test]
fn what_rules_and_dashboards_ask_for_is_exported() {
    let outside = tempfile::tempdir().unwrap();
    let folder = outside.path().join("network");
    let dir = ["--dir", folder.to_str().unwrap()];
    let command = |words: &[&str]| run(["testnet"].iter().chain(words).chain(&dir));
    command(&["start", "--decoys", "--epoch", "20s"]).succeeded();
    let files = fs::read_dir(&folder).unwrap().flatten().flat_map(|member| {
        ["katzenpost.toml", "authority.toml"]
            .map(|name| fs::read_to_string(member.path().join(name)).unwrap_or_default())
    });
    let mut addresses: Vec<String> = files
        .filter_map(|text| Some(text.split("MetricsAddress = \"").nth(1)?.split('"').next()?.to_owned()))
        .collect();
    assert_eq!(addresses.len(), 8);
    // And a gateway that knows its users.
    let site = Site::of_gateway(LONG);
    let address = free_address().to_string();
    let users = "[Gateway]\n  EnableEphemeralClients = false\n[Gateway.UserDB]\n[Management]\n";
    site.folder.edit("[Management]\n", users);
    site.folder.edit("  DataDir", &format!("  MetricsAddress = \"{address}\"\n  DataDir"));
    addresses.push(address);
    let _authority = site.start_authority();
    let mut gateway = site.start_node();
    let questions = questions();
    let (started, mut ended) = (Instant::now(), false);
    loop {
        let mut exported = Exported::new();
        addresses.iter().for_each(|address| scrape(address, &mut exported));
        if !ended && exported.contains_key("katzenpost_dirauth_votes_received_total") {
            // The others miss its votes from now on, which is a metric too.
            end_authority(&folder.join("auth3"));
            ended = true;
        }
        let missing: Vec<_> = questions.iter().flat_map(|question| missing(question, &exported)).collect();
        if missing.is_empty() {
            break;
        }
        if started.elapsed() > LONG {
            let _stopped = command(&["stop"]);
            panic!("{} questions, not answered:\n{}", questions.len(), missing.join("\n"));
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    command(&["stop"]).succeeded();
    gateway.stop();
}

fn end_authority(folder: &Path) {
    let file = folder.join("authority.toml").display().to_string();
    for process in fs::read_dir("/proc").unwrap().flatten() {
        let arguments = fs::read(process.path().join("cmdline")).unwrap_or_default();
        if arguments.split(|byte| *byte == 0).any(|argument| argument == file.as_bytes()) {
            let number = process.file_name().to_string_lossy().parse().unwrap();
            let _gone = kill_process(Pid::from_raw(number).unwrap(), Signal::KILL);
        }
    }
}

#[test]
fn a_wrong_question_is_found() {
    let mut exported = Exported::new();
    let labels = |reason: &str| BTreeMap::from([("reason".to_owned(), reason.to_owned())]);
    exported.insert("katzenpost_drops_total".into(), vec![labels("replay"), labels("shutdown")]);
    let ask = |expression: &str, shown: &str| {
        let question = Question { place: "here".into(), expression: expression.into(), shown: shown.into() };
        missing(&question, &exported).join("; ")
    };
    for fine in [
        r#"rate(katzenpost_drops_total{job=~"$job",reason=~"replay|shutdown"}[5m]) > 0"#,
        "sum by (instance, reason) (katzenpost_drops_total)",
        r#"up{job="katzensprung"} == 0"#,
    ] {
        assert_eq!(ask(fine, "{{ instance }}"), "");
    }
    assert_eq!(ask("rate(katzenpost_drop_total[5m])", ""), "here: nobody exports katzenpost_drop_total");
    assert!(ask(r#"katzenpost_drops_total{reason=~"replay|relay"}"#, "").contains(r#"reason="relay""#));
    assert!(ask(r#"katzenpost_drops_total{cause="replay"}"#, "").contains("cause"));
    assert!(ask("sum by (cause) (katzenpost_drops_total)", "").contains("label cause"));
    assert!(ask("katzenpost_drops_total", "{{cause}}").contains("label cause"));
}

/// Dashboards' expressions are read as recording rules.
#[test]
fn prometheus_takes_the_rules_and_expressions_and_every_alert_goes_off() {
    let promtool = |arguments: &[&str], folder: &Path| {
        let outcome = finish(Command::new("promtool").args(arguments).current_dir(folder));
        assert_eq!(outcome.status.code(), Some(0), "{arguments:?}: {}{}", outcome.stdout, outcome.stderr);
    };
    if Command::new("promtool").arg("--version").output().is_err() {
        return testhost::lacks_tool("promtool");
    }
    promtool(&["check", "config", "prometheus.yml"], &deploy("prometheus"));
    promtool(&["test", "rules", "katzensprung.rules.test.yml"], &deploy("prometheus"));
    let tests = fs::read_to_string(deploy("prometheus/katzensprung.rules.test.yml")).unwrap();
    let mut rules = String::from("groups:\n  - name: dashboards\n    rules:\n");
    for (number, Question { place, expression, .. }) in questions().iter().enumerate() {
        if !place.contains(".json") {
            for name in [format!("- name: {place}\n"), format!("- name: {place}, all well\n")] {
                assert!(tests.contains(&name), "no test of {name}");
            }
            continue;
        }
        let expression = expression.replace("$__rate_interval", "5m").replace('\'', "''");
        rules.push_str(&format!("      - record: panel:{number}\n        expr: '{expression}'\n"));
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("dashboards.yml"), rules).unwrap();
    promtool(&["check", "rules", "dashboards.yml"], folder.path());
}
