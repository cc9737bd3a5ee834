//! Mix keys over a clean stop, where the configuration asks for it (server.md 4.5).

use super::plane::DataPlane;
use super::{MODULE, Node};
use crate::directory::epoch_time;
use crate::keys::Scheme;
use crate::keys::kept::{self, Kept, KeptError};
use config::ServerConfig;
use config::sealing::{SealError, SealKey};
use config::server::Shutdown;
use config::server::own::Seal;
use std::path::{Path, PathBuf};

/// Where a node keeps keys over a stop, if it does. The second is its public identity key.
pub fn kept_folder(config: &ServerConfig, identity: &[u8]) -> Option<PathBuf> {
    match &config.shutdown {
        Shutdown::PersistMixKeys(Some(folder)) => Some(folder.clone()),
        Shutdown::PersistMixKeys(None) => Some(kept::default_folder(&pki::hash(identity))),
        _ => None,
    }
}

/// Writes the sealed keys in a folder as the reference reads them. Gives their epochs.
pub fn unseal_kept(folder: &Path, config: &ServerConfig, seal: &SealKey) -> Result<Vec<u64>, String> {
    let scheme = Scheme::of(&config.geometry).map_err(|error| error.to_string())?;
    kept::unseal(folder, scheme, seal).map_err(|error| error.to_string())
}

/// The key with which keys are sealed and unsealed; an error where the configuration wants one that is not there.
pub(super) fn seal_key(config: &ServerConfig) -> Result<Option<SealKey>, SealError> {
    match (SealKey::of_unit(), config.own.keys.seal) {
        (Ok(None), Seal::Systemd) => Err(SealError::Missing),
        // Others' credentials in a folder that cannot be read are nothing to who seals nothing.
        (Err(_), Seal::Off) => Ok(None),
        (key, _) => key,
    }
}

impl Node {
    /// Where keys are kept, if they are.
    pub(super) fn kept_folder(&self) -> Option<PathBuf> {
        kept_folder(&self.config, &self.identity.public)
    }

    /// The keys that an earlier node has left. They stay where they are until they are consumed. Of the epochs that are held
    /// the node has keys already.
    pub(super) fn kept_keys(&self, scheme: Scheme, held: &[u64]) -> Result<Kept, KeptError> {
        let Some(folder) = self.kept_folder() else { return Ok(Kept::default()) };
        let kept = kept::look(&folder, scheme, epoch_time(&self.clock).epoch, self.seal.as_ref(), held)?;
        for finding in &kept.findings {
            self.log.warning(MODULE, finding);
        }
        if let (Some((first, _)), Some((last, _))) = (kept.mix_keys.first(), kept.mix_keys.last()) {
            let news = format_args!("going on with the mix keys of epochs {first} to {last} from {}", folder.display());
            self.log.notice(MODULE, news);
        }
        Ok(kept)
    }

    /// Keeps the keys of a data plane that is gone.
    pub(super) fn keep_keys(&self, left: Option<DataPlane>) {
        let left = left.map(DataPlane::leave);
        let Some(folder) = self.kept_folder() else { return };
        let Some(left) = left else {
            self.log.warning(MODULE, "the mix keys are not kept: the data plane may still use them");
            return;
        };
        let kept = left.map_err(|error| error.to_string()).and_then(|(keys, sets)| {
            let scheme = Scheme::of(&self.config.geometry).map_err(|error| error.to_string())?;
            let seal = self.seal.as_ref().filter(|_| self.config.own.keys.seal == Seal::Systemd);
            Ok((keys.len(), kept::keep(&folder, scheme, &keys, &sets, seal)))
        });
        match kept {
            Ok((_, (count, Ok(())))) => {
                self.log.notice(MODULE, format_args!("kept {count} mix keys in {}", folder.display()));
            }
            Ok((all, (count, Err(error)))) => {
                let news = format_args!("kept {count} of {all} mix keys: {error}; packets for the others will be lost");
                self.log.warning(MODULE, news);
            }
            Err(error) => self.log.warning(MODULE, format_args!("the mix keys are not kept: {error}")),
        }
    }
}
