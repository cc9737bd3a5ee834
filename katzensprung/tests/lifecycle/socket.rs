//! The management socket: what operators ask and order while packets pass, and what else comes to it.

use super::LONG;
use crate::support::program::{finish, program};
use crate::support::site::{SOON, Site};
use crate::support::traffic::{Packet, Traffic};
use crate::support::{free_address, wait_for};
use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;
use testnet::session::{Identity, Session};
use wire::Command;

/// Longer than the sending of some packets takes.
const DELAY: Duration = Duration::from_millis(500);

const UNKNOWN: &str = "500 Syntax error, command unrecognised";
const MALFORMED: &str = "501 Syntax error in parameters or arguments";

/// The JSON behind a code.
#[track_caller]
fn asked(site: &Site, command: &str, code: &str) -> Value {
    let answers = site.manage(&[command]);
    let json = answers[1].strip_prefix(code).unwrap_or_else(|| panic!("{answers:?}"));
    serde_json::from_str(json.trim_start()).expect("JSON")
}

/// What `ctl` prints, or its complaint.
fn ctl(site: &Site, words: &[&str]) -> Result<String, String> {
    // The socket by its path: the configuration file may be spoilt.
    let socket = site.management_socket();
    let outcome = finish(program().args(["ctl", "--socket"]).arg(socket).args(words));
    if outcome.status.success() { Ok(outcome.stdout) } else { Err(outcome.stderr) }
}

/// The peer in that direction.
fn peer<'a>(answer: &'a Value, direction: &str) -> &'a Value {
    let peers = answer["peers"].as_array().expect("a list");
    peers.iter().find(|peer| peer["direction"] == direction).unwrap_or_else(|| panic!("{answer}"))
}

#[test]
fn links_keys_and_loops_are_told() {
    let site = Site::new(LONG);
    let authority = site.start_authority();
    let mut node = site.start_node();
    // Who may connect and has not.
    let absent = |answer: &Value| -> Vec<String> {
        let peers = answer["peers"].as_array().expect("a list").iter();
        let absent = peers.filter(|peer| peer["state"] == "absent" && peer["direction"] == "incoming");
        absent.map(|peer| peer["name"].as_str().expect("a name").to_owned()).collect()
    };
    let before = wait_for("the documents", SOON, || {
        Some(absent(&asked(&site, "PEERS", "250 "))).filter(|absent| !absent.is_empty())
    });
    let (mut traffic, descriptor, epoch) = site.traffic(&authority);
    let packets = traffic.packets(&descriptor, epoch, 20);
    traffic.pass(&packets);

    let answer = wait_for("both links with their packets", SOON, || {
        let answer = asked(&site, "PEERS", "250 ");
        let passed = answer["peers"].as_array()?.iter().filter(|peer| peer["all"]["packets"] == 20).count();
        (passed == 2).then_some(answer)
    });
    assert_eq!(answer["epoch"], site.network.epoch().0);
    for direction in ["incoming", "outgoing"] {
        let peer = peer(&answer, direction);
        let said = [&peer["state"], &peer["may_send"], &peer["slow"], &peer["queued"], &peer["all"]["too_late"]];
        assert_eq!(said, [&json!("up"), &json!(true), &json!(false), &json!(0), &json!(0)], "{peer}");
        assert!(peer["last_packet_ms"].as_u64() <= peer["state_ms"].as_u64() && peer["name"].is_string(), "{peer}");
    }
    let names = ["incoming", "outgoing"].map(|direction| &peer(&answer, direction)["name"]);
    let come: Vec<_> = before.iter().filter(|name| !absent(&answer).contains(name)).collect();
    assert_eq!(come, [names[0].as_str().unwrap()], "of those that were absent one has come");
    let text = ctl(&site, &["peers"]).unwrap();
    for name in names {
        assert!(text.contains(name.as_str().unwrap()), "{text}");
    }
    assert!(!text.contains("127.0.0.1"), "{text}");

    let answer = asked(&site, "KEYS", "250 ");
    let current = site.network.epoch().0;
    let keys = answer["keys"].as_array().unwrap();
    let epochs: Vec<_> = keys.iter().map(|key| key["epoch"].as_u64().unwrap()).collect();
    assert_eq!(epochs, [current, current + 1, current + 2, current + 3]);
    let seen: u64 = keys.iter().map(|key| key["replay_tags"].as_u64().unwrap()).sum();
    assert_eq!((seen, &keys[1]["replay_tags"], &keys[1]["use"]), (20, &json!(20), &json!("next")));
    assert_eq!(answer["next"]["epoch"], current + 4);
    assert!(answer["locked_in_memory"].is_boolean() && answer["written_at_a_stop_to"].is_null(), "{answer}");
    assert!(ctl(&site, &["Keys"]).unwrap().contains("Server.PersistMixKeysOnShutdown is false"));

    let answer = asked(&site, "LOOPS", "250 ");
    assert_eq!((&answer["sent_at_all"], &answer["loops"]), (&json!(false), &json!([])));
    assert!(ctl(&site, &["LOOPS"]).unwrap().contains("Debug.SendDecoyTraffic"));
    let json: Value = serde_json::from_str(&ctl(&site, &["LOOPS", "--json"]).unwrap()).expect("JSON");
    assert_eq!(json, answer);
    assert!(!site.log().contains(" ERRO "), "{}", site.log());
    node.stop();
    site.is_quiet();
}

