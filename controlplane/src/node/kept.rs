//! Mix keys over a clean stop, where the configuration asks for it (server.md 4.5).

use super::plane::DataPlane;
use super::{MODULE, Node};
use crate::directory::epoch_time;
use crate::keys::Scheme;
use crate::keys::kept::{self, Kept, KeptError};
use config::server::Shutdown;
use std::path::PathBuf;

impl Node {
    /// Where keys are kept, if they are.
    pub(super) fn kept_folder(&self) -> Option<PathBuf> {
        match &self.config.shutdown {
            Shutdown::PersistMixKeys(Some(folder)) => Some(folder.clone()),
            Shutdown::PersistMixKeys(None) => Some(kept::default_folder(&pki::hash(&self.identity.public))),
            _ => None,
        }
    }

    /// The keys that an earlier node has left. They stay where they are until they are consumed.
    pub(super) fn kept_keys(&self, scheme: Scheme) -> Result<Kept, KeptError> {
        let Some(folder) = self.kept_folder() else { return Ok(Kept::default()) };
        let kept = kept::look(&folder, scheme, epoch_time(&self.clock).epoch)?;
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
            Ok((keys.len(), kept::keep(&folder, scheme, &keys, &sets)))
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
