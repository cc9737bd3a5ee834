//! The one authority of the rig's network: takes the node's descriptor and signs documents with it at once, instead of
//! voting with others for most of an epoch.

use crypto_simd::schemes::signature;
use pki::Epoch;
use pki::descriptor::{MixDescriptor, SignedUpload};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};
use testnet::network::{Network, SIGNATURE_SCHEME};
use testnet::session::Session;
use wire::command::codes;
use wire::{Command, Role};

/// Takes descriptors and serves documents until the process ends.
pub struct Authority {
    /// Where it listens.
    pub address: SocketAddr,
    state: Arc<State>,
}

struct State {
    network: Arc<Network>,
    descriptors: Mutex<BTreeMap<Epoch, MixDescriptor>>,
    changed: Condvar,
}

impl Authority {
    /// Starts to listen on loopback.
    pub fn start(network: Arc<Network>) -> Result<Self, String> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| error.to_string())?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let state = Arc::new(State { network, descriptors: Mutex::default(), changed: Condvar::new() });
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = shared.clone();
                // A caller that breaks off is the caller's business.
                std::thread::spawn(move || state.serve(stream).ok());
            }
        });
        Ok(Self { address, state })
    }

    /// The first descriptor that the node posts, with the epoch that it is for.
    pub fn wait_for_descriptor(&self, limit: Duration) -> Option<(Epoch, MixDescriptor)> {
        let deadline = Instant::now() + limit;
        let mut descriptors = self.state.descriptors.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some((epoch, descriptor)) = descriptors.first_key_value() {
                return Some((*epoch, descriptor.clone()));
            }
            let rest = deadline.checked_duration_since(Instant::now())?;
            descriptors = self.state.changed.wait_timeout(descriptors, rest).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl State {
    fn serve(&self, stream: TcpStream) -> Result<(), String> {
        let config = self.network.pki_session(Role::Responder);
        let set = config.command_set();
        let mut session = Session::establish(stream, &config, &self.network.authority_identity, |_| true)?;
        loop {
            let request = session.receive()?;
            let answer = match set.parse(&request).map_err(|error| error.to_string())? {
                Command::GetConsensus { epoch, .. } => {
                    let (error_code, payload) = self.consensus(Epoch(epoch))?;
                    session.send(&Command::Consensus { error_code, payload: &payload })
                }
                Command::PostDescriptor { epoch, payload } => {
                    let error_code = self.post(Epoch(epoch), payload);
                    session.send(&Command::PostDescriptorStatus { error_code })
                }
                other => Err(format!("{:?} is not for an authority", other.id())),
            };
            answer?;
        }
    }

    /// A document exists for every epoch that the node has posted a descriptor for.
    fn consensus(&self, epoch: Epoch) -> Result<(u8, Vec<u8>), String> {
        let descriptors = self.descriptors.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(descriptor) = descriptors.get(&epoch) {
            return Ok((codes::consensus::OK, self.network.document(epoch, descriptor.clone())?));
        }
        // Nodes post for the next epoch only: there will never be a document for this one.
        let is_past = epoch <= self.network.epoch();
        Ok((if is_past { codes::consensus::GONE } else { codes::consensus::NOT_FOUND }, Vec::new()))
    }

    fn post(&self, epoch: Epoch, payload: &[u8]) -> u8 {
        let verified = signature::by_name(SIGNATURE_SCHEME).ok().zip(SignedUpload::decode(payload).ok());
        let Some((scheme, upload)) = verified else { return codes::post::INVALID };
        match upload.verify(scheme) {
            Ok(descriptor) if descriptor.check(epoch).is_ok() => {
                let mut descriptors = self.descriptors.lock().unwrap_or_else(PoisonError::into_inner);
                descriptors.insert(epoch, descriptor.clone());
                self.changed.notify_all();
                codes::post::OK
            }
            _ => codes::post::INVALID,
        }
    }
}
