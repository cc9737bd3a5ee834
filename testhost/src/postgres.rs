//! A PostgreSQL of a test's own: made, started, stopped, frozen and killed as the test wants, at a port of its own.

use crate::disk::SmallDisk;
use std::fs::{self, Permissions};
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Who runs it where the test is root, as whom it would refuse to run.
const NOBODY: u32 = 65_534;
/// How long it may take to start or to end.
const LIMIT: Duration = Duration::from_secs(60);

/// A server, which ends with this, and its folder, which is then removed.
pub struct Postgres {
    folder: PathBuf,
    programs: PathBuf,
    port: u16,
    server: Option<Child>,
}

impl Postgres {
    /// A new one that runs, without a schema; none, said as [`lacks_tool`](crate::lacks_tool) says it, where there is no
    /// PostgreSQL.
    #[must_use]
    pub fn start() -> Option<Self> {
        let mut postgres = Self::make()?;
        postgres.run();
        Some(postgres)
    }

    /// The same with TLS, by a certificate for `localhost` that an authority of its own has signed; none where there is no
    /// `openssl` either.
    #[must_use]
    pub fn start_with_tls() -> Option<Self> {
        if Command::new("openssl").arg("version").output().is_err() {
            crate::lacks_tool("openssl");
            return None;
        }
        let mut postgres = Self::make()?;
        postgres.make_certificates();
        let configuration = "ssl = on\nssl_cert_file = '../host.pem'\nssl_key_file = '../host.key'\n";
        let path = postgres.data().join("postgresql.conf");
        let usual = fs::read_to_string(&path).expect("its configuration");
        fs::write(&path, usual + configuration).expect("its configuration");
        postgres.run();
        Some(postgres)
    }

    /// The certificate of the authority that has signed the server's.
    pub fn authority(&self) -> PathBuf {
        self.folder.join("authority.pem")
    }

    /// One whose folder is there.
    fn make() -> Option<Self> {
        let Some(programs) = programs() else {
            crate::lacks_tool("postgres");
            return None;
        };
        let port = TcpListener::bind(("127.0.0.1", 0)).and_then(|free| free.local_addr()).expect("a free port").port();
        let folder = std::env::temp_dir().join(format!("katzensprung-postgres-{}-{port}", std::process::id()));
        fs::create_dir(&folder).expect("a folder");
        fs::set_permissions(&folder, Permissions::from_mode(0o711)).expect("its mode");
        let postgres = Self { folder, programs, port, server: None };
        let data = postgres.data();
        fs::create_dir(&data).expect("a folder");
        if is_root(&data) {
            chown(&data, Some(NOBODY), Some(NOBODY)).expect("its owner");
        }
        let mut make = postgres.command("initdb");
        make.args(["-A", "trust", "-U", "gateway", "--no-sync", "-D"]).arg(&data);
        assert!(make.output().expect("initdb runs").status.success(), "initdb fails");
        Some(postgres)
    }

    fn make_certificates(&self) {
        let run = |arguments: &str| {
            let mut openssl = Command::new("openssl");
            openssl.current_dir(&self.folder).args(arguments.split(' '));
            let output = openssl.output().expect("openssl runs");
            assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
        };
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
        run(&format!("req -x509 {key} -days 2 -subj /CN=authority -keyout authority.key -out authority.pem"));
        run(&format!("req -new {key} -subj /CN=localhost -keyout host.key -out host.csr"));
        fs::write(self.folder.join("names"), "subjectAltName=DNS:localhost\n").expect("a file");
        let by = "-CA authority.pem -CAkey authority.key -CAcreateserial";
        run(&format!("x509 -req -in host.csr {by} -days 2 -extfile names -out host.pem"));
        let key = self.folder.join("host.key");
        fs::set_permissions(&key, Permissions::from_mode(0o600)).expect("its mode");
        if is_root(&self.data()) {
            chown(&key, Some(NOBODY), Some(NOBODY)).expect("its owner");
        }
    }

