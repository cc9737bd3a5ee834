//! Sealed mix keys of the package's unit under a real systemd, set up by the commands of the security page: over stops, kills and
//! another machine's secret, and back.

use super::systemd::{LONG, Machine, installed, lacks_anything};
use crate::support::site::Site;
use crate::support::wait_for;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);

/// Where keys are kept, as the node and as this host see it.
const FOLDER: &str = "/var/lib/katzensprung/kept";
const SECRET: &str = "/var/lib/systemd/credential.secret";
const CREDENTIAL: &str = "/etc/katzensprung/seal.cred";

/// What an operator does once, and undoes.
const SEAL_KEY_FILES: &str = "ln -sfn /run/credentials";
const UNSEAL_KEY_FILES: &str = "chown --reference";

#[test]
fn identity_and_link_keys_are_credentials_of_the_unit_and_files_again() {
    if lacks_anything() {
        return;
    }
    let outside = tempfile::tempdir().unwrap();
    let site = Site::new(LONG);
    let Some(machine) = installed(outside.path(), &site) else { return };
    let _authority = site.start_authority();
    let unit = Unit { machine, folder: site.folder.data_dir() };
    let private = || ["identity", "link"].map(|key| unit.kept(&format!("{key}.private.pem")));
    let before = private();
    unit.machine.shell(&commands(SEAL_KEY_FILES));
    // Once more: nothing is lost.
    unit.machine.shell(&commands(SEAL_KEY_FILES));
    let is_link = |key| site.folder.data(key).symlink_metadata().unwrap().is_symlink();
    assert!(is_link("identity.private.pem") && is_link("link.private.pem"));
    for _ in 0..2 {
        unit.machine.shell("systemctl restart katzensprung");
        site.wait_for_document();
    }
    let said =
        unit.machine.run(&["katzensprung", "doctor", "--offline", "-f", "/etc/katzensprung/katzenpost.toml"]).stdout;
    assert!(said.contains("identity.private.pem is a credential of the unit"), "{said}");
    unit.machine.kill_node();
    site.wait_for_log("kept by the service manager", 2);
    unit.wait_until_active();
    // Not of its mode or owner either.
    assert!(!site.log().contains("private.pem") && !site.log().contains(" ERRO "), "{}", site.log());
    unit.machine.shell("systemctl stop katzensprung; katzensprung config check /etc/katzensprung/katzenpost.toml");

    // Nobody sees them but the unit, and no other key is made in their place.
    let text = "setpriv --reuid=katzensprung --regid=katzensprung --init-groups katzensprung server -f \
                /etc/katzensprung/katzenpost.toml -g";
    unit.machine.run(&["sh", "-c", text]).refused(&["identity.private.pem", "start the unit"]);
    unit.machine.shell(&format!("mv {SECRET} /given/secret; systemd-creds setup"));
    unit.refuses("status=243/CREDENTIALS");
    unit.machine.shell(&format!("mv /given/secret {SECRET}"));
    assert!(is_link("identity.private.pem") && is_link("link.private.pem"));

    unit.machine.shell(&commands(UNSEAL_KEY_FILES));
    assert!(private() == before, "not as they were");
    unit.machine.shell("systemctl start katzensprung");
    site.wait_for_document();
}