#[test]
fn a_peer_that_reads_nothing_is_called_slow() {
    let metrics = free_address();
    let site = Site::new(LONG);
    site.folder.edit("[Server]\n", &format!("[Server]\n  MetricsAddress = \"{metrics}\"\n"));
    site.narrow();
    let authority = site.start_authority();
    let mut node = site.start_node();
    let (mut traffic, descriptor, epoch) = site.traffic(&authority);
    let page = |path: &str| {
        let mut stream = TcpStream::connect(metrics).expect("metrics");
        stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).expect("a request");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("an answer");
        text
    };
    let first = traffic.packets(&descriptor, epoch, 10);
    traffic.pass(&first);
    assert!(page("/metrics").contains("\nkatzensprung_links_slow 0\n"));
    traffic.set_deaf(true);
    // More than the connection and the link take.
    let packets = traffic.packets(&descriptor, epoch, 1500);
    traffic.send(&packets);
    let slow = wait_for("a slow peer", SOON * 3, || {
        let answer = asked(&site, "PEERS", "250 ");
        let found = peer(&answer, "outgoing").clone();
        (found["slow"] == true && found["lately"]["too_late"].as_u64() > Some(0)).then_some(found)
    });
    assert_eq!(
        (&slow["state"], peer(&asked(&site, "PEERS", "250 "), "incoming")["slow"] == true),
        (&json!("up"), false)
    );
    assert!(ctl(&site, &["PEERS"]).unwrap().contains("SLOW: "));
    wait_for("the metric", SOON, || page("/metrics").contains("\nkatzensprung_links_slow 1\n").then_some(()));
    assert!(page("/").contains("links to 1 nodes are slow"));
    traffic.set_deaf(false);
    node.stop();
    site.is_quiet();
}

