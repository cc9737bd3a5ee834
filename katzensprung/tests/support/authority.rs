//! The one authority: takes descriptors, signs documents at once instead of voting, and misbehaves where a test wants
//! it to.

use crypto_simd::schemes::signature;
use pki::descriptor::{MixDescriptor, SignedUpload};
use pki::{Epoch, MIX_KEY_EPOCHS};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use testnet::network::{Network, SIGNATURE_SCHEME};
use testnet::session::Session;
use wire::command::codes;
use wire::{Command, Role};

use super::wait_for;

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
    pub epoch: Epoch,
    pub payload: Vec<u8>,
}

impl Post {
    /// The descriptor in it, whose signature must be good.
    #[track_caller]
    pub fn descriptor(&self) -> MixDescriptor {
        let upload = SignedUpload::decode(&self.payload).expect("an upload");
        let scheme = signature::by_name(SIGNATURE_SCHEME).expect("built in");
        let descriptor = upload.verify(scheme).expect("a good signature");
        assert_eq!(descriptor.check(self.epoch), Ok(()));
        descriptor.clone()
    }
}

/// How the authority behaves.
struct Behaviour {
    documents: Documents,
    /// Otherwise it hangs up on those who post.
    accepts_posts: bool,
    posts: Vec<Post>,
}

struct State {
    network: Arc<Network>,
    stranger: Network,
    first: Epoch,
    /// The node as documents list it before it has posted a descriptor.
    node: MixDescriptor,
    behaviour: Mutex<Behaviour>,
}

/// A listening authority.
pub struct Authority(Arc<State>);

impl Authority {
    /// Listens at `address` until the process ends.
    pub fn start(network: Arc<Network>, node: MixDescriptor, address: SocketAddr) -> Self {
        let stranger = Network::new(network.geometry.clone(), network.clock, network.mu, 1, &[]).expect("a network");
        let behaviour = Behaviour { documents: Documents::Good, accepts_posts: true, posts: Vec::new() };
        let first = network.epoch();
        let state = Arc::new(State { network, stranger, first, node, behaviour: Mutex::new(behaviour) });
        let listener = TcpListener::bind(address).expect("the authority's address is free");
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = shared.clone();
                // A caller that breaks off is the caller's business.
                std::thread::spawn(move || state.serve(stream).ok());
            }
        });
        Self(state)
    }

    /// Answers in that way from now on.
    pub fn serve(&self, documents: Documents) {
        self.0.behaviour().documents = documents;
    }

    /// Whether it takes descriptors from now on; it notes them in any case.
    pub fn accept_posts(&self, on: bool) {
        self.0.behaviour().accepts_posts = on;
    }

    /// All that the node has posted.
    pub fn posts(&self) -> Vec<Post> {
        self.0.behaviour().posts.clone()
    }

    /// The first post for `epoch`.
    #[track_caller]
    pub fn wait_for_post(&self, epoch: Epoch, limit: Duration) -> Post {
        wait_for("a post", limit, || self.posts().into_iter().find(|post| post.epoch == epoch))
    }
}

impl State {
    fn behaviour(&self) -> MutexGuard<'_, Behaviour> {
        self.behaviour.lock().expect("no test panics with the lock")
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
                    let error_code = self.post(Epoch(epoch), payload)?;
                    session.send(&Command::PostDescriptorStatus { error_code })?;
                }
                other => return Err(format!("{:?} is not for an authority", other.id())),
            }
        }
    }

    /// There is a document of each epoch that the node has posted for, and of the one in which the authority started,
    /// so that no test has to wait for the next.
    fn consensus(&self, epoch: Epoch) -> Result<(u8, Vec<u8>), String> {
        let (documents, posted) = {
            let behaviour = self.behaviour();
            let posted = behaviour.posts.iter().find(|post| post.epoch == epoch).map(Post::descriptor);
            (behaviour.documents, posted)
        };
        let node = match posted {
            Some(posted) => posted,
            None if epoch == self.first => self.listed(epoch),
            None if epoch > self.network.epoch() => return Ok((codes::consensus::NOT_FOUND, Vec::new())),
            None => return Ok((codes::consensus::GONE, Vec::new())),
        };
        let payload = match documents {
            Documents::Good => self.network.document(epoch, node)?,
            Documents::OtherEpoch => self.network.document(epoch.after(1), self.listed(epoch.after(1)))?,
            Documents::OtherSigner => self.stranger.document(epoch, node)?,
            Documents::Damaged => {
                let mut document = self.network.document(epoch, node)?;
                // The signature comes last.
                *document.last_mut().ok_or("an empty document")? ^= 1;
                document
            }
        };
        Ok((codes::consensus::OK, payload))
    }

    fn listed(&self, epoch: Epoch) -> MixDescriptor {
        let mix_keys = (0..MIX_KEY_EPOCHS).map(|n| (epoch.after(n), Some(vec![1; 32]))).collect();
        MixDescriptor { epoch, mix_keys: Some(mix_keys), ..self.node.clone() }
    }

    fn post(&self, epoch: Epoch, payload: &[u8]) -> Result<u8, String> {
        let mut behaviour = self.behaviour();
        behaviour.posts.push(Post { epoch, payload: payload.to_vec() });
        if behaviour.accepts_posts { Ok(codes::post::OK) } else { Err("not today".into()) }
    }
}
