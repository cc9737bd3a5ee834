//! What hosts are like: names, limits, folders, disks, address families; and what an operator reads of it.

use crate::support::folder::Folder;
use crate::support::launcher::limited;
use crate::support::program::finish;
use crate::support::site::{Node, SOON, Site};
use crate::support::{free_address, wait_for};
use rustix::process::Signal;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(40);

/// Asks the metrics' address; gives status and body.
fn http(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(SOON)).ok()?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.into()))
}

/// A sample of the metrics.
pub fn metric(address: SocketAddr, name: &str) -> Option<f64> {
    let (_, text) = http(address, "/metrics")?;
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

/// Where the node serves metrics from then on.
pub fn with_metrics(site: &Site) -> SocketAddr {
    let address = free_address();
    site.folder.edit("  DataDir", &format!("  MetricsAddress = \"{address}\"\n  DataDir"));
    address
}

fn start(site: &Site) -> Node {
    let node = site.start_node();
    site.wait_for_log("Started.", 1);
    node
}

#[test]
fn says_when_it_is_ready() {
    let site = Site::new(LONG);
    let metrics = with_metrics(&site);
    let processors = std::thread::available_parallelism().unwrap();
    // What the reference left there is believed.
    let known =
        format!("Hostname = \"\"\nNumCPU = {processors}\nOpsPerSecPerCore = 896.8\nOpsPerSecSaturated = 359.0\n");
    fs::write(site.folder.data("selfcheck.toml"), known).unwrap();
    let mut node = start(&site);
    assert_eq!(http(metrics, "/health").unwrap(), (200, "healthy\n".into()));
    let (status, missing) = http(metrics, "/ready").unwrap();
    assert!(status == 503 && missing.contains("no document for the current epoch"), "{status} {missing}");
    assert_eq!(metric(metrics, "katzenpost_node_ready"), Some(0.0));
    assert_eq!(metric(metrics, "katzenpost_node_current_epoch"), Some(site.network.epoch().0 as f64));
    assert_eq!(metric(metrics, "katzenpost_server_selfcheck_sphinx_ops_per_sec_solo"), Some(896.8));
    let reached = "katzensprung_authority_reached{authority=\"authority\"}";
    wait_for("an attempt", SOON, || (metric(metrics, reached)? == 0.0).then_some(()));
    let _authority = site.start_authority();
    site.wait_for_document();
    wait_for("an answer", SOON, || (metric(metrics, reached)? == 1.0).then_some(()));
    wait_for("readiness", SOON, || (http(metrics, "/ready")?.0 == 200).then_some(()));
    assert_eq!(metric(metrics, "katzenpost_node_ready"), Some(1.0));
    assert!(metric(metrics, "katzensprung_document_epoch") >= Some(site.network.epoch().0 as f64));
    let locked = wait_for("the keys", SOON, || metric(metrics, "katzensprung_keys_locked"));
    assert_eq!(locked == 1.0, !site.log().contains("cannot be locked in memory"), "{locked}: {}", site.log());
    if locked != 1.0 {
        testhost::lacks("locked_memory", "the log says so");
    }
    node.stop();
    site.is_quiet();
}

#[test]
fn both_processes_have_names_and_figures() {
    let site = Site::new(LONG);
    let metrics = with_metrics(&site);
    let mut node = start(&site);
    let data_plane = site.wait_for_data_plane(None).as_raw_nonzero();
    let of = |file: &str| fs::read_to_string(format!("/proc/{data_plane}/{file}")).unwrap();
    wait_for("the name", SOON, || (of("comm") == "katzensprung-dp\n").then_some(()));
    let resident = |name: &str| metric(metrics, &format!("{name}_resident_memory_bytes"));
    let pages: f64 = of("statm").split(' ').nth(1).unwrap().parse().unwrap();
    let theirs = resident("katzensprung_data_plane_process").unwrap();
    assert!(theirs > pages * 4096.0 / 2.0 && theirs != resident("process").unwrap(), "{theirs} of {pages} pages");
    assert!(metric(metrics, "katzensprung_data_plane_process_cpu_seconds_total").is_some());
    let before = metric(metrics, "katzensprung_data_plane_restarts_total");
    assert_eq!(before, Some(0.0));
    rustix::process::kill_process(site.data_plane().unwrap(), Signal::KILL).unwrap();
    wait_for("a restart", SOON, || (metric(metrics, "katzensprung_data_plane_restarts_total")? == 1.0).then_some(()));
    wait_for("another data plane", SOON, || (http(metrics, "/health")?.0 == 200).then_some(()));
    node.stop();
    site.is_quiet();
}

#[test]
fn says_what_it_listens_on() {
    let site = Site::new(LONG);
    let metrics = with_metrics(&site);
    let mut node = start(&site);
    let log = site.log();
    let address = site.folder.address;
    for text in [
        format!(" NOTI server: listening on {address}\n"),
        format!(" NOTI server: metrics on http://{metrics}/metrics\n"),
        format!(" NOTI server: management at {}\n", site.management_socket().display()),
        " NOTI server: shards: 1, each with room for 1024 packets\n".into(),
        format!(" NOTI server: own settings are those of {}\n", site.folder.own_config().display()),
    ] {
        assert!(log.contains(&text), "{text}: {log}");
    }
    node.stop();
    site.is_quiet();
}

/// Whether a connection is served: a node without a document closes it.
fn is_served(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    stream.set_read_timeout(Some(SOON)).unwrap();
    !matches!(stream.read(&mut [0]), Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
}

#[test]
fn unspecified_addresses_serve_both_families() {
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        testhost::lacks("ipv6", "no address can be bound");
        return;
    }
    for (hosts, v4, v6) in [
        (&["tcp://[::]"][..], true, true),
        (&["tcp://0.0.0.0"], true, true),
        (&["tcp://0.0.0.0", "tcp://[::]"], true, true),
        (&["tcp6://[::]"], false, true),
        (&["tcp4://0.0.0.0"], true, false),
    ] {
        let site = Site::new(LONG);
        let port = site.folder.address.port();
        let urls: Vec<String> = hosts.iter().map(|host| format!("\"{host}:{port}\"")).collect();
        site.folder.edit("  DataDir", &format!("  BindAddresses = [{}]\n  DataDir", urls.join(", ")));
        let mut node = start(&site);
        assert_eq!(is_served(site.folder.address), v4, "{hosts:?}");
        assert_eq!(is_served(SocketAddr::new(Ipv6Addr::LOCALHOST.into(), port)), v6, "{hosts:?}");
        // The data plane that goes on has the same sockets.
        node.kill();
        let mut node = site.start_node();
        site.wait_for_log("going on with the data plane that is at work", 1);
        node.stop();
        site.is_quiet();
    }
}

#[test]
fn a_long_path_of_the_folder_is_no_hindrance() {
    let site = Site::new(LONG);
    let long = site.folder.path().join("a".repeat(150));
    fs::create_dir(&long).unwrap();
    fs::rename(site.folder.data_dir(), long.join("data")).unwrap();
    let before = site.folder.data_dir().display().to_string();
    let data = long.join("data");
    site.folder.edit(&before, &data.display().to_string());
    let output = || fs::read_to_string(data.join("katzenpost.log")).unwrap_or_default();
    let mut node = site.start_node();
    wait_for("the start", SOON, || output().contains("Started.").then_some(()));
    assert!(is_served(site.folder.address));
    // A path to such a folder is too long for a socket's name; one through a descriptor of it is short.
    let folder = fs::File::open(&data).unwrap();
    let short = format!("/proc/self/fd/{}/management_sock", folder.as_raw_fd());
    let mut stream = UnixStream::connect(short).unwrap();
    stream.write_all(b"QUIT\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("250 "), "{answer}");
    // A control plane that follows finds the data plane there.
    node.kill();
    let mut node = site.start_node();
    wait_for("the take-over", SOON, || output().contains("going on with the data plane").then_some(()));
    node.stop();
    assert_eq!(site.output(), "");
    assert!(!data.join("dataplane.sock").exists() && !data.join("management_sock").exists());
}

#[test]
fn silent_scrapers_take_nothing_from_the_node() {
    let site = Site::new(LONG);
    let metrics = with_metrics(&site);
    let mut command = limited(&["-Sn 200", "-Hn 2000"]);
    command.arg("server");
    let mut node = site.start_node_as(command);
    site.wait_for_log("Started.", 1);
    let silent: Vec<_> = (0..260).map(|_| TcpStream::connect(metrics).unwrap()).collect();
    for process in [node.pid(), site.wait_for_data_plane(None)] {
        let limits = fs::read_to_string(format!("/proc/{}/limits", process.as_raw_nonzero())).unwrap();
        let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
        assert_eq!(line.split_whitespace().nth(3), Some("2000"), "the soft limit is raised: {line}");
    }
    assert_eq!(http(metrics, "/metrics").unwrap().0, 200);
    let open = fs::read_dir(format!("/proc/{}/fd", node.pid().as_raw_nonzero())).unwrap().count();
    assert!(open < 120, "{open} descriptors are open");
    let _authority = site.start_authority();
    site.wait_for_document();
    assert!(site.log().contains(" of 16384 connections fit the limit of 2000 open files"), "{}", site.log());
    drop(silent);
    node.stop();
    site.is_quiet();
}

/// What the shell does in a mount namespace of its own: DataDir read-only, the node started, asked, stopped.
const ON_A_READ_ONLY_FOLDER: &str = r#"
mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" || exit 77
"$2" server -f "$3" > "$4" 2>&1 &
node=$!
for i in $(seq 500); do grep -q "Started\." "$4" && break; kill -0 $node 2>/dev/null || break; sleep 0.02; done
kill -TERM $node; wait $node
"#;

#[test]
fn a_read_only_folder_with_keys_will_do() {
    let folder = Folder::new();
    folder.edit("File = \"katzenpost.log\"", "File = \"\"");
    folder.generate_keys();
    fs::remove_file(folder.data("identity.public.pem")).unwrap();
    fs::remove_file(folder.data("katzensprung.lock")).unwrap();
    let output = folder.path().join("output");
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", ON_A_READ_ONLY_FOLDER, "sh"]);
    command.arg(folder.data_dir()).arg(env!("CARGO_BIN_EXE_katzensprung")).arg(folder.config()).arg(&output);
    let outcome = finish(&mut command);
    if outcome.status.code() == Some(77) || outcome.stderr.contains("unshare:") {
        testhost::lacks("mount_namespaces", outcome.stderr.trim());
        return;
    }
    let log = fs::read_to_string(output).unwrap();
    assert_eq!(outcome.status.code(), Some(0), "{outcome:?}\n{log}");
    for text in [
        " WARN server: ",
        "is read-only: sockets are in /",
        "identity.public.pem: is missing and follows from",
        "selfcheck.toml cannot be written",
        "/management_sock\n",
        "Shutdown complete.",
    ] {
        assert!(log.contains(text), "{text}: {log}");
    }
    assert!(!log.contains("ERRO") && !log.contains("warning: "), "{log}");
    assert_eq!(fs::read_dir(folder.data_dir()).unwrap().count(), 3, "keys but for the missing one");
    // The socket is gone with the data plane; the folder for it stays as /run and the like are.
    let metadata = fs::metadata(folder.data_dir()).unwrap();
    for root in ["/run", "/dev/shm", "/tmp"] {
        let sockets = format!("{root}/katzensprung-{:x}-{:x}", metadata.dev(), metadata.ino());
        if fs::exists(&sockets).unwrap() {
            assert_eq!(fs::read_dir(&sockets).unwrap().count(), 0);
            fs::remove_dir(sockets).unwrap();
        }
    }
}

#[test]
fn a_disk_that_hangs_under_the_log_stops_nobody() {
    let site = Site::new(LONG);
    let pipe = site.folder.path().join("pipe");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let mut reader = fs::OpenOptions::new().read(true).custom_flags(nonblocking).open(&pipe).unwrap();
    let mut filler = fs::OpenOptions::new().write(true).custom_flags(nonblocking).open(&pipe).unwrap();
    while filler.write(&[b'\n'; 4096]).is_ok() {}
    drop(filler);
    site.folder.edit("\"katzenpost.log\"", &format!("\"{}\"", pipe.display()));
    let mut node = site.start_node();
    assert_eq!(site.status()["identifier"], crate::support::folder::NODE_NAME);
    let _authority = site.start_authority();
    site.wait_for_document();
    // The disk is back.
    let mut text = Vec::new();
    wait_for("the lines that waited", SOON, || {
        let _would_block = reader.read_to_end(&mut text);
        String::from_utf8_lossy(&text).contains("Started.").then_some(())
    });
    // And hangs again: a stop does not wait for it for ever.
    let mut filler = fs::OpenOptions::new().write(true).custom_flags(nonblocking).open(&pipe).unwrap();
    while filler.write(&[b'\n'; 4096]).is_ok() {}
    node.stop();
    site.is_quiet();
}

#[test]
fn lost_public_keys_are_made_again() {
    let folder = Folder::new();
    folder.generate_keys();
    let before = folder.files();
    fs::remove_file(folder.data("identity.public.pem")).unwrap();
    fs::remove_file(folder.data("link.public.pem")).unwrap();
    folder.generate_keys();
    assert_eq!(folder.files(), before);
    let log = fs::read_to_string(folder.data("katzenpost.log")).unwrap();
    assert_eq!(log.matches("was missing and is made again from").count(), 2, "{log}");
    let mode = fs::metadata(folder.data("identity.public.pem")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn management_helps_and_does_only_what_was_asked() {
    let site = Site::new(LONG);
    let mut node = start(&site);
    let answers = site.manage(&["HELP", "SHUTDOWN extra", "STATUS"]);
    assert!(answers[1].starts_with("214 ") && answers[1].contains("SHUTDOWN"), "{answers:?}");
    assert!(answers[2].starts_with("501 ") && answers[3].starts_with("250 {"), "{answers:?}");
    // Connections beyond the limit take the place of the oldest.
    let idle: Vec<_> = (0..150).map(|_| UnixStream::connect(site.management_socket()).unwrap()).collect();
    assert_eq!(site.status()["identifier"], crate::support::folder::NODE_NAME);
    drop(idle);
    assert!(node.runs());
    node.stop();
    site.is_quiet();
}
