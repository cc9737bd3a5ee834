//! A gateway with a user database: who comes in, what operators order, what outlives which process.

use super::LONG;
use crate::support::folder::Folder;
use crate::support::program::{finish, program, run};
use crate::support::site::{SOON, Site};
use crate::support::traffic::Traffic;
use crate::support::wait_for;
use crypto_simd::random::OsRandom;
use pki::descriptor::MixDescriptor;
use pki::{Epoch, NodeId};
use rustix::process::{Signal, kill_process};
use sphinx::commands::RoutingCommand;
use sphinx::{PathHop, Sphinx};
use std::fs;
use std::net::TcpStream;
use testhost::postgres::Postgres;
use testnet::session::{Identity, Session};
use wire::Command;

/// The beginning of the second file section, and how often connected clients are asked about.
const SOON_AGAIN: &str = "[Debug]\n  ReauthInterval = 300\n";

fn site(gateway: &str) -> Site {
    let site = Site::of_gateway(LONG);
    site.folder.edit("[Management]\n", &format!("{gateway}{SOON_AGAIN}[Management]\n"));
    site
}

fn identity(site: &Site, name: &str) -> Identity {
    let mut id = [0; 32];
    id[..name.len()].copy_from_slice(name.as_bytes());
    Identity::generate(id, site.network.kem).expect("a link key")
}

fn hexadecimal(own: &Identity) -> String {
    hex::encode(own.link_key.public_key())
}

fn connect(site: &Site, own: &Identity) -> Result<Session, String> {
    let stream = TcpStream::connect(site.folder.address).map_err(|error| error.to_string())?;
    Session::establish(stream, &site.network.client_session(), own, |peer| *peer == site.credentials)
}

/// The gateway closes connections as long as it has no document.
#[track_caller]
fn comes_in(site: &Site, own: &Identity) -> Session {
    wait_for("a client that comes in", SOON, || connect(site, own).ok())
}

/// One that has come in may have done so by the last message of its handshake: what it says then is answered.
#[track_caller]
fn is_served(site: &Site, client: &mut Session) {
    let set = site.network.client_session().command_set();
    client.send(&Command::GetConsensus2 { epoch: 1 }).expect("the gateway reads");
    loop {
        let plain = client.receive().expect("the gateway answers");
        if matches!(set.parse(&plain), Ok(Command::Consensus2 { .. })) {
            return;
        }
    }
}

/// What `ctl` prints, or its complaint.
fn ctl(site: &Site, words: &[&str]) -> Result<String, String> {
    let outcome = finish(program().args(["ctl", "-f"]).arg(site.folder.config()).args(words));
    if outcome.status.success() { Ok(outcome.stdout.trim_end().into()) } else { Err(outcome.stderr) }
}

const DONE: &str = "250 Requested action ok, completed";

#[test]
fn operators_say_who_is_a_client() {
    let site = site("[Gateway]\n  EnableEphemeralClients = false\n[Gateway.UserDB]\n");
    let _authority = site.start_authority();
    let mut node = site.start_node();
    site.wait_for_document();
    let (alice, bob) = (identity(&site, "alice"), identity(&site, "bob"));
    assert_eq!(ctl(&site, &["ADD_USER", "Alice", &hexadecimal(&alice)]), Ok(DONE.into()));
    let mut client = comes_in(&site, &alice);
    is_served(&site, &mut client);
    assert!(connect(&site, &bob).is_err(), "nobody has registered this one");
    let thief = Identity { link_key: bob.link_key.clone(), ..alice.clone() };
    assert!(connect(&site, &thief).is_err(), "the name is registered with another key");

    // All the answers of server.md 9.4.
    let answers = site.manage(&[
        &format!("ADD_USER alice {}", hexadecimal(&bob)),
        &format!("UPDATE_USER bob {}", hexadecimal(&bob)),
        "ADD_USER bob 00",
        "ADD_USER bob",
        "USER_LINK bob",
        "USER_IDENTITY alice",
        "SET_USER_IDENTITY alice 010203",
        "USER_IDENTITY alice",
        "SET_USER_IDENTITY alice",
        "USER_IDENTITY alice",
        "SET_USER_IDENTITY bob 010203",
        "SET_USER_IDENTITY alice 01",
        "REMOVE_USER_IDENTITY alice",
        "USER_IDENTITY alice",
        "REMOVE_USER bob",
        "SEND_RATE 100",
    ]);
    let codes: Vec<&str> = answers[1..].iter().map(|answer| &answer[..3]).collect();
    let expected = "554 554 501 501 554 554 250 250 250 554 554 250 250 554 554 250";
    assert_eq!(codes.join(" "), expected, "{answers:?}");
    assert_eq!(answers[8], "250 AQID");
    use base64::Engine;
    let link = base64::engine::general_purpose::STANDARD.encode(alice.link_key.public_key());
    assert_eq!(ctl(&site, &["user_link", "alice"]), Ok(format!("250 {link}")));

    // A link ends with what it came in by.
    assert_eq!(ctl(&site, &["REMOVE_USER", "alice"]), Ok(DONE.into()));
    wait_for("the end of the link", SOON, || client.receive().is_err().then_some(()));
    assert!(connect(&site, &alice).is_err());
    // What is written down is there after a clean stop.
    let with_link = ["ADD_USER", "alice", &link];
    assert_eq!(ctl(&site, &with_link), Ok(DONE.into()));
    node.stop();
    let mut node = site.start_node();
    let mut client = comes_in(&site, &alice);
    is_served(&site, &mut client);
    assert!(ctl(&site, &with_link).unwrap_err().contains("554"));
    let log = site.log();
    assert!(!log.contains(" ERRO ") && !log.to_lowercase().contains("alice"), "{log}");
    node.stop();
    site.is_quiet();
}

