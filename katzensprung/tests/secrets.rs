//! Where private keys lie in the memory of the running processes: on locked pages that no dump holds, or nowhere.

use crate::hosts::{metric, with_metrics};
use crate::support::launcher::{copy_into, limited_copy, without_privileges};
use crate::support::site::{SOON, Site};
use crate::support::wait_for;
use crypto_simd::pem;
use interplane::secret::Secrets;
use rustix::process::Pid;
use sha2::{Digest, Sha512};
use shake::{ExtendableOutput, Shake256, Update, XofReader};
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::process::Command;
use std::time::Duration;

/// An epoch that the test does not outlive.
const LONG: Duration = Duration::from_secs(40);
/// Seeds and scalars of all schemes here.
const SEED_BYTES: usize = 32;
const CHUNK_BYTES: usize = 1 << 20;

struct Needle {
    name: String,
    bytes: Vec<u8>,
    is_private: bool,
}

/// A place where a needle was found.
struct Found {
    mapping: String,
    is_locked: bool,
    is_dumped: bool,
}

#[test]
fn private_keys_lie_on_locked_pages_that_no_dump_holds_or_nowhere() {
    let site = Site::new(LONG);
    // Small replay sets: the whole memory is searched.
    let own = "[dataplane]\nshards = 1\nslots = 1024\nline_rate_packets_per_second = 1000\n";
    fs::write(site.folder.own_config(), own).unwrap();
    let authority = site.start_authority();
    let mut node = site.start_node();
    let (mut traffic, descriptor, epoch) = site.traffic(&authority);
    let packets = traffic.packets(&descriptor, epoch, 100);
    traffic.pass(&packets);

    let data_plane = site.wait_for_data_plane(None);
    let mut needles = key_files(&site);
    needles.extend(mix_keys(node.pid()));
    // Identity, link, and the mix keys of three epochs.
    assert!(needles.iter().filter(|needle| needle.is_private).count() >= 5);
    let is_locked = !site.log().contains("private keys cannot be locked");
    for (process, pid) in [("control plane", node.pid()), ("data plane", data_plane)] {
        let mut private_places = 0;
        for needle in &needles {
            let places = find(pid, &needle.bytes);
            if !needle.is_private {
                continue;
            }
            private_places += places.len();
            for place in places {
                let is_kept = !place.is_dumped && (place.is_locked || !is_locked);
                let Found { mapping, is_locked, is_dumped } = place;
                assert!(is_kept, "{process}: {} at {mapping}: {is_locked}, {is_dumped}", needle.name);
            }
        }
        assert!(private_places > 0, "{process}: the search finds no key at all");
        let limits = fs::read_to_string(format!("/proc/{}/limits", pid.as_raw_nonzero())).expect("the process runs");
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a limit");
        assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    }
    let public = needles.iter().find(|needle| !needle.is_private).expect("a public key");
    let open = find(node.pid(), &public.bytes);
    assert!(open.iter().any(|place| place.is_dumped), "the search sees ordinary memory");
    if !is_locked {
        testhost::lacks("locked_memory", "the log says so");
    }
    node.stop();
    site.is_quiet();
}

/// Whom the kernel lets look into a process: its user, or root alone where it is not dumpable.
fn who_may_look_into(pid: i32) -> u32 {
    fs::metadata(format!("/proc/{pid}/mem")).expect("the process runs").uid()
}

#[test]
fn nobody_but_root_may_look_into_either_process() {
    let site = Site::new(LONG);
    let (mut node, mut other) = (Command::new(copy_into(site.folder.path())), Command::new("sleep"));
    let user = without_privileges(site.folder.path(), [&mut node, &mut other]);
    node.arg("server");
    let mut node = site.start_node_as(node);
    site.wait_for_log("Started.", 1);
    let mut other = other.arg("60").spawn().expect("every host has it");
    wait_for("another program", SOON, || (who_may_look_into(other.id() as i32) == user).then_some(()));
    for pid in [node.pid(), site.wait_for_data_plane(None)] {
        assert_eq!(who_may_look_into(pid.as_raw_nonzero().get()), 0);
    }
    other.kill().and_then(|()| other.wait()).unwrap();
    node.stop();
    site.is_quiet();
}

#[test]
fn where_nothing_can_be_locked_the_log_says_what_to_raise() {
    let site = Site::new(LONG);
    let metrics = with_metrics(&site);
    // What io_uring locks is not the matter here.
    fs::write(site.folder.own_config(), "[dataplane]\nshards = 1\nslots = 1024\nbackend = \"epoll\"\n").unwrap();
    let mut command = limited_copy(&copy_into(site.folder.path()), &["-l 0"]);
    without_privileges(site.folder.path(), [command.arg("server")]);
    let mut node = site.start_node_as(command);
    site.wait_for_log(" WARN dataplane: mix keys cannot be locked in memory", 1);
    assert!(site.log().contains("(LimitMEMLOCK=5M or more in a systemd unit, "), "{}", site.log());
    wait_for("the gauge", SOON, || (metric(metrics, "katzensprung_keys_locked")? == 0.0).then_some(()));
    node.stop();
}

