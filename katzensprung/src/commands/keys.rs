//! `keys`: what a stop has sealed, as the reference reads it.

mod credential;

use config::keys::{DataDir, IDENTITY_PUBLIC_FILE, read_public_key};
use config::sealing::{SealError, SealKey};
use config::server::Shutdown;
use config::{ServerConfig, Strictness};
use controlplane::node::{kept_folder, unseal_kept};
use nix::unistd::{Gid, Uid, geteuid, setgid, setgroups, setuid};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Arguments of `keys`.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Writes the mix keys that a stop has sealed as the reference reads them
    ///
    /// The node has to be stopped. As root with --credential, or within a unit that loads the credential.
    Unseal(Unseal),
}

#[derive(clap::Args)]
struct Unseal {
    /// The node's configuration file [env: KATZENPOST_CONFIG] [default: katzenpost.toml]
    #[arg(short = 'f', long = "config")]
    config: Option<PathBuf>,
    /// The encrypted credential that the unit loads, which systemd-creds is asked to open; root may
    #[arg(long)]
    credential: Option<PathBuf>,
}

/// Does what is asked for.
pub fn run(arguments: &Arguments) -> Result<(), String> {
    match &arguments.command {
        Command::Unseal(arguments) => super::with_secrets(|| unseal(arguments)),
    }
}

fn unseal(arguments: &Unseal) -> Result<(), String> {
    let file = super::config_file(arguments.config.as_deref())?;
    let refused = |findings: Vec<_>| format!("failed to load config file:\n  {}", super::findings_text(&findings));
    let config = ServerConfig::load(&file, Strictness::Lenient).map_err(refused)?.config;
    let folder = folder(&config)?;
    let key = match &arguments.credential {
        Some(credential) => credential::open(credential)?,
        None => SealKey::of_unit()
            .and_then(|key| key.ok_or(SealError::Missing))
            .map_err(|error| format!("{error}; or name the file of the credential with --credential, as root"))?,
    };
    // A node that starts or stops meanwhile would lose keys, or go on with them twice.
    let _no_node = DataDir::keep_out(&config.data_dir).map_err(|error| error.to_string())?;
    become_owner(&folder)?;
    let epochs = unseal_kept(&folder, &config, &key)?;
    let folder = folder.display();
    if epochs.is_empty() {
        return super::print(format_args!("no mix key in {folder} is sealed\n"));
    }
    let epochs = epochs.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    super::print(format_args!("unsealed the mix keys of epochs {epochs} in {folder}\n"))
}

/// Where the node keeps keys.
fn folder(config: &ServerConfig) -> Result<PathBuf, String> {
    let identity = match &config.shutdown {
        // The default's name has to be known.
        Shutdown::PersistMixKeys(None) => {
            read_public_key(&config.data_dir.join(IDENTITY_PUBLIC_FILE), config.pki_signature_scheme)?
        }
        _ => Vec::new(),
    };
    kept_folder(config, &identity).ok_or_else(|| {
        format!("{}: Server.PersistMixKeysOnShutdown is false: no mix keys are kept", config.file.display())
    })
}

/// From here on root is the user to whom the folder belongs: what it writes there is that user's, wherever links lead.
fn become_owner(folder: &Path) -> Result<(), String> {
    // One that is not there has nothing in it.
    let Ok(metadata) = folder.symlink_metadata() else { return Ok(()) };
    if !geteuid().is_root() || metadata.uid() == 0 {
        return Ok(());
    }
    let (user, group) = (Uid::from_raw(metadata.uid()), Gid::from_raw(metadata.gid()));
    setgroups(&[])
        .and_then(|()| setgid(group))
        .and_then(|()| setuid(user))
        .map_err(|errno| format!("cannot become user {user}, to whom {} belongs: {errno}", folder.display()))
}
