use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Default)]
struct Counting {
    shutdowns: AtomicUsize,
    drains: AtomicUsize,
    has_services: bool,
    has_users: bool,
    has_clients: bool,
}

impl Node for Counting {
    fn shut_down(&self) {
        self.shutdowns.fetch_add(1, Ordering::Relaxed);
    }

    fn drain(&self) {
        self.drains.fetch_add(1, Ordering::Relaxed);
    }

    fn status(&self) -> String {
        "{\"epoch\":7}".into()
    }

    fn look(&self, at: Look) -> Line {
        Box::pin(std::future::ready(format!("250 {{\"of\":\"{at:?}\"}}")))
    }

    fn reload(&self) -> Line {
        Box::pin(std::future::ready("554 {}".into()))
    }

    fn has_clients(&self) -> bool {
        self.has_clients
    }

    fn limit(&self, limit: Limit) -> Line {
        Box::pin(std::future::ready(format!("250 {limit:?}")))
    }

    fn has_services(&self) -> bool {
        self.has_services
    }

    fn start_service(&self, capability: String) -> Done {
        Box::pin(std::future::ready(capability == "echo"))
    }

    fn stop_service(&self, capability: String) -> Done {
        Box::pin(std::future::ready(capability == "testdest"))
    }

    fn has_users(&self) -> bool {
        self.has_users
    }

    fn order_users(&self, command: String, arguments: String) -> Line {
        Box::pin(std::future::ready(format!("250 {command} {arguments}")))
    }
}

/// The commands of server.md 9.4 are unknown where there is no user database, as they are at the reference.
#[tokio::test]
async fn orders_about_users_need_a_database() {
    let with = Counting { has_users: true, ..Counting::default() };
    for command in [
        "ADD_USER",
        "UPDATE_USER",
        "REMOVE_USER",
        "SET_USER_IDENTITY",
        "REMOVE_USER_IDENTITY",
        "USER_IDENTITY",
        "USER_LINK",
    ] {
        let line = format!("{} alice 00\r\n", command.to_lowercase());
        assert_eq!(answer(&with, &line).await.line, format!("250 {command} alice 00"));
        assert_eq!(answer(&Counting::default(), &line).await.line, "500 Syntax error, command unrecognised");
    }
}

/// Those of server.md 9.4 about the rate are there where there are clients.
#[tokio::test]
async fn clients_are_limited_by_a_number() {
    let gateway = Counting { has_clients: true, ..Counting::default() };
    for (line, expected) in [
        ("SEND_RATE 100\n", "250 PerMinute(100)"),
        ("send_rate 0", "250 PerMinute(0)"),
        ("SEND_BURST 7\r\n", "250 Burst(7)"),
        ("SEND_BURST 0", MALFORMED),
        ("SEND_RATE", MALFORMED),
        ("SEND_RATE -1", MALFORMED),
        ("SEND_RATE +1", MALFORMED),
        ("SEND_RATE 1 2", MALFORMED),
        ("SEND_RATE 4294967296", MALFORMED),
        ("SEND_BURST x", MALFORMED),
    ] {
        assert_eq!(answer(&gateway, line).await.line, expected, "{line}");
        assert_eq!(answer(&Counting::default(), line).await.line, UNKNOWN, "{line}");
    }
}

#[tokio::test]
async fn what_can_be_looked_at_takes_no_arguments() {
    let node = Counting::default();
    for (command, expected) in [
        ("peers", "250 {\"of\":\"Peers\"}"),
        ("KEYS", "250 {\"of\":\"Keys\"}"),
        ("Loops", "250 {\"of\":\"Loops\"}"),
        ("RELOAD", "554 {}"),
    ] {
        assert_eq!(answer(&node, command).await.line, expected);
        assert_eq!(answer(&node, &format!("{command} now")).await.line, MALFORMED);
        assert!(answer(&node, "HELP").await.line.contains(&command.to_uppercase()));
    }
}

/// The answers of server.md 9.3.
#[tokio::test]
async fn services_are_started_and_stopped_by_their_capabilities() {
    let node = Counting { has_services: true, ..Counting::default() };
    for (line, expected) in [
        ("START_KAETZCHEN echo\n", "250 echo"),
        ("start_kaetzchen testdest", "554 Transaction failed"),
        ("STOP_KAETZCHEN testdest\r\n", "250 testdest"),
        ("Stop_Kaetzchen echo", "554 Transaction failed"),
        ("START_KAETZCHEN", "501 Syntax error in parameters or arguments"),
        ("START_KAETZCHEN  echo", "501 Syntax error in parameters or arguments"),
        ("STOP_KAETZCHEN echo now", "501 Syntax error in parameters or arguments"),
    ] {
        assert_eq!(answer(&node, line).await.line, expected, "{line}");
    }
    let mix = Counting::default();
    assert_eq!(answer(&mix, "START_KAETZCHEN echo").await.line, "500 Syntax error, command unrecognised");
}

