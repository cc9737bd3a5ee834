//! What an operator can get wrong: exit status 1, one clear line with file, key and remedy, nothing overwritten.

use crate::support::folder::{Folder, geometry};
use crate::support::program::{finish, program, run};
use sphinx::Geometry;
use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

const FILE: &str = "katzenpost.toml";

/// One edit of a good file must give one line with all of `parts`.
#[track_caller]
fn edit_refused(from: &str, to: &str, parts: &[&str]) {
    let folder = Folder::new();
    folder.edit(from, to);
    folder.refuses(parts);
    assert!(!folder.data_dir().exists(), "nothing is made before the file is good");
}

#[test]
fn schemes() {
    edit_refused("WireKEM = \"XWING\"", "WireKEM = \"Kyber1\"", &[FILE, "Server.WireKEM", "'Kyber1'", "built in are:"]);
    edit_refused(
        "WireKEM = \"XWING\"",
        "WireKEM = \"HQC-128\"",
        &[FILE, "Server.WireKEM", "'HQC-128' is not built in yet", "built in are:"],
    );
    edit_refused(
        "PKISignatureScheme = \"Ed25519\"",
        "PKISignatureScheme = \"RSA\"",
        &[FILE, "Server.PKISignatureScheme", "'RSA'", "built in are:"],
    );
}

#[test]
fn geometry_with_one_number_off() {
    let text = geometry().to_toml();
    let numbers: Vec<(&str, u64)> = text
        .lines()
        .filter_map(|line| line.trim().split_once(" = "))
        .filter_map(|(key, value)| Some((key, value.parse().ok()?)))
        .collect();
    assert!(numbers.len() >= 12, "{text}");
    for (key, number) in numbers {
        let folder = Folder::new();
        folder.edit(&format!(" {key} = {number}\n"), &format!(" {key} = {}\n", number + 1));
        let outcome = folder.serve(&[]);
        assert_eq!(outcome.status.code(), Some(1), "{key}: {outcome:?}");
        // A number that others depend on may give a line for each of those instead.
        let telling =
            |line: &str| line.contains(FILE) && line.contains(": SphinxGeometry.") && line.contains("; copy [");
        assert!(outcome.stderr.lines().any(telling) && !outcome.stderr.contains("panicked"), "{key}: {outcome:?}");
    }
}

#[test]
fn key_files() {
    type Damage = fn(&Folder);
    let damages: &[(Damage, &[&str])] = &[
        (
            |folder| fs::remove_file(folder.data("identity.private.pem")).unwrap(),
            &["identity.private.pem", "must either both exist or not exist", "restore", "registered anew"],
        ),
        (
            |folder| fs::remove_file(folder.data("link.private.pem")).unwrap(),
            &["link.public.pem", "link.private.pem", "must either both exist or not exist", "restore"],
        ),
        (|folder| fs::write(folder.data("link.private.pem"), "").unwrap(), &["link.private.pem", "restore it"]),
        (
            |folder| fs::write(folder.data("identity.public.pem"), [0xFF; 100]).unwrap(),
            &["identity.public.pem", "restore it"],
        ),
        (
            |folder| {
                let text = fs::read_to_string(folder.data("link.private.pem")).unwrap();
                fs::write(folder.data("link.private.pem"), &text[..text.len() / 2]).unwrap();
            },
            &["link.private.pem", "restore it"],
        ),
        (
            |folder| {
                fs::copy(folder.data("link.private.pem"), folder.data("identity.private.pem")).unwrap();
            },
            &["identity.private.pem", "correct the scheme in the configuration file"],
        ),
        (
            |folder| {
                let other = Folder::new();
                other.generate_keys();
                fs::copy(other.data("link.public.pem"), folder.data("link.public.pem")).unwrap();
            },
            &["link.public.pem is not the public key of", "link.private.pem", "restore the matching file"],
        ),
        (
            |folder| fs::write(folder.data("identity.private.pem"), vec![b'A'; 5 << 20]).unwrap(),
            &["identity.private.pem", "too long", "restore it"],
        ),
        (
            |folder| {
                fs::remove_file(folder.data("link.public.pem")).unwrap();
                fs::create_dir(folder.data("link.public.pem")).unwrap();
            },
            &["link.public.pem", "is not a regular file"],
        ),
        (
            |folder| {
                fs::remove_file(folder.data("identity.private.pem")).unwrap();
                let mode = rustix::fs::Mode::from_raw_mode(0o600);
                let pipe = rustix::fs::FileType::Fifo;
                rustix::fs::mknodat(rustix::fs::CWD, folder.data("identity.private.pem"), pipe, mode, 0).unwrap();
            },
            &["identity.private.pem", "is not a regular file"],
        ),
        (
            |folder| {
                fs::remove_file(folder.data("link.private.pem")).unwrap();
                fs::remove_file(folder.data("link.public.pem")).unwrap();
                symlink("nowhere", folder.data("link.private.pem")).unwrap();
            },
            &["link.private.pem", "cannot be opened"],
        ),
    ];
    for (damage, parts) in damages {
        let folder = Folder::new();
        folder.generate_keys();
        damage(&folder);
        folder.refuses(parts);
    }
}

