//! What an operator types a little wrong: the advice must fit, and nothing of anybody's is lost by it.

use crate::support::folder::Folder;
use crate::support::program::{finish, program, run};
use crate::support::site::Site;
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Command;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(40);

#[test]
fn a_folder_of_the_system_is_not_to_be_closed() {
    let folder = Folder::new();
    folder.edit(&folder.data_dir().display().to_string(), "/etc");
    let parts = ["dir '/etc' has invalid permissions", "give DataDir one of its own"];
    folder.refuses(&parts);
    assert!(!folder.serve(&[]).stderr.contains("chmod"));
    folder.serve(&["--validate-only"]).refused(&["Server.DataDir", parts[0], parts[1]]);
}

#[test]
fn root_makes_no_keys_in_a_folder_of_another_user() {
    let folder = Folder::new();
    folder.make_data_dir();
    if std::os::unix::fs::chown(folder.data_dir(), Some(65_534), None).is_err() {
        testhost::lacks("root", "only root can give a folder away");
        return;
    }
    folder.serve(&["-g"]).refused(&["belongs to user 65534", "run it as user 65534 (sudo -u '#65534' "]);
    assert_eq!(fs::read_dir(folder.data_dir()).unwrap().count(), 0);
}

#[test]
fn long_options_with_one_dash() {
    for (written, meant) in [
        ("-validate-only", "--validate-only"),
        ("-validate_only", "--validate-only"),
        ("-version", "--version"),
        ("-generate-only", "--generate-only"),
        ("-config=x", "--config"),
    ] {
        let hint = format!("did you mean {meant}?");
        run(["server", written, "-f", "/nonexistent"]).refused(&[written, &hint]);
        run(["server", "-f", "/nonexistent", written]).refused(&[written, &hint]);
        run([written]).refused(&[written, &hint]);
    }
    // What has one dash and one letter is as it was.
    let folder = Folder::new();
    finish(program().arg("-gf").arg(folder.config())).succeeded();
    run(["server", "-v"]).succeeded();
}

#[test]
fn of_two_files_the_last_one_counts() {
    let folder = Folder::new();
    let config = folder.config().display().to_string();
    run(["server", "-f", "/nonexistent", "-f", &config, "--validate-only"]).succeeded();
    run(["server", "-f", &config, "-f", "/nonexistent"]).refused(&["error: /nonexistent: cannot be read"]);
}

#[test]
fn the_usage_is_that_of_the_name() {
    let folder = Folder::new();
    let link = folder.path().join("server");
    symlink(env!("CARGO_BIN_EXE_katzensprung"), &link).unwrap();
    let help = finish(Command::new(&link).arg("--help")).succeeded();
    assert!(help.contains(&format!("Usage: {} [OPTIONS]", link.display())), "{help}");
    let help = run(["server", "--help"]).succeeded();
    assert!(
        help.contains("Usage: katzensprung server [OPTIONS]") && help.contains("[env: KATZENPOST_CONFIG]"),
        "{help}"
    );
}

/// A program with the name of a subcommand is that, whatever comes after it: no node starts by mistake.
#[test]
fn a_program_called_fetch_is_no_node() {
    let folder = Folder::new();
    for name in ["fetch", "ctl"] {
        let link = folder.path().join(name);
        symlink(env!("CARGO_BIN_EXE_katzensprung"), &link).unwrap();
        let help = finish(Command::new(&link).arg("--help")).succeeded();
        assert!(help.contains(&format!("Usage: {} [OPTIONS]", link.display())), "{help}");
    }
    let given = finish(Command::new(folder.path().join("fetch")).args(["-f", "/nonexistent/y.toml"]));
    given.refused(&["/nonexistent/y.toml", "cannot be read"]);
}