#[test]
fn the_unit_seals_what_a_stop_keeps_and_no_other_machine_opens_it() {
    if lacks_anything() {
        return;
    }
    let outside = tempfile::tempdir().unwrap();
    let site = Site::new(LONG);
    let keep = format!("[Server]\n  PersistMixKeysOnShutdown = true\n  PersistMixKeysOnShutdownDir = \"{FOLDER}\"\n");
    site.folder.edit("[Server]\n", &keep);
    fs::write(site.folder.own_config(), "[dataplane]\nshards = 1\nslots = 1024\n[keys]\nseal = \"systemd\"\n").unwrap();
    let Some(machine) = installed(outside.path(), &site) else { return };
    let authority = site.start_authority();
    let unit = Unit { machine, folder: site.folder.data("kept") };

    unit.refuses("this process was given no credential 'katzensprung-seal'");
    unit.machine.shell(&commands("katzensprung-seal - "));
    unit.machine.shell("systemctl start katzensprung");
    unit.credential_is_the_units_alone();
    let (mut traffic, descriptor, epoch) = site.traffic(&authority);
    let packets = traffic.packets(&descriptor, epoch, 60);
    traffic.pass(&packets[..20]);
    unit.machine.shell("systemctl stop katzensprung");
    let sealed = unit.kept("sealed-");
    assert_eq!((sealed.len(), unit.count()), (4, 4), "{}", site.log());

    // The disk in another machine, and the machine with another credential: both leave the keys where they are.
    unit.machine.shell(&format!("mv {SECRET} /given/secret; systemd-creds setup"));
    unit.refuses("status=243/CREDENTIALS");
    unit.unseal_refuses("it opens what was encrypted on this machine");
    unit.machine.shell(&format!("mv /given/secret {SECRET}; mv {CREDENTIAL} /given/ours.cred"));
    unit.refuses("status=243/CREDENTIALS");
    unit.machine.shell(&commands("katzensprung-seal - "));
    unit.refuses("was sealed with another credential");
    assert!(unit.kept("sealed-") == sealed && unit.count() == 4);
    unit.machine.shell(&format!("mv /given/ours.cred {CREDENTIAL}"));

    unit.machine.shell("systemctl start katzensprung");
    site.wait_for_log(&format!("going on with the mix keys of epochs {} to", epoch.0 - 1), 1);
    assert_eq!(unit.count(), 0);
    site.wait_for_document();
    traffic.relink();
    traffic.send(&packets[..20]);
    traffic.pass(&packets[20..40]);
    wait_for("the account", SOON, || {
        let packets = &site.status()["packets"];
        (packets["sent"] == 20 && packets["dropped"] == 20).then_some(())
    });
    unit.unseal_refuses("is in use by another node");
    wait_for("the publication", SOON, || (site.status()["published_epoch"] == epoch.0).then_some(()));
    let posts = authority.posts().len();

    // Both processes at once: what systemd holds has the same keys, and nothing of them reaches the disk.
    unit.machine.kill_node();
    site.wait_for_log("mix keys and their replay sets, kept by the service manager", 1);
    unit.wait_until_active();
    assert_eq!(unit.count(), 0);
    // A restart with another credential: systemd holds what the sealed files hold.
    unit.machine.shell(&format!("mv {CREDENTIAL} /given/ours.cred"));
    unit.machine.shell(&commands("katzensprung-seal - "));
    unit.machine.shell("systemctl restart katzensprung");
    site.wait_for_log("mix keys and their replay sets, kept by the service manager", 2);
    site.wait_for_log("which cannot be opened: the service manager has kept the key of epoch", 4);
    traffic.relink();
    traffic.send(&packets[..40]);
    traffic.pass(&packets[40..]);
    traffic.nothing_comes(Duration::from_millis(200));
    assert_eq!(authority.posts().len(), posts, "no key was published anew");

    unit.machine.shell("systemctl stop katzensprung");
    let sealed = unit.kept("sealed-");
    assert_eq!((sealed.len(), unit.count()), (4, 4));
    unit.machine.shell(&commands("keys unseal"));
    let (clear, sets) = (unit.kept("mixkey-"), unit.kept("replays-"));
    assert_eq!((clear.len(), sets.len(), unit.count()), (4, 4, 8));
    let said = [unit.machine.shell("journalctl --no-pager").into_bytes(), site.log().into_bytes()];
    for bytes in sealed.iter().chain(&said) {
        for key in &clear {
            // Behind the five bytes of its header (server.md 4.5).
            let (key, text) = (&key[5..], hex(&key[5..]));
            assert!(!bytes.windows(32).any(|found| found == key), "a key in the clear");
            assert!(!bytes.windows(64).any(|found| found == text.as_bytes()), "a key in the clear");
        }
    }
    assert!(!site.log().contains(" ERRO "), "{}", site.log());
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The first of the security page's commands that contain `part`, as an operator copies them.
fn commands(part: &str) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operating/security.md");
    let page = fs::read_to_string(page).unwrap();
    // Between each two lines of three backquotes.
    let found = page.split("```").skip(1).step_by(2).find(|block| block.contains(part));
    found.unwrap_or_else(|| panic!("no block with {part:?}")).to_owned()
}

/// The unit, and where it keeps keys.
struct Unit {
    machine: Machine,
    folder: PathBuf,
}

impl Unit {
    /// A start that fails, which the journal or the unit's state explains to the operator.
    #[track_caller]
    fn refuses(&self, part: &str) {
        let said = || self.machine.shell("journalctl --no-pager --unit=katzensprung").matches(part).count();
        let before = said();
        let outcome = self.machine.run(&["systemctl", "start", "katzensprung"]);
        assert!(!outcome.status.success(), "{outcome:?}");
        let state = self.machine.run(&["systemctl", "status", "--no-pager", "katzensprung"]).stdout;
        // It would try again until its limit.
        self.machine.shell("systemctl stop katzensprung; systemctl reset-failed katzensprung || true");
        wait_for(part, SOON, || (state.contains(part) || said() > before).then_some(()));
    }

    #[track_caller]
    fn unseal_refuses(&self, part: &str) {
        let outcome = self.machine.run(&["sh", "-c", &commands("keys unseal")]);
        outcome.refused(&[part]);
    }

    /// What the unit finds is readable for its user only, and not on a disk.
    fn credential_is_the_units_alone(&self) {
        let opened = "/run/credentials/katzensprung.service/katzensprung-seal";
        self.machine.shell(&format!("setpriv --reuid=katzensprung --clear-groups test -r {opened}"));
        self.machine.shell(&format!("! setpriv --reuid=nobody --clear-groups cat {opened} 2>/given/said"));
        let kind = self.machine.shell(&format!("stat --file-system --format=%T $(dirname {opened})"));
        assert!(["ramfs", "tmpfs"].contains(&kind.trim()), "{kind}");
    }

    fn wait_until_active(&self) {
        wait_for("the start", SOON, || {
            self.machine.run(&["systemctl", "is-active", "katzensprung"]).status.success().then_some(())
        });
    }

    /// The files whose names begin so, which are the node's alone.
    #[track_caller]
    fn kept(&self, prefix: &str) -> Vec<Vec<u8>> {
        let owner = fs::metadata(&self.folder).unwrap().uid();
        let mut paths: Vec<_> = fs::read_dir(&self.folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.file_name().unwrap().to_str().unwrap().starts_with(prefix));
        paths.sort();
        let read = |path: &PathBuf| {
            let metadata = fs::metadata(path).unwrap();
            assert_eq!((metadata.mode() & 0o777, metadata.uid()), (0o600, owner), "{}", path.display());
            fs::read(path).unwrap()
        };
        paths.iter().map(read).collect()
    }

    /// How many files there are in all.
    fn count(&self) -> usize {
        fs::read_dir(&self.folder).unwrap().count()
    }
}
