//! Mix keys that a stop seals for the machine, with the credential that a service manager gives to the unit, and the way back.
//! What systemd does with `LoadCredentialEncrypted=` the tests do with its own `systemd-creds`, each with a host key of its
//! own.

use super::LONG;
use crate::support::program::{Outcome, finish, program};
use crate::support::site::{SOON, Site};
use crate::support::wait_for;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const NAME: &str = "--name=katzensprung-seal";

/// A machine with systemd.
struct Machine {
    secret: PathBuf,
    /// The credential, as it lies on the disk.
    credential: PathBuf,
    /// Where a unit finds it opened.
    folder: PathBuf,
}

impl Machine {
    /// None where there is no systemd-creds.
    fn new(root: &Path, name: &str) -> Option<Self> {
        let path = |what: &str| root.join(format!("{name}-{what}"));
        let machine = Self { secret: path("secret"), credential: path("seal.cred"), folder: path("credentials") };
        fs::create_dir(&machine.folder).unwrap();
        let key = path("key");
        let mut random = [0; 32];
        fs::File::open("/dev/urandom").and_then(|mut from| from.read_exact(&mut random)).unwrap();
        fs::write(&key, random).unwrap();
        let mut encrypt = machine.tool();
        encrypt.args(["encrypt", "--with-key=host", NAME]).arg(&key).arg(&machine.credential);
        let encrypted = encrypt.stderr(Stdio::null()).status();
        match encrypted {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                testhost::lacks_tool("systemd-creds");
                return None;
            }
            status => assert!(status.unwrap().success()),
        }
        let mut decrypt = machine.tool();
        decrypt.args(["decrypt", NAME]).arg(&machine.credential).arg(machine.folder.join("katzensprung-seal"));
        assert!(decrypt.status().unwrap().success());
        Some(machine)
    }

    fn tool(&self) -> Command {
        let mut command = Command::new("systemd-creds");
        command.env("SYSTEMD_CREDENTIAL_SECRET", &self.secret);
        command
    }

    fn variables(&self) -> [(&str, &str); 1] {
        [("CREDENTIALS_DIRECTORY", self.folder.to_str().unwrap())]
    }
}

/// A node whose mix keys are sealed, and where.
fn sealing() -> (Site, PathBuf) {
    let site = Site::new(LONG);
    let folder = site.folder.path().join("keys");
    let text = format!(
        "[Server]\n  PersistMixKeysOnShutdown = true\n  PersistMixKeysOnShutdownDir = \"{}\"\n",
        folder.display()
    );
    site.folder.edit("[Server]\n", &text);
    set_seal(&site, "systemd");
    (site, folder)
}

fn set_seal(site: &Site, seal: &str) {
    let text = format!("[dataplane]\nshards = 1\nslots = 1024\n[keys]\nseal = \"{seal}\"\n");
    fs::write(site.folder.own_config(), text).unwrap();
}

/// How many files of keys are there, by the beginnings of their names.
fn counts(folder: &Path) -> [usize; 3] {
    let names: Vec<_> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    ["sealed-", "mixkey-", "replays-"].map(|prefix| names.iter().filter(|name| name.starts_with(prefix)).count())
}

/// A start that fails, and says why.
fn refused(site: &Site, variables: &[(&str, &str)], parts: &[&str]) {
    let before = site.output().len();
    let mut node = site.start_node_with(variables);
    assert_eq!(node.wait().code(), Some(1), "{}", site.output());
    let output = site.output().split_off(before);
    assert!(parts.iter().all(|part| output.contains(part)), "{parts:?}: {output}");
    assert!(site.data_plane().is_none());
}

#[test]
fn kept_keys_are_of_use_on_their_machine_alone() {
    let (site, folder) = sealing();
    let Some(ours) = Machine::new(site.folder.path(), "ours") else { return };
    let theirs = Machine::new(site.folder.path(), "theirs").unwrap();
    let authority = site.start_authority();
    refused(&site, &[], &["given no credential 'katzensprung-seal'", "keys.seal of katzensprung.toml"]);
    let mut node = site.start_node_with(&ours.variables());
    let (mut traffic, descriptor, epoch) = site.traffic(&authority);
    let packets = traffic.packets(&descriptor, epoch, 40);
    traffic.pass(&packets[..20]);
    node.stop();
    assert_eq!(counts(&folder), [4, 0, 0], "{}", site.log());

    // Elsewhere, or with the credential taken away: nothing is lost.
    refused(&site, &theirs.variables(), &["sealed-", "was sealed with another credential"]);
    set_seal(&site, "off");
    refused(&site, &[], &["is sealed, and this process was given no credential", "remove the file"]);
    // No folder of credentials, which is nobody's matter while nothing is sealed.
    let bad = [("CREDENTIALS_DIRECTORY", site.folder.path().join("katzenpost.toml"))];
    let bad = bad.each_ref().map(|(name, path)| (*name, path.to_str().unwrap()));
    refused(&site, &bad, &["is sealed, and this process was given no credential"]);
    set_seal(&site, "systemd");
    refused(&site, &bad, &["cannot read the credential", "Not a directory"]);
    assert_eq!(counts(&folder), [4, 0, 0]);

    let mut node = site.start_node_with(&ours.variables());
    site.wait_for_log("going on with the mix keys of epochs", 1);
    wait_for("the files' end", SOON, || (counts(&folder) == [0; 3]).then_some(()));
    site.wait_for_document();
    traffic.relink();
    traffic.send(&packets[..20]);
    traffic.pass(&packets[20..]);
    wait_for("the account", SOON, || {
        let packets = &site.status()["packets"];
        (packets["received"] == 40 && packets["sent"] == 20 && packets["dropped"] == 20).then_some(())
    });
    node.stop();
}

