use super::*;
use crate::memory::SharedMemory;
use pki::neighbours::Role;

fn snapshot() -> Snapshot {
    let document = EncodedDocument { raw: vec![1; 300_000], gzip: (0..250).collect(), chunk_bytes: 100 };
    Snapshot {
        serial: 3,
        view: View::new(Role::Gateway, Vec::new()),
        delay_ms_max: vec![(Epoch(5), 5527), (Epoch(6), 100)],
        client_documents: vec![
            ClientDocument { epoch: Epoch(5), document: Some(document) },
            ClientDocument { epoch: Epoch(4), document: None },
        ],
        services: vec![Service { recipient: [5; 32], handler: Handler::BuiltIn(BuiltIn::Echo) }],
    }
}

#[test]
fn a_snapshot_crosses_whole() {
    let fd = snapshot().to_file().expect("memfds work");
    let found = Snapshot::open(&fd).expect("the snapshot decodes");
    assert_eq!(found, snapshot());
    assert_eq!([4, 5, 6].map(|epoch| found.delay_ms_max(Epoch(epoch))), [None, Some(5527), Some(100)]);
    assert_eq!(found.client_document(Epoch(4)).map(|answer| answer.document.is_some()), Some(false));
    assert_eq!(found.service(&[5; 32]), snapshot().services.first());
    assert_eq!(found.service(&[6; 32]), None);
    let document = found.client_document(Epoch(5)).and_then(|answer| answer.document.as_ref()).expect("it is there");
    assert_eq!(document.chunks().map(<[u8]>::len).collect::<Vec<_>>(), [100, 100, 50]);
    assert_eq!(EncodedDocument { chunk_bytes: 0, ..document.clone() }.chunks().len(), 250);
}

#[test]
fn unsealed_cut_and_foreign_content_is_refused() {
    let (_memory, fd) = SharedMemory::create(NAME, 4096).expect("memfds work");
    assert!(matches!(Snapshot::open(&fd), Err(MemoryError::NotSealed(_))));
    let encoded = postcard::to_stdvec(&snapshot()).expect("snapshots encode");
    for length in [1, 2, 10, encoded.len() / 2, encoded.len() - 1] {
        let fd = memory::seal(NAME, &encoded[..length]).expect("memfds work");
        assert!(matches!(Snapshot::open(&fd), Err(MemoryError::Content(_))), "{length} bytes");
    }
    let fd = memory::seal(NAME, &[]).expect("memfds work");
    assert!(matches!(Snapshot::open(&fd), Err(MemoryError::Size { .. })));
    let fd = memory::seal(NAME, &[0xff; 5000]).expect("memfds work");
    assert!(matches!(Snapshot::open(&fd), Err(MemoryError::Content(_))));
}