#[test]
fn addresses() {
    let folder = Folder::new();
    let taken = TcpListener::bind(folder.address).unwrap();
    folder.generate_keys();
    let address = folder.address.to_string();
    folder.refuses(&["cannot listen on", &address, "Server.Addresses or Server.BindAddresses"]);
    drop(taken);

    // Another node's UDP port is not shared, even where that one shares it.
    let folder = Folder::new();
    folder.edit(&advertised_line(&folder), &format!("Addresses = [\"quic://{}\"]", folder.address));
    let taken = UdpSocket::bind(folder.address).unwrap();
    folder.generate_keys();
    folder.refuses(&["cannot listen on quic://", &folder.address.to_string(), "Server.BindAddresses"]);
    drop(taken);

    let folder = Folder::new();
    folder.edit(&advertised_line(&folder), "Addresses = [\"tcp://192.0.2.7:30001\"]");
    folder.refuses(&["cannot listen on 192.0.2.7:30001", "Server.BindAddresses"]);

    let folder = Folder::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let metrics = taken.local_addr().unwrap().to_string();
    folder.edit("  DataDir", &format!("  MetricsAddress = \"{metrics}\"\n  DataDir"));
    folder.refuses(&["cannot serve metrics on", &metrics, "Server.MetricsAddress", "another program listens there"]);
}

fn advertised_line(folder: &Folder) -> String {
    format!("Addresses = [\"tcp://{}\"]", folder.address)
}

#[test]
fn data_dir() {
    for mode in [0o755, 0o750, 0o500, 0o600, 0o777, 0o1700, 0o2700] {
        let folder = Folder::new();
        folder.make_data_dir();
        fs::set_permissions(folder.data_dir(), fs::Permissions::from_mode(mode)).unwrap();
        let command = if mode == 0o2700 { "run chmod 00700" } else { "run chmod 0700" };
        folder.refuses(&["invalid permissions", &format!("'{mode:04o}'"), command]);
        let place = ["Server.DataDir", command];
        folder.serve(&["--validate-only"]).refused(&place);
        assert_eq!(fs::read_dir(folder.data_dir()).unwrap().count(), 0, "mode {mode:o}");
    }
    let folder = Folder::new();
    fs::write(folder.data_dir(), "").unwrap();
    folder.refuses(&["is not a directory", "DataDir"]);

    let folder = Folder::new();
    symlink("/tmp", folder.data_dir()).unwrap();
    folder.refuses(&["is not a directory", "DataDir"]);

    let folder = Folder::new();
    let text = folder.data_dir().display().to_string();
    folder.edit(&text, &format!("{text}/one/two"));
    folder.refuses(&["one/two", "cannot be created", "check that the folder above exists"]);

    let folder = Folder::new();
    folder.edit(&folder.data_dir().display().to_string(), "data");
    folder.refuses(&[FILE, "Server.DataDir", "'data' is not an absolute path"]);
}

