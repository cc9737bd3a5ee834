//! The keyserver and its file.

use super::*;
use config::server::Keyserver;
use std::fs;

#[tokio::test]
async fn keys_are_told_and_the_file_is_read_again() {
    let folder = folder();
    let path = folder.path().join("keys");
    let entry = plugin(&folder, "mirror", "echo");
    let keyserver = Some(Keyserver { endpoint: "+keyserver".into(), identity_keys: path.clone() });
    let node = ServiceNode { built_in: Vec::new(), plugins: vec![entry], keyserver };
    let mut site = start_node(folder, node).await.expect("it starts without its file");
    let offer = site.board.offer().borrow().clone();
    assert_eq!(offer.services.keys().collect::<Vec<_>>(), ["keyserver", "mirror"]);
    site.until_logged("cannot use").await;
    // The keyserver comes after the plugins.
    let unknown = br#"{"PublicKey":"","StatusCode":2,"User":"alice","Version":0}"#.to_vec();
    let id = site.ask(1, br#"{"Version":0,"User":"alice"}"#);
    assert_eq!(site.answers(1).await, [(id, unknown.clone())]);
    fs::write(&path, "alice 0123\n").expect("the folder is ours");
    let known = br#"{"PublicKey":"0123","StatusCode":0,"User":"alice","Version":0}"#.to_vec();
    let began = Instant::now();
    loop {
        let id = site.ask(1, br#"{"Version":0,"User":"alice"}"#);
        let answers = site.answers(1).await;
        assert_eq!(answers[0].0, id);
        if answers[0].1 == known {
            break;
        }
        assert!(answers[0].1 == unknown && began.elapsed() < PATIENCE, "{}", site.log());
        sleep(Duration::from_millis(100)).await;
    }
    // A file that is none any more leaves what was known; no name goes into the log.
    fs::write(&path, "alice 0123 and more\n").expect("the folder is ours");
    site.ask(1, b"not JSON");
    site.answers(1).await;
    sleep(Duration::from_millis(2100)).await;
    let id = site.ask(1, br#"{"Version":0,"User":"alice"}"#);
    assert_eq!(site.answers(1).await, [(id, known)]);
    site.until_logged("line 1: not a name and a key").await;
    assert!(!site.log().contains("alice"), "{}", site.log());
    // Operators stop and start it as what is built in.
    let services = site.plugins.services();
    assert!(services.stop("keyserver").await && !services.stop("keyserver").await);
    assert!(!site.board.offer().borrow().services.contains_key("keyserver"));
    assert!(services.start("keyserver").await);
    let id = site.ask(0, b"still here");
    assert_eq!(site.answers(1).await, [(id, b"still here".to_vec())]);
    site.plugins.shut_down().await;
}
