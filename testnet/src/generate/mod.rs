//! Every file of a network: configurations and keys (pki.md 13, 14.1; server.md 2; client.md 3.2).

mod authority;
mod client;
mod keys;
mod node;
mod text;
mod write;

#[cfg(test)]
mod tests;

pub use keys::{KeyPair, Keys};
pub use write::{WriteError, write, write_all_or_none};

use crate::layout::{Layout, Member, Role};
use crate::settings::Settings;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The folder of the client's files.
pub const CLIENT_FOLDER: &str = "client";
/// Where everybody logs to, in a folder of their own.
pub const LOG_FILE: &str = "katzenpost.log";

/// A file of the network.
pub struct TextFile {
    /// Its path below the network's folder.
    pub path: PathBuf,
    /// What it holds; private keys, some of them.
    pub text: Zeroizing<String>,
}

/// Identity keys that are there already, by the names of those who own them.
pub type Known = BTreeMap<String, KeyPair>;

/// A network without its files.
pub struct Network<'a> {
    /// What it is like.
    pub settings: &'a Settings,
    /// Who is in it.
    pub layout: &'a Layout,
    /// The network's folder, as its processes will find it.
    pub base: &'a Path,
    /// Public keys of all members, by their names.
    keys: BTreeMap<String, Keys>,
}

impl<'a> Network<'a> {
    /// Makes keys for everybody; link keys are always new, and identity keys where `known` has none.
    pub fn new(settings: &'a Settings, layout: &'a Layout, base: &'a Path, known: &Known) -> Result<Self, String> {
        let keys = layout.members.iter().map(|member| {
            let keys = Keys::generate(settings, known.get(&member.name))?;
            Ok((member.name.clone(), keys))
        });
        Ok(Self { settings, layout, base, keys: keys.collect::<Result<_, String>>()? })
    }

    /// All files, each member's in a folder of its name.
    pub fn files(&self) -> Result<Vec<TextFile>, String> {
        let mut files = Vec::new();
        for member in &self.layout.members {
            let folder = Path::new(&member.name);
            files.push(match member.role {
                Role::Authority => TextFile::new(folder.join("authority.toml"), authority::text(self, member)?),
                _ => TextFile::new(folder.join("katzenpost.toml"), node::text(self, member)?),
            });
            if let (Some(own), false) = (self.settings.own_file, member.role == Role::Authority) {
                files.push(TextFile::new(folder.join("katzensprung.toml"), own.into()));
            }
            files.extend(self.keys(member)?.files(self.settings, folder)?);
        }
        let folder = Path::new(CLIENT_FOLDER);
        files.push(TextFile::new(folder.join("client.toml"), client::text(self)?));
        files.push(TextFile::new(folder.join("thinclient.toml"), client::thin_text(self)));
        Ok(files)
    }

    fn keys(&self, member: &Member) -> Result<&Keys, String> {
        self.keys.get(&member.name).ok_or_else(|| format!("{} has no keys", member.name))
    }

    fn data_dir(&self, member: &Member) -> Result<String, String> {
        let path = self.base.join(&member.name);
        path.to_str().map(text::quoted).ok_or_else(|| format!("{} is not UTF-8 text", path.display()))
    }
}

impl TextFile {
    fn new(path: PathBuf, text: String) -> Self {
        Self { path, text: Zeroizing::new(text) }
    }
}