#[test]
fn sealed_keys_are_unsealed_for_the_reference() {
    let (site, folder) = sealing();
    let Some(ours) = Machine::new(site.folder.path(), "ours") else { return };
    let theirs = Machine::new(site.folder.path(), "theirs").unwrap();
    let _authority = site.start_authority();
    let mut node = site.start_node_with(&ours.variables());
    site.wait_for_document();
    let unseal = |change: &dyn Fn(&mut Command)| -> Outcome {
        let mut command = program();
        command.args(["keys", "unseal", "-f"]).arg(site.folder.config()).arg("--credential").arg(&ours.credential);
        change(command.env("SYSTEMD_CREDENTIAL_SECRET", &ours.secret));
        finish(&mut command)
    };
    unseal(&|_| {}).refused(&["is in use by another node (process "]);
    node.stop();
    assert_eq!(counts(&folder), [4, 0, 0]);

    let file = ours.credential.to_str().unwrap();
    // Another machine's key, and a key of another machine.
    unseal(&|command| {
        command.env("SYSTEMD_CREDENTIAL_SECRET", &theirs.secret);
    })
    .refused(&[file, "systemd-creds ended with exit status", "on this machine"]);
    let mut other = program();
    other.args(["keys", "unseal", "-f"]).arg(site.folder.config()).env("CREDENTIALS_DIRECTORY", &theirs.folder);
    finish(&mut other).refused(&["sealed-", "was sealed with another credential"]);
    finish(other.env_remove("CREDENTIALS_DIRECTORY")).refused(&["given no credential", "--credential"]);

    // Damaged.
    let good = fs::read(&ours.credential).unwrap();
    fs::write(&ours.credential, &good[..good.len() / 2]).unwrap();
    unseal(&|_| {}).refused(&[file, "systemd-creds ended with exit status"]);
    fs::write(&ours.credential, good).unwrap();

    // A file with a name like an option's.
    let mut option = program();
    option.args(["keys", "unseal", "-f"]).arg(site.folder.config()).arg("--credential=--help");
    finish(&mut option).refused(&["cannot open --help: systemd-creds ended with exit status"]);

    // A tool that hangs, one that says too much, one that says nothing, and none.
    let tools = site.folder.path().join("tools");
    fs::create_dir(&tools).unwrap();
    let tool = tools.join("systemd-creds");
    for (script, part) in [
        ("exec /bin/sleep 60", "has not answered within 10 s"),
        ("exec /bin/cat /dev/zero", "systemd-creds ended with"),
        ("exit 0", "has 0 bytes"),
    ] {
        fs::write(&tool, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
        unseal(&|command| {
            command.env("PATH", &tools);
        })
        .refused(&[file, part]);
    }
    fs::remove_file(&tool).unwrap();
    unseal(&|command| {
        command.env("PATH", &tools);
    })
    .refused(&[file, "there is no systemd-creds on the PATH"]);
    assert_eq!(counts(&folder), [4, 0, 0], "nothing is lost");

    let said = unseal(&|_| {}).succeeded();
    assert!(said.starts_with("unsealed the mix keys of epochs "), "{said}");
    assert_eq!(counts(&folder), [0, 4, 4]);
    assert!(unseal(&|_| {}).succeeded().starts_with("no mix key in "));
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let is_key = path.file_name().unwrap().to_str().unwrap().starts_with("mixkey-");
        // As the reference reads it (server.md 4.5).
        assert!(!is_key || fs::read(&path).unwrap().len() == 5 + 32 && fs::read(&path).unwrap().starts_with(b"KMK1\0"));
    }
    set_seal(&site, "off");
    let mut node = site.start_node();
    site.wait_for_log("going on with the mix keys of epochs", 1);
    wait_for("the files' end", SOON, || (counts(&folder) == [0; 3]).then_some(()));
    node.stop();
    assert_eq!(counts(&folder), [0, 4, 4]);
}
