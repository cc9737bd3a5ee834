//! What a link has besides if its peer is a client of this gateway (server.md 3.3, 5.2, 5.6): a limit for what it sends,
//! its mail, and the documents that it asks for.

use crate::account::Account;
use crate::shared::Directory;
use crate::time::Instant;
use gateway::{Download, Letter, Push, Rate, Request, Requests, TokenBucket, UserId, refusal_code};
use interplane::Counter;
use interplane::counter::DocumentRefusal;
use interplane::setup::ClientRate;
use interplane::snapshot::EncodedDocument;
use pki::Epoch;
use std::sync::Arc;
use std::time::Duration;
use wire::command::codes;
use wire::link::{End, SendError};
use wire::{Command, Link, consensus2};

/// Clients drop a gateway that is silent for 15 s (server.md 5.2). With this one of [`wire::link`]'s waits, which differ
/// by up to an eighth, none is longer than the reference's 10 s.
pub const KEEP_ALIVE: Duration = Duration::from_nanos(10_000_000_000 / 9 * 8);

/// How long a client may take for a document; then its connection ends. What it takes a byte of now and then is memory:
/// all documents of the time when it asked.
const DOWNLOAD_LIMIT: Duration = Duration::from_secs(300);

/// A client's side of its link.
pub struct Client {
    /// Its name.
    pub user: UserId,
    bucket: TokenBucket,
    push: Push,
    requests: Requests<Directory>,
    /// Until when the document that is on its way is to be taken.
    download_until: Option<Instant>,
    /// Its acknowledgement may be among what is not read yet: before then it is not late.
    excused_until: Instant,
    has_delivered: bool,
}

/// What documents are answered from, and where it is counted that one was not.
pub struct Library<'a> {
    /// The documents that are held now.
    pub directory: &'a Arc<Directory>,
    /// The current epoch.
    pub epoch: Epoch,
    /// Whether a document may be sent in one piece: as many are on their way as may be, otherwise.
    pub may_send_whole: bool,
    /// The books.
    pub account: &'a Account,
}

impl Client {
    /// A client that has just connected.
    pub fn new(user: UserId, rate: Rate, now: Instant) -> Self {
        let mut bucket = TokenBucket::default();
        bucket.set_rate(rate, now);
        let (push, requests) = (Push::default(), Requests::new(now));
        let excused_until = Instant::default();
        Self { user, bucket, push, requests, download_until: None, excused_until, has_delivered: false }
    }

    /// Goes by another rate.
    pub fn set_rate(&mut self, rate: Rate, now: Instant) {
        self.bucket.set_rate(rate, now);
    }

    /// Whether a packet may pass now; it costs a token.
    pub fn may_send(&mut self, now: Instant) -> bool {
        self.bucket.take(now)
    }

    /// The client acknowledges a message.
    pub fn handle_delivered(&mut self, sequence: u32) {
        self.has_delivered |= self.push.handle_delivered(sequence);
    }

    /// It asks for a document.
    pub fn handle_request(&mut self, request: Request) {
        self.requests.push(request);
    }

    /// Its mail.
    pub fn offer(&mut self, letter: Arc<Letter>) {
        self.push.offer(letter);
    }

    /// Whether the mail room has to be told that the letter has arrived; told once.
    pub fn take_delivered(&mut self) -> bool {
        std::mem::take(&mut self.has_delivered)
    }

    /// Whether nothing more is to be read before something is answered.
    pub fn is_asking_too_much(&self) -> bool {
        self.requests.is_full()
    }

    /// Whether [`Client::speak`] or [`Client::take_delivered`] has something.
    pub fn wants_attention(&self) -> bool {
        self.has_delivered || self.push.has_message() || !self.requests.is_empty()
    }

    /// When the client has taken too long to acknowledge its letter, or to take a document.
    pub fn next_timeout(&self) -> Instant {
        let acknowledgement = self.push.poll_timeout().max(self.excused_until);
        acknowledgement.min(self.download_until.unwrap_or(Instant::NEVER))
    }

    /// What it has sent waits to be read: until then it owes no acknowledgement.
    pub fn excuse(&mut self, until: Instant) {
        self.excused_until = until;
    }

    /// Seals what is to be said, as far as there is room; true if a document in one piece is among it.
    pub fn speak(&mut self, link: &mut Link, library: &Library<'_>, now: Instant) -> Result<bool, End> {
        let began_before = self.download_until.is_some();
        let is_sent_whole = self.speak_all(link, library, now)?;
        let is_taking = self.requests.download.is_some() || (began_before || is_sent_whole) && !link.is_flushed();
        self.download_until = is_taking.then(|| self.download_until.unwrap_or(now + DOWNLOAD_LIMIT));
        Ok(is_sent_whole)
    }

    fn speak_all(&mut self, link: &mut Link, library: &Library<'_>, now: Instant) -> Result<bool, End> {
        // Never more than one step beyond what fits, so a client that takes nothing costs no time either.
        loop {
            let has_spoken = if self.push.has_message() {
                self.speak_mail(link, now)?
            } else if self.requests.download.is_some() {
                self.speak_chunk(link)?
            } else {
                match self.requests.next() {
                    None => return Ok(false),
                    Some(Request::Chunks(epoch)) => self.begin_chunks(link, library, epoch, now)?,
                    Some(Request::Whole(_)) if !link.is_flushed() => false,
                    Some(Request::Whole(epoch)) => return self.speak_whole(link, library, epoch, now),
                }
            };
            if !has_spoken {
                return Ok(false);
            }
        }
    }