/// Either process may end: connected clients stay with the data plane, and registered ones come in again as soon as there
/// is somebody to ask.
#[test]
fn either_process_may_end() {
    let site = site("[Gateway]\n  EnableEphemeralClients = false\n[Gateway.UserDB]\n");
    let _authority = site.start_authority();
    let mut node = site.start_node();
    site.wait_for_document();
    let (alice, bob) = (identity(&site, "alice"), identity(&site, "bob"));
    for (name, own) in [("alice", &alice), ("bob", &bob)] {
        assert_eq!(ctl(&site, &["ADD_USER", name, &hexadecimal(own)]), Ok(DONE.into()));
    }
    let mut client = comes_in(&site, &alice);
    let data_plane = site.wait_for_data_plane(None);
    node.kill();
    is_served(&site, &mut client);
    assert!(connect(&site, &bob).is_err(), "nobody is there to be asked");
    node = site.start_node();
    site.wait_for_log("going on with the data plane that is at work", 1);
    let mut other = comes_in(&site, &bob);
    is_served(&site, &mut other);
    is_served(&site, &mut client);
    assert_eq!(site.data_plane(), Some(data_plane));
    kill_process(data_plane, Signal::KILL).unwrap();
    site.wait_for_data_plane(Some(data_plane));
    let mut client = comes_in(&site, &alice);
    is_served(&site, &mut client);
    node.stop();
    site.is_quiet();
}

#[test]
fn strangers_are_registered_or_ephemeral_as_the_file_says() {
    for (flag, is_written_down) in [("TrustOnFirstUse", true), ("EnableEphemeralClients", false)] {
        let site = site(&format!("[Gateway]\n  {flag} = true\n[Gateway.UserDB]\n"));
        let _authority = site.start_authority();
        let mut node = site.start_node();
        let (alice, other) = (identity(&site, "alice"), identity(&site, "other"));
        let mut client = comes_in(&site, &alice);
        is_served(&site, &mut client);
        let link = || ctl(&site, &["USER_LINK", "alice"]);
        if is_written_down {
            wait_for("the registration", SOON, || link().ok());
        }
        assert_eq!(link().is_ok(), is_written_down, "{flag}");
        // Under the same name with another key: refused at once, or as long as there is the mailbox.
        let thief = Identity { link_key: other.link_key.clone(), ..alice.clone() };
        if let Ok(mut thief) = connect(&site, &thief) {
            assert!(!is_written_down);
            let _may_be_gone = thief.send(&Command::NoOp);
            wait_for("the end of the link", SOON, || thief.receive().is_err().then_some(()));
        }
        is_served(&site, &mut client);
        node.stop();
        site.is_quiet();
    }
}

#[test]
fn a_database_of_the_reference_is_told_apart() {
    let folder = Folder::new();
    folder.edit("[Server]\n", "[Server]\n  IsGatewayNode = true\n");
    folder.edit("[Management]\n", "[Gateway]\n  EnableEphemeralClients = false\n[Gateway.UserDB]\n[Management]\n");
    folder.generate_keys();
    let mut bbolt = vec![0; 4096];
    bbolt[16..20].copy_from_slice(&0xED0C_DAED_u32.to_le_bytes());
    fs::write(folder.data("users.db"), &bbolt).unwrap();
    folder.refuses(&["users.db is a bbolt file of a reference server", "move it away", "ADD_USER"]);
}

/// PostgreSQL with the schema that `sql schema` prints.
fn postgres() -> Option<Postgres> {
    let postgres = Postgres::start()?;
    postgres.load(&run(["sql", "schema"]).succeeded());
    Some(postgres)
}