#[test]
fn files_and_sockets_that_cannot_be_made() {
    let folder = Folder::new();
    folder.edit("\"katzenpost.log\"", "\"/nonexistent/folder/log\"");
    folder.refuses(&["/nonexistent/folder/log", "Logging.File", "check that the folder exists"]);

    let folder = Folder::new();
    folder.edit("Enable = true", "Enable = true\n  Path = \"/nonexistent/folder/socket\"");
    folder.refuses(&["/nonexistent/folder/socket", "Management.Path", "check that the folder exists"]);

    // Not a socket that an earlier run left: somebody's file.
    let folder = Folder::new();
    let path = folder.path().join("precious");
    fs::write(&path, "precious").unwrap();
    folder.edit("Enable = true", &format!("Enable = true\n  Path = \"{}\"", path.display()));
    folder.refuses(&["precious", "Management.Path", "not a socket"]);
}

#[test]
fn files_of_other_programs() {
    for (text, kind) in [
        ("[Server]\nIdentifier = \"a\"\n[[Authorities]]\n[[Mixes]]\n", "a directory authority's"),
        ("WireKEMScheme = \"xwing\"\n[Listen]\n[VotingAuthority]\n", "a client daemon's"),
    ] {
        let folder = Folder::new();
        fs::write(folder.config(), text).unwrap();
        folder.refuses(&[FILE, kind, "give the node's katzenpost.toml"]);
    }
}

#[test]
fn text_that_is_no_configuration() {
    for text in [&b"[Server\n"[..], b"\xFF\xFE", b"", b"\0\0\0", &[b'['; 100_000], b"a = 1\na = 2\n"] {
        let folder = Folder::new();
        fs::write(folder.config(), text).unwrap();
        let outcome = folder.serve(&[]);
        assert_eq!(outcome.status.code(), Some(1), "{outcome:?}");
        assert!(outcome.stderr.contains(FILE) && !outcome.stderr.contains("panicked"), "{outcome:?}");
    }
    let folder = Folder::new();
    fs::write(folder.own_config(), "[dataplane]\nshard = 1\n").unwrap();
    folder.refuses(&["katzensprung.toml:2", "dataplane.shard", "shards"]);
}

#[test]
fn arguments() {
    let folder = Folder::new();
    folder.serve(&["--frobnicate"]).refused(&["unexpected argument", "--frobnicate"]);
    folder.serve(&["more"]).refused(&["unexpected argument", "more"]);
    run(["server", "-f", "/nonexistent/x.toml"]).refused(&["/nonexistent/x.toml", "cannot be read", "check the path"]);
    run(["frobnicate"]).refused(&["unrecognized subcommand", "frobnicate"]);
    // Only mistakes in the arguments are answered with the usage.
    let outcome = run(["server", "-f", "/nonexistent/x.toml"]);
    assert!(!outcome.stderr.contains("--help") && !outcome.stderr.contains("Usage"), "{outcome:?}");
    let nothing = run::<&str>([]);
    assert_eq!(nothing.status.code(), Some(1));
    assert!(nothing.stderr.contains("Usage"), "{nothing:?}");
}

#[test]
fn what_no_start_would_do_is_no_valid_file() {
    // Sizes are known of more schemes than are built in.
    let (scheme, what) = ("ctidh1024-x25519", "not built in yet");
    let folder = Folder::new();
    let text = fs::read_to_string(folder.config()).unwrap();
    let other = Geometry::nike(scheme, 2000, 5, true).unwrap();
    fs::write(folder.config(), text.replacen(&geometry().to_toml(), &other.to_toml(), 1)).unwrap();
    let text = fs::read_to_string(folder.config()).unwrap();
    let line = 1 + text.lines().position(|line| line.contains("NIKEName")).unwrap();
    let place = format!("katzenpost.toml:{line}: SphinxGeometry.NIKEName: ");
    folder.serve(&["--validate-only"]).refused(&["error: ", &place, what]);
    folder.refuses(&["error: ", &place, what]);
    assert!(!folder.data_dir().exists());
    // What is only missing is a warning of the check, and in the log of a start.
    let folder = Folder::new();
    let text = fs::read_to_string(folder.config()).unwrap();
    let (node, authorities) = text.split_once("[PKI").expect("authorities come last");
    fs::write(folder.config(), format!("{node}[PKI{}", authorities.replace("tcp://127.0.0.1:", "onion://a.onion:")))
        .unwrap();
    let outcome = folder.serve(&["--validate-only"]);
    let said = ["warning: ", "PKI.Voting.Authorities[0].Addresses", "this version cannot reach it"];
    assert!(said.iter().all(|part| outcome.stderr.contains(part)), "{outcome:?}");
    outcome.succeeded();
}

