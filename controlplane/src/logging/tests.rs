use super::*;

#[test]
fn lines_have_the_form_of_the_reference_and_survive_rotation() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("katzenpost.log");
    let log = Log::to_file(Level::Notice, &path).unwrap();
    log.notice("server", "started");
    log.info("server", "not written at NOTICE");
    let first = std::fs::read_to_string(&path).unwrap();
    assert_eq!(first.lines().count(), 1);
    assert_eq!(&first[12..], " NOTI server: started\n");
    std::fs::rename(&path, folder.path().join("katzenpost.log.1")).unwrap();
    log.reopen().unwrap();
    log.error("pki", "again");
    assert!(std::fs::read_to_string(&path).unwrap().ends_with(" ERRO pki: again\n"));
}

#[test]
fn a_file_that_cannot_be_opened_again_leaves_the_old_one_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let log = Log::to_file(Level::Debug, &path).unwrap();
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert!(log.reopen().is_err());
    log.debug("server", "still alive");
}