    /// Lets all tables of a script that follows be on another disk.
    #[track_caller]
    pub fn move_to(&self, disk: &SmallDisk) {
        let place = disk.path().join("tables");
        fs::create_dir(&place).expect("a folder");
        if is_root(&place) {
            chown(&place, Some(NOBODY), Some(NOBODY)).expect("its owner");
        }
        self.query(&format!("CREATE TABLESPACE elsewhere LOCATION '{}'", place.display()));
        self.query("ALTER SYSTEM SET default_tablespace = 'elsewhere'");
        self.query("SELECT pg_reload_conf()");
    }

    /// Starts it where it does not run, and waits until it answers.
    pub fn run(&mut self) {
        let mut server = self.command("postgres");
        server.arg("-D").arg(self.data()).args(["-p", &self.port.to_string(), "-c", "listen_addresses=127.0.0.1"]);
        server.args(["-c", "unix_socket_directories=.", "-c", "max_connections=50"]);
        server.stdout(Stdio::null()).stderr(Stdio::null());
        self.server = Some(server.spawn().expect("postgres starts"));
        self.wait_until("it answers", |this| this.try_query("SELECT 1").is_some());
    }

    /// How it is reached.
    pub fn source(&self) -> String {
        format!("postgresql://gateway:secret@127.0.0.1:{}/postgres", self.port)
    }

    /// The folder of its socket.
    pub fn sockets(&self) -> PathBuf {
        self.data()
    }

    /// Its port on this host.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Runs a script in it.
    #[track_caller]
    pub fn load(&self, script: &str) {
        let mut psql = self.psql();
        psql.arg("-1").stdin(Stdio::piped()).stdout(Stdio::null());
        let mut child = psql.spawn().expect("psql starts");
        child.stdin.take().expect("a pipe").write_all(script.as_bytes()).expect("psql reads");
        assert!(child.wait().expect("psql ends").success(), "the script fails");
    }

    /// What it answers to a query, without spaces at the ends.
    #[track_caller]
    pub fn query(&self, query: &str) -> String {
        self.try_query(query).unwrap_or_else(|| panic!("{query} fails"))
    }

    /// Ends it as nothing can prevent, with all its processes.
    pub fn kill(&mut self) {
        self.signal("-KILL");
        self.reap();
        // What has lost its parent ends by itself; until then nobody else may have the folder.
        let _gone_already = fs::remove_file(self.data().join("postmaster.pid"));
    }

    /// Lets it stand still, with what it has been asked.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    /// To it and to those that it has started.
    fn signal(&self, signal: &str) {
        let Some(server) = &self.server else { return };
        let pid = server.id().to_string();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        let all = std::iter::once(pid.as_str()).chain(children.split_whitespace());
        let _some_have_ended = Command::new("kill").arg(signal).args(all).stderr(Stdio::null()).status();
    }

    fn reap(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ended = server.wait();
        }
    }

    fn psql(&self) -> Command {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", "gateway"]);
        psql.args(["-p", &self.port.to_string(), "-d", "postgres"]).stderr(Stdio::null());
        psql
    }

    fn try_query(&self, query: &str) -> Option<String> {
        let output = self.psql().args(["-c", query]).output().expect("psql runs");
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    fn wait_until(&mut self, what: &str, mut is_so: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + LIMIT;
        while !is_so(self) {
            let ended = self.server.as_mut().and_then(|server| server.try_wait().ok().flatten());
            assert!(ended.is_none(), "postgres ends: {ended:?}");
            assert!(Instant::now() < deadline, "postgres: {what}: not within {LIMIT:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// One of its programs, as somebody as whom it runs.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.current_dir(&self.folder).stdin(Stdio::null());
        if is_root(&self.folder) {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.kill();
        let _gone_already = fs::remove_dir_all(&self.folder);
    }
}

/// Where the newest one is installed, beside the places for programs too.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<_> = versions.map(|version| version.path().join("bin")).collect();
    folders.sort();
    folders.extend(["/usr/local/bin", "/usr/bin"].map(PathBuf::from));
    let has_all = |folder: &PathBuf| ["initdb", "postgres", "psql"].iter().all(|name| folder.join(name).exists());
    folders.into_iter().rev().find(has_all)
}

/// Whether what this process makes is root's.
fn is_root(made: &Path) -> bool {
    fs::metadata(made).is_ok_and(|metadata| metadata.uid() == 0 || metadata.uid() == NOBODY)
}
