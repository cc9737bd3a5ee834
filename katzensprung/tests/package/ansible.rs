//! The role, on a host whose first process is a systemd.

use super::systemd::{Machine, lacks_anything};
use super::{LONG, deploy, has, script};
use crate::support::program::{Outcome, finish, finish_within};
use crate::support::site::Site;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// No epoch ends meanwhile.
const EPOCH: Duration = Duration::from_secs(1200);
/// What is the host's own: it has a connection to itself, and no kernel settings that it may change.
const HOST: &str = "ansible_connection: local
      ansible_become: false
      ansible_python_interpreter: /usr/bin/python3
      katzensprung_package: /given/katzensprung.deb
      katzensprung_config: /given/katzenpost.toml
      katzensprung_sysctl: {}
";

#[test]
fn the_playbook_knows_each_of_its_variables() {
    let role = deploy().join("ansible/roles/katzensprung");
    let page = |name: &str| fs::read_to_string(role.join(name)).unwrap();
    let names = |file: &str| -> Vec<String> {
        let names = page(file);
        let names = names.lines().filter_map(|line| line.trim_start().split_once(':').map(|(name, _)| name.to_owned()));
        names.filter(|name| name.starts_with("katzensprung_")).collect()
    };
    let (described, own) = (names("meta/argument_specs.yml"), names("vars/main.yml"));
    let has_to_be_set = ["katzensprung_package", "katzensprung_config"].map(str::to_owned);
    assert_eq!(described, [&has_to_be_set[..], &names("defaults/main.yml")].concat());
    let known = [described, own].concat();
    let tasks = [page("tasks/main.yml"), page("handlers/main.yml"), page("vars/main.yml")].concat();
    for word in tasks.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')) {
        // The beginning alone is a pattern.
        let is_name = word.starts_with("katzensprung_") && word != "katzensprung_";
        assert!(!is_name || known.iter().any(|name| name == word), "{word} is not set");
    }
    for name in &known {
        assert!(tasks.contains(name.as_str()), "nobody uses {name}");
    }
    for handler in tasks.lines().filter_map(|line| line.trim().strip_prefix("notify: ")) {
        assert!(page("handlers/main.yml").contains(&format!("- name: {handler}\n")), "{handler}");
    }
    if !has("ansible-playbook") {
        return testhost::lacks_tool("ansible-playbook");
    }
    let mut command = Command::new("ansible-playbook");
    command.args(["--syntax-check", "--inventory", "localhost,", "site.yml"]).current_dir(deploy().join("ansible"));
    finish_within(&mut command, LONG).succeeded();
}

/// Runs the playbook on the host, with more variables.
fn play(machine: &Machine, variables: &[&str]) -> Outcome {
    let mut words = vec!["ansible-playbook", "-i", "/given/inventory.yml", "/given/ansible/site.yml"];
    words.extend(variables.iter().flat_map(|variable| ["-e", variable]));
    let mut command = machine.command(&words);
    command.env("ANSIBLE_NOCOLOR", "1").env("HOME", "/root");
    finish_within(&mut command, LONG)
}

/// The run succeeds; gives how many tasks have changed something.
#[track_caller]
fn changed(outcome: &Outcome) -> usize {
    assert!(outcome.status.success(), "{}{}", outcome.stdout, outcome.stderr);
    let (_, count) = outcome.stdout.rsplit_once("changed=").expect("a recap");
    count.split(' ').next().expect("a number").parse().expect("a number")
}

/// The run fails with all of these, and has changed nothing.
#[track_caller]
fn refuses(outcome: &Outcome, parts: &[&str]) {
    let said = format!("{}{}", outcome.stdout, outcome.stderr);
    assert!(!outcome.status.success() && outcome.stdout.contains("changed=0 "), "{said}");
    for part in parts {
        assert!(said.contains(part), "{part}: {said}");
    }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy_folder(&path, &to);
        } else {
            fs::copy(path, to).unwrap();
        }
    }
}

