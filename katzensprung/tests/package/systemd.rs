//! The package under a real systemd, the first process of a host of its own: what the units promise.

use super::{has, script};
use crate::support::program::{Outcome, finish_within};
use crate::support::site::Site;
use crate::support::wait_for;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);
/// No epoch ends meanwhile, and its first tenth, in which nodes post, is longer than any start.
pub const LONG: Duration = Duration::from_secs(1200);

/// A host whose first process is systemd.
pub struct Machine(Child);

impl Machine {
    /// None where this host has none.
    pub fn boot(folder: &Path, data: &Path) -> Option<Self> {
        let boot = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/package/boot.sh");
        let mut command = Command::new("unshare");
        command.args(["--mount", "--pid", "--ipc", "--uts", "--cgroup", "--fork", "--kill-child", "sh"]);
        command.arg(boot).arg(folder).arg(data).stdin(Stdio::null());
        let output = fs::File::create(folder.join("console")).expect("a file");
        command.stdout(output.try_clone().expect("a file")).stderr(output);
        let mut machine = Self(command.spawn().ok()?);
        let is_up = |machine: &Self| machine.run(&["systemctl", "is-active", "test.target"]).status.success();
        let limit = std::time::Instant::now() + SOON;
        while !is_up(&machine) {
            let ended = machine.0.try_wait().expect("a child").is_some();
            if ended || std::time::Instant::now() > limit {
                testhost::lacks("systemd", fs::read_to_string(folder.join("console")).unwrap_or_default().trim());
                return None;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Some(machine)
    }

    /// The first process, as this host numbers it.
    fn first(&self) -> Option<String> {
        let children = format!("/proc/{0}/task/{0}/children", self.0.id());
        Some(fs::read_to_string(children).ok()?.split_whitespace().next()?.to_owned())
    }

    /// Its root folder, as this host sees it.
    pub fn root(&self) -> PathBuf {
        format!("/proc/{}/root", self.first().unwrap_or_else(|| "0".into())).into()
    }

    /// A command that is to run there.
    pub fn command(&self, words: &[&str]) -> Command {
        let first = self.first().unwrap_or_else(|| "0".into());
        let mut command = Command::new("nsenter");
        command.args(["--target", &first, "--mount", "--pid", "--ipc", "--uts", "--cgroup", "--root", "--wd"]);
        command.args(words).env_remove("KATZENPOST_CONFIG");
        command
    }

    /// The same, run to its end.
    pub fn run(&self, words: &[&str]) -> Outcome {
        finish_within(&mut self.command(words), Duration::from_secs(120))
    }

    /// What a script prints there, which has to succeed.
    #[track_caller]
    pub fn shell(&self, text: &str) -> String {
        let outcome = self.run(&["sh", "-euc", text]);
        if !outcome.status.success() {
            let state = self.run(&["systemctl", "status", "--no-pager", "katzensprung"]).stdout;
            let journal = self.run(&["journalctl", "--no-pager", "--lines=100"]).stdout;
            panic!("{text}: {outcome:?}\n{state}\n{journal}");
        }
        outcome.stdout
    }

    /// Ends both processes of the node at once. Asked for all of them, systemd fails where one is just going, which is listed as 0.
    #[track_caller]
    pub fn kill_node(&self) {
        self.shell(
            "group=$(systemctl show --property=ControlGroup --value katzensprung)
             test -n \"$group\"
             kill -KILL $(grep -v '^0$' /sys/fs/cgroup$group/cgroup.procs)",
        );
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _gone = self.0.kill().and_then(|()| self.0.wait());
    }
}

/// Says what this host lacks to be such a host for a while.
pub fn lacks_anything() -> bool {
    if !rustix::process::geteuid().is_root() {
        testhost::lacks("root", "only root can boot a host of its own");
        return true;
    }
    let missing = ["dpkg-deb", "nsenter", "/lib/systemd/systemd"].into_iter().find(|tool| !has(tool));
    missing.inspect(|tool| testhost::lacks_tool(tool)).is_some()
}

/// A host with the package, and a site's node configured there but not started.
pub fn installed(outside: &Path, site: &Site) -> Option<Machine> {
    let package = script("deb", &["--binary", env!("CARGO_BIN_EXE_katzensprung"), outside.to_str().unwrap()]);
    let package = fs::read(package.trim()).unwrap();
    let machine = Machine::boot(outside, &site.folder.data_dir())?;
    let root = machine.root();
    fs::write(root.join("given/package.deb"), package).unwrap();
    machine.shell("dpkg --install /given/package.deb; chown -R katzensprung: /var/lib/katzensprung");
    // An operator's files, as they are but for DataDir.
    let data = site.folder.data_dir().display().to_string();
    let config = fs::read_to_string(site.folder.config()).unwrap().replace(&data, "/var/lib/katzensprung");
    let inside = |file: &str| root.join("etc/katzensprung").join(file);
    fs::write(inside("katzenpost.toml"), config).unwrap();
    fs::copy(site.folder.own_config(), inside("katzensprung.toml")).unwrap();
    let period = format!("{}={}ns\n", pki::epoch::PERIOD_VARIABLE, site.network.clock.period().as_nanos());
    fs::write(inside("environment"), period).unwrap();
    machine.shell("chmod -R a+rX /etc/katzensprung");
    Some(machine)
}

#[test]
fn systemd_restarts_a_node_that_keeps_its_keys_its_listeners_and_what_it_has_seen() {
    if lacks_anything() {
        return;
    }
    let outside = tempfile::tempdir().unwrap();
    let site = Site::new(LONG);
    let Some(machine) = installed(outside.path(), &site) else { return };
    let authority = site.start_authority();
    // `Type=notify`: comes back when the node is at work.
    machine.shell("systemctl start katzensprung");
    assert!(site.log().contains("Started."), "{}", site.log());
    let (mut traffic, descriptor, epoch) = site.traffic(&authority);
    let packets = traffic.packets(&descriptor, epoch, 60);
    traffic.pass(&packets[..20]);
    wait_for("the publication", SOON, || (site.status()["published_epoch"] == epoch.0).then_some(()));
    let posts = authority.posts().len();
    let kept = "mix keys and their replay sets, kept by the service manager";

    machine.shell("systemctl restart katzensprung");
    site.wait_for_log(kept, 1);
    site.wait_for_document();
    traffic.relink();
    traffic.send(&packets[..20]);
    traffic.pass(&packets[20..40]);
    wait_for("the account", SOON, || {
        let packets = &site.status()["packets"];
        (packets["sent"] == 20 && packets["dropped"] == 20).then_some(())
    });

    // Both processes at once; the unit starts the node again by itself.
    machine.kill_node();
    site.wait_for_log(kept, 2);
    wait_for("the start", SOON, || {
        machine.run(&["systemctl", "is-active", "katzensprung"]).status.success().then_some(())
    });
    traffic.relink();
    traffic.send(&packets[..40]);
    traffic.pass(&packets[40..]);
    traffic.nothing_comes(Duration::from_millis(200));
    assert_eq!(authority.posts().len(), posts, "no key was published anew");

    // The control plane alone: the data plane never stops.
    let plane = machine.shell("pgrep -f '[d]ataplane --socket'");
    machine.shell("systemctl kill --signal=KILL --kill-whom=main katzensprung");
    site.wait_for_log("going on with the data plane that is at work", 1);
    assert_eq!(machine.shell("pgrep -f '[d]ataplane --socket'"), plane);

    machine.shell("systemctl stop katzensprung");
    assert_eq!(machine.run(&["pgrep", "-f", "[d]ataplane --socket"]).stdout, "", "a data plane is left");
    machine.shell("dpkg --remove katzensprung; test -e /var/lib/katzensprung/identity.private.pem");
    assert!(!site.log().contains(" ERRO "), "{}", site.log());
}