#[test]
fn reload_takes_over_what_it_can_and_names_the_rest() {
    let site = Site::new(LONG);
    site.folder.edit("\"INFO\"", "\"NOTICE\"");
    let authority = site.start_authority();
    let mut node = site.start_node();
    let (mut traffic, descriptor, epoch) = site.traffic(&authority);
    let packets: Vec<Packet> = traffic.packets(&descriptor, epoch, 40);
    let mut passed = packets.chunks(10);
    let mut pass = |traffic: &mut Traffic| traffic.pass(passed.next().unwrap());
    let config = fs::read_to_string(site.folder.config()).unwrap();
    let nothing = json!({
        "file": site.folder.config().display().to_string(), "changed": [], "needs_restart": [], "findings": [],
    });
    assert_eq!(asked(&site, "RELOAD", "250 "), nothing);
    assert!(ctl(&site, &["RELOAD"]).unwrap().contains("says what it said before"));
    pass(&mut traffic);

    // A file that no node would start with changes nothing, and the answer says what to mend.
    let line = 1 + config.lines().position(|line| line.contains("Level = ")).unwrap();
    let bad =
        config.replace("\"NOTICE\"", "\"loud\"").replace("[Management]", "[Debug]\n  SendSlack = \"x\"\n[Management]");
    fs::write(site.folder.config(), bad).unwrap();
    let answer = asked(&site, "RELOAD", "554 ");
    let findings = answer["findings"].as_array().unwrap();
    let level = findings.iter().find(|finding| finding["key"] == "Logging.Level").unwrap();
    assert_eq!((&level["severity"], &level["line"], &level["file"]), (&json!("error"), &json!(line), &nothing["file"]));
    assert!(level["problem"].as_str().unwrap().contains("'loud'"), "{level}");
    assert!(level["remedy"].as_str().unwrap().contains("DEBUG"), "{level}");
    assert!(findings.iter().any(|finding| finding["key"] == "Debug.SendSlack"), "{answer}");
    let complaint = ctl(&site, &["RELOAD"]).unwrap_err();
    assert!(complaint.contains("Logging.Level") && complaint.contains(&format!(":{line}")), "{complaint}");
    fs::remove_file(site.folder.config()).unwrap();
    assert_eq!(asked(&site, "RELOAD", "554 ")["findings"][0]["file"], nothing["file"]);
    site.wait_for_log("WARN config: the configuration stays as it was", 3);
    pass(&mut traffic);

    // What counts at once, and what does not.
    let good = config
        .replace("\"NOTICE\"", "\"info\"")
        .replace("[Management]", "[Debug]\n  SendSlack = 60\n  ConnectTimeout = 1000\n[Management]");
    fs::write(site.folder.config(), &good).unwrap();
    assert!(!site.log().contains(" INFO incoming"), "{}", site.log());
    let own = "[dataplane]\nshards = 1\nslots = 2048\n";
    fs::write(site.folder.own_config(), own).unwrap();
    let answer = asked(&site, "RELOAD", "250 ");
    let changed = json!([
        { "key": "Logging.Level", "from": "NOTICE", "to": "INFO" },
        { "key": "Debug.SendSlack", "from": "50 ms", "to": "60 ms" },
    ]);
    assert_eq!(
        (&answer["changed"], &answer["needs_restart"]),
        (&changed, &json!(["Debug.ConnectTimeout", "dataplane.slots"]))
    );
    site.wait_for_log("NOTI config: Debug.SendSlack: 60 ms instead of 50 ms", 1);
    site.wait_for_log("waits for a restart: Debug.ConnectTimeout, dataplane.slots", 1);
    traffic.dial_again();
    site.wait_for_log("INFO incoming: link up", 1);
    pass(&mut traffic);
    let answer = asked(&site, "reload", "250 ");
    assert_eq!(
        (&answer["changed"], &answer["needs_restart"]),
        (&json!([]), &json!(["Debug.ConnectTimeout", "dataplane.slots"]))
    );
    assert!(!site.log().contains(" ERRO "), "{}", site.log());
    node.stop();
    site.is_quiet();
}

#[test]
fn a_refusal_is_told_to_tools_and_says_where_to_ask() {
    let site = Site::new(LONG);
    let mut node = site.start_node();
    let answers = site.manage(&["HELP"]);
    assert!(answers[1].starts_with("214 "), "{answers:?}");
    fs::write(site.folder.config(), "[Unknown]\n").unwrap();
    // For tools the answer is where a good one would be.
    let outcome = finish(program().args(["ctl", "--json", "--socket"]).arg(site.management_socket()).arg("RELOAD"));
    assert_eq!((outcome.status.code(), outcome.stderr.as_str()), (Some(1), ""));
    assert_eq!(serde_json::from_str::<Value>(&outcome.stdout).unwrap(), asked(&site, "RELOAD", "554 "));
    let outcome = finish(program().arg("ctl").arg("-f").arg(site.folder.config()).arg("RELOAD"));
    assert!(!outcome.status.success() && outcome.stderr.contains("--socket"), "{}", outcome.stderr);
    node.stop();
}

