//! Signatures may take seconds (SPHINCS+): whoever makes or checks one must not stand in the way of the thread that all
//! tasks of the control plane share. Here one takes until the test allows it to end, and the test is such a task.

use super::*;
use crypto_simd::random::Random;
use crypto_simd::schemes::signature::SignatureInfo;
use pki::certificate::Certificate;
use std::sync::Condvar;
use zeroize::Zeroizing;

/// How long a signature waits for the test: without end, but that a test which fails has one.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Sign,
    Verify,
}

/// Stands before one kind of work.
struct Gate {
    work: Work,
    came: mpsc::UnboundedSender<()>,
    state: Mutex<GateState>,
    opened: Condvar,
}

#[derive(Default)]
struct GateState {
    is_open: bool,
    /// Somebody has waited in vain.
    was_forgotten: bool,
}

impl Gate {
    fn pass(&self, work: Work) {
        if work == self.work {
            // A test that has ended does not count those who come.
            let _uncounted = self.came.send(());
            let state = self.state.lock().expect("no panic");
            let waited = self.opened.wait_timeout_while(state, PATIENCE, |state| !state.is_open);
            let mut state = waited.expect("no panic").0;
            state.was_forgotten |= !state.is_open;
        }
    }
}

/// Ed25519 with a gate.
struct Gated(Arc<Gate>);

struct GatedKey(Arc<Gate>, Box<dyn SignatureSigningKey>);

impl Signature for Gated {
    fn info(&self) -> &'static SignatureInfo {
        ed25519().info()
    }

    fn generate(&self, random: &mut dyn Random) -> Zeroizing<Vec<u8>> {
        ed25519().generate(random)
    }

    fn load(&self, private: &[u8]) -> Result<Box<dyn SignatureSigningKey>, SchemeError> {
        Ok(Box::new(GatedKey(self.0.clone(), ed25519().load(private)?)))
    }

    fn check_public_key(&self, public: &[u8]) -> Result<(), SchemeError> {
        ed25519().check_public_key(public)
    }

    fn verify(&self, public: &[u8], message: &[u8], signature: &[u8]) -> Result<(), SchemeError> {
        self.0.pass(Work::Verify);
        ed25519().verify(public, message, signature)
    }
}

impl SignatureSigningKey for GatedKey {
    fn scheme(&self) -> &'static dyn Signature {
        self.1.scheme()
    }

    fn public_key(&self) -> &[u8] {
        self.1.public_key()
    }

    fn sign(&self, message: &[u8], random: &mut dyn Random) -> Vec<u8> {
        self.0.pass(Work::Sign);
        self.1.sign(message, random)
    }
}

/// Starts a worker of which one kind of work is slow; opens the gate when somebody stands before it. In the meantime
/// this task and another one have their turn, or the gate would be left when patience has run out.
async fn start(work: Work, stored: Stored, prepare: impl FnOnce(&World)) -> Trial {
    let (came, mut comes) = mpsc::unbounded_channel();
    let gate = Arc::new(Gate { work, came, state: Mutex::default(), opened: Condvar::new() });
    let scheme: &'static dyn Signature = Box::leak(Box::new(Gated(gate.clone())));
    let trial = Trial::start_with(at(START, Duration::from_secs(1)), scheme, stored, prepare);
    comes.recv().await.expect("somebody comes");
    tokio::spawn(tokio::task::yield_now()).await.expect("it has its turn");
    let mut state = gate.state.lock().expect("no panic");
    assert!(!state.was_forgotten, "{work:?} keeps all tasks waiting");
    state.is_open = true;
    gate.opened.notify_all();
    drop(state);
    trial
}

/// What only looks like a document: its signatures are looked at first.
fn document(epoch: Epoch) -> Vec<u8> {
    let mut certificate = Certificate::new("Ed25519", vec![1], epoch.after(5));
    let [_, one, two] = signers(ed25519());
    for signer in [one, two] {
        certificate.sign(&*signer, epoch, &mut OsRandom).expect("a fresh certificate");
    }
    certificate.encode()
}

#[tokio::test(start_paused = true)]
async fn signing_an_upload_keeps_no_task_waiting() {
    let trial = start(Work::Sign, Stored::default(), |_| {}).await;
    trial.wait_for("the posts", |trial| trial.world.posted_for(START.after(1)) == 2).await;
}

#[tokio::test(start_paused = true)]
async fn verifying_a_fetched_document_keeps_no_task_waiting() {
    let trial = start(Work::Verify, Stored::default(), |world| world.state().document = Some(document(START))).await;
    // Both signatures are good, and it is no document.
    trial.wait_for("the verdict", |trial| trial.log().contains("malformed document")).await;
}

#[tokio::test(start_paused = true)]
async fn verifying_what_the_data_plane_kept_keeps_no_task_waiting() {
    let stored = Stored { documents: BTreeMap::from([(START.0, document(START))]), ..Stored::default() };
    let trial = start(Work::Verify, stored, |_| {}).await;
    trial.wait_for("the posts", |trial| trial.world.posted_for(START.after(1)) == 2).await;
}