/// The keys of DataDir.
fn key_files(site: &Site) -> Vec<Needle> {
    let mut needles = Vec::new();
    for (name, scheme) in [("identity", testnet::network::SIGNATURE_SCHEME), ("link", testnet::network::WIRE_KEM)] {
        for (half, label) in [("private", pem::private_key_type(scheme)), ("public", pem::public_key_type(scheme))] {
            let file = format!("{name}.{half}.pem");
            let text = fs::read_to_string(site.folder.data(&file)).expect("a key file");
            let bytes = pem::decode(&text, &label).expect("a key");
            let is_private = half == "private";
            let mut add = |what: &str, bytes: &[u8]| {
                needles.push(Needle { name: format!("{file}, {what}"), bytes: bytes.to_vec(), is_private });
            };
            match (name, is_private) {
                ("link", true) => {
                    // X-Wing: the public key, then the seed, from which ML-KEM's two and X25519's key are made.
                    let seed = &bytes[bytes.len() - SEED_BYTES..];
                    let mut parts = [0; 3 * SEED_BYTES];
                    let mut expander = Shake256::default();
                    expander.update(seed);
                    expander.finalize_xof().read(&mut parts);
                    add("its seed", middle(seed));
                    add("its text", text_of(&text, bytes.len() - SEED_BYTES..bytes.len()));
                    parts.chunks(SEED_BYTES).for_each(|part| add("a part", middle(part)));
                }
                (_, true) => {
                    // Ed25519: the seed, then the public key. Signatures are made with the two halves of its hash.
                    let seed = &bytes[..SEED_BYTES];
                    add("its seed", middle(seed));
                    add("its text", text_of(&text, 0..SEED_BYTES));
                    Sha512::digest(seed).chunks(SEED_BYTES).for_each(|half| add("a half", middle(half)));
                }
                (_, false) => add("its beginning", middle(&bytes[..SEED_BYTES])),
            }
        }
    }
    needles
}

/// What stays of a key when it is made a number of a curve, which changes bits of the first byte and the last.
fn middle(key: &[u8]) -> &[u8] {
    &key[1..key.len() - 1]
}

/// What stands for these bytes in a key file, as far as it stands on one line.
fn text_of(text: &str, bytes: std::ops::Range<usize>) -> &[u8] {
    let characters = bytes.start.div_ceil(3) * 4..bytes.end / 3 * 4;
    let mut at = 0;
    let on_lines = text.lines().filter(|line| !line.starts_with('-')).map(|line| {
        let within = |end: usize| end.clamp(at, at + line.len()) - at;
        let part = &line.as_bytes()[within(characters.start)..within(characters.end)];
        at += line.len();
        part
    });
    let longest = on_lines.max_by_key(|part| part.len()).expect("a key file has lines");
    assert!(longest.len() >= 20, "too short to be told from others");
    longest
}

/// The mix keys, from the memfd in which they cross between the planes.
fn mix_keys(pid: Pid) -> Vec<Needle> {
    let mut needles = Vec::new();
    for entry in fs::read_dir(format!("/proc/{}/fd", pid.as_raw_nonzero())).expect("the process runs").flatten() {
        let target = fs::read_link(entry.path()).unwrap_or_default();
        if !target.to_string_lossy().contains("memfd:secrets") {
            continue;
        }
        let file = OpenOptions::new().read(true).write(true).open(entry.path()).expect("a memfd");
        let Ok(secrets) = Secrets::open(&file) else { continue };
        needles.extend(secrets.mix_keys.iter().map(|(epoch, key)| Needle {
            name: format!("mix key of {}", epoch.0),
            bytes: middle(&key.expose()[..SEED_BYTES]).to_vec(),
            is_private: true,
        }));
    }
    needles
}

/// All places of `needle` in the memory of a process.
fn find(pid: Pid, needle: &[u8]) -> Vec<Found> {
    let folder = format!("/proc/{}", pid.as_raw_nonzero());
    let memory = File::open(format!("{folder}/mem")).expect("the process can be looked into");
    let smaps = fs::read_to_string(format!("{folder}/smaps")).expect("the process runs");
    let (mut found, mut mapping) = (Vec::new(), "");
    for line in smaps.lines() {
        if let Some(flags) = line.strip_prefix("VmFlags:") {
            let has = |flag| flags.split_whitespace().any(|found| found == flag);
            if has("rd") {
                let places = count(&memory, mapping, needle);
                found.extend((0..places).map(|_| Found {
                    mapping: mapping.to_owned(),
                    is_locked: has("lo"),
                    is_dumped: !has("dd"),
                }));
            }
        } else if line.split(' ').next().is_some_and(|range| range.contains('-')) {
            mapping = line;
        }
    }
    found
}

/// How often `needle` stands in a mapping.
fn count(memory: &File, mapping: &str, needle: &[u8]) -> usize {
    let range = mapping.split(' ').next().and_then(|range| range.split_once('-')).expect("a range");
    let address = |text| u64::from_str_radix(text, 16).expect("an address");
    let (from, to) = (address(range.0), address(range.1));
    let mut places = 0;
    let mut chunk = vec![0; CHUNK_BYTES + needle.len() - 1];
    for at in (from..to).step_by(CHUNK_BYTES) {
        let bytes = chunk.len().min((to - at) as usize);
        // Guard pages and the kernel's own mappings cannot be read.
        let Ok(read) = memory.read_at(&mut chunk[..bytes], at) else { continue };
        places += chunk[..read].windows(needle.len()).filter(|window| *window == needle).count();
    }
    chunk.fill(0);
    places
}
