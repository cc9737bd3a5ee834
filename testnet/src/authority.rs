//! The one authority: takes descriptors, signs documents at once instead of voting with others for most of an epoch, and
//! misbehaves where a test wants it to.

use crate::network::{Network, SIGNATURE_SCHEME};
use crate::session::Session;
use crypto_simd::schemes::signature;
use pki::descriptor::{MixDescriptor, SignedUpload};
use pki::{Epoch, MIX_KEY_EPOCHS};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use wire::command::codes;
use wire::{Command, Role};

/// What the authority answers to those who ask for a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Documents {
    /// The document of that epoch.
    Good,
    /// The next epoch's, under the name of that epoch.
    OtherEpoch,
    /// One that somebody else has signed.
    OtherSigner,
    /// A good one with one bit changed.
    Damaged,
}

/// The node's upload for an epoch, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post {
    /// The epoch.
    pub epoch: Epoch,
    /// The bytes.
    pub payload: Vec<u8>,
}

impl Post {
    /// The descriptor in it. Panics if its signature is not good: tests end there.
    #[track_caller]
    pub fn descriptor(&self) -> MixDescriptor {
        self.checked().expect("an upload with a good signature")
    }

    /// The descriptor in it, if its signature is good.
    pub fn checked(&self) -> Result<MixDescriptor, String> {
        let upload = SignedUpload::decode(&self.payload).map_err(|error| error.to_string())?;
        let scheme = signature::by_name(SIGNATURE_SCHEME).map_err(|error| error.to_string())?;
        let descriptor = upload.verify(scheme).map_err(|error| error.to_string())?;
        descriptor.check(self.epoch).map_err(|error| error.to_string())?;
        Ok(descriptor.clone())
    }
}

/// A listening authority, until the process ends.
pub struct Authority {
    /// Where it listens.
    pub address: SocketAddr,
    state: Arc<State>,
}

struct State {
    network: Arc<Network>,
    first: Epoch,
    /// The node as documents list it before it has posted a descriptor; none leaves the first epoch without a document.
    listed: Option<MixDescriptor>,
    behaviour: Mutex<Behaviour>,
    posted: Condvar,
}

struct Behaviour {
    documents: Documents,
    /// Otherwise it hangs up on those who post.
    accepts_posts: bool,
    posts: Vec<Post>,
}

impl Authority {
    /// Listens at `address`. There is a document of each epoch that the node posts for, and, with a node as it is to be
    /// `listed`, of the epoch that is now, so that nobody has to wait for the next.
    pub fn start(network: Arc<Network>, listed: Option<MixDescriptor>, address: SocketAddr) -> Result<Self, String> {
        let listener = TcpListener::bind(address).map_err(|error| format!("the authority at {address}: {error}"))?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let behaviour = Behaviour { documents: Documents::Good, accepts_posts: true, posts: Vec::new() };
        let (first, behaviour) = (network.epoch(), Mutex::new(behaviour));
        let state = Arc::new(State { network, first, listed, behaviour, posted: Condvar::new() });
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

    /// Answers in that way from now on.
    pub fn serve(&self, documents: Documents) {
        self.state.behaviour().documents = documents;
    }

    /// Whether it takes descriptors from now on; it notes them in any case.
    pub fn accept_posts(&self, on: bool) {
        self.state.behaviour().accepts_posts = on;
    }

    /// All that the node has posted.
    pub fn posts(&self) -> Vec<Post> {
        self.state.behaviour().posts.clone()
    }

    /// The first post that is as wanted, if there is one in time.
    pub fn find_post(&self, limit: Duration, is_wanted: impl Fn(&Post) -> bool) -> Option<Post> {
        let deadline = Instant::now() + limit;
        let mut behaviour = self.state.behaviour();
        loop {
            if let Some(post) = behaviour.posts.iter().find(|post| is_wanted(post)) {
                return Some(post.clone());
            }
            let rest = deadline.checked_duration_since(Instant::now())?;
            let waited = self.state.posted.wait_timeout(behaviour, rest);
            behaviour = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The first post for `epoch`. Panics if there is none in time: tests end there.
    #[track_caller]
    pub fn wait_for_post(&self, epoch: Epoch, limit: Duration) -> Post {
        self.find_post(limit, |post| post.epoch == epoch).unwrap_or_else(|| panic!("a post: not within {limit:?}"))
    }
}

impl State {
    fn behaviour(&self) -> MutexGuard<'_, Behaviour> {
        self.behaviour.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, stream: TcpStream) -> Result<(), String> {
        let config = self.network.pki_session(Role::Responder);
        let set = config.command_set();
        let mut session = Session::establish(stream, &config, &self.network.authority_identity, |_| true)?;
        loop {
            let request = session.receive()?;
            match set.parse(&request).map_err(|error| error.to_string())? {
                Command::GetConsensus { epoch, .. } => {
                    let (error_code, payload) = self.consensus(Epoch(epoch))?;
                    session.send(&Command::Consensus { error_code, payload: &payload })?;
                }
                Command::PostDescriptor { epoch, payload } => {
                    let error_code = self.post(Post { epoch: Epoch(epoch), payload: payload.to_vec() })?;
                    session.send(&Command::PostDescriptorStatus { error_code })?;
                }
                other => return Err(format!("{:?} is not for an authority", other.id())),
            }
        }
    }

    fn consensus(&self, epoch: Epoch) -> Result<(u8, Vec<u8>), String> {
        let (documents, posted) = {
            let behaviour = self.behaviour();
            let posted = behaviour.posts.iter().find(|post| post.epoch == epoch).map(Post::checked);
            (behaviour.documents, posted)
        };
        let node = match (posted, &self.listed) {
            (Some(posted), _) => posted?,
            (None, Some(node)) if epoch == self.first => listed(node, epoch),
            (None, _) if epoch > self.network.epoch() => return Ok((codes::consensus::NOT_FOUND, Vec::new())),
            // Nodes post for the next epoch only: there will never be a document for this one.
            (None, _) => return Ok((codes::consensus::GONE, Vec::new())),
        };
        let payload = match documents {
            Documents::Good => self.network.document(epoch, node)?,
            Documents::OtherEpoch => self.network.document(epoch.after(1), listed(&node, epoch.after(1)))?,
            Documents::OtherSigner => self.stranger()?.document(epoch, node)?,
            Documents::Damaged => {
                let mut document = self.network.document(epoch, node)?;
                // The signature comes last.
                *document.last_mut().ok_or("an empty document")? ^= 1;
                document
            }
        };
        Ok((codes::consensus::OK, payload))
    }

    /// The same network with other keys.
    fn stranger(&self) -> Result<Network, String> {
        Network::new(self.network.geometry.clone(), self.network.clock, self.network.mu, 1, &[])
    }

    fn post(&self, post: Post) -> Result<u8, String> {
        let is_good = post.checked().is_ok();
        let mut behaviour = self.behaviour();
        behaviour.posts.push(post);
        self.posted.notify_all();
        match behaviour.accepts_posts {
            true if is_good => Ok(codes::post::OK),
            true => Ok(codes::post::INVALID),
            false => Err("not today".into()),
        }
    }
}

/// The node as it is, with mix keys that nobody has for other epochs.
fn listed(node: &MixDescriptor, epoch: Epoch) -> MixDescriptor {
    let mix_keys = (0..MIX_KEY_EPOCHS).map(|n| (epoch.after(n), Some(vec![1; 32]))).collect();
    MixDescriptor { epoch, mix_keys: Some(mix_keys), ..node.clone() }
}
