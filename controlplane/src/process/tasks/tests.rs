use super::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[tokio::test]
async fn the_first_end_is_told_with_its_name() {
    let mut tasks = Tasks::default();
    tasks.spawn("clock", std::future::pending::<String>());
    tasks.spawn("directory worker", async { "nobody needs it" });
    let end = tasks.first_end().await;
    assert_eq!(end.to_string(), "the directory worker ended: nobody needs it");
}

#[tokio::test]
async fn a_shutdown_drops_what_tasks_hold() {
    struct Held(Arc<AtomicBool>);
    impl Drop for Held {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let dropped = Arc::new(AtomicBool::new(false));
    let held = Held(dropped.clone());
    let mut tasks = Tasks::default();
    tasks.spawn("holder", async move {
        let _held = held;
        std::future::pending::<String>().await
    });
    tasks.shut_down().await;
    assert!(dropped.load(Ordering::SeqCst));
}
