//! What an operator can get wrong: exit status 1, one clear line, nothing overwritten.

use super::network::Network;
use crate::support::program::{finish, program, run};
use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

fn network() -> Network {
    Network::new(Duration::from_secs(120))
}

/// All files, the log and the lock left out.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.ends_with("katzenpost.log") && !path.ends_with(config::keys::LOCK_FILE_NAME) {
                found.insert(path.clone(), fs::read(&path).expect("a file"));
            }
        }
    }
    found
}

#[track_caller]
fn refuses(network: &Network, parts: &[&str]) {
    let before = files(network.folder.path());
    finish(&mut network.command(0)).refused(parts);
    for (path, bytes) in before {
        assert!(fs::read(&path).is_ok_and(|now| now == bytes), "{} has changed", path.display());
    }
}

#[test]
fn the_files_of_a_network_are_valid_and_named_by_the_program() {
    let network = network();
    for site in &network.authorities {
        let said = finish(program().arg("dirauth").arg("--validate-only").arg("-f").arg(&site.config)).succeeded();
        assert!(said.contains("is valid"), "{said}");
    }
    // Called by its own name it takes the reference's arguments.
    let link = network.folder.path().join("dirauth");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_katzensprung"), &link).expect("a link");
    let mut command = std::process::Command::new(&link);
    let said = finish(command.arg("--validate-only").arg("-f").arg(&network.authorities[0].config)).succeeded();
    assert!(said.contains("is valid"), "{said}");
    run(["dirauth", "-validate-only"]).refused(&["did you mean --validate-only?"]);
}

#[test]
fn a_file_that_is_not_there_or_for_another_program() {
    run(["dirauth", "-f", "/nowhere/authority.toml"]).refused(&["/nowhere/authority.toml", "cannot be read"]);
    let network = network();
    finish(program().arg("dirauth").arg("-f").arg(&network.node_config))
        .refused(&["a server's (katzenpost.toml)", "give the authority's authority.toml"]);
    finish(program().arg("server").arg("-f").arg(&network.authorities[0].config))
        .refused(&["a directory authority's (authority.toml)"]);
}

#[test]
fn ports_in_use() {
    let network = network();
    let taken = TcpListener::bind(network.authorities[0].address).expect("nobody listens there");
    refuses(&network, &["cannot listen on", "in use"]);
    drop(taken);
    let _taken = TcpListener::bind(network.authorities[0].metrics).expect("nobody listens there");
    refuses(&network, &["cannot serve metrics on", "MetricsAddress"]);
}

#[test]
fn other_stores_are_left_alone() {
    let network = network();
    let store = network.authorities[0].data_dir.join("authority.redb");
    let mut bbolt = vec![0; 4096];
    bbolt[16..20].copy_from_slice(&0xED0C_DAED_u32.to_le_bytes());
    fs::write(&store, &bbolt).expect("the file");
    refuses(&network, &["authority.redb", "bbolt file of the reference", "move it away"]);
    fs::write(&store, "my notes").expect("the file");
    refuses(&network, &["authority.redb", "is not an authority's store"]);
    fs::remove_file(&store).expect("it is there");
    // The reference's own file is only told of.
    let theirs = network.authorities[0].data_dir.join("persistence.db");
    fs::write(&theirs, &bbolt).expect("the file");
    let taken = TcpListener::bind(network.authorities[0].address).expect("nobody listens there");
    refuses(&network, &["cannot listen on"]);
    drop(taken);
    let log = fs::read_to_string(network.authorities[0].data_dir.join("katzenpost.log")).expect("a log");
    assert!(log.contains("persistence.db in DataDir is the reference's and left alone"), "{log}");
}

#[test]
fn keys_that_are_missing_or_of_another() {
    let network = network();
    let site = &network.authorities[0];
    let public = site.data_dir.join("identity.public.pem");
    fs::copy(network.folder.path().join("mix1/identity.public.pem"), &public).expect("a file");
    refuses(&network, &["is not that of any of [[Authorities]]"]);
    fs::remove_file(&public).expect("it is there");
    refuses(&network, &["identity.public.pem", "dirauth --generate-only"]);
}

#[test]
fn a_second_authority_on_the_same_folder() {
    let network = network();
    let _first = network.start(0);
    crate::support::wait_for("the first one", Duration::from_secs(60), || {
        let log = network.authorities[0].data_dir.join("katzenpost.log");
        fs::read_to_string(log).ok().filter(|log| log.contains("Started."))
    });
    finish(&mut network.command(0)).refused(&["is in use by another node"]);
}

#[test]
fn periods_that_are_none() {
    let network = network();
    finish(network.command(0).env("KATZENPOST_EPOCH_DURATION", "soon")).refused(&["KATZENPOST_EPOCH_DURATION", "soon"]);
}