#[test]
fn a_limit_counts_at_once_and_for_whoever_goes_on_with_the_data_plane() {
    let site = Site::new(LONG);
    let authority = site.start_authority();
    let mut node = site.start_node();
    let (mut traffic, descriptor, epoch) = site.traffic(&authority);
    let data_plane = site.wait_for_data_plane(None);
    let wide = fs::read_to_string(site.folder.config()).unwrap();
    let narrow = wide.replace("[Management]", "[Debug]\n  SchedulerQueueSize = 1\n[Management]");
    // How many of ten packets are dropped.
    let delayed = |traffic: &mut Traffic| -> u64 {
        let packets = traffic.packets_with_delay(&descriptor, epoch, 10, DELAY);
        let ended = || ["sent", "dropped"].map(|end| site.status()["packets"][end].as_u64().unwrap());
        let before = ended();
        traffic.send(&packets);
        let [sent, dropped] = wait_for("the packets", SOON, || {
            let now = ended();
            (now[0] + now[1] == before[0] + before[1] + 10).then_some([now[0] - before[0], now[1] - before[1]])
        });
        (0..sent).for_each(|_| drop(traffic.next(SOON).expect("a packet that was sent")));
        dropped
    };
    assert_eq!(delayed(&mut traffic), 0);
    fs::write(site.folder.config(), &narrow).unwrap();
    assert_eq!(asked(&site, "RELOAD", "250 ")["changed"][0]["key"], "Debug.SchedulerQueueSize");
    assert!(delayed(&mut traffic) > 0, "more than one waits at a time");
    fs::write(site.folder.config(), &wide).unwrap();
    assert_eq!(asked(&site, "RELOAD", "250 ")["changed"][0]["to"], "unlimited");
    assert_eq!(delayed(&mut traffic), 0);
    // Whoever goes on with a data plane has it go by what its own file says.
    fs::write(site.folder.config(), &narrow).unwrap();
    node.kill();
    node = site.start_node();
    site.wait_for_log("going on with the data plane that is at work", 1);
    wait_for("the other limit", SOON, || (delayed(&mut traffic) > 0).then_some(()));
    assert_eq!(site.data_plane(), Some(data_plane));
    assert!(!site.log().contains(" ERRO "), "{}", site.log());
    node.stop();
    site.is_quiet();
}

/// Nothing stays of values that were refused, though the supervisor had them and could not look at them.
#[test]
fn what_is_not_taken_over_is_taken_back() {
    let site = Site::new(LONG);
    site.folder.run_as_two_units();
    let authority = site.start_authority();
    let mut plane = site.start_data_plane_with(&[]);
    let mut node = site.start_node();
    let (mut traffic, descriptor, epoch) = site.traffic(&authority);
    let packets = traffic.packets_with_delay(&descriptor, epoch, 10, DELAY);
    // One that has lived for long is waited for at once.
    std::thread::sleep(Duration::from_millis(1500));
    let config = fs::read_to_string(site.folder.config()).unwrap();
    let narrow = config.replace("[Management]", "[Debug]\n  SchedulerQueueSize = 1\n[Management]");
    fs::write(site.folder.config(), narrow).unwrap();
    plane.kill();
    site.wait_for_log("starting another", 1);
    let answer = asked(&site, "RELOAD", "554 ");
    assert!(answer["findings"][0]["problem"].as_str().unwrap().contains("does not take it over"), "{answer}");
    let mut plane = site.start_data_plane_with(&[]);
    site.wait_for_log("the data plane is back", 1);
    traffic.relink();
    fs::write(site.folder.config(), &config).unwrap();
    assert_eq!(asked(&site, "RELOAD", "250 ")["changed"], json!([]));
    traffic.pass(&packets);

    // A pipe has no end: it is not read, and keeps nothing from its end.
    fs::remove_file(site.folder.config()).unwrap();
    let (folder, mode) = (rustix::fs::CWD, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR);
    rustix::fs::mknodat(folder, site.folder.config(), rustix::fs::FileType::Fifo, mode, 0).unwrap();
    assert_eq!(asked(&site, "RELOAD", "554 ")["findings"][0]["problem"], "is no file");
    node.stop();
    assert_eq!(plane.wait().code(), Some(0));
}

