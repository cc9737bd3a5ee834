//! A voting directory authority as a state machine (pki.md 6, 8 to 11, as corrected by 20): what peers send and the
//! time come in, what to answer, send, store and log comes out. It opens nothing and draws no randomness by itself.
//!
//! | module | what it holds |
//! |---|---|
//! | `configuration` | what does not change while an authority runs: itself, the others, the members, the parameters |
//! | `message` | who may send what, and the answers |
//! | `inspect` | everything about a request that needs no state: decoding, and **verifying signatures** |
//! | `accept` | the rest of a request: what the round has already, codes (pki.md 8.5 to 8.9) |
//! | `steps` | the worker: vote, reveal, certificate, signature, publication (pki.md 9.3), **signing** |
//! | `round` | what has been received for one epoch |
//! | `tally`, `assemble` | from votes to a document (pki.md 10.3 to 10.5) |
//! | `shared_random` | commits, reveals, the set of them that counts, the value (pki.md 6, 10.2, 10.7) |
//! | `topology` | who stands in which layer (pki.md 10.9) |
//! | `lambda_g` | the gateways' decoy rate with Go's logarithm (pki.md 10.6, appendix B) |
//! | `store` | what outlives a restart (pki.md 11) |
//! | `notice` | what an operator is told |
//!
//! How a process drives it:
//!
//! 1. [`Voting::new`] with a [`Configuration`] and all that the store held.
//! 2. [`Voting::poll`] at once, after every call of a `handle…`, and at [`Voting::next_deadline`] at the latest. Do what
//!    each [`Output`] says, in order; the `Store`s before anything is answered or sent.
//! 3. For each request of a peer: [`Configuration::classify`] at the handshake, [`Peer::may_send`] (else close without
//!    an answer), [`Configuration::inspect`], [`Voting::handle`], do its outputs, send its reply, close.
//! 4. For [`Output::Fetch`], ask all others with [`crate::authority::FetchPass`] and give a good document to
//!    [`Voting::handle_fetched`].
//!
//! Signatures may cost seconds (SPHINCS+). **Signing** happens in [`Voting::poll`] alone: two when an epoch begins, one
//! at P/8, one at 3P/8, two at 4P/8; it also verifies commits, reveals and signatures. **Verifying** happens besides in [`Configuration::inspect`], which
//! needs no `Voting` and may run on any number of threads at once, in [`crate::authority::DocumentVerifier::verify`] and
//! in [`Voting::new`]. [`Voting::handle`], [`Voting::handle_fetched`] and the getters only compare and copy. Documents
//! are answered from a [`Documents`], a cheap copy to be renewed after each `poll` and `handle_fetched`, so that nobody
//! who fetches one waits for a signature.

mod accept;
mod assemble;
mod configuration;
mod inspect;
mod lambda_g;
mod message;
mod notice;
mod round;
mod shared_random;
mod steps;
mod store;
mod tally;
#[cfg(test)]
mod tests;
mod topology;

pub use configuration::{Configuration, ConfigurationError, Member, Parameters, ReplicaMember, Topology};
pub use inspect::Inspected;
pub use message::{Message, MessageKind, Peer, PostStatus, Reply, Request, Status};
pub use notice::{Level, Notice};
pub use shared_random::Strike;
pub use store::{Documents, StoreKey};

use crate::descriptor::{MixDescriptor, ReplicaDescriptor};
use crate::document::Consensus;
use crate::epoch::{Epoch, EpochTime};
use crate::identity::NodeId;
use crypto_simd::random::Random;
use crypto_simd::schemes::SignatureSigningKey;
use round::Round;
use shared_random::{Pair, Prior};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use store::{Held, Watch};

/// What is being collected now (pki.md 9.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Waiting for the next epoch, because it is too late to vote in this one or the last round was lost.
    Bootstrap,
    /// Descriptors, until the own vote is made at P/8.
    AcceptDescriptors,
    /// Votes, until the own reveal is sent at 2P/8.
    AcceptVotes,
    /// Reveals, until the own certificate is made at 3P/8.
    AcceptReveals,
    /// Certificates, until the own consensus is signed at 4P/8.
    AcceptCertificates,
    /// Signatures, until the consensus is published at 5P/8.
    AcceptSignatures,
}