/// A check that says "valid" of what every start refuses is worth nothing.
#[test]
fn a_check_looks_at_key_files_too_and_both_checks_say_the_same() {
    let spoil = [
        ("identity.private.pem", "", "no PEM block"),
        ("link.public.pem", "garbage", "no PEM block"),
        ("identity.public.pem", "OTHER", "is not the public key of"),
    ];
    let other = Folder::new();
    other.generate_keys();
    for (name, content, problem) in spoil {
        let folder = Folder::new();
        folder.serve(&["--validate-only"]).succeeded();
        folder.generate_keys();
        folder.serve(&["--validate-only"]).succeeded();
        let content = match content {
            "OTHER" => fs::read_to_string(other.data_dir().join(name)).unwrap(),
            content => content.into(),
        };
        fs::write(folder.data_dir().join(name), content).unwrap();
        folder.serve(&["--validate-only"]).refused(&["Server.DataDir", name, problem]);
        let checked = finish(program().args(["config", "check"]).arg(folder.config()));
        assert!(checked.stdout.contains("FAIL") && checked.stdout.contains(problem), "{}", checked.stdout);
        folder.refuses(&[name, problem]);
    }
}

#[test]
fn the_variable_for_the_file() {
    for command in ["server", "fetch"] {
        let empty = finish(program().env("KATZENPOST_CONFIG", "").arg(command));
        empty.refused(&["KATZENPOST_CONFIG is set and empty", "unset it"]);
        let missing = finish(program().env("KATZENPOST_CONFIG", "/nonexistent/x.toml").arg(command));
        missing.refused(&["/nonexistent/x.toml", "cannot be read"]);
        let given = finish(program().env("KATZENPOST_CONFIG", "").args([command, "-f", "/nonexistent/y.toml"]));
        given.refused(&["/nonexistent/y.toml", "cannot be read"]);
    }
}

/// What can never answer is not waited for.
#[test]
fn fetch_refuses_what_is_no_address_at_once() {
    let folder = Folder::new();
    for address in ["foo", "", ":9000", "http://127.0.0.1:9000/metrics", "127.0.0.1:9000,,"] {
        let outcome = finish(program().args(["fetch", "--require-ready", address, "-f"]).arg(folder.config()));
        outcome.refused(&["--require-ready", "write host:port"]);
    }
}

#[test]
fn fetch_overwrites_nothing() {
    let folder = Folder::new();
    let precious = folder.path().join("precious");
    fs::write(&precious, "precious").unwrap();
    let outcome = finish(program().arg("fetch").arg("-f").arg(folder.config()).arg("-o").arg(&precious));
    outcome.refused(&["cannot write", "precious", "nothing is overwritten"]);
    assert!(!outcome.stderr.contains("authority"), "nobody is asked: {}", outcome.stderr);
    assert_eq!(fs::read_to_string(precious).unwrap(), "precious");
}

#[test]
fn a_socket_of_another_program_stays() {
    let site = Site::new(LONG);
    let path = site.folder.path().join("theirs");
    let theirs = UnixListener::bind(&path).unwrap();
    let with = |enable: &str| format!("Enable = {enable}\n  Path = \"{}\"", path.display());
    site.folder.edit("Enable = true", &with("true"));
    site.folder.refuses(&["another program serves there", "Management.Path"]);
    UnixStream::connect(&path).unwrap();
    site.folder.edit(&with("true"), &with("false"));
    let mut node = site.start_node();
    site.wait_for_log("Started.", 1);
    node.stop();
    UnixStream::connect(&path).unwrap();
    // Nobody's any more: the reference removes it, and so do we.
    drop(theirs);
    let mut node = site.start_node();
    site.wait_for_log("Started.", 2);
    assert!(!path.exists());
    node.stop();
}

