//! The network of a configuration: its authorities, what they say, and their clocks.

use config::{ClientConfig, ServerConfig};
use controlplane::directory::epoch_time;
use controlplane::directory::once::fetch_once;
use controlplane::directory::session::{Caller, Clocks, Dialler};
use controlplane::node::{self, Look, Verdict};
use pki::EpochClock;
use pki::authority::{Authorities, DocumentVerifier};
use pki::document::Consensus;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use wire::CommandSizes;
use wire::link::CLOCK_SKEW_SECONDS_MAX;

/// How long each authority may take.
const AUTHORITY_LIMIT: Duration = Duration::from_secs(20);

/// What nodes and clients of a network have in common.
pub struct Network {
    /// How authorities are reached; its KEM is that of all links.
    pub dialler: Dialler,
    /// Sizes of packets on links.
    pub sizes: CommandSizes,
    authorities: Arc<Authorities>,
    geometry_hash: [u8; 32],
}

/// What the authorities say.
pub struct Said {
    /// Of each of them, and of the clock.
    pub looks: Vec<Look>,
    /// The current document, if one of them has it.
    pub consensus: Option<Consensus>,
}

impl Network {
    /// A node's.
    pub fn of_node(config: &ServerConfig) -> Result<Self, String> {
        let authorities = node::authorities(config).map_err(|error| error.to_string())?;
        Ok(Self::new(node::dialler(config), authorities, &config.geometry))
    }

    /// A client's.
    pub fn of_client(config: &ClientConfig) -> Result<Self, String> {
        let list = config.authorities.iter().map(|authority| authority.listed().map_err(|error| error.to_string()));
        let authorities = Authorities::new(list.collect::<Result<_, _>>()?).map_err(|error| error.to_string())?;
        let dialler = Dialler {
            kem: config.wire_kem.0,
            pki_public_key_bytes: config.pki_signature_scheme.info().public_key_bytes,
            connect_limit: AUTHORITY_LIMIT,
            handshake_limit: AUTHORITY_LIMIT,
            answer_limit: AUTHORITY_LIMIT,
            clocks: Clocks::default(),
        };
        Ok(Self::new(dialler, authorities, &config.geometry))
    }

    fn new(dialler: Dialler, authorities: Authorities, geometry: &sphinx::Geometry) -> Self {
        let surb_reply_bytes = geometry.payload_tag_length + geometry.forward_payload_length;
        let sizes = CommandSizes::mixnet(geometry.packet_length, surb_reply_bytes);
        Self { dialler, sizes, authorities: Arc::new(authorities), geometry_hash: geometry.hash() }
    }

    /// Asks every authority for the document of this epoch.
    pub async fn ask(&self, clock: &EpochClock) -> Said {
        let epoch = epoch_time(clock).epoch;
        let verifier = DocumentVerifier { authorities: self.authorities.clone(), geometry_hash: self.geometry_hash };
        let mut said = Said { looks: Vec::new(), consensus: None };
        for authority in self.authorities.list() {
            let name = &authority.name;
            let outcome = match (Authorities::new(vec![authority.clone()]), Caller::anonymous(self.dialler.kem)) {
                (Ok(alone), Ok(caller)) => {
                    let asked = fetch_once(&self.dialler, &alone, &caller, &verifier, clock, epoch, AUTHORITY_LIMIT);
                    asked.await
                }
                (Err(error), _) => Err(error.to_string()),
                (_, Err(error)) => Err(error.to_string()),
            };
            said.looks.push(match outcome {
                Ok(consensus) => {
                    said.consensus = Some(consensus);
                    Look::new("authority", Verdict::Well, format!("{name} has the document of epoch {}", epoch.0))
                }
                Err(error) => Look::new("authority", Verdict::Unusual, error),
            });
        }
        said.looks.push(clock_look(&self.dialler.clocks.seconds_ahead()));
        if said.consensus.is_none() {
            let seen = format!(
                "no authority has given the document of epoch {}: is {} as in the rest of the network?",
                epoch.0,
                pki::epoch::PERIOD_VARIABLE
            );
            said.looks.push(Look::new("consensus", Verdict::Bad, seen));
        }
        said
    }
}

/// This host's clock beside those of the authorities.
fn clock_look(seconds_ahead: &BTreeMap<String, i64>) -> Look {
    const WHAT: &str = "clock";
    let Some((name, worst)) = seconds_ahead.iter().max_by_key(|(_, seconds)| seconds.unsigned_abs()) else {
        return Look::new(WHAT, Verdict::Unusual, "not compared: no authority could be asked");
    };
    let (seconds, all) = (worst.unsigned_abs(), seconds_ahead.len());
    if seconds <= CLOCK_SKEW_SECONDS_MAX {
        return Look::new(WHAT, Verdict::Well, format!("at most {seconds} s from those of {all} authorities"));
    }
    let direction = if *worst > 0 { "ahead of" } else { "behind" };
    let seen =
        format!("{seconds} s {direction} that of {name}: see to it that time synchronisation works on this host");
    Look::new(WHAT, Verdict::Bad, seen)
}
