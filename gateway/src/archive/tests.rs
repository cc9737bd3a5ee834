use super::*;

#[test]
fn records_cross_as_bytes() {
    let (user, surb_id) = (UserId([1; 32]), [2; 16]);
    for record in [
        Record::Keep { user, surb_id, payload: b"letter" },
        Record::Keep { user, surb_id, payload: b"" },
        Record::Gone { user, surb_id },
        Record::Fetch { user },
    ] {
        let mut bytes = Vec::new();
        record.write_to(&mut bytes);
        assert_eq!(Record::read(&bytes), Some(record));
        assert_eq!(Record::read(&bytes[..RECORD_BYTES - 1]), None);
        bytes[0] = 9;
        assert_eq!(Record::read(&bytes), None);
    }
    assert_eq!(Record::read(&[GONE; RECORD_BYTES + 1]), None);
    assert_eq!(Record::read(&[]), None);
}

#[test]
fn what_nothing_could_deliver_is_no_letter() {
    let (surb_id, body) = ([7; 16], [1; 100]);
    assert_eq!(letter(Some(&surb_id), Some(&body), 100), Some((surb_id, body.to_vec())));
    for (surb_id, body) in [
        (None, Some(&body[..])),
        (Some(&surb_id[..]), None),
        (Some(&surb_id[1..]), Some(&body[..])),
        (Some(&surb_id[..]), Some(&body[1..])),
    ] {
        assert_eq!(letter(surb_id, body, 100), None);
    }
}
