//! A node's whole life under its operator, in a network of another implementation: installed from the package, configured
//! by that implementation's generator, listed, watched, upgraded under load, removed, and followed by that
//! implementation's own node on the same folder.
//!
//! `KATZENSPRUNG_PEERS` names the folder with that implementation's `genconfig`, `dirauth` and `server`.

mod neighbour;
mod watch;

use super::systemd::{self, Machine};
use super::{LONG, script};
use crate::support::program::{Outcome, finish_within};
use crate::support::{free_address, wait_for};
use config::{ServerConfig, Strictness};
use neighbour::Neighbour;
use pki::descriptor::MixDescriptor;
use pki::document::Document;
use pki::{Epoch, EpochClock};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use testnet::network::clock_starting_at;
use testnet::session::unix_now;
use watch::Watch;

/// The shortest that the other implementation's own test network uses.
const EPOCH: Duration = Duration::from_secs(120);
/// From the start of all programs until an epoch begins: uploads are taken at the beginning of an epoch only.
const START: Duration = Duration::from_secs(12);
/// Two epochs until a document lists who has just begun, and as much to spare.
const LISTED: Duration = Duration::from_secs(480);
const PROGRAMS: [&str; 3] = ["genconfig", "dirauth", "server"];
/// Where all of the network lies on the node's host, and the node's own file and folder.
const NETWORK: &str = "/given/network";
const NODE: &str = "mix1";
const FILE: &str = "/etc/katzensprung/katzenpost.toml";
const FOLDER: &str = "/var/lib/katzensprung";
/// More pings than are sent until they are told to end, at 20 a second.
const PINGS: usize = 20_000;
/// Between what happens under load.
const PAUSE: Duration = Duration::from_secs(12);
/// The unit of the reference's node in the place of ours, and that of the pings.
const THEIRS: &str = "ref-mix1";
const LOAD: &str = "load";
/// Seconds before a restart in which a packet may be sent that is inside then, and after it until neighbours have linked
/// themselves again.
const AROUND: f64 = 5.0;

fn holds(what: impl std::fmt::Display) {
    println!("HOLDS: {what}");
}

/// The host, the network around it, and how all of it counts epochs.
struct Life {
    machine: Machine,
    clock: EpochClock,
}

#[test]
fn installed_listed_watched_upgraded_under_load_removed_and_followed_by_the_reference() {
    let Some(peers) = std::env::var_os("KATZENSPRUNG_PEERS").map(PathBuf::from) else {
        return testhost::lacks_tool("reference");
    };
    if systemd::lacks_anything() {
        return;
    }
    let outside = tempfile::tempdir().unwrap();
    let (package, data) = (outside.path().join("package.deb"), outside.path().join("data"));
    let binary = env!("CARGO_BIN_EXE_katzensprung");
    let made = script("deb", &["--binary", binary, outside.path().to_str().unwrap()]);
    fs::rename(made.trim(), &package).unwrap();
    fs::create_dir(&data).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).unwrap();
    let Some(machine) = Machine::boot(outside.path(), &data) else { return };
    let clock = clock_starting_at(unix_now() + START, EPOCH).unwrap();
    let life = Life { machine, clock };
    life.bring(&peers, &package, Path::new(binary));
    life.install();
    life.begin();
    let watch = Watch::begin(life.metrics_port(), outside.path());

    life.wait_until_ready();
    let document = life.document();
    let (place, descriptor) = listed(&document);
    holds(format_args!(
        "listed in {place} of the document of epoch {}, signed by the reference's authorities",
        document.epoch
    ));
    life.all_pings_are_answered(20, "through it, in the network of the reference");
    let neighbour = Neighbour::new(&life.machine.root(), &life.config(), &document);
    let seen = neighbour.packets(descriptor, life.next_epoch(), 20);
    watch.counts_more("katzensprung_packets_sent_total", "", 20, || neighbour.send(&seen));
    // The true neighbour links itself again.
    life.all_pings_are_answered(5, "after a neighbour linked itself anew");

    life.upgrade_under_load(&watch);
    watch.counts_more("katzenpost_dropped_reason_total", "\"replay\"", 20, || neighbour.send(&seen));
    holds("20 packets from before the upgrades were sent once more: 20 refused as replays");
    let new = neighbour.packets(descriptor, life.next_epoch(), 20);
    watch.counts_more("katzensprung_packets_sent_total", "", 20, || neighbour.send(&new));
    holds("20 new ones for the same key went through");
    watch.end();

    life.remove();
    life.start(THEIRS, &format!("/given/server -f {FILE}"), "katzensprung");
    life.wait_for_a_ping();
    life.all_pings_are_answered(20, "through the reference's node, with the mix keys that ours has left");
    life.wait_until_theirs_is_listed(life.next_epoch());
    life.all_pings_are_answered(20, "through it by that document");
}