fn with_sql(postgres: &Postgres) -> Site {
    let source = postgres.source();
    site(&format!(
        "[Gateway]\n  EnableEphemeralClients = false\n[Gateway.SQLDB]\n  Backend = \"pgx\"\n  DataSourceName = \"{source}\"\n[Gateway.UserDB]\n  Backend = \"sql\"\n"
    ))
}

/// Killed and started again under connected clients: nobody is disconnected, whoever was let in comes in, and what was
/// answered 250 is there.
#[test]
fn postgresql_may_go_and_come_back() {
    let Some(mut postgres) = postgres() else { return };
    let site = with_sql(&postgres);
    let _authority = site.start_authority();
    let mut node = site.start_node();
    site.wait_for_document();
    site.wait_for_log("connected to PostgreSQL", 1);
    let (alice, bob) = (identity(&site, "alice"), identity(&site, "bob"));
    assert_eq!(ctl(&site, &["ADD_USER", "alice", &hexadecimal(&alice)]), Ok(DONE.into()));
    let mut client = comes_in(&site, &alice);
    is_served(&site, &mut client);
    postgres.kill();
    // It is asked about the client again and again.
    site.wait_for_log("clients that it has let in before are let in again", 1);
    is_served(&site, &mut client);
    let mut client = comes_in(&site, &alice);
    is_served(&site, &mut client);
    assert!(connect(&site, &bob).is_err());
    assert!(ctl(&site, &["ADD_USER", "bob", &hexadecimal(&bob)]).unwrap_err().contains("554"));
    postgres.run();
    site.wait_for_log("the user database answers again", 1);
    is_served(&site, &mut client);
    assert_eq!(ctl(&site, &["ADD_USER", "bob", &hexadecimal(&bob)]), Ok(DONE.into()));
    let mut other = comes_in(&site, &bob);
    is_served(&site, &mut other);
    assert_eq!(postgres.query("SELECT count(*) FROM users WHERE user_name IN ('alice', 'bob')"), "2");
    let log = site.log();
    assert!(!log.contains("secret") && !log.contains("alice"), "{log}");
    node.stop();
    site.is_quiet();
}

/// What the page for operators shows: each configuration is accepted, each command does what it says.
#[test]
fn the_page_for_operators_holds() {
    let page = include_str!("../../../docs/operating/users-and-spools.md");
    let blocks = |kind: &str| {
        let fence = format!("```{kind}\n");
        page.split(&fence).skip(1).filter_map(|rest| rest.split("```").next()).map(str::to_owned).collect::<Vec<_>>()
    };
    let configurations = blocks("toml");
    assert_eq!(configurations.len(), 5);
    for configuration in configurations {
        let folder = Folder::new();
        folder.edit("[Server]\n", "[Server]\n  IsGatewayNode = true\n");
        folder.edit("[Management]\n", &format!("{configuration}\n[Management]\n"));
        finish(program().args(["config", "check"]).arg(folder.config())).succeeded();
    }
    let site = site("[Gateway]\n  EnableEphemeralClients = false\n[Gateway.UserDB]\n");
    let _authority = site.start_authority();
    let mut node = site.start_node();
    let key = hexadecimal(&identity(&site, "alice"));
    let mut commands = 0;
    for line in
        blocks("sh").iter().flat_map(|block| block.lines()).filter_map(|line| line.strip_prefix("katzensprung ctl "))
    {
        wait_for("the management socket", SOON, || site.management_socket().exists().then_some(()));
        let line = line.replace("KEY", &key);
        let answer = ctl(&site, &line.split(' ').collect::<Vec<_>>());
        assert!(answer.as_ref().is_ok_and(|answer| answer.starts_with("250 ")), "{line}: {answer:?}");
        commands += 1;
    }
    assert_eq!(commands, 7);
    node.stop();
    site.is_quiet();
}

/// Sends what becomes mail: a reply from the last layer.
fn send_letter(site: &Site, way: &mut (Traffic, MixDescriptor, Epoch), to: &Identity, number: u8) {
    let (traffic, descriptor, epoch) = way;
    let id: NodeId = site.credentials.additional_data.as_slice().try_into().expect("an id");
    let commands = vec![RoutingCommand::Recipient(to.id), RoutingCommand::SurbReply([number; 16])];
    let public_key = descriptor.mix_key(*epoch).expect("a key").to_vec();
    let sphinx = Sphinx::new(site.network.geometry.clone()).expect("a geometry");
    let payload = vec![1; site.network.geometry.forward_payload_length];
    let packet = sphinx.new_packet(&[PathHop { id, public_key, commands }], &payload, &mut OsRandom);
    traffic.send_bytes(&packet.expect("a packet"));
}

