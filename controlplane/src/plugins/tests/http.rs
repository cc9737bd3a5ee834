//! Plugins that speak HTTP.

use super::*;

fn processes(entry: PluginService, processes: u16) -> PluginService {
    PluginService { protocol: PluginProtocol::Http { processes }, ..entry }
}

/// The processes that have said where they listen.
fn lives(site: &Site) -> usize {
    let files = std::fs::read_dir(site.folder.path()).expect("the folder").flatten();
    files.filter(|file| file.path().extension().is_some_and(|extension| extension == "pid")).count()
}

#[tokio::test]
async fn answers_come_without_a_prefix_and_by_their_requests() {
    let folder = folder();
    let entry = plugin(&folder, "mirror", "http-echo");
    let mut site = start(folder, vec![entry]).await.expect("it starts");
    site.until_told("the start", has_plugin(0)).await;
    let offer = site.board.offer().borrow().clone();
    assert_eq!(offer.services.keys().collect::<Vec<_>>(), ["echo", "mirror"]);
    assert!(offer.advertized_data.contains_key("mirror"));
    let payloads: Vec<Vec<u8>> = (0..50u8).map(|number| vec![number; PAYLOAD_BYTES]).collect();
    let ids: Vec<_> = payloads.iter().map(|payload| site.ask(0, payload)).collect();
    let answers = site.answers(50).await;
    // One process has one request at a time.
    assert_eq!(answers, ids.into_iter().zip(payloads).collect::<Vec<_>>());
    site.until_counted(0, Outcome::Answered, 50).await;
    assert_eq!(site.plugins.tallies[0].get(Outcome::Sent), 50);
    site.plugins.shut_down().await;
}

/// None of the three processes answers before all three have been asked.
#[tokio::test]
async fn as_many_requests_are_under_way_as_there_are_processes() {
    let folder = folder();
    let entry = processes(plugin(&folder, "mirror", "http-meets"), 3);
    let mut site = start(folder, vec![entry]).await.expect("they start");
    assert_eq!(lives(&site), 3);
    let mut ids: Vec<_> = (0..3u8).map(|number| (site.ask(0, &[number]), vec![number])).collect();
    let mut answers = site.answers(3).await;
    ids.sort();
    answers.sort();
    assert_eq!(answers, ids);
    for nth in [", 1 of 3)", ", 2 of 3)", ", 3 of 3)"] {
        site.until_logged(nth).await;
    }
    // All are stopped together, and all are started.
    let services = site.plugins.services();
    assert!(services.stop("mirror").await && !services.stop("mirror").await);
    site.until_told("the stop", |services| !has_plugin(0)(services)).await;
    assert!(services.start("mirror").await && !services.start("mirror").await);
    assert_eq!(lives(&site), 6);
    let id = site.ask(0, b"again");
    assert_eq!(site.answers(1).await, [(id, b"again".to_vec())]);
    site.plugins.shut_down().await;
}

/// One of two processes dies; the other one answers, and nobody is told that the service is away.
#[tokio::test]
async fn a_process_that_dies_costs_its_own_request_and_comes_back() {
    let folder = folder();
    let entry = processes(plugin(&folder, "fickle", "http-dies"), 2);
    let mut site = start(folder, vec![entry]).await.expect("they start");
    // Only the first of all lives does it.
    let asked: Vec<_> = (0..20u8).map(|number| site.ask(0, &[number])).collect();
    let answers = site.answers(19).await;
    assert!(answers.iter().all(|(id, payload)| asked[usize::from(payload[0])] == *id));
    let began = Instant::now();
    while lives(&site) < 3 {
        assert!(began.elapsed() < PATIENCE, "it is not started again; {}", site.log());
        sleep(Duration::from_millis(10)).await;
    }
    site.until_logged("does not answer any more").await;
    assert!(site.announced.lock().expect("nobody panics").iter().skip(2).all(|services| has_plugin(0)(services)));
    site.plugins.shut_down().await;
}

