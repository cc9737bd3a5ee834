//! A plugin that echoes, as a service node starts it (server.md 6.4): what is measured is the way there and back.

use service::plugin::{Message, Messages};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;

/// Bytes that are read at once.
const READ_BYTES: usize = 256 << 10;
/// More than any request has.
const CONTENT_BYTES_MAX: usize = 1 << 20;

/// Serves one connection at `socket`, and ends with it.
pub fn serve(socket: &Path) -> Result<(), String> {
    // The node starts a plugin again that has ended.
    match std::fs::remove_file(socket) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(format!("{}: {error}", socket.display())),
        _ => {}
    }
    let listener = UnixListener::bind(socket).map_err(|error| format!("{}: {error}", socket.display()))?;
    let io = |error: std::io::Error| format!("the node: {error}");
    writeln!(std::io::stdout(), "{}", socket.display()).map_err(io)?;
    let (mut stream, _) = listener.accept().map_err(io)?;
    let (mut messages, mut bytes, mut answers) = (Messages::new(CONTENT_BYTES_MAX), vec![0; READ_BYTES], Vec::new());
    loop {
        match stream.read(&mut bytes).map_err(io)? {
            0 => return Ok(()),
            count => messages.push(&bytes[..count]),
        }
        while let Some(request) = messages.next_message().map_err(|error| error.to_string())? {
            let Message { id, payload, surb, .. } = request;
            Message { id, payload, surb, ..Message::default() }.encode(&mut answers);
        }
        stream.write_all(&answers).map_err(io)?;
        answers.clear();
    }
}
