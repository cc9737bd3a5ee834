//! A node's folder: its configuration file and its DataDir.

use super::free_address;
use super::program::{Outcome, finish, program};
use crypto_simd::random::OsRandom;
use crypto_simd::schemes::{kem, signature};
use sphinx::Geometry;
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use tempfile::TempDir;
use testnet::files::MainFile;
use testnet::network::{SIGNATURE_SCHEME, WIRE_KEM};

/// The configured name.
pub const NODE_NAME: &str = testnet::network::NODE_NAME;

/// Public keys of an authority.
#[derive(Clone)]
pub struct AuthorityKeys {
    pub identity: Vec<u8>,
    pub link: Vec<u8>,
}

impl AuthorityKeys {
    /// Keys of an authority that nobody plays.
    fn of_nobody() -> &'static Self {
        static KEYS: OnceLock<AuthorityKeys> = OnceLock::new();
        KEYS.get_or_init(|| {
            let identity = signature::by_name(SIGNATURE_SCHEME).expect("built in");
            let identity = identity.load(&identity.generate(&mut OsRandom)).expect("a fresh key");
            let link = kem::by_name(WIRE_KEM).expect("built in");
            let link = link.load(&link.generate(&mut OsRandom)).expect("a fresh key");
            Self { identity: identity.public_key().to_vec(), link: link.public_key().to_vec() }
        })
    }
}

/// The geometry of all nodes here.
pub fn geometry() -> Geometry {
    Geometry::nike("x25519", 2000, 5, true).expect("a geometry")
}

/// A folder with a node's files.
pub struct Folder {
    folder: TempDir,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Folder {
    /// A node that could start, with an authority that nobody plays.
    pub fn new() -> Self {
        Self::with_authority(AuthorityKeys::of_nobody(), free_address())
    }

    /// A node that could start.
    pub fn with_authority(keys: &AuthorityKeys, authority: SocketAddr) -> Self {
        let folder = Self { folder: tempfile::tempdir().expect("a folder"), address: free_address() };
        fs::write(folder.config(), folder.main_file(keys, authority)).expect("the file");
        fs::write(folder.own_config(), "[dataplane]\nshards = 1\nslots = 1024\n").expect("the file");
        folder
    }

    fn main_file(&self, keys: &AuthorityKeys, authority: SocketAddr) -> String {
        let file = MainFile {
            scheme: testnet::network::TCP,
            address: self.address,
            data_dir: &self.data_dir(),
            authority,
            authority_identity: &keys.identity,
            authority_link: &keys.link,
            geometry: &geometry(),
            server: "",
            logging: "  File = \"katzenpost.log\"\n  Level = \"INFO\"\n",
            sections: "[Management]\n  Enable = true\n",
        };
        file.text().expect("keys that can be written")
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The reference's file.
    pub fn config(&self) -> PathBuf {
        self.path().join("katzenpost.toml")
    }

    /// Our own file.
    pub fn own_config(&self) -> PathBuf {
        self.path().join("katzensprung.toml")
    }

    /// DataDir.
    pub fn data_dir(&self) -> PathBuf {
        self.path().join("data")
    }

    /// A file in DataDir.
    pub fn data(&self, name: &str) -> PathBuf {
        self.data_dir().join(name)
    }

    /// Makes DataDir as the node would.
    pub fn make_data_dir(&self) {
        DirBuilder::new().mode(0o700).create(self.data_dir()).expect("a folder");
    }

    /// Replaces a part of the configuration file that must be there.
    #[track_caller]
    pub fn edit(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.config()).expect("the file");
        assert!(text.contains(from), "the file has no {from:?}");
        fs::write(self.config(), text.replacen(from, to, 1)).expect("the file");
    }

    /// Lets somebody else start the data plane.
    pub fn run_as_two_units(&self) {
        let text = "[dataplane]\nshards = 1\nslots = 1024\nrun_as_two_units = true\n";
        fs::write(self.own_config(), text).expect("the file");
    }

    /// Makes the keys.
    #[track_caller]
    pub fn generate_keys(&self) {
        finish(program().arg("server").arg("-g").arg("-f").arg(self.config())).succeeded();
    }

    /// Runs `server` to its end.
    #[track_caller]
    pub fn serve(&self, more: &[&str]) -> Outcome {
        finish(program().arg("server").arg("-f").arg(self.config()).args(more))
    }

    /// `server` must refuse in one line with all of `parts`, leave every file as it is, and leave nothing at work.
    #[track_caller]
    pub fn refuses(&self, parts: &[&str]) {
        let before = self.files();
        self.serve(&[]).refused(parts);
        let after = self.files();
        for (path, bytes) in &before {
            assert!(after.get(path) == Some(bytes), "{parts:?}: {} has changed", path.display());
        }
        assert!(!self.data("dataplane.sock").exists() || before.contains_key(&self.data("dataplane.sock")));
    }

    /// All files by their paths, without those whose content is of no lasting use.
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                let metadata = path.symlink_metadata().expect("an entry");
                let name = path.file_name().unwrap_or_default();
                if metadata.is_dir() {
                    folders.push(path);
                } else if name != config::keys::LOCK_FILE_NAME && name != "katzenpost.log" {
                    let bytes = if metadata.is_file() { fs::read(&path).expect("a file") } else { Vec::new() };
                    found.insert(path, bytes);
                }
            }
        }
        found
    }
}