#[test]
fn more_memory_than_the_host_has() {
    let folder = Folder::new();
    fs::write(folder.own_config(), "[dataplane]\nline_rate_packets_per_second = 10000000\n").unwrap();
    folder.refuses(&["packets per second take up to", "GB", "dataplane.line_rate_packets_per_second = "]);
}

#[test]
fn environment() {
    for value in ["x", "0s", "-5s", "5", "3000000h", "5s5", "2ms"] {
        let folder = Folder::new();
        let outcome =
            finish(program().env("KATZENPOST_EPOCH_DURATION", value).arg("server").arg("-f").arg(folder.config()));
        outcome.refused(&["KATZENPOST_EPOCH_DURATION: "]);
        assert_eq!(outcome.stderr.matches("KATZENPOST_EPOCH_DURATION").count(), 1, "{outcome:?}");
        assert!(!folder.data_dir().exists());
    }
    // Every subcommand that uses a kernel, before it does.
    let folder = Folder::new();
    let config = folder.config().display().to_string();
    let out = folder.path().join("key").display().to_string();
    for arguments in [
        &["server", "-f", &config][..],
        &["server", "--validate-only", "-f", &config],
        &["keygen", "kem", "xwing", "-o", &out],
        &["fetch", "-f", &config],
        &["bench", "node"],
    ] {
        let outcome = finish(program().env("KATZENSPRUNG_SIMD", "sse9").args(arguments));
        outcome.refused(&["KATZENSPRUNG_SIMD=\"sse9\"", "known are:"]);
    }
    for arguments in [&["--version"][..], &["server", "--version"], &["-v"]] {
        let outcome = finish(program().env("KATZENSPRUNG_SIMD", "sse9").args(arguments));
        outcome.refused(&["KATZENSPRUNG_SIMD=\"sse9\"", "known are:"]);
    }
    finish(program().env("KATZENSPRUNG_SIMD", "sse9").arg("--help")).succeeded();
    assert!(!folder.data_dir().exists());
}

/// What the shell does in a mount namespace of its own: a disk of a few kilobytes at DataDir, `$2` of them taken.
const ON_A_SMALL_DISK: &str = r#"
mount -t tmpfs -o size=16k,mode=0700 none "$1" || exit 77
head -c "$2" /dev/zero >"$1/filler" 2>/dev/null
"$3" server -g -f "$4"
status=$?
cd "$1" && ls
exit $status
"#;

#[test]
fn full_disk() {
    for filled in ["16k", "12k", "8k"] {
        let folder = Folder::new();
        folder.edit("File = \"katzenpost.log\"", "File = \"\"");
        folder.make_data_dir();
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", ON_A_SMALL_DISK, "sh"]);
        command.arg(folder.data_dir()).arg(filled).arg(env!("CARGO_BIN_EXE_katzensprung")).arg(folder.config());
        let outcome = finish(&mut command);
        if outcome.status.code() == Some(77) || outcome.stderr.contains("unshare:") {
            testhost::lacks("mount_namespaces", outcome.stderr.trim());
            return;
        }
        assert_eq!(outcome.status.code(), Some(1), "{outcome:?}");
        assert!(outcome.stderr.contains("free some space and start again"), "{outcome:?}");
        assert!(!outcome.stderr.contains("panicked"), "{outcome:?}");
        let has = |name: &str| outcome.stdout.lines().any(|line| line == name);
        for pair in ["identity", "link"] {
            let halves = [has(&format!("{pair}.private.pem")), has(&format!("{pair}.public.pem"))];
            assert_eq!(halves[0], halves[1], "half a pair of {pair}: {outcome:?}");
        }
        assert!(!outcome.stdout.contains(".new"), "{outcome:?}");
    }
}