impl State {
    /// The value of `katzenpost_dirauth_voting_phase`.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The reference's name of the state.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bootstrap => "bootstrap",
            Self::AcceptDescriptors => "accept_desc",
            Self::AcceptVotes => "accept_vote",
            Self::AcceptReveals => "accept_reveal",
            Self::AcceptCertificates => "accept_cert",
            Self::AcceptSignatures => "accept_signature",
        }
    }
}

/// Something for the owner of a [`Voting`] to do.
#[derive(Clone, Debug)]
pub enum Output {
    /// Write this before anything that follows. What cannot be written must be kept and written as soon as it can be:
    /// an authority that has forgotten its vote contradicts itself after a restart.
    Store {
        /// Under which key; an earlier value is replaced.
        key: StoreKey,
        /// The value.
        value: Arc<[u8]>,
    },
    /// Delete what is stored for epochs before this one.
    Prune {
        /// The first epoch to keep.
        before: Epoch,
    },
    /// Send `message` to each of these authorities, concurrently, on a connection of its own (pki.md 9.7).
    Send {
        /// Their numbers in [`crate::authority::Authorities::list`]; never the own one.
        to: Vec<usize>,
        /// What to send; the answer is logged ([`Voting::handle_answer`]) and never makes anything be sent again.
        message: Message,
        /// No new try to connect begins at or after this time since the Unix epoch.
        last_try: Duration,
        /// What is not through by this time is given up.
        deadline: Duration,
    },
    /// Ask all other authorities for a document; the first good one wins. Several may be under way.
    Fetch {
        /// The document's epoch.
        epoch: Epoch,
        /// When to give up, since the Unix epoch.
        deadline: Duration,
    },
    /// There is a consensus. It has been stored and is served from now on.
    Published {
        /// Its epoch.
        epoch: Epoch,
        /// Its certificate.
        raw: Arc<[u8]>,
        /// How many authorities have signed.
        signatures: usize,
    },
    /// Something for the log.
    Notice(Notice),
}

/// What came of a request.
#[derive(Clone, Debug)]
pub struct Handled {
    /// What to do before the reply is sent.
    pub outputs: Vec<Output>,
    /// What to answer; the connection is closed in any case.
    pub reply: Reply,
}

/// What the round that is under way has received, the own contributions counted, as numbers of authorities.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoundStatus {
    /// Whose votes are held.
    pub votes: Vec<usize>,
    /// Whose reveals are held.
    pub reveals: Vec<usize>,
    /// Whose certificates are held.
    pub certificates: Vec<usize>,
    /// Whose signatures are held; whether they are over the own document is known at 5P/8.
    pub signatures: Vec<usize>,
    /// Nodes whose descriptors for the epoch are held.
    pub descriptors: usize,
    /// Replicas whose descriptors for the epoch are held.
    pub replica_descriptors: usize,
}

/// One authority.
pub struct Voting {
    configuration: Arc<Configuration>,
    signer: Box<dyn SignatureSigningKey>,
    started: bool,
    state: State,
    /// When the state's work is due.
    deadline: Duration,
    voting_epoch: Epoch,
    round: Round,
    /// Commit and reveal for the own vote, signed in advance: what is left to do at P/8 must be done soon after it.
    prepared: Option<(Epoch, Pair)>,
    /// When they are to be made.
    prepare_at: Option<Duration>,
    /// The own vote as it was sent.
    own_vote: Option<Arc<[u8]>>,
    /// Where the chain of documents begins for this round.
    genesis: Epoch,
    /// Whether the document of the epoch before was held when this round last looked for it.
    chained: bool,
    prior: Prior,
    /// The last epoch for which there was no consensus here.
    lost: Option<Epoch>,
    fetch_at: Option<Duration>,
    documents: BTreeMap<Epoch, Held>,
    served: Documents,
    descriptors: BTreeMap<Epoch, BTreeMap<NodeId, MixDescriptor>>,
    replica_descriptors: BTreeMap<Epoch, BTreeMap<NodeId, ReplicaDescriptor>>,
    pruned_before: Epoch,
    watch: Watch,
    /// To be given by the next poll.
    pending: Vec<Output>,
}