/// The next letter that a client is given: its sequence and its number.
#[track_caller]
fn next_letter(site: &Site, client: &mut Session) -> (u32, u8) {
    let set = site.network.client_session().command_set();
    // Only by saying something it shows who it is.
    client.send(&Command::NoOp).expect("the gateway reads");
    loop {
        let plain = client.receive().expect("the gateway sends");
        if let Ok(Command::Message { sequence, surb_id, .. }) = set.parse(&plain) {
            return (sequence, surb_id[0]);
        }
    }
}

/// The letter of a registered client outlives both processes, and is gone once its client has acknowledged it.
#[test]
fn mail_in_postgresql_outlives_the_node() {
    let Some(postgres) = postgres() else { return };
    let site = with_sql(&postgres);
    site.folder.edit("[Gateway.UserDB]\n", "[Gateway.SpoolDB]\n  Backend = \"sql\"\n[Gateway.UserDB]\n");
    let authority = site.start_authority();
    let mut node = site.start_node();
    let mut way = site.traffic(&authority);
    site.wait_for_log("connected to PostgreSQL\n", 1);
    let alice = identity(&site, "alice");
    assert_eq!(ctl(&site, &["ADD_USER", "alice", &hexadecimal(&alice)]), Ok(DONE.into()));
    let mut client = comes_in(&site, &alice);
    is_served(&site, &mut client);
    // The client does not acknowledge it.
    send_letter(&site, &mut way, &alice, 7);
    wait_for("the letter in the database", SOON, || {
        (postgres.query("SELECT count(*) FROM spool") == "1").then_some(())
    });
    let data_plane = site.wait_for_data_plane(None);
    node.kill();
    kill_process(data_plane, Signal::KILL).unwrap();
    drop(client);
    node = site.start_node();
    let mut client = comes_in(&site, &alice);
    let (sequence, number) = next_letter(&site, &mut client);
    assert_eq!(number, 7);
    client.send(&Command::MessageDelivered { sequence }).expect("the gateway reads");
    wait_for("an empty database", SOON, || (postgres.query("SELECT count(*) FROM spool") == "0").then_some(()));
    node.stop();
    site.is_quiet();
}

/// What a registered client has not acknowledged before a clean stop is there after it, and nothing else; mail for who has
/// never been here, too.
#[test]
fn mail_in_a_file_outlives_a_clean_stop() {
    let site = site("[Gateway]\n  EnableEphemeralClients = false\n[Gateway.UserDB]\n");
    let authority = site.start_authority();
    let mut node = site.start_node();
    let mut way = site.traffic(&authority);
    let (alice, bob) = (identity(&site, "alice"), identity(&site, "bob"));
    for (name, own) in [("alice", &alice), ("bob", &bob)] {
        assert_eq!(ctl(&site, &["ADD_USER", name, &hexadecimal(own)]), Ok(DONE.into()));
    }
    let mut client = comes_in(&site, &alice);
    is_served(&site, &mut client);
    for (to, number) in [(&alice, 7), (&bob, 9), (&alice, 8)] {
        send_letter(&site, &mut way, to, number);
    }
    let (sequence, number) = next_letter(&site, &mut client);
    assert_eq!(number, 7);
    client.send(&Command::MessageDelivered { sequence }).expect("the gateway reads");
    // The last one that was sent is with its client, which does not say so.
    assert_eq!(next_letter(&site, &mut client).1, 8);
    node.stop();
    site.is_quiet();
    drop((client, way));
    let mut node = site.start_node();
    for (own, expected) in [(&alice, 8), (&bob, 9)] {
        let mut client = comes_in(&site, own);
        let (sequence, number) = next_letter(&site, &mut client);
        assert_eq!(number, expected);
        client.send(&Command::MessageDelivered { sequence }).expect("the gateway reads");
        is_served(&site, &mut client);
    }
    let log = site.log();
    assert!(!log.contains(" ERRO ") && log.contains("their mail is kept in "), "{log}");
    node.stop();
    site.is_quiet();
}

#[test]
fn a_spool_of_the_reference_is_told_apart() {
    let folder = Folder::new();
    folder.edit("[Server]\n", "[Server]\n  IsGatewayNode = true\n");
    folder.edit("[Management]\n", "[Gateway]\n  EnableEphemeralClients = false\n[Gateway.UserDB]\n[Management]\n");
    folder.generate_keys();
    let mut bbolt = vec![0; 4096];
    bbolt[16..20].copy_from_slice(&0xED0C_DAED_u32.to_le_bytes());
    fs::write(folder.data("spool.db"), &bbolt).unwrap();
    folder.refuses(&["spool.db is a bbolt file of a reference server", "move it away", "Gateway.SpoolDB.Bolt.SpoolDB"]);
    assert_eq!(fs::read(folder.data("spool.db")).unwrap(), bbolt);
}