#[tokio::test]
async fn commands_are_matched_without_regard_to_case_and_retired_ones_are_unknown() {
    let node = Counting::default();
    assert_eq!(answer(&node, " status \r\n").await.line, "250 {\"epoch\":7}");
    assert_eq!(answer(&node, "STATUS now\n").await.line, "501 Syntax error in parameters or arguments");
    assert!(answer(&node, "quit\n").await.closes);
    for unknown in ["", "ADD_USER alice key", "SEND_RATE 5", "\u{0}\u{1}"] {
        assert_eq!(answer(&node, unknown).await.line, "500 Syntax error, command unrecognised");
    }
    assert!(
        answer(&node, "help").await.line.starts_with("214 ") && answer(&node, "HELP").await.line.contains("STATUS")
    );
    for arguments in ["SHUTDOWN now", "drain it", "shutdown extra words", "HELP me"] {
        assert_eq!(answer(&node, arguments).await.line, "501 Syntax error in parameters or arguments");
    }
    assert_eq!(node.shutdowns.load(Ordering::Relaxed), 0);
    answer(&node, "Shutdown").await;
    answer(&node, "Drain").await;
    assert_eq!([&node.shutdowns, &node.drains].map(|calls| calls.load(Ordering::Relaxed)), [1, 1]);
}

#[tokio::test]
async fn a_script_that_closes_its_side_after_one_line_gets_its_answer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("management_sock");
    let log = Log::silent();
    std::fs::write(&path, "somebody's").unwrap();
    assert!(!remove_stale(&path, &log).unwrap());
    assert!(Socket::bind(&path, &log).is_err());
    assert_eq!(std::fs::read(&path).unwrap(), b"somebody's");
    std::fs::remove_file(&path).unwrap();
    // A socket's file outlives its socket.
    drop(UnixListener::bind(&path).unwrap());
    let socket = Socket::bind(&path, &log).unwrap();
    let server = tokio::spawn(serve(socket, "mix1".into(), Arc::new(Counting::default()), log));
    let mut stream = UnixStream::connect(&path).await.unwrap();
    stream.write_all(b"STATUS\n").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut received = String::new();
    stream.read_to_string(&mut received).await.unwrap();
    assert_eq!(received, "220 mix1 Katzenpost Management Interface Service ready\r\n250 {\"epoch\":7}\r\n");
    server.abort();
    let _aborted = server.await;
    assert!(!path.exists());
}

#[tokio::test]
async fn a_long_path_and_many_connections_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let long = folder.path().join("a".repeat(120));
    std::fs::create_dir(&long).unwrap();
    let path = long.join("management_sock");
    let socket = Socket::bind(&path, &Log::silent()).unwrap();
    let server = tokio::spawn(serve(socket, "mix1".into(), Arc::new(Counting::default()), Log::silent()));
    let short = SocketPath::of(&path).unwrap();
    let mut idle = Vec::new();
    for _ in 0..2 * CONNECTIONS_MAX {
        let mut stream = UnixStream::connect(short.as_path()).await.unwrap();
        let mut greeting = [0; 3];
        stream.read_exact(&mut greeting).await.unwrap();
        assert_eq!(&greeting, b"220");
        idle.push(stream);
    }
    // The oldest made room.
    let mut rest = String::new();
    idle[0].read_to_string(&mut rest).await.unwrap();
    assert!(rest.ends_with("ready\r\n"), "{rest}");
    server.abort();
    let _aborted = server.await;
    assert!(!path.exists());
}

#[tokio::test]
async fn a_socket_at_which_somebody_listens_is_not_ours_to_remove() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("management_sock");
    let log = Log::silent();
    let theirs = UnixListener::bind(&path).unwrap();
    assert!(remove_stale(&path, &log).unwrap());
    let error = Socket::bind(&path, &log).err().unwrap();
    assert!(error.to_string().contains("another program serves there"), "{error}");
    UnixStream::connect(&path).await.unwrap();
    drop(theirs);
    let ours = Socket::bind(&path, &log).unwrap();
    // Somebody else's by now: it stays when ours goes.
    std::fs::remove_file(&path).unwrap();
    let theirs = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    drop(ours);
    assert!(path.exists());
    assert!(remove_stale(&path, &log).unwrap(), "a socket of another type is served too");
    drop(theirs);
    assert!(!remove_stale(&path, &log).unwrap());
    assert!(!path.exists());
}