/// A client's session.
fn connect(site: &Site) -> Session {
    let own = Identity::generate(*b"0123456789abcdef0123456789abcdef", site.network.kem).expect("a link key");
    wait_for("a gateway that takes clients", SOON, || {
        let stream = TcpStream::connect(site.folder.address).ok()?;
        Session::establish(stream, &site.network.client_session(), &own, |peer| *peer == site.credentials).ok()
    })
}

/// Packets that were received and dropped.
fn counted(site: &Site) -> (u64, u64) {
    let packets = &site.status()["packets"];
    (packets["received"].as_u64().unwrap(), packets["dropped"].as_u64().unwrap())
}

#[test]
fn the_rate_of_clients_changes_while_they_send() {
    let site = Site::of_gateway(LONG * 10);
    let authority = site.start_authority();
    let mut node = site.start_node();
    let (traffic, descriptor, epoch) = site.traffic(&authority);
    site.wait_for_document();
    let mut client = connect(&site);
    let data_plane = site.wait_for_data_plane(None);
    let packets = traffic.packets(&descriptor, epoch, 140);
    let mut batches = packets.chunks(20);
    // How many of twenty packets are dropped.
    let mut dropped_of = |client: &mut Session| {
        let before = counted(&site);
        for packet in batches.next().unwrap() {
            client.send(&Command::SendPacket { packet: packet.before() }).expect("the gateway reads");
        }
        wait_for("the packets", SOON, || (counted(&site).0 == before.0 + 20).then_some(()));
        counted(&site).1 - before.1
    };
    let mut dropped = || dropped_of(&mut client);
    let order = |line: &str| site.manage(&[line]).remove(1);

    assert_eq!(order("SEND_RATE 0"), "250 0");
    assert_eq!(dropped(), 0, "without a limit");
    assert_eq!(order("send_rate 1"), "250 1");
    // One token to begin with; another one comes in a minute.
    assert!((18..=19).contains(&dropped()), "one in a minute");
    for (line, answer) in [("SEND_RATE", MALFORMED), ("SEND_RATE x", MALFORMED), ("SEND_BURST 0", MALFORMED)] {
        assert_eq!(order(line), answer);
    }
    assert_eq!(order("SEND_BURST 5"), "250 5");

    // The file switches the limit off and on again, under the clients' feet.
    let config = fs::read_to_string(site.folder.config()).unwrap();
    fs::write(site.folder.config(), config.replace("[Management]", "[Debug]\n  DisableRateLimit = true\n[Management]"))
        .unwrap();
    let answer = asked(&site, "RELOAD", "250 ");
    assert_eq!(answer["changed"], json!([{ "key": "Debug.DisableRateLimit", "from": "false", "to": "true" }]));
    assert_eq!(dropped(), 0, "{answer}");
    assert_eq!(order("SEND_RATE 5"), "554 Transaction failed: Debug.DisableRateLimit is true");
    fs::write(site.folder.config(), &config).unwrap();
    assert_eq!(asked(&site, "RELOAD", "250 ")["changed"][0]["to"], "false");
    assert!((18..=19).contains(&dropped()), "what was ordered holds again");
    assert!(ctl(&site, &["SEND_RATE", "2"]).unwrap().contains("250 2"));

    // What was ordered goes with the data plane's successor, too.
    rustix::process::kill_process(data_plane, rustix::process::Signal::KILL).unwrap();
    site.wait_for_log("the data plane is back", 1);
    let mut client = connect(&site);
    assert!((18..=19).contains(&dropped_of(&mut client)), "one in half a minute");
    assert_eq!(order("SEND_RATE 0"), "250 0");
    assert_eq!(dropped_of(&mut client), 0, "without a limit");
    assert!(site.log().contains("how clients may send packets in a minute: 2"), "{}", site.log());
    node.stop();
    site.is_quiet();
}

