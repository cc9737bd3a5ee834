use super::*;
use crypto_simd::random::SeededRandom;

fn key(seed: u8) -> SealKey {
    SealKey::new(&[seed; KEY_BYTES_MIN], "a test").unwrap()
}

fn sealed(text: &[u8]) -> Vec<u8> {
    let mut sealer = Sealer::new(Vec::new(), &key(1), "a note", &mut SeededRandom::new(&[9; 32])).unwrap();
    // In pieces that do not fit the chunks.
    text.chunks(1_000).for_each(|piece| sealer.write_all(piece).unwrap());
    sealer.finish().unwrap()
}

fn opened(file: &[u8], key: &SealKey, what: &str) -> io::Result<Vec<u8>> {
    let mut opener = Opener::new(file, key, what)?;
    let mut text = Vec::new();
    opener.read_to_end(&mut text)?;
    opener.finish()?;
    Ok(text)
}

#[test]
fn what_was_sealed_is_read_again_whatever_its_length() {
    for length in [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES, 200_000] {
        let text: Vec<u8> = (0..length).map(|place| place as u8).collect();
        let file = sealed(&text);
        assert_eq!(opened(&file, &key(1), "a note").unwrap(), text, "{length} bytes");
        assert!(length < 16 || !file.windows(16).any(|bytes| *bytes == text[..16]), "{length} bytes");
    }
}

#[test]
fn nothing_else_is_read() {
    let text = vec![7; 2 * CHUNK_BYTES + 5];
    let file = sealed(&text);
    let is_refused = |file: &[u8], key: &SealKey, what: &str| {
        opened(file, key, what).is_err_and(|error| error.kind() == ErrorKind::InvalidData)
    };
    assert!(is_refused(&file, &key(2), "a note"), "another key");
    assert!(is_refused(&file, &key(1), "another note"), "another name");
    // Changed anywhere, cut off anywhere, also where a chunk ends, or with something behind it.
    let (head, chunk) = (MAGIC.len() + SALT_BYTES, CHUNK_BYTES + ChaChaPoly::TAG_BYTES);
    for place in [0, MAGIC.len(), head, head + chunk, file.len() - 1] {
        let mut changed = file.clone();
        changed[place] ^= 1;
        assert!(is_refused(&changed, &key(1), "a note"), "byte {place}");
    }
    for bytes in [0, 7, head - 1, head, head + 3, head + chunk, head + 2 * chunk, file.len() - 1] {
        assert!(is_refused(&file[..bytes], &key(1), "a note"), "{bytes} bytes");
    }
    assert!(is_refused(&[&file[..], &[0]].concat(), &key(1), "a note"));
    let swapped =
        [&file[..head], &file[head + chunk..head + 2 * chunk], &file[head..head + chunk], &file[head + 2 * chunk..]];
    assert!(is_refused(&swapped.concat(), &key(1), "a note"));
}

#[test]
fn the_unit_s_credential_is_the_key() {
    let folder = tempfile::tempdir().unwrap();
    assert!(SealKey::in_folder(folder.path()).unwrap().is_none());
    let file = folder.path().join(CREDENTIAL);
    std::fs::write(&file, [1; KEY_BYTES_MIN]).unwrap();
    let key = SealKey::in_folder(folder.path()).unwrap().unwrap();
    assert_eq!(opened(&sealed(b"text"), &key, "a note").unwrap(), b"text");
    for bytes in [0, KEY_BYTES_MIN - 1, KEY_BYTES_MAX + 1] {
        std::fs::write(&file, vec![1; bytes]).unwrap();
        let error = SealKey::in_folder(folder.path()).unwrap_err().to_string();
        assert!(error.contains(&format!("has {bytes} bytes")) && error.contains(CREDENTIAL), "{error}");
    }
    std::fs::remove_file(&file).unwrap();
    // Nobody writes to it.
    assert!(std::process::Command::new("mkfifo").arg(&file).status().unwrap().success());
    assert!(SealKey::in_folder(folder.path()).unwrap_err().to_string().contains("has 0 bytes"));
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    assert!(matches!(SealKey::in_folder(folder.path()), Err(SealError::Read { .. })));
}
