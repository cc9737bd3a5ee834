//! Keys of older releases that the reference ignores today (client.md 3.2), and what became of them.

/// What became of the key with that dotted path; none for keys that never existed.
pub fn hint(path: &str) -> Option<&'static str> {
    Some(match path.to_ascii_lowercase().as_str() {
        "ratchetnikescheme" => "remove it; there is no such scheme any more",
        "listennetwork" | "listenaddress" => "use [Listen.Tcp] or [Listen.Unix]",
        _ => return None,
    })
}