#[tokio::test]
async fn one_that_hangs_is_started_again_after_three_requests() {
    let folder = folder();
    let entry = plugin(&folder, "hangs", "http-hangs");
    let mut site = start(folder, vec![entry]).await.expect("it starts");
    for _ in 0..3 {
        site.ask(0, b"anybody there?");
    }
    site.until_told("its end", |services| !has_plugin(0)(services)).await;
    assert_eq!(site.plugins.tallies[0].get(Outcome::Late), 3);
    site.until_logged("has answered none of 3 requests within").await;
    site.until_told("its return", has_plugin(0)).await;
    let id = site.ask(0, b"again");
    assert_eq!(site.answers(1).await, [(id, b"again".to_vec())]);
    site.plugins.shut_down().await;
}

/// The answer that comes too late is not taken for that of the next request.
#[tokio::test]
async fn a_late_answer_is_nobodys() {
    let folder = folder();
    let entry = plugin(&folder, "late", "http-late");
    let mut site = start(folder, vec![entry]).await.expect("it starts");
    site.ask(0, b"late");
    site.until_counted(0, Outcome::Late, 1).await;
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        let id = site.ask(0, b"early");
        site.until_counted(0, Outcome::Sent, 2).await;
        sleep(CALL_LIMIT).await;
        let mut answers = Vec::new();
        site.shard.answers(100, |id, payload| answers.push((id, payload.to_vec())));
        assert!(answers.iter().all(|(_, payload)| payload == b"early"), "{answers:?}");
        if answers.iter().any(|(answered, _)| *answered == id) {
            return site.plugins.shut_down().await;
        }
    }
    panic!("it never answers again");
}

/// Each beside one that answers, which is asked after it.
#[tokio::test]
async fn what_is_wrong_with_an_answer_is_counted_and_harms_nobody() {
    for (behaviour, outcome) in [
        ("endless-head", Outcome::AnswerMalformed),
        ("endless-body", Outcome::AnswerTooLong),
        ("trickle", Outcome::Late),
        ("status", Outcome::AnswerMalformed),
        ("nonsense", Outcome::AnswerMalformed),
        ("garbage", Outcome::AnswerMalformed),
        ("silent", Outcome::AnswerMalformed),
        ("nothing", Outcome::NoReply),
        ("long", Outcome::AnswerTooLong),
    ] {
        let folder = folder();
        let entries =
            [plugin(&folder, behaviour, &format!("http-{behaviour}")), plugin(&folder, "mirror", "http-echo")];
        let mut site = start(folder, entries.into()).await.expect("they start");
        site.ask(0, b"go");
        let id = site.ask(1, b"still here");
        assert_eq!(site.answers(1).await, [(id, b"still here".to_vec())], "{behaviour}");
        site.until_counted(0, outcome, 1).await;
        assert_eq!(site.plugins.tallies[0].get(Outcome::Answered), 0, "{behaviour}");
        site.plugins.shut_down().await;
    }
}

/// A thousand wait; more are dropped, and the other plugin does not notice.
#[tokio::test]
async fn a_flood_of_requests_finds_an_end() {
    let folder = folder();
    let entries = [plugin(&folder, "hangs", "http-hangs"), plugin(&folder, "mirror", "http-echo")];
    let mut site = start(folder, entries.into()).await.expect("they start");
    let mut asked = 0;
    while site.plugins.tallies[0].get(Outcome::QueueFull) == 0 {
        assert!(asked < 10_000, "its queue has an end; {}", site.log());
        for _ in 0..100 {
            site.ask(0, &[7; PAYLOAD_BYTES]);
        }
        asked += 100;
        sleep(Duration::from_millis(1)).await;
    }
    let id = site.ask(1, b"still here");
    assert_eq!(site.answers(1).await, [(id, b"still here".to_vec())]);
    site.plugins.shut_down().await;
}