#[test]
fn only_gateways_have_a_rate() {
    let site = Site::new(LONG);
    let mut node = site.start_node();
    let answers = site.manage(&["SEND_RATE 5", "SEND_BURST 5", "PEERS now", "RELOAD now", "KEYS 1", "LOOPS ?"]);
    assert_eq!(answers[1..], [UNKNOWN, UNKNOWN, MALFORMED, MALFORMED, MALFORMED, MALFORMED]);
    // Without a document there are no links, and keys are there all the same.
    assert_eq!(asked(&site, "PEERS", "250 ")["peers"], json!([]));
    node.stop();
}

/// Whatever comes to the socket, whoever asks next is answered, and packets pass.
#[test]
fn garbage_half_lines_and_crowds_are_borne() {
    let site = Site::new(LONG);
    let authority = site.start_authority();
    let mut node = site.start_node();
    let (mut traffic, descriptor, epoch) = site.traffic(&authority);
    let packets = traffic.packets(&descriptor, epoch, 40);
    let open = || {
        wait_for("room in the queue", SOON, || {
            let stream = UnixStream::connect(site.management_socket()).ok()?;
            stream.set_read_timeout(Some(SOON)).ok()?;
            Some(stream)
        })
    };
    let said = |mut stream: &UnixStream| {
        let mut text = String::new();
        // One that is closed in the middle of what it says has said that.
        let _reset = stream.read_to_string(&mut text);
        text
    };

    // Bytes that are no text, with and without an end.
    let noise: Vec<u8> = (0..200_000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let stream = open();
    let (mut writer, copy) = (stream.try_clone().unwrap(), noise.clone());
    let writing = std::thread::spawn(move || {
        let _closed = writer.write_all(&copy);
        let _closed = writer.shutdown(std::net::Shutdown::Write);
    });
    let text = said(&stream);
    writing.join().unwrap();
    let ends = noise.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(text.matches(UNKNOWN).count(), ends, "an answer for each line");
    let stream = open();
    let endless: Vec<u8> = noise.iter().map(|byte| byte | 0x80).collect();
    let _closed = (&stream).write_all(&endless);
    assert!(said(&stream).matches(UNKNOWN).count() <= 1, "the line has no end, and the connection one");
    traffic.pass(&packets[..20]);

    // Five hundred at once, each with the beginning of a command.
    let crowd: Vec<UnixStream> = (0..500).map(|_| open()).collect();
    for mut stream in &crowd {
        let _closed = stream.write_all(b"STAT");
    }
    assert_eq!(site.status()["state"], "running");
    assert!(ctl(&site, &["PEERS"]).is_ok());
    traffic.pass(&packets[20..]);
    // The last of them are served still; those before have made room.
    let (first, last) = (&crowd[0], &crowd[499]);
    let mut writer = last;
    writer.write_all(b"US\r\nQUIT\r\n").unwrap();
    assert!(said(last).contains("\r\n250 {"), "half a line waits for the rest");
    assert!(!said(first).contains("250 "));
    drop(crowd);
    assert!(site.manage(&["QUIT"])[1].starts_with("250 "));
    assert!(node.runs() && !site.log().contains(" ERRO "), "{}", site.log());
    node.stop();
    site.is_quiet();
}
