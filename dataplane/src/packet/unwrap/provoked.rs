//! For tests of the whole program, which no release has: a packet at which a shard panics, or hangs for ever.

use std::path::PathBuf;
use std::sync::OnceLock;

/// The name of a file with one line: `panic` or `hang`, and the replay tag of the packet in hexadecimal. It may come
/// later than the process, as nobody has a packet before the node has its keys.
const VARIABLE: &str = "KATZENSPRUNG_TEST_PROVOKE";

/// Does what the file wants if its packet is among those with these tags.
pub(super) fn provoke<'a>(mut tags: impl Iterator<Item = &'a [u8; 32]>) {
    static FILE: OnceLock<Option<PathBuf>> = OnceLock::new();
    let Some(file) = FILE.get_or_init(|| std::env::var_os(VARIABLE).map(PathBuf::from)) else { return };
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let Some((what, wanted)) = text.trim().split_once(' ') else { return };
    let is_wanted = |tag: &[u8; 32]| tag.iter().map(|byte| format!("{byte:02x}")).collect::<String>() == wanted;
    if tags.any(is_wanted) {
        assert!(what != "panic", "a test wants the shard to panic at this packet");
        if what == "hang" {
            loop {
                std::thread::park();
            }
        }
    }
}
