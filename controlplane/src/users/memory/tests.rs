use super::*;

#[test]
fn what_was_said_of_a_name_and_its_key_is_remembered_for_a_day() {
    let (mut memory, start) = (Memory::default(), Instant::now());
    let (alice, key) = (UserId([1; 32]), b"key");
    memory.note(alice, key, Verdict::Registered, start);
    assert_eq!(memory.recall(&alice, key, start), Some(Verdict::Registered));
    assert_eq!(memory.recall(&alice, b"other", start), None);
    assert_eq!(memory.recall(&UserId([2; 32]), key, start), None);
    assert_eq!(memory.recall(&alice, key, start + AGE_MAX), None);
    // Another one is refused under the name: that says nothing about the first.
    memory.note(alice, b"other", Verdict::Refused, start);
    assert_eq!(memory.recall(&alice, key, start), Some(Verdict::Registered));
    memory.note(alice, key, Verdict::Refused, start);
    assert_eq!(memory.recall(&alice, key, start), None);
    memory.note(alice, key, Verdict::Registered, start);
    memory.forget(&alice);
    assert_eq!(memory.recall(&alice, key, start), None);
}

#[test]
fn strangers_do_not_fill_it() {
    let (mut memory, start) = (Memory::default(), Instant::now());
    for number in 0..NAMES_MAX as u32 + 100 {
        let mut name = [0; 32];
        name[..4].copy_from_slice(&number.to_le_bytes());
        memory.note(UserId(name), b"key", Verdict::Ephemeral, start);
        memory.note(UserId(name), b"other", Verdict::OnTrust, start);
    }
    assert_eq!(memory.0.len(), NAMES_MAX);
}