#[test]
fn nothing_is_written_into_a_file_of_the_node() {
    let site = Site::new(LONG);
    let mut node = site.start_node();
    site.wait_for_log("Started.", 1);
    let names: Vec<_> = fs::read_dir(site.folder.data_dir())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "katzenpost.log" && name != "management_sock")
        .collect();
    node.stop();
    assert!(names.len() >= 7, "keys, lock, self-check, socket: {names:?}");
    let refused = |key: &str, from: &str, to: &str| {
        let folder = Folder::new();
        folder.generate_keys();
        folder.edit(from, &to.replace("DATA", &folder.data_dir().display().to_string()));
        folder.serve(&["--validate-only"]).refused(&["error: ", key, "give another name"]);
        folder.refuses(&["error: ", key, "give another name"]);
    };
    for name in names.iter().map(String::as_str).chain(["./../data/link.private.pem"]) {
        refused("Logging.File", "\"katzenpost.log\"", &format!("\"{name}\""));
        refused("Management.Path", "Enable = true", &format!("Enable = true\n  Path = \"DATA/{name}\""));
    }
    refused("Logging.File", "\"katzenpost.log\"", "\"../katzensprung.toml\"");
    // By whatever ways the name leads there, and whosever key it is.
    for target in ["katzenpost.toml", "data/link.public.pem"] {
        let folder = Folder::new();
        folder.generate_keys();
        symlink(folder.path().join(target), folder.data_dir().join("innocent.log")).unwrap();
        folder.edit("\"katzenpost.log\"", "\"innocent.log\"");
        folder.refuses(&["error: ", "Logging.File", "give another name"]);
    }
    let folder = Folder::new();
    folder.edit("\"katzenpost.log\"", "\"../katzenpost.toml\"");
    let before = fs::read(folder.config()).unwrap();
    let name = folder.config().file_name().unwrap().to_owned();
    let relative = finish(program().current_dir(folder.path()).args(["server", "-f"]).arg(name));
    relative.refused(&["error: ", "Logging.File", "is a configuration file"]);
    assert_eq!(fs::read(folder.config()).unwrap(), before);
    let folder = Folder::new();
    folder.edit("\"katzenpost.log\"", "\"management_sock\"");
    folder.refuses(&["error: ", "Management.Path", "is also Logging.File"]);
}

#[test]
fn a_new_identity_is_told_of() {
    let folder = Folder::new();
    folder.generate_keys();
    let log = || fs::read_to_string(folder.data("katzenpost.log")).unwrap();
    assert!(log().contains(" NOTI server: made a new identity key in "), "{}", log());
    for half in ["private", "public"] {
        fs::remove_file(folder.data(&format!("identity.{half}.pem"))).unwrap();
    }
    folder.generate_keys();
    // Another node by the link key of the one that was there.
    assert!(log().contains(" WARN server: made a new identity key in "), "{}", log());
}

#[test]
fn the_port_that_the_system_chose_is_told() {
    let site = Site::new(LONG);
    site.folder.edit("  DataDir", "  MetricsAddress = \"127.0.0.1:0\"\n  DataDir");
    let mut node = site.start_node();
    site.wait_for_log("Started.", 1);
    let log = site.log();
    assert!(log.contains("metrics on http://127.0.0.1:") && !log.contains("127.0.0.1:0/"), "{log}");
    node.stop();
    site.is_quiet();
}

#[test]
fn two_units_without_the_other_one() {
    let folder = Folder::new();
    folder.run_as_two_units();
    let socket = folder.data("dataplane.sock").display().to_string();
    folder.refuses(&["nothing listens at", &socket, "dataplane.run_as_two_units", "start that unit"]);
}

/// What `config explain` says of a name, and whether it knows it.
fn explained(name: &str) -> (bool, String) {
    let outcome = finish(program().args(["config", "explain", name]));
    (outcome.status.success(), outcome.stdout + &outcome.stderr)
}

#[test]
fn keys_are_explained_and_misspelt_ones_guessed() {
    let (is_known, text) = explained("batch_wait_us");
    assert!(is_known && text.contains("dataplane.batch_wait_us") && text.contains("default  500 us"), "{text}");
    for (name, said) in [
        ("Server.Identifer", "did you mean 'Server.Identifier'?"),
        ("Server.IsProvider", "use Server.IsGatewayNode or Server.IsServiceNode"),
        ("xyzzy.plugh", "`config explain` lists all"),
    ] {
        let (is_known, text) = explained(name);
        assert!(!is_known && text.contains(said), "{name}: {text}");
    }
}
