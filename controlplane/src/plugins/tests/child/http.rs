//! A plugin of the form that speaks HTTP, as far as a plugin has to.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

/// The payload of a request: its fields stand in a fixed order, with a byte string in the middle.
fn payload_of(body: &[u8]) -> Vec<u8> {
    let name = b"gPayload";
    let at = body.windows(name.len()).position(|window| window == name).expect("a payload") + name.len();
    let (length, start) = match body[at] {
        short @ 0x40..=0x57 => (usize::from(short - 0x40), at + 1),
        0x58 => (usize::from(body[at + 1]), at + 2),
        _ => panic!("a longer payload than these tests have"),
    };
    body[start..][..length].to_vec()
}

/// An answer's body.
fn answer(payload: &[u8]) -> Vec<u8> {
    let mut body = b"\xa1gPayload".to_vec();
    body.extend([0x58, payload.len() as u8]);
    body.extend(payload);
    body
}

fn response(body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend(body);
    bytes
}

/// Serves one connection after the other.
pub fn serve(socket: &str, behaviour: &str, mut line: File) {
    let is_first_life = File::create_new(format!("{socket}.lived")).is_ok();
    let own = format!("{socket}.{}", std::process::id());
    let listener = UnixListener::bind(&own).expect("the folder is there");
    fs::write(format!("{own}.pid"), b"").expect("the folder is there");
    line.write_all(format!("{own}\n").as_bytes()).expect("somebody reads");
    for stream in listener.incoming() {
        // A node that has given up a request hangs up.
        let _gone = converse(stream.expect("a connection"), behaviour, is_first_life, Path::new(socket));
    }
}

fn converse(mut stream: UnixStream, behaviour: &str, is_first_life: bool, socket: &Path) -> std::io::Result<()> {
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
    if head.starts_with("POST /parameters ") {
        return stream.write_all(&match behaviour {
            "tells" => response(b"\xa2gversiona1hendpointdlies"),
            "tells-nonsense" => response(b"\x83"),
            "tells-much" => response(&vec![0x80; 10_000]),
            "tells-nothing" => b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec(),
            "tells-never" => loop {
                std::thread::park();
            },
            "no-http" => b"\xa0".repeat(100),
            _ => response(b"\xa0"),
        });
    }
    assert!(head.starts_with("POST /request ") && head.to_ascii_lowercase().contains("application/octet-stream"));
    let payload = payload_of(&body);
    let good = response(&answer(&payload));
    match behaviour {
        "dies" if is_first_life => std::process::exit(3),
        "hangs" if is_first_life => loop {
            std::thread::park();
        },
        "late" if payload == b"late" => {
            std::thread::sleep(Duration::from_secs(2));
            stream.write_all(&good)
        }
        "endless-head" => flood(stream, b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        "endless-body" => flood(stream, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"4\r\nabcd\r\n"),
        "trickle" => loop {
            stream.write_all(b"H")?;
            std::thread::sleep(Duration::from_millis(50));
        },
        "status" => stream.write_all(b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"),
        "nonsense" => stream.write_all(&response(b"<html>")),
        "garbage" => stream.write_all(&[0xff; 100]),
        "silent" => Ok(()),
        "nothing" => stream.write_all(&response(&answer(b""))),
        "long" => stream.write_all(&response(&answer(&[1; super::super::PAYLOAD_BYTES + 1]))),
        "meets" => {
            // Three requests have to be under way at once before any is answered.
            let folder = socket.parent().expect("a folder");
            fs::write(folder.join(format!("{}.met", std::process::id())), b"")?;
            let met = || fs::read_dir(folder).map(|all| all.flatten().filter(|file| is_met(&file.path())).count());
            while met()? < 3 {
                std::thread::sleep(Duration::from_millis(5));
            }
            stream.write_all(&good)
        }
        _ => stream.write_all(&good),
    }
}

fn is_met(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "met")
}

fn flood(mut stream: UnixStream, head: &[u8], piece: &[u8]) -> std::io::Result<()> {
    stream.write_all(head)?;
    let pieces = piece.repeat(1000);
    loop {
        stream.write_all(&pieces)?;
    }
}
