//! The node's files in DataDir, and what is asked of other files that it is to write.

use crate::finding::Findings;
use crate::reader::At;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// What else the node has in DataDir, each under its temporary name too. What writes there must not write into these.
const FILES: [&str; 11] = [
    "identity.private.pem",
    "identity.private.pem.new",
    "identity.public.pem",
    "identity.public.pem.new",
    "link.private.pem",
    "link.private.pem.new",
    "link.public.pem",
    "link.public.pem.new",
    "katzensprung.lock",
    "selfcheck.toml",
    "dataplane.sock",
];

/// A path that is to become a file or socket of its own.
pub fn check_file(at: &At<String>, path: &Path, data_dir: &Path, findings: &mut Findings) {
    let written = at.value.as_str();
    let path = normal(path);
    if written.contains('\0') {
        findings.error("path", &at.place, "has a NUL character, which no path has", "remove it");
    } else if written.ends_with('/')
        || written.ends_with("/.")
        || path.file_name().is_none()
        || path == normal(data_dir)
    {
        let problem = format!("'{written}' names a folder");
        findings.error("path", &at.place, problem, "add the name of the file");
    } else if is_own_file(&path, data_dir) {
        let name = path.file_name().unwrap_or_default().display();
        let problem = format!("'{written}' is the node's own {name}");
        findings.error("own-file", &at.place, problem, "give another name");
    }
}

/// Whether a path leads to one of the node's own files.
pub fn is_own_file(path: &Path, data_dir: &Path) -> bool {
    let path = normal(path);
    path.parent() == Some(normal(data_dir).as_path()) && FILES.iter().any(|name| path.ends_with(name))
}

/// Whether both names lead to one file, by whatever ways; folders on the way may not be there yet.
pub fn is_same_file(one: &Path, other: &Path) -> bool {
    let written = |path: &Path| std::path::absolute(path).map_or_else(|_| normal(path), |path| normal(&path));
    if written(one) == written(other) {
        return true;
    }
    let file = |path: &Path| path.metadata().ok().map(|metadata| (metadata.dev(), metadata.ino()));
    file(one).is_some_and(|one| file(other) == Some(one))
}

/// Whether a file is there that begins as keys do; another node's or an authority's.
pub fn holds_key(path: &Path) -> bool {
    const BEGINNING: &[u8] = b"-----BEGIN";
    let is_file = path.metadata().is_ok_and(|metadata| metadata.is_file());
    let mut bytes = [0; BEGINNING.len()];
    is_file && File::open(path).is_ok_and(|mut file| file.read_exact(&mut bytes).is_ok()) && bytes == BEGINNING
}

/// The path without detours; what links make of it is not looked at.
pub fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                normal.pop();
            }
            part => normal.push(part),
        }
    }
    normal
}
