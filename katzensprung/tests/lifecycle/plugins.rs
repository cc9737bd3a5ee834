//! Plugins of a running service node: the examples of the documentation, and what a plugin can do to a node.

use super::LONG;
use crate::support::plugin::{self, Form};
use crate::support::program::finish;
use crate::support::service::Service;
use crate::support::site::{SOON, Site};
use crate::support::wait_for;
use pki::cbor::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// More than a compiler takes on a host that does much else.
const COMPILE_LIMIT: Duration = Duration::from_secs(300);

fn documentation(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(path)
}

/// The configuration that the page shows, with the programs where they are here; without the entries of `left_out`.
fn documented_services(rust: &Path, python: &Path, left_out: &str) -> String {
    let page = fs::read_to_string(documentation("operating/write-a-plugin.md")).expect("the page");
    let (_, rest) = page.split_once("```toml\n").expect("a configuration");
    let (toml, _) = rest.split_once("```").expect("its end");
    let toml = toml.replace("/usr/local/bin/echo-plugin.py", &python.display().to_string());
    let toml = toml.replace("/usr/local/bin/echo-plugin\"", &format!("{}\"", rust.display()));
    let mut entries = toml.split("  [[ServiceNode.CBORPluginKaetzchen]]\n");
    let first = entries.next().expect("the section").to_owned();
    let kept = entries.filter(|entry| left_out.is_empty() || !entry.contains(left_out));
    first + &kept.map(|entry| format!("  [[ServiceNode.CBORPluginKaetzchen]]\n{entry}")).collect::<String>()
}

/// The example in Rust, made as its page says.
fn compiled(folder: &Path) -> PathBuf {
    let program = folder.join("echo-plugin");
    let mut compiler = Command::new(std::env::var_os("RUSTC").unwrap_or("rustc".into()));
    compiler.args(["--edition", "2024", "-O"]).arg(documentation("examples/echo-plugin.rs")).arg("-o").arg(&program);
    crate::support::program::finish_within(&mut compiler, COMPILE_LIMIT).succeeded();
    program
}

fn has_python() -> bool {
    let is_there = Command::new("python3").arg("--version").output().is_ok_and(|outcome| outcome.status.success());
    if !is_there {
        testhost::lacks_tool("python3");
    }
    is_there
}

#[test]
fn the_examples_of_the_documentation_answer() {
    let outside = tempfile::tempdir().expect("a folder");
    let rust = compiled(outside.path());
    let python = outside.path().join("echo-plugin.py");
    fs::copy(documentation("examples/echo-plugin.py"), &python).expect("the example");
    fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).expect("the file is ours");
    let has_python = has_python();
    let services = documented_services(&rust, &python, if has_python { "" } else { "python" });
    let mut names = vec!["rust-http", "rust-stream"];
    if has_python {
        names.splice(0..0, ["python-http", "python-stream"]);
    }

    let site = Site::of_service_node(LONG, &services);
    finish(crate::support::program::program().args(["config", "check"]).arg(site.folder.config())).succeeded();
    let mut service = Service::start(&site);
    let published = service.descriptor.kaetzchen.as_ref().expect("services");
    let names_published: Vec<_> = published.iter().map(|(name, _)| name.to_owned()).collect();
    // The shorter names come first in CBOR's order.
    assert_eq!(names_published.len(), names.len(), "{names_published:?}");
    for (name, parameters) in published.iter() {
        let parameters = parameters.expect("parameters");
        let of = |key: &str| parameters.get(key).expect("a parameter").as_bytes().to_vec();
        assert_eq!(of("endpoint"), Value::from(format!("+{name}").as_str()).encode());
        assert_eq!(of("version"), Value::from("1").encode(), "{name}");
    }
    for name in &names {
        for number in 0..20 {
            let payload = format!("{name} {number}");
            let reply = service.ask(&format!("+{name}"), payload.as_bytes()).expect("a reply");
            let (text, zeros) = reply.split_at(payload.len());
            assert!(text == payload.as_bytes() && zeros.iter().all(|byte| *byte == 0), "{name}: {text:?}");
        }
        // Nobody waits for an answer to this one.
        service.tell(&format!("+{name}"), b"in passing");
    }
    service.nothing_comes(Duration::from_millis(300));
    let log = site.log();
    assert!(!log.contains(" ERRO ") && !log.contains("asked in vain"), "{log}");
    service.stop();
    site.is_quiet();
}

