//! The program that tests start as a plugin: this test binary, with its standard output put aside, because the harness
//! writes there too.

mod http;

use service::plugin::{Message, Messages, Parameters};
use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Set in the process that plays a plugin: its arguments.
const VARIABLE: &str = "KATZENSPRUNG_PLAYS_A_PLUGIN";

/// A program that plays a plugin.
pub fn script(folder: &Path) -> PathBuf {
    let path = folder.join("plugin.sh");
    if !path.exists() {
        let tests = std::env::current_exe().expect("this test");
        let text = format!(
            "#!/bin/sh\nexec 3>&1 >&2\n{VARIABLE}=\"$*\" exec '{}' --exact plugins::tests::child::plays_a_plugin --nocapture\n",
            tests.display()
        );
        fs::write(&path, text).expect("the folder is ours");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("the file is ours");
    }
    path
}

/// Passes at once where it is not told to play.
#[test]
fn plays_a_plugin() {
    let Ok(arguments) = std::env::var(VARIABLE) else { return };
    let words: Vec<&str> = arguments.split(' ').collect();
    let ["-behaviour", behaviour, "-socket", socket] = words[..] else { panic!("what is {words:?}?") };
    let mut line = OpenOptions::new().write(true).open("/proc/self/fd/3").expect("the descriptor was put aside");
    match behaviour {
        "ends" => return,
        "prints-first" => {
            // A first line without an end.
            while line.write_all(&[b'x'; 4096]).is_ok() {}
            return;
        }
        "empty" => {
            line.write_all(b"\n").expect("somebody reads");
            loop {
                std::thread::park();
            }
        }
        _ => {}
    }
    if let Some(behaviour) = behaviour.strip_prefix("http-") {
        return http::serve(socket, behaviour, line);
    }
    let is_first_life = fs::remove_file(socket).is_err();
    let listener = UnixListener::bind(socket).expect("the folder is there");
    fs::write(format!("{socket}.pid"), std::process::id().to_string()).expect("the folder is there");
    // More than a line: a chatty child must not stand still.
    line.write_all(format!("{socket}\nand more\n").as_bytes()).expect("somebody reads");
    let (stream, _) = listener.accept().expect("somebody connects");
    if behaviour == "stalled" {
        loop {
            std::thread::park();
        }
    }
    if behaviour == "prints" {
        // On both outputs, without end.
        std::thread::spawn(move || while line.write_all(&[b'o'; 4096]).is_ok() {});
        std::thread::spawn(|| while std::io::stderr().write_all(b"what nobody wants to know\n").is_ok() {});
    }
    if behaviour == "babbles" {
        // Messages without a field, one byte each.
        let mut stream = stream;
        while stream.write_all(&[0xa0; 4096]).is_ok() {}
        return;
    }
    answer(stream, behaviour, is_first_life);
}

type Asked = (u64, Vec<u8>, Option<Vec<u8>>);

fn answer(mut stream: UnixStream, behaviour: &str, is_first_life: bool) {
    let (mut messages, mut bytes, mut asked) = (Messages::new(1000), [0; 1000], Vec::<Asked>::new());
    let mut answers = 0;
    loop {
        let count = stream.read(&mut bytes).expect("a socket that works");
        if count == 0 {
            // The reference's plugins wait for their signal too.
            loop {
                std::thread::park();
            }
        }
        messages.push(&bytes[..count]);
        while let Some(message) = messages.next_message().expect("the node speaks well") {
            if message.parameters == Some(Parameters::Asked) {
                tell_parameters(&mut stream, behaviour);
                continue;
            }
            assert!(message.request_at.is_some());
            asked.push((message.id, message.payload.to_vec(), message.surb.map(<[u8]>::to_vec)));
        }
        match (behaviour, is_first_life) {
            ("dies", true) => std::process::exit(3),
            ("nonsense", true) => stream.write_all(&[0xff; 10]).expect("somebody reads"),
            ("closes", true) => stream.shutdown(std::net::Shutdown::Both).expect("a socket that works"),
            ("backwards", _) if asked.len() % 10 != 0 => continue,
            ("backwards", _) => asked.chunks_mut(10).for_each(<[Asked]>::reverse),
            _ => {}
        }
        for (id, payload, surb) in asked.drain(..) {
            answers += 1;
            let (long, other) = (vec![1; super::PAYLOAD_BYTES + 1], vec![9; super::SURB_BYTES]);
            let (payload, surb) = match behaviour {
                "long" => (long, surb),
                "strange" => (payload, Some(other)),
                "without" if answers == 1 => (payload, None),
                _ => (payload, surb),
            };
            let mut out = Vec::new();
            Message { id, payload: &payload, surb: surb.as_deref(), ..Message::default() }.encode(&mut out);
            let times = if behaviour == "repeats" { 100 } else { 1 };
            stream.write_all(&out.repeat(times)).expect("somebody reads");
        }
    }
}

/// What the plugin has to say when it is asked what it wants to be published.
fn tell_parameters(stream: &mut UnixStream, behaviour: &str) {
    let told = match behaviour {
        // {"version": "1", "endpoint": "lies", "limits": [1, 2]}
        "tells" => Some(Parameters::Told(b"\xa3gversiona1hendpointdliesflimits\x82\x01\x02")),
        "tells-nonsense" => Some(Parameters::Told(&[0x83, 1, 2, 3])),
        "tells-never" => return,
        "tells-and-ends" => std::process::exit(4),
        // The reference's echo plugin answers every message in this way.
        _ => None,
    };
    let mut out = Vec::new();
    let payload = &[][..];
    Message { payload, parameters: told, ..Message::default() }.encode(&mut out);
    stream.write_all(&out).expect("somebody reads");
}