    fn speak_mail(&mut self, link: &mut Link, now: Instant) -> Result<bool, End> {
        let Some(letter) = self.push.peek() else { return Ok(true) };
        let command = Command::Message { sequence: 0, surb_id: &letter.surb_id, payload: &letter.payload };
        if !link.has_room(link.commands().encoded_len(&command)) {
            return Ok(false);
        }
        let Some(message) = self.push.poll_message(now) else { return Ok(true) };
        let (sequence, letter) = (message.sequence, &message.letter);
        send(link, &Command::Message { sequence, surb_id: &letter.surb_id, payload: &letter.payload })
    }

    fn speak_chunk(&mut self, link: &mut Link) -> Result<bool, End> {
        let Some(download) = &mut self.requests.download else { return Ok(true) };
        let document = find(&download.source, download.epoch);
        let Some((payload, total)) =
            document.and_then(|document| Some((document.chunk(download.next_chunk)?, document.chunks().len())))
        else {
            self.requests.download = None;
            return Ok(true);
        };
        // There are as many as there are in 256 MB at most.
        let (chunk, chunks) = (download.next_chunk as u32, total as u32);
        let command = Command::Consensus2 { error_code: codes::consensus::OK, chunk, chunks, payload };
        if !link.has_room(link.commands().encoded_len(&command)) {
            return Ok(false);
        }
        download.next_chunk += 1;
        send(link, &command)
    }

    fn begin_chunks(&mut self, link: &mut Link, library: &Library<'_>, epoch: u64, now: Instant) -> Result<bool, End> {
        let is_held = find(library.directory, epoch).is_some();
        if is_held && self.requests.may_take(now) {
            let source = Arc::clone(library.directory);
            self.requests.begin(Some(Download { source, epoch, next_chunk: 0 }));
            self.download_until = None;
            return Ok(true);
        }
        // It may ask again when it has waited.
        let code = if is_held { codes::consensus::NOT_FOUND } else { library.refusal(epoch) };
        let command = consensus2::refusal(code);
        if !link.has_room(link.commands().encoded_len(&command)) {
            return Ok(false);
        }
        if is_held {
            library.account.count(Counter::document_refused(DocumentRefusal::RateLimited));
        }
        self.requests.begin(None);
        send(link, &command)
    }

    /// In one piece, of whatever size: there is nothing else on its way to this client.
    fn speak_whole(&mut self, link: &mut Link, library: &Library<'_>, epoch: u64, now: Instant) -> Result<bool, End> {
        let refused = |refusal| {
            library.account.count(Counter::document_refused(refusal));
            (codes::consensus::NOT_FOUND, &[][..])
        };
        let (error_code, payload) = match find(library.directory, epoch) {
            // It may ask again when fewer do, or when it has waited.
            Some(_) if !library.may_send_whole => refused(DocumentRefusal::WholeLimit),
            Some(_) if !self.requests.may_take(now) => refused(DocumentRefusal::RateLimited),
            Some(document) => (codes::consensus::OK, document.raw.as_slice()),
            None => (library.refusal(epoch), &[][..]),
        };
        self.requests.begin(None);
        send(link, &Command::Consensus { error_code, payload })?;
        Ok(!payload.is_empty())
    }
}

impl Library<'_> {
    fn refusal(&self, epoch: u64) -> u8 {
        let known = self.directory.snapshot().client_document(Epoch(epoch));
        refusal_code(epoch, self.epoch.0, known.is_some_and(|known| known.document.is_none()))
    }
}

fn find(directory: &Directory, epoch: u64) -> Option<&EncodedDocument> {
    directory.snapshot().client_document(Epoch(epoch))?.document.as_ref()
}

/// What cannot be sealed cannot be skipped either: the client would wait for it.
fn send(link: &mut Link, command: &Command<'_>) -> Result<bool, End> {
    match link.send(command) {
        Ok(()) => Ok(true),
        Err(SendError::Full) => Ok(false),
        Err(_) => Err(End::Failed),
    }
}

/// The rate that clients may send at by the newest document that counts, unless an operator has said something else
/// since it counts.
pub fn rate(said: ClientRate, directory: &Directory, epoch: Epoch) -> Rate {
    let ClientRate { is_unlimited, ordered, burst_packets } = said;
    if is_unlimited {
        return Rate::OFF;
    }
    let current = directory.view().documents().iter().rev().find(|document| document.epoch <= epoch);
    let rate = current.map_or(Rate::OFF, |document| {
        let ordered = ordered.filter(|ordered| ordered.epoch == document.epoch);
        ordered.map_or_else(
            || Rate::of(document.lambda_p, document.lambda_l),
            |ordered| Rate::per_minute(ordered.per_minute),
        )
    });
    burst_packets.map_or(rate, |burst| rate.with_burst(burst))
}