impl Life {
    /// Puts programs, package and the network's files onto the host.
    fn bring(&self, peers: &Path, package: &Path, binary: &Path) {
        let given = self.machine.root().join("given");
        let copy = |from: &Path, to: &str| {
            let copied = fs::copy(from, given.join(to));
            copied.unwrap_or_else(|error| panic!("{}: {error}", from.display()));
        };
        PROGRAMS.iter().for_each(|program| copy(&peers.join(program), program));
        copy(package, "package.deb");
        // For who looks at the node from outside, also when the package is gone.
        copy(binary, "katzensprung");
        let port = free_address().port();
        self.machine.shell(&format!(
            "echo 127.0.0.1 auth1 auth2 auth3 mix1 mix2 mix3 gateway1 servicenode1 >>/etc/hosts
             mkdir {NETWORK}
             /given/genconfig --voting --wirekem xwing --nodes 3 --port {port} --baseDir {NETWORK} --outDir {NETWORK} \
                 --mu 0.01 --lambdaP 0.02 --lambdaL 0.001 --unwrapDelay 5000 --schedulerSlack 5000 --sendSlack 5000 \
                 --persistMixKeysOnShutdownDir kept --logLevel NOTICE >/given/genconfig.out"
        ));
        // Plugins are programs that are not here; nothing is to be lost by a rate limit.
        self.machine.shell(&format!(
            "sed -i '/CBORPluginKaetzchen\\]\\]/,/Disable/ s/Disable = false/Disable = true/' {NETWORK}/servicenode1/katzenpost.toml
             sed -i 's/DisableRateLimit = false/DisableRateLimit = true/' {NETWORK}/gateway1/katzenpost.toml"
        ));
    }

