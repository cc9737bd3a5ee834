//! What a gateway reads of its users and their mail: answers of a program, rows of a database, a file of its own, and what
//! its two processes say to each other.

use crate::{Target, Verdict};
use gateway::archive::{self, RECORD_BYTES, Record};
use gateway::program::{self, Said};
use gateway::shelf::{HEAD_BYTES, Head, Placed, Shelf, ShelfLimits};
use gateway::{Question, UserId};
use std::collections::BTreeSet;

/// The body of an answer of a program that is asked about users.
pub const PROGRAM: Target = Target { name: "gateway_program", run: program, seeds: answers };
/// What data plane and control plane say of letters.
pub const RECORD: Target = Target { name: "gateway_record", run: record, seeds: records };
/// A question about a client.
pub const QUESTION: Target = Target { name: "gateway_question", run: question, seeds: questions };
/// What a file says of a letter.
pub const HEAD: Target = Target { name: "gateway_head", run: head, seeds: heads };
/// A letter in a database, into which others may have written: one byte of how it is cut, then reply block and letter.
pub const ROW: Target = Target { name: "gateway_row", run: row, seeds: rows };
/// A file full of heads, and what is done with it: each action is a byte and a head.
pub const SHELF: Target = Target { name: "gateway_shelf", run: shelf, seeds: shelves };

fn answers() -> Vec<Vec<u8>> {
    [r#"{"isvalid": true}"#, r#"{"isvalid": false, "other": [1, {"a": null}]}"#, r#"{"isvalid": "0a0B"}"#]
        .map(|text| text.as_bytes().to_vec())
        .to_vec()
}

fn program(data: &[u8]) -> Verdict {
    let Ok(said) = program::read("isvalid", data) else { return Verdict::Refused };
    assert!(said.truth().is_none() || said.key().is_none());
    if let Some(key) = said.key() {
        assert!(!key.is_empty() && 2 * key.len() <= data.len());
    }
    Verdict::of(said != Said::Nothing)
}

fn records() -> Vec<Vec<u8>> {
    let (user, surb_id) = (UserId([1; 32]), [2; 16]);
    let write = |record: Record<'_>| {
        let mut bytes = Vec::new();
        record.write_to(&mut bytes);
        bytes
    };
    vec![
        write(Record::Keep { user, surb_id, payload: b"letter" }),
        write(Record::Gone { user, surb_id }),
        write(Record::Fetch { user }),
    ]
}

fn record(data: &[u8]) -> Verdict {
    let Some(record) = Record::read(data) else { return Verdict::Refused };
    let mut again = Vec::new();
    record.write_to(&mut again);
    assert!(again.len() >= RECORD_BYTES);
    assert_eq!(Record::read(&again), Some(record));
    Verdict::Accepted
}

fn questions() -> Vec<Vec<u8>> {
    let mut bytes = Vec::new();
    Question { user: UserId([1; 32]), link_key: b"key", has_proven: true }.write_to(&mut bytes);
    vec![bytes]
}

fn question(data: &[u8]) -> Verdict {
    let Some(question) = Question::read(data) else { return Verdict::Refused };
    let mut again = Vec::new();
    question.write_to(&mut again);
    assert_eq!(again.len(), data.len());
    assert!(question.user.trimmed().len() <= question.user.0.len());
    Verdict::Accepted
}

fn heads() -> Vec<Vec<u8>> {
    vec![Head { user: UserId([1; 32]), surb_id: [2; 16], kept_at: 3, bytes: 4 }.to_bytes().to_vec()]
}

fn head(data: &[u8]) -> Verdict {
    let Some(head) = Head::read(data) else { return Verdict::Refused };
    assert_eq!(head.to_bytes().as_slice(), data);
    Verdict::Accepted
}

fn rows() -> Vec<Vec<u8>> {
    vec![[&[16][..], &[7; 16], &[1; 100]].concat()]
}

fn row(data: &[u8]) -> Verdict {
    let Some((cut, rest)) = data.split_first() else { return Verdict::Refused };
    let (surb_id, letter) = rest.split_at(usize::from(*cut).min(rest.len()));
    match archive::letter(Some(surb_id), Some(letter), 100) {
        Some((found, body)) => {
            assert_eq!((found.as_slice(), body.as_slice(), body.len()), (surb_id, letter, 100));
            Verdict::Accepted
        }
        None => Verdict::Refused,
    }
}

fn shelves() -> Vec<Vec<u8>> {
    let head = |user, surb, bytes| Head { user: UserId([user; 32]), surb_id: [surb; 16], kept_at: 1, bytes }.to_bytes();
    let all: Vec<u8> =
        [(0, head(1, 1, 400)), (1, head(1, 2, 500)), (1, head(2, 1, 300)), (2, head(1, 1, 0)), (4, head(0, 0, 0))]
            .iter()
            .flat_map(|(action, head)| [&[*action], head.as_slice()].concat())
            .collect();
    vec![all]
}

fn shelf(data: &[u8]) -> Verdict {
    let mut shelf = Shelf::new(ShelfLimits { mailbox_letters_max: 4, bytes_max: 1000, age_max: 100 });
    let mut there = BTreeSet::new();
    let mut verdict = Verdict::Refused;
    for (at, action) in data.chunks_exact(1 + HEAD_BYTES).enumerate() {
        let Some(head) = Head::read(action.get(1..).unwrap_or_default()) else { continue };
        let mut gone = Vec::new();
        match action.first().map(|kind| kind % 5) {
            // In the order of their numbers, before all else.
            Some(0) if there.is_empty() && at == 0 => {
                shelf.load(7, &head);
                there.insert(7);
            }
            Some(1) => {
                if let Placed::At(number) = shelf.keep(&head, &mut gone) {
                    assert!(there.insert(number), "a number is given twice");
                    verdict = Verdict::Accepted;
                }
            }
            Some(2) => gone.extend(shelf.gone(&head.user, &head.surb_id)),
            Some(3) => gone.extend(shelf.forget(&head.user)),
            _ => {
                gone.extend(shelf.expire(head.kept_at, 2));
                gone.extend(shelf.shrink(2));
            }
        }
        gone.iter().for_each(|number| assert!(there.remove(number), "what is not there goes"));
        assert_eq!(shelf.letters(), there.len());
        assert!(shelf.oldest(&head.user, head.bytes, 9).len() <= there.len());
    }
    verdict
}