impl Voting {
    /// An authority that starts at `now` with what an earlier process stored; what does not verify is left out and told
    /// by the first [`Self::poll`]. Verifies documents and messages. `signer` is the key of `configuration.own`.
    pub fn new(
        configuration: Arc<Configuration>,
        signer: Box<dyn SignatureSigningKey>,
        stored: Vec<(StoreKey, Vec<u8>)>,
        now: &EpochTime,
    ) -> Result<Self, ConfigurationError> {
        configuration.check(&*signer)?;
        let voting_epoch = now.epoch.after(1);
        let mut voting = Self {
            configuration,
            signer,
            started: false,
            state: State::Bootstrap,
            deadline: Duration::ZERO,
            voting_epoch,
            round: Round::new(voting_epoch),
            prepared: None,
            prepare_at: None,
            own_vote: None,
            genesis: Epoch(0),
            chained: false,
            prior: Prior::default(),
            lost: None,
            fetch_at: None,
            documents: BTreeMap::new(),
            served: Documents::default(),
            descriptors: BTreeMap::new(),
            replica_descriptors: BTreeMap::new(),
            pruned_before: Epoch(0),
            watch: Watch::default(),
            pending: Vec::new(),
        };
        voting.restore(stored, now);
        Ok(voting)
    }

    /// Does what is due. Signs and verifies.
    pub fn poll(&mut self, now: &EpochTime, random: &mut dyn Random) -> Vec<Output> {
        self.work(now, random)
    }

    /// When to poll again at the latest, since the Unix epoch.
    pub fn next_deadline(&self) -> Duration {
        self.due()
    }

    /// A peer's request, inspected.
    pub fn handle(&mut self, inspected: Inspected, now: &EpochTime) -> Handled {
        self.accept(inspected, now)
    }

    /// A verified document that [`Output::Fetch`] asked for. It counts if none is held for its epoch by now.
    pub fn handle_fetched(&mut self, consensus: Consensus) -> Vec<Output> {
        let epoch = consensus.epoch();
        if self.documents.contains_key(&epoch) || epoch < self.pruned_before {
            return Vec::new();
        }
        let raw = consensus.raw().clone();
        self.hold_document(consensus.document().clone(), raw.clone());
        let stored = Output::Store { key: StoreKey::Document { epoch }, value: raw };
        vec![stored, Output::Notice(Notice::Fetched { epoch })]
    }

    /// What authority `from` answered to a message of `kind`: a code of the kind's own (pki.md 7.2).
    pub fn handle_answer(&mut self, from: usize, kind: MessageKind, code: u8) -> Vec<Output> {
        let (status, authority) = (kind.status(code), self.configuration.authorities.list().get(from));
        match (status, authority) {
            (Some(Status::Ok), _) | (_, None) => Vec::new(),
            (status, Some(authority)) => {
                vec![Output::Notice(Notice::AnsweredBadly { authority: authority.name.clone(), kind, status })]
            }
        }
    }

    /// The documents that are held.
    pub fn documents(&self) -> Documents {
        self.served.clone()
    }

    /// The state.
    pub fn state(&self) -> State {
        self.state
    }

    /// The epoch that is voted on.
    pub fn voting_epoch(&self) -> Epoch {
        self.voting_epoch
    }

    /// What the round has received.
    pub fn round(&self) -> RoundStatus {
        let held = |count: Option<usize>| count.unwrap_or(0);
        RoundStatus {
            descriptors: held(self.descriptors.get(&self.voting_epoch).map(BTreeMap::len)),
            replica_descriptors: held(self.replica_descriptors.get(&self.voting_epoch).map(BTreeMap::len)),
            ..self.round.status(&self.configuration)
        }
    }

    /// The configuration.
    pub fn configuration(&self) -> &Arc<Configuration> {
        &self.configuration
    }
}