    /// As an operator would: the package, the generator's file, the keys, and a look at them.
    fn install(&self) {
        self.machine.shell(&format!(
            "dpkg --install /given/package.deb
             sed 's|{NETWORK}/{NODE}|{FOLDER}|g' {NETWORK}/{NODE}/katzenpost.toml >{FILE}
             cp {NETWORK}/{NODE}/*.pem {FOLDER}/
             chown -R katzensprung: {FOLDER}
             printf '[dataplane]\\nshards = 1\\nslots = 4096\\n' >/etc/katzensprung/katzensprung.toml
             echo {}={} >/etc/katzensprung/environment
             chmod a+r /etc/katzensprung/*
             chmod a+rx /given /given/server",
            pki::epoch::PERIOD_VARIABLE,
            self.period(),
        ));
        holds(
            "the package is installed, beside a file from the reference's generator of which only DataDir is another",
        );
        let said = self.machine.shell(&format!("katzensprung config check {FILE}"));
        assert!(said.contains("1 of 1 valid") && !said.contains("warning"), "{said}");
        holds("config check finds nothing in it");
    }

    /// All of the network but the node as programs of the reference, and the node by its unit.
    fn begin(&self) {
        let members: [(&str, &[&str]); 2] =
            [("dirauth", &["auth1", "auth2", "auth3"]), ("server", &["mix2", "mix3", "gateway1", "servicenode1"])];
        for (program, names) in members {
            let file = if program == "dirauth" { "authority.toml" } else { "katzenpost.toml" };
            for name in names {
                self.start(&format!("ref-{name}"), &format!("/given/{program} -f {NETWORK}/{name}/{file}"), "root");
            }
        }
        self.machine.shell("systemctl start katzensprung");
        holds("systemctl start: it is at work");
    }

    /// A program that is looked after by systemd.
    fn start(&self, unit: &str, command: &str, user: &str) {
        let (variable, period) = (pki::epoch::PERIOD_VARIABLE, self.period());
        self.machine.shell(&format!(
            "touch /given/{unit}.out; chmod 666 /given/{unit}.out
             systemd-run --quiet --uid={user} --unit={unit} --setenv={variable}={period} \
                 --property=StandardOutput=append:/given/{unit}.out --property=StandardError=append:/given/{unit}.out {command}"
        ));
    }

    fn period(&self) -> String {
        format!("{}ns", self.clock.period().as_nanos())
    }

    fn next_epoch(&self) -> Epoch {
        self.clock.now(unix_now()).unwrap().epoch.after(1)
    }

    /// The program on the node's host, as anybody who looks at the network.
    fn look(&self, words: &[&str], limit: Duration) -> Outcome {
        let variable = format!("{}={}", pki::epoch::PERIOD_VARIABLE, self.period());
        finish_within(&mut self.machine.command(&[&["env", &variable, "/given/katzensprung"], words].concat()), limit)
    }

    fn config(&self) -> ServerConfig {
        let file = self.machine.root().join(FILE.trim_start_matches('/'));
        ServerConfig::load(&file, Strictness::Lenient).unwrap_or_else(|findings| panic!("{findings:#?}")).config
    }

    fn metrics_port(&self) -> u16 {
        self.config().network.metrics.expect("the generator gives an address").1
    }

    fn wait_until_ready(&self) {
        let metrics = format!("{NODE}:{}", self.metrics_port());
        let limit = LISTED.as_secs().to_string();
        let words = ["fetch", "-f", FILE, "--require-ready", &metrics, "--ready-within", &limit];
        self.look(&words, LISTED * 2).succeeded();
    }

    /// The document of this epoch, or of an earlier one while that has not been voted.
    fn document(&self) -> Document {
        let file = format!("/given/document-{}", unix_now().as_nanos());
        self.look(&["fetch", "-f", FILE, "-o", &file], LONG).succeeded();
        let raw = fs::read(self.machine.root().join(file.trim_start_matches('/'))).unwrap();
        pki::document::parse(&raw, self.next_epoch()).unwrap().1
    }

    #[track_caller]
    fn all_pings_are_answered(&self, count: usize, how: &str) {
        let outcome = self.look(&ping(&count.to_string(), &[]).split(' ').collect::<Vec<_>>(), LISTED);
        assert!(outcome.stdout.contains(&format!("({count}/{count})")), "{how}: {outcome:?}");
        holds(format_args!("{count} of {count} pings {how}"));
    }

    /// Until the neighbours have linked themselves again, which they try less and less often.
    fn wait_for_a_ping(&self) {
        let begun = Instant::now();
        while !self.look(&ping("1", &[]).split(' ').collect::<Vec<_>>(), LISTED).status.success() {
            assert!(begun.elapsed() < LISTED, "no ping is answered within {LISTED:?}");
        }
    }

    /// The package once more, and a new start of both processes; twice, while pings are under way.
    fn upgrade_under_load(&self, watch: &Watch) {
        let words = ping(&PINGS.to_string(), &["--graph", "/given/upgrade.svg"]);
        self.start(LOAD, &format!("/given/katzensprung {words}"), "root");
        let mut restarts = Vec::new();
        for _ in 0..2 {
            std::thread::sleep(PAUSE);
            self.machine.shell("dpkg --install /given/package.deb");
            let before = unix_now();
            self.machine.shell("systemctl restart katzensprung");
            restarts.push((before.as_secs_f64(), unix_now().as_secs_f64()));
            watch.look();
        }
        // What is lost is told of when it can no longer come.
        std::thread::sleep(PAUSE * 3);
        self.machine.shell(&format!("systemctl kill --signal=INT {LOAD}"));
        let given = |file: &str| self.machine.root().join("given").join(file);
        let text = wait_for("the summary of the pings", LONG, || {
            fs::read_to_string(given("load.out")).ok().filter(|text| text.contains("\nRTT min"))
        });
        let kept = "mix keys and their replay sets, kept by the service manager";
        let log = fs::read_to_string(self.machine.root().join(FOLDER.trim_start_matches('/')).join("katzenpost.log"));
        assert!(log.as_ref().is_ok_and(|log| log.matches(kept).count() == 2), "{log:?}");
        let summary = text.split_once("Success rate is ").expect("a summary").1.trim();
        println!("{summary}");
        let lost: Vec<f64> = text.lines().filter_map(sent_at).collect();
        for at in &lost {
            // Its longest way before, and the neighbours' redials after.
            assert!(
                restarts.iter().any(|(from, to)| *at > from - AROUND && *at < to + AROUND),
                "lost, but sent at {at}: {restarts:?}\n{text}"
            );
        }
        let counts = summary.split_once('(').and_then(|(_, rest)| rest.split_once(')')).expect("counts").0;
        let (answered, all) = counts.split_once('/').expect("two numbers");
        let away: Vec<String> = restarts.iter().map(|(from, to)| format!("{:.1} s", to - from)).collect();
        holds(format_args!(
            "{answered} of {all} pings answered while the package was installed again and both processes were restarted, twice \
             ({}); the {} others were under way at a restart",
            away.join(", "),
            lost.len(),
        ));
        if let Some(folder) = std::env::var_os("KATZENSPRUNG_PICTURES") {
            fs::copy(given("upgrade.svg"), Path::new(&folder).join("upgrade.svg")).unwrap();
        }
    }

    fn remove(&self) {
        self.machine.shell(&format!(
            "systemctl stop katzensprung
             dpkg --remove katzensprung
             test ! -e /usr/bin/katzensprung
             test -e {FOLDER}/identity.private.pem"
        ));
        holds("dpkg -r: the program is gone, keys and configuration are left");
    }

    /// Until there is a document of a later epoch than `next`: what is in it was uploaded in `next`, after our node had gone.
    fn wait_until_theirs_is_listed(&self, next: Epoch) {
        let begun = Instant::now();
        loop {
            let document = self.document();
            if document.epoch > next {
                let (place, _) = listed(&document);
                let what = format!("the reference's node is listed in {place} of the document of epoch");
                return holds(format_args!("{what} {}, uploaded after ours had gone", document.epoch));
            }
            assert!(begun.elapsed() < LISTED, "not listed within {LISTED:?}");
            std::thread::sleep(Duration::from_secs(5));
        }
    }
}

/// Arguments of `ping`.
fn ping(count: &str, more: &[&str]) -> String {
    let words = format!("ping -c {NETWORK}/client/client.toml -n {count} -C 128 --wait 300");
    [&[words.as_str()], more].concat().join(" ")
}

/// When a ping was sent that a line tells of as lost.
fn sent_at(line: &str) -> Option<f64> {
    line.strip_prefix("error: ping ")?.split_once(" sent at ")?.1.split_once(' ')?.0.parse().ok()
}

/// Where the node is in a document.
fn listed(document: &Document) -> (String, &MixDescriptor) {
    let found = document.nodes().find(|(_, node)| node.name == NODE);
    let (layer, node) = found.expect("the node is listed");
    (format!("{layer:?}"), node)
}
