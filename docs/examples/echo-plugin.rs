//! A plugin for a service node that sends back what it is sent, in both forms, with the standard library only.
//!
//! docs/operating/write-a-plugin.md says what node and plugin expect of each other. The node starts it with
//! `-protocol stream` or `-protocol http`, as its entry's Config says.
//!
//! ```text
//! rustc --edition 2024 -O echo-plugin.rs
//! ```
#![forbid(unsafe_code)]

use std::error::Error;
use std::fs::DirBuilder;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::{UnixListener, UnixStream};

type Outcome<T> = Result<T, Box<dyn Error>>;

const VERSION: &str = "1";
/// More than any message has.
const BYTES_MAX: u64 = 16 << 20;

/// What CBOR items of messages are (RFC 8949).
enum Value {
    Null,
    Bool(bool),
    Number(u64),
    Bytes(Vec<u8>),
    Text(String),
    Map(Vec<(String, Value)>),
}

impl Value {
    /// The next item; none at the end. A node writes definite lengths only.
    fn read(from: &mut impl Read) -> Outcome<Option<Self>> {
        let mut first = [0];
        if from.read(&mut first)? == 0 {
            return Ok(None);
        }
        let (major, info) = (first[0] >> 5, first[0] & 31);
        let mut number = [0; 8];
        match info {
            0..=23 => number[7] = info,
            24..=27 => from.read_exact(&mut number[8 - (1 << (info - 24))..])?,
            _ => return Err("an item of indefinite length".into()),
        }
        let number = u64::from_be_bytes(number);
        let mut string = || -> Outcome<Vec<u8>> {
            let mut bytes = Vec::new();
            from.take(number.min(BYTES_MAX)).read_to_end(&mut bytes)?;
            if bytes.len() as u64 == number { Ok(bytes) } else { Err("a string that is cut off".into()) }
        };
        Ok(Some(match (major, info) {
            (0, _) => Self::Number(number),
            (2, _) => Self::Bytes(string()?),
            (3, _) => Self::Text(String::from_utf8(string()?)?),
            (5, _) => {
                let mut map = Vec::new();
                for _ in 0..number {
                    let (key, value) = (Self::read(from)?, Self::read(from)?);
                    match (key, value) {
                        (Some(Self::Text(key)), Some(value)) => map.push((key, value)),
                        _ => return Err("a map without text for keys".into()),
                    }
                }
                Self::Map(map)
            }
            (7, 20 | 21) => Self::Bool(info == 21),
            (7, 22 | 23) => Self::Null,
            _ => return Err(format!("an item of type {major}").into()),
        }))
    }

    fn write(&self, to: &mut Vec<u8>) {
        match self {
            Self::Null => to.push(0xf6),
            Self::Bool(flag) => to.push(0xf4 + u8::from(*flag)),
            Self::Number(number) => head(0, *number, to),
            Self::Bytes(bytes) => {
                head(2, bytes.len() as u64, to);
                to.extend(bytes);
            }
            Self::Text(text) => {
                head(3, text.len() as u64, to);
                to.extend(text.as_bytes());
            }
            Self::Map(map) => {
                head(5, map.len() as u64, to);
                for (key, value) in map {
                    Self::Text(key.clone()).write(to);
                    value.write(to);
                }
            }
        }
    }

    /// Takes a field out of a map; null if there is none.
    fn take(&mut self, name: &str) -> Self {
        let Self::Map(map) = self else { return Self::Null };
        let found = map.iter_mut().find(|(key, _)| key == name);
        found.map_or(Self::Null, |(_, value)| std::mem::replace(value, Self::Null))
    }
}

fn head(major: u8, number: u64, to: &mut Vec<u8>) {
    let bytes = number.to_be_bytes();
    match number {
        0..=23 => to.push(major << 5 | number as u8),
        24..=0xff => to.extend([major << 5 | 24, bytes[7]]),
        0x100..=0xffff => to.extend([&[major << 5 | 25], &bytes[6..]].concat()),
        0x1_0000..=0xffff_ffff => to.extend([&[major << 5 | 26], &bytes[4..]].concat()),
        _ => to.extend([&[major << 5 | 27], &bytes[..]].concat()),
    }
}

fn map(fields: impl IntoIterator<Item = (&'static str, Value)>) -> Vec<u8> {
    let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value));
    let mut bytes = Vec::new();
    Value::Map(fields.collect()).write(&mut bytes);
    bytes
}

fn parameters() -> Value {
    Value::Map(vec![("version".into(), Value::Text(VERSION.into()))])
}

/// The service itself: what it answers to a request's payload, which ends in zeros.
fn answer(payload: Value) -> Value {
    payload
}

/// CBOR items over the one connection that the node makes.
fn serve_stream(listener: &UnixListener) -> Outcome<()> {
    let (mut stream, _) = listener.accept()?;
    let mut requests = BufReader::new(stream.try_clone()?);
    while let Some(mut request) = Value::read(&mut requests)? {
        let id = request.take("ID");
        let reply = match request.take("IsParametersRequest") {
            Value::Bool(true) => {
                map([("ID", id), ("IsParametersResponse", Value::Bool(true)), ("Params", parameters())])
            }
            // ID and SURB say whose answer it is; without a SURB nobody waits for one.
            _ => map([("ID", id), ("Payload", answer(request.take("Payload"))), ("SURB", request.take("SURB"))]),
        };
        stream.write_all(&reply)?;
    }
    Ok(())
}

/// One POST for each request; the node closes the connection after its answer.
fn serve_http(listener: &UnixListener) -> Outcome<()> {
    for stream in listener.incoming() {
        // A request that breaks off costs itself only.
        if let Err(error) = converse(stream?) {
            eprintln!("a request: {error}");
        }
    }
    Ok(())
}

fn converse(mut stream: UnixStream) -> Outcome<()> {
    let mut reader = BufReader::new(stream.try_clone()?).take(BYTES_MAX);
    let (mut first, mut line, mut length) = (String::new(), String::new(), 0);
    reader.read_line(&mut first)?;
    while reader.read_line(&mut line)? > 2 {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse()?;
        }
        line.clear();
    }
    let mut body = Vec::new();
    (&mut reader).take(length).read_to_end(&mut body)?;
    let reply = match first.split(' ').nth(1) {
        Some("/parameters") => map([("version", Value::Text(VERSION.into()))]),
        Some("/request") => {
            let mut request = Value::read(&mut &body[..])?.ok_or("an empty request")?;
            match request.take("HasSURB") {
                Value::Bool(true) => map([("Payload", answer(request.take("Payload")))]),
                // An empty payload is no reply.
                _ => map([("Payload", Value::Bytes(Vec::new()))]),
            }
        }
        _ => return Ok(stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")?),
    };
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream";
    stream.write_all(format!("{head}\r\nContent-Length: {}\r\n\r\n", reply.len()).as_bytes())?;
    Ok(stream.write_all(&reply)?)
}

fn main() -> Outcome<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let is_http = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] | ["-protocol", "stream"] => false,
        ["-protocol", "http"] => true,
        _ => return Err("usage: echo-plugin [-protocol stream|http]".into()),
    };
    // A folder that nobody else may enter; who had this number before has ended.
    let folder = std::env::temp_dir().join(format!("echo-plugin.{}", std::process::id()));
    let _was_not_there = std::fs::remove_dir_all(&folder);
    DirBuilder::new().mode(0o700).create(&folder)?;
    let path = folder.join("socket");
    let listener = UnixListener::bind(&path)?;
    // The first line: where it listens. The node connects when it has read it.
    println!("{}", path.display());
    if is_http { serve_http(&listener) } else { serve_stream(&listener) }
}