/// A host with the playbook, the package and a node's configuration on it; none where there is none.
fn host(site: &Site, outside: &Path) -> Option<(Machine, PathBuf)> {
    let package = script("deb", &["--binary", env!("CARGO_BIN_EXE_katzensprung"), outside.to_str().unwrap()]);
    let package = fs::read(package.trim()).unwrap();
    let machine = Machine::boot(outside, &site.folder.data_dir())?;
    let given = machine.root().join("given");
    copy_folder(&deploy().join("ansible"), &given.join("ansible"));
    fs::write(given.join("katzensprung.deb"), package).unwrap();
    let data = site.folder.data_dir().display().to_string();
    let config = fs::read_to_string(site.folder.config()).unwrap().replace(&data, "/var/lib/katzensprung");
    fs::write(given.join("katzenpost.toml"), config).unwrap();
    let period = format!("{}: {}ns", pki::epoch::PERIOD_VARIABLE, site.network.clock.period().as_nanos());
    let settings = fs::read_to_string(site.folder.own_config()).unwrap();
    let inventory = format!(
        "katzensprung:\n  hosts:\n    localhost:\n      {HOST}      katzensprung_environment: {{{period}}}\n      \
         katzensprung_settings: {}\n",
        serde_json::json!(settings)
    );
    fs::write(given.join("inventory.yml"), inventory).unwrap();
    Some((machine, given))
}

#[test]
fn the_playbook_installs_and_starts_a_node_changes_nothing_twice_and_refuses_what_is_wrong() {
    if !has("ansible-playbook") {
        return testhost::lacks_tool("ansible-playbook");
    }
    if lacks_anything() {
        return;
    }
    if !finish(Command::new("/usr/bin/python3").args(["-c", "import apt"])).status.success() {
        return testhost::lacks_tool("python3-apt");
    }
    let (outside, site) = (tempfile::tempdir().unwrap(), Site::new(EPOCH));
    let Some((machine, given)) = host(&site, outside.path()) else { return };
    let authority = site.start_authority();

    // Before anything is changed.
    refuses(
        &play(&machine, &["katzensprung_role=mix"]),
        &["katzensprung_role must be one of: node, authority, got: mix"],
    );
    refuses(&play(&machine, &["katzensprung_rol=node"]), &["There is no katzensprung_rol.", "katzensprung_role"]);
    refuses(&play(&machine, &["katzensprung_limit_nofile=many"]), &["katzensprung_limit_nofile", "int"]);

    let keys = || machine.shell("cd /var/lib/katzensprung && sha256sum *.pem");
    let before = keys();
    // The folder came from elsewhere, for a user that the package would make.
    machine.shell(
        "useradd --system --user-group --no-create-home --shell /usr/sbin/nologin katzensprung
         chown -R katzensprung: /var/lib/katzensprung",
    );
    assert!(changed(&play(&machine, &[])) > 5);
    site.wait_for_log("Started.", 1);
    assert_eq!(
        machine.shell("systemctl is-enabled katzensprung; systemctl is-active katzensprung"),
        "enabled\nactive\n"
    );
    assert_eq!(machine.shell("systemctl show -P LimitNOFILE -P LimitMEMLOCK katzensprung"), "65536\n67108864\n");
    assert_eq!(keys(), before);
    authority.wait_for_post(site.next_epoch(), Duration::from_secs(60));

    assert_eq!(changed(&play(&machine, &[])), 0);
    assert_eq!(site.log().matches("Started.").count(), 1, "{}", site.log());

    // What every start would refuse does not get there, and what runs goes on.
    let config = fs::read_to_string(given.join("katzenpost.toml")).unwrap();
    let wrong = given.join("wrong.toml");
    fs::write(&wrong, config.replacen("Identifier", "Identifer", 1)).unwrap();
    refuses(
        &play(&machine, &["katzensprung_config=/given/wrong.toml"]),
        &["Server.Identifer", "did you mean Identifier?"],
    );
    assert_eq!(fs::read_to_string(machine.root().join("etc/katzensprung/katzenpost.toml")).unwrap(), config);

    // One that differs restarts it, once, with its keys.
    fs::write(given.join("katzenpost.toml"), format!("{config}\n# Another line.\n")).unwrap();
    assert_eq!(changed(&play(&machine, &[])), 2);
    site.wait_for_log("Started.", 2);
    assert_eq!(keys(), before);
    assert_eq!(changed(&play(&machine, &[])), 0);
    machine.shell("systemctl stop katzensprung");
}
