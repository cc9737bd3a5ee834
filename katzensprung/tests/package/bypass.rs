//! Datagrams past the kernel, as the unit of the package gets the rights for them from the drop-in beside it.

use super::has;
use super::systemd::{LONG, Machine, installed, lacks_anything};
use crate::support::program::finish;
use crate::support::site::{SOON, Site};
use crate::support::wait_for;
use nix::sched::{CloneFlags, unshare};
use rustix::process::{Resource, getrlimit};
use std::fs;
use std::process::Command;

#[test]
fn the_drop_in_gives_just_what_datagrams_past_the_kernel_take() {
    if lacks_anything() {
        return;
    }
    if !has("ip") {
        return testhost::lacks_tool("ip");
    }
    // A thread has a network of its own, and so has all that it starts.
    std::thread::scope(|scope| {
        let alone = scope.spawn(|| match wire() {
            Ok(()) => bypass(),
            Err(why) => testhost::lacks("veth", why),
        });
        alone.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

/// The calling thread's network is a new one, with an interface that ends nowhere.
fn wire() -> Result<(), String> {
    unshare(CloneFlags::CLONE_NEWNET).map_err(|errno| errno.to_string())?;
    for words in ["link set lo up", "link add wire type veth peer name other", "link set wire up", "link set other up"]
    {
        let outcome = finish(Command::new("ip").args(words.split(' ')));
        if !outcome.status.success() {
            return Err(format!("ip {words}: {outcome:?}"));
        }
    }
    Ok(())
}

fn has_program() -> bool {
    finish(Command::new("ip").args(["link", "show", "wire"])).succeeded().contains("prog/xdp")
}

/// What `doctor` says of datagrams under a unit with these settings.
#[track_caller]
fn doctor(machine: &Machine, rights: &str) -> String {
    let unit = format!(
        "[Service]\nType=oneshot\nUser=katzensprung\nEnvironmentFile=/etc/katzensprung/environment\n{rights}\n\
         StandardOutput=truncate:/given/looks\n\
         ExecStart=-/usr/bin/katzensprung doctor --offline -f /etc/katzensprung/katzenpost.toml\n"
    );
    fs::write(machine.root().join("run/systemd/system/doctor.service"), unit).unwrap();
    let looks = machine.shell("systemctl daemon-reload; systemctl start doctor; cat /given/looks");
    looks.lines().find(|line| line.contains("  datagrams ")).unwrap_or_else(|| panic!("{looks}")).to_owned()
}

/// What the unit's rights are not enough for, and what the drop-in's are.
fn bypass() {
    const CHOSEN: &str = "datagrams: AF_XDP at wire, in the driver, with copies, for 1 of 1 shards";
    let outside = tempfile::tempdir().unwrap();
    let site = Site::new(LONG);
    let own = fs::read_to_string(site.folder.own_config()).unwrap();
    fs::write(site.folder.own_config(), own + "datagrams = \"xdp\"\ninterface = \"wire\"\n").unwrap();
    let Some(machine) = installed(outside.path(), &site) else { return };
    let authority = site.start_authority();
    let seen = doctor(&machine, "");
    assert!(seen.starts_with("WARN") && seen.contains("CAP_NET_RAW, CAP_BPF, CAP_NET_ADMIN"), "{seen}");
    let rights = "LimitMEMLOCK=8M\nAmbientCapabilities=CAP_NET_RAW CAP_BPF CAP_NET_ADMIN";
    let seen = doctor(&machine, rights);
    assert!(seen.starts_with("WARN") && seen.contains("8388608 are allowed"), "{seen}");
    let seen = doctor(&machine, &format!("{rights} CAP_IPC_LOCK"));
    assert!(seen.starts_with("ok ") && !has_program(), "{seen}");

    // It works over sockets, and says why.
    machine.shell("systemctl start katzensprung");
    site.wait_for_log("the kernel's sockets carry datagrams, not AF_XDP", 1);
    let log = site.log();
    assert!(log.contains("needs CAP_NET_RAW, CAP_BPF, CAP_NET_ADMIN, which this process lacks"), "{log}");
    let (mut traffic, descriptor, epoch) = site.traffic(&authority);
    let packets = traffic.packets(&descriptor, epoch, 60);
    traffic.pass(&packets[..20]);
    assert!(!has_program() && !site.log().contains(CHOSEN), "{}", site.log());

    // As docs/operating/bypass.md has it.
    machine.shell(
        "install -D -m 644 /usr/share/doc/katzensprung/examples/xdp.conf /etc/systemd/system/katzensprung.service.d/xdp.conf
         systemctl daemon-reload",
    );
    let mut all = 1_u64 << 13 | 1 << 39 | 1 << 12;
    // What no test here may raise, no unit of its machine can.
    if getrlimit(Resource::Memlock).maximum.is_some_and(|most| most < 1 << 30) {
        let more = "[Service]\nCapabilityBoundingSet=CAP_IPC_LOCK\nAmbientCapabilities=CAP_IPC_LOCK\n";
        fs::write(machine.root().join("etc/systemd/system/katzensprung.service.d/lock.conf"), more).unwrap();
        machine.shell("systemctl daemon-reload");
        all |= 1 << 14;
    }
    machine.shell("systemctl restart katzensprung");
    site.wait_for_log(CHOSEN, 1);
    assert!(has_program());
    let rights = machine.shell("grep CapEff /proc/$(pgrep -f '[d]ataplane --socket')/status");
    assert_eq!(rights.trim(), format!("CapEff:\t{all:016x}"), "NET_RAW, BPF, NET_ADMIN and no more");
    site.wait_for_document();
    traffic.relink();
    traffic.pass(&packets[20..40]);

    // The kernel takes the program away, and the next data plane finds the interface free.
    let plane = machine.shell("pgrep -f '[d]ataplane --socket'");
    machine.shell(&format!("kill -KILL {}", plane.trim()));
    // What it chose is not said again within a minute.
    site.wait_for_log("the data plane is back", 1);
    assert_ne!(machine.shell("pgrep -f '[d]ataplane --socket'"), plane);
    assert!(has_program());
    traffic.relink();
    traffic.pass(&packets[40..]);
    assert_eq!(site.log().matches("the kernel's sockets carry datagrams").count(), 1, "{}", site.log());
    machine.shell("systemctl stop katzensprung");
    wait_for("the interface without a program", SOON, || (!has_program()).then_some(()));
}
