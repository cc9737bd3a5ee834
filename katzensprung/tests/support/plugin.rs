//! Plugins that behave badly: this test binary, told how. Its standard output is put aside, because the harness writes
//! there too.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Set in the process that plays a plugin: form, behaviour and socket.
const VARIABLE: &str = "KATZENSPRUNG_PLAYS_A_BAD_PLUGIN";

/// How it is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Stream,
    Http,
}

impl Form {
    fn name(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Http => "http",
        }
    }
}

/// Where requests to it go.
pub fn endpoint(form: Form, behaviour: &str) -> String {
    format!("+{}-{behaviour}", form.name())
}

/// The program that behaves so.
pub fn program(folder: &Path, form: Form, behaviour: &str) -> PathBuf {
    folder.join(format!("{}-{behaviour}.sh", form.name()))
}

/// Its entry in the configuration; makes the program.
pub fn entry(folder: &Path, form: Form, behaviour: &str) -> String {
    let (program, tests) = (program(folder, form, behaviour), std::env::current_exe().expect("this test"));
    let (form, name) = (form.name(), format!("{}-{behaviour}", form.name()));
    let text = format!(
        "#!/bin/sh\nexec 3>&1 >/dev/null\n{VARIABLE}='{form} {behaviour} {folder}/{name}' \
         exec '{tests}' --exact support::plugin::plays_a_bad_plugin --nocapture\n",
        folder = folder.display(),
        tests = tests.display()
    );
    fs::write(&program, text).expect("the folder is ours");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("the file is ours");
    format!(
        "  [[ServiceNode.CBORPluginKaetzchen]]\n    Capability = \"{name}\"\n    Endpoint = \"+{name}\"\n    \
         Command = \"{}\"\n    Protocol = \"{form}\"\n",
        program.display()
    )
}

/// How many of them run.
pub fn left(folder: &Path) -> usize {
    let folder = folder.display().to_string();
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    let environments = processes.map(|process| fs::read(process.path().join("environ")).unwrap_or_default());
    let is_ours = |environment: &Vec<u8>| {
        environment.split(|byte| *byte == 0).any(|variable| {
            let text = String::from_utf8_lossy(variable);
            text.starts_with(VARIABLE) && text.contains(&folder)
        })
    };
    environments.filter(is_ours).count()
}

/// Passes at once where it is not told to play.
#[test]
fn plays_a_bad_plugin() {
    let Ok(arguments) = std::env::var(VARIABLE) else { return };
    let words: Vec<&str> = arguments.split(' ').collect();
    let [form, behaviour, socket] = words[..] else { panic!("what is {words:?}?") };
    let socket = format!("{socket}.{}", std::process::id());
    let listener = UnixListener::bind(&socket).expect("the folder is there");
    let mut line = OpenOptions::new().write(true).open("/proc/self/fd/3").expect("the descriptor was put aside");
    line.write_all(format!("{socket}\n").as_bytes()).expect("somebody reads");
    if behaviour == "prints" {
        std::thread::spawn(move || while line.write_all(&[b'o'; 4096]).is_ok() {});
        std::thread::spawn(|| while std::io::stderr().write_all(b"what nobody wants to know\n").is_ok() {});
    }
    for stream in listener.incoming() {
        let stream = stream.expect("a connection");
        // Whoever is hung up on goes on with the next one.
        let _gone = if form == "http" { over_http(stream, behaviour) } else { over_a_stream(stream, behaviour) };
    }
}

fn over_a_stream(mut stream: UnixStream, behaviour: &str) -> std::io::Result<()> {
    let mut bytes = vec![0; 64 << 10];
    loop {
        let count = stream.read(&mut bytes)?;
        match behaviour {
            _ if count == 0 => return Ok(()),
            // Requests and answers have the same fields.
            "good" => stream.write_all(&bytes[..count])?,
            "floods" => loop {
                stream.write_all(&[0xa0; 4096])?;
            },
            "garbage" => stream.write_all(&[0xff; 10])?,
            "dies" => std::process::exit(3),
            _ => {}
        }
    }
}

fn over_http(mut stream: UnixStream, behaviour: &str) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut head, mut length) = (String::new(), 0);
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
        let last = head.lines().last().unwrap_or_default().to_ascii_lowercase();
        if let Some(bytes) = last.strip_prefix("content-length:") {
            length = bytes.trim().parse().expect("a number");
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let response = |body: &[u8]| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        [head.as_bytes(), body].concat()
    };
    if head.starts_with("POST /parameters ") {
        return stream.write_all(&response(b"\xa0"));
    }
    match behaviour {
        // An answer's field has the request's name; its other fields are nobody's.
        "good" => stream.write_all(&response(&body)),
        "floods" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            loop {
                stream.write_all(&b"4\r\nabcd\r\n".repeat(1000))?;
            }
        }
        "garbage" => stream.write_all(&[0xff; 100]),
        "dies" => std::process::exit(3),
        "hangs" => loop {
            std::thread::park();
        },
        _ => stream.write_all(&response(b"\xa0")),
    }
}