#[test]
fn the_keyserver_tells_the_keys_of_its_file() {
    let outside = tempfile::tempdir().expect("a folder");
    let keys = outside.path().join("identity-keys");
    fs::write(&keys, "# name key\nalice 0123456789abcdef\n").expect("the folder is ours");
    let page = fs::read_to_string(documentation("operating/run-a-service-node.md")).expect("the page");
    let (_, rest) = page.split_once("## The keyserver\n\n```toml\n").expect("a configuration");
    let (toml, _) = rest.split_once("```").expect("its end");
    let site = Site::of_service_node(LONG, &toml.replace("/etc/katzenpost/identity-keys", &keys.display().to_string()));
    let mut service = Service::start(&site);
    assert_eq!(service.descriptor.endpoints().collect::<Vec<_>>(), [("keyserver", "+keyserver")]);
    for (request, reply) in [
        (
            r#"{"Version":0,"User":"alice"}"#,
            r#"{"PublicKey":"0123456789abcdef","StatusCode":0,"User":"alice","Version":0}"#,
        ),
        (r#"{"Version":0,"User":"bob"}"#, r#"{"PublicKey":"","StatusCode":2,"User":"bob","Version":0}"#),
        ("who is alice?", r#"{"PublicKey":"","StatusCode":1,"User":"","Version":0}"#),
    ] {
        let found = service.ask("+keyserver", request.as_bytes()).expect("a reply");
        let (text, zeros) = found.split_at(reply.len());
        assert!(text == reply.as_bytes() && zeros.iter().all(|byte| *byte == 0), "{}", String::from_utf8_lossy(text));
    }
    let log = site.log();
    assert!(log.contains("knows 1 identity keys") && !log.contains("alice"), "{log}");
    service.stop();
    site.is_quiet();
}

/// The reference's own echo plugin, unmodified (`cmd/echo-plugin`), as it is and asked for parameters, of which it knows
/// nothing. Its path is in a variable.
#[test]
fn the_echo_plugin_of_the_reference_answers_whether_it_is_asked_for_parameters_or_not() {
    let Some(program) = std::env::var_os("KATZENSPRUNG_REFERENCE_ECHO_PLUGIN").map(PathBuf::from) else {
        return testhost::lacks_tool("reference-echo-plugin");
    };
    let outside = tempfile::tempdir().expect("a folder");
    let entry = |name: &str, ask: bool| {
        format!(
            "  [[ServiceNode.CBORPluginKaetzchen]]\n    Capability = \"{name}\"\n    Endpoint = \"+{name}\"\n    \
             Command = \"{}\"\n    AskParameters = {ask}\n    [ServiceNode.CBORPluginKaetzchen.Config]\n      \
             log_dir = \"{}\"\n",
            program.display(),
            outside.path().display()
        )
    };
    let services = format!("[ServiceNode]\n{}{}", entry("plain", false), entry("asked", true));
    let site = Site::of_service_node(LONG, &services);
    let mut service = Service::start(&site);
    for number in 0..20 {
        for name in ["plain", "asked"] {
            let payload = format!("{name} {number}");
            let reply = service.ask(&format!("+{name}"), payload.as_bytes()).expect("a reply");
            assert!(reply.starts_with(payload.as_bytes()), "{name}");
        }
    }
    let log = site.log();
    assert!(!log.contains(" ERRO "), "{log}");
    assert_eq!(log.matches("it answers with something else").count(), 1, "{log}");
    service.stop();
    site.is_quiet();
}

/// What each does, what the log says of it, and whether it is started again.
const BAD: &[(Form, &str, &str)] = &[
    (Form::Stream, "hangs", ""),
    (Form::Stream, "floods", "messages that answer nothing"),
    (Form::Stream, "prints", "more lines in a second"),
    (Form::Stream, "dies", "exit status: 3"),
    (Form::Stream, "garbage", "it is not a message"),
    (Form::Http, "hangs", "has answered none of 3 requests within 5s"),
    (Form::Http, "floods", "longer than any can be"),
    (Form::Http, "prints", "more lines in a second"),
    (Form::Http, "dies", "exit status: 3"),
    (Form::Http, "garbage", "was asked in vain"),
];

/// All at once on one node, with a good plugin and a service that is built in between them: these answer all the time.
#[test]
fn bad_plugins_harm_nobody_but_themselves() {
    let outside = tempfile::tempdir().expect("a folder");
    let mut services =
        "[ServiceNode]\n  [[ServiceNode.Kaetzchen]]\n    Capability = \"echo\"\n    Endpoint = \"+echo\"\n".to_owned();
    for (form, behaviour, _) in BAD.iter().chain(&[(Form::Stream, "good", ""), (Form::Http, "good", "")]) {
        services += &plugin::entry(outside.path(), *form, behaviour);
    }
    let site = Site::of_service_node(LONG, &services);
    site.folder.edit("Level = \"INFO\"", "Level = \"DEBUG\"");
    let mut service = Service::start(&site);
    for round in 0..4 {
        for (form, behaviour, _) in BAD {
            service.tell_wanting_a_reply(&plugin::endpoint(*form, behaviour), b"go");
        }
        for endpoint in
            ["+echo".to_owned(), plugin::endpoint(Form::Stream, "good"), plugin::endpoint(Form::Http, "good")]
        {
            for number in 0..5 {
                let payload = format!("{endpoint} {round} {number}");
                let reply = service.ask(&endpoint, payload.as_bytes()).expect("a reply");
                assert!(reply.starts_with(payload.as_bytes()), "{endpoint}");
            }
        }
    }
    // Three requests to the plugin that hangs take five seconds each; none waits for it longer than KaetzchenDelay.
    let limit = SOON + Duration::from_secs(20);
    wait_for("the end of the plugin that hangs", limit, || {
        service.tell_wanting_a_reply(&plugin::endpoint(Form::Http, "hangs"), b"anybody there?");
        std::thread::sleep(Duration::from_millis(200));
        site.log().contains("none of 3 requests").then_some(())
    });
    for (form, behaviour, said) in BAD.iter().filter(|(_, _, said)| !said.is_empty()) {
        let program = plugin::program(outside.path(), *form, behaviour).display().to_string();
        wait_for(said, limit, || {
            site.log().lines().any(|line| line.contains(&program) && line.contains(said)).then_some(())
        });
    }
    for (form, behaviour) in
        [(Form::Stream, "dies"), (Form::Stream, "garbage"), (Form::Http, "dies"), (Form::Http, "hangs")]
    {
        let program = plugin::program(outside.path(), form, behaviour).display().to_string();
        let again = format!("{program}) is started again in ");
        wait_for(&again, limit, || site.log().contains(&again).then_some(()));
    }
    let reply = service.ask(&plugin::endpoint(Form::Http, "good"), b"still here").expect("a reply");
    assert!(reply.starts_with(b"still here"));
    // A hundred lines a second at most of each of the two that print.
    let log = site.log();
    assert!(log.lines().count() < 20_000, "{} lines", log.lines().count());
    service.stop();
    assert_eq!(site.data_plane(), None);
    assert_eq!(plugin::left(outside.path()), 0, "a plugin outlives its node");
}
