use super::*;
use crate::users::letters::FETCHED_MAX;

const ALICE: UserId = UserId([1; 32]);
const ASKS: RequestId = RequestId(1 << 40);

fn surb(number: u32) -> [u8; 16] {
    let mut surb_id = [0; 16];
    surb_id[..4].copy_from_slice(&number.to_le_bytes());
    surb_id
}

struct Site {
    queue: Queue,
    tally: Letters,
    now: Instant,
}

impl Site {
    fn new() -> Self {
        Self { queue: Queue::default(), tally: Letters::default(), now: Instant::now() }
    }

    fn take(&mut self, record: &Record<'_>) {
        self.queue.take(ASKS, record, self.now, &self.tally);
    }

    fn keep(&mut self, user: UserId, number: u32, payload: &[u8]) {
        self.take(&Record::Keep { user, surb_id: surb(number), payload });
    }

    fn gone(&mut self, user: UserId, number: u32) {
        self.take(&Record::Gone { user, surb_id: surb(number) });
    }

    fn count(&self, outcome: LetterOutcome) -> u64 {
        self.tally.get(outcome)
    }

    /// The reply blocks of the letters of the next batch.
    fn written(&mut self) -> Vec<u8> {
        let batch = self.queue.next(self.now, &self.tally);
        self.queue.done();
        batch.map_or_else(Vec::new, |batch| batch.keeps.iter().map(|((_, surb_id), _)| surb_id[0]).collect())
    }
}

#[test]
fn strangers_letters_wait_until_somebody_says_whose_they_are() {
    let mut site = Site::new();
    let stranger = |number| UserId([number; 32]);
    for number in 10..13 {
        site.keep(stranger(number), 1, b"one");
        site.keep(stranger(number), 2, b"two");
    }
    assert!(site.written().is_empty());
    assert_eq!(site.tally.waiting_bytes(), 18);
    assert_eq!(site.queue.next_names(2), [stranger(10), stranger(11)]);
    site.queue.is_somebody(stranger(10), site.now, &site.tally);
    site.queue.is_unclear(stranger(11));
    assert_eq!(site.queue.next_names(9), [stranger(12), stranger(11)]);
    site.queue.is_nobody(&stranger(12), &site.tally);
    // Who is known by now does not wait again; what has arrived is not written.
    site.gone(stranger(10), 1);
    site.keep(stranger(10), 3, b"three");
    assert_eq!(site.written(), [2, 3]);
    assert_eq!((site.count(LetterOutcome::UnknownUser), site.count(LetterOutcome::Spared)), (2, 1));
    // Who connects is somebody.
    site.gone(stranger(11), 2);
    site.take(&Record::Fetch { user: stranger(11) });
    site.queue.is_unclear(stranger(11));
    assert_eq!(site.written(), [1]);
    assert!(site.queue.is_idle() && site.queue.next_names(9).is_empty());
    assert_eq!(site.tally.waiting_bytes(), 0);
    assert!(site.queue.keeps.is_empty() && site.queue.arrived.is_empty());
    // Not for ever, and not who was removed.
    site.now += KNOWN_FOR;
    site.keep(stranger(11), 4, b"four");
    assert_eq!(site.queue.next_names(9), [stranger(11)]);
}

/// However many letters there are for names that are nobody's: those of others find room.
#[test]
fn a_flood_for_nobody_takes_no_room_from_others() {
    let mut site = Site::new();
    site.take(&Record::Fetch { user: ALICE });
    let large = vec![0; 1 << 20];
    for number in 0..200 {
        site.keep(UserId([2; 32]), number, &large);
    }
    assert_eq!(site.count(LetterOutcome::Overflowed), 200 - 16);
    for number in 0..65 {
        site.keep(ALICE, number, &large);
    }
    assert_eq!(site.count(LetterOutcome::Overflowed), 200 - 16 + 1);
    assert_eq!(site.written().len(), 64);
    assert_eq!(site.tally.waiting_bytes(), 16 << 20);
}

#[test]
fn who_has_more_letters_gets_them_as_others_arrive() {
    let mut site = Site::new();
    site.queue.fetched(ALICE, ASKS, FETCHED_MAX, true);
    for number in 0..FETCHED_MAX as u32 {
        assert!(site.queue.next(site.now, &site.tally).is_none_or(|batch| batch.fetches.is_empty()));
        site.gone(ALICE, number);
    }
    let batch = site.queue.next(site.now, &site.tally).expect("something to do");
    assert_eq!(batch.fetches, [(ALICE, ASKS)]);
    // The last ones.
    site.queue.fetched(ALICE, ASKS, FETCHED_MAX - 1, false);
    (0..FETCHED_MAX as u32).for_each(|number| site.gone(ALICE, number));
    assert!(site.queue.next(site.now, &site.tally).is_some_and(|batch| batch.fetches.is_empty()));
}

/// A letter is not written before its client had the time to acknowledge it, whatever else waits.
#[test]
fn what_came_later_waits_longer() {
    let mut site = Site::new();
    let start = site.now;
    site.take(&Record::Fetch { user: ALICE });
    site.keep(ALICE, 1, b"one");
    site.now += Duration::from_secs(1);
    site.keep(ALICE, 2, b"two");
    let batch = site.queue.next(start, &site.tally).expect("something to do");
    assert_eq!((batch.fetches.len(), batch.keeps.len()), (1, 1));
    assert!(site.queue.next(start, &site.tally).is_none() && site.queue.has_more());
    assert_eq!(site.written(), [2]);
    assert!(!site.queue.has_more());
}

#[test]
fn who_is_removed_loses_what_came_before() {
    let mut site = Site::new();
    site.take(&Record::Fetch { user: ALICE });
    site.keep(ALICE, 1, b"before");
    site.queue.forget(ALICE, site.now, &site.tally);
    site.keep(ALICE, 2, b"after");
    assert_eq!(site.queue.next_names(9), [ALICE]);
    site.queue.is_somebody(ALICE, site.now, &site.tally);
    assert_eq!(site.written(), [1]);
    let batch = site.queue.next(site.now, &site.tally).expect("something to do");
    assert_eq!((batch.forgotten, batch.keeps.len()), (vec![ALICE], 1));
}

/// However much waits, and whether it is known or not whose it was.
#[test]
fn nothing_is_left_for_who_has_a_name_next() {
    let mut site = Site::new();
    site.keep(ALICE, 1, b"stranger's");
    (0..WAITING_MAX as u32).for_each(|number| site.gone(UserId([2; 32]), number));
    site.queue.forget(ALICE, site.now, &site.tally);
    assert_eq!((site.count(LetterOutcome::UnknownUser), site.tally.waiting_bytes()), (1, 0));
    let mut forgotten = Vec::new();
    while let Some(batch) = site.queue.next(site.now, &site.tally) {
        forgotten.extend(batch.forgotten);
    }
    assert_eq!(forgotten, [ALICE]);
}

#[test]
fn a_name_without_answers_does_not_wait_for_ever() {
    let mut site = Site::new();
    site.keep(ALICE, 1, b"letter");
    for _ in 0..MISSES_MAX {
        assert_eq!(site.queue.next_names(9), [ALICE]);
        site.queue.is_unanswered(ALICE, &site.tally);
    }
    assert!(site.queue.next_names(9).is_empty());
    assert_eq!((site.count(LetterOutcome::UnknownUser), site.tally.waiting_bytes()), (1, 0));
}
