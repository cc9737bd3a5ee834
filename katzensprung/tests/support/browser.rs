//! A headless Chromium that a test drives by its DevTools, over a pipe: no port that somebody else could have, and nothing
//! is asked of the network but what a page asks for.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use command_fds::{CommandFdExt, FdMapping};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, PipeReader, PipeWriter, Write, pipe};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longer than anything takes on a host that does much else.
const LONG: Duration = Duration::from_secs(120);
/// The program, where it has no usual name.
const VARIABLE: &str = "KATZENSPRUNG_CHROMIUM";
const NAMES: [&str; 5] =
    ["chromium", "chromium-headless-shell", "chromium-browser", "google-chrome", "chrome-headless-shell"];

/// A window's size in pixels and what its owner likes.
#[derive(Clone, Copy)]
pub struct Window {
    pub width: u32,
    pub height: u32,
    /// Touched by fingers: what does not fit makes everything smaller.
    pub is_phone: bool,
    pub is_dark: bool,
}

/// A browser with one page, which ends with this.
pub struct Browser {
    process: Child,
    /// Closed first: that ends it.
    orders: Option<PipeWriter>,
    said: Receiver<Value>,
    last: u64,
    session: Option<Value>,
    loads: usize,
    requests: Vec<String>,
    complaints: Vec<String>,
    _profile: TempDir,
}

impl Browser {
    /// With an empty page; none, said as [`testhost::lacks_tool`] says it, where there is none.
    pub fn start() -> Option<Self> {
        let Some(program) = program() else {
            testhost::lacks_tool("chromium");
            return None;
        };
        let profile = tempfile::tempdir().expect("a folder");
        let ((theirs, orders), (answers, said)) = (pipe().expect("a pipe"), pipe().expect("a pipe"));
        let mut command = Command::new(program);
        command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]);
        command.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
        command.args(["--hide-scrollbars", "--remote-debugging-pipe"]);
        // No name leads anywhere.
        command.arg("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1");
        command.arg(format!("--user-data-dir={}", profile.path().display())).arg("about:blank").process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let (theirs, said) = ((theirs.into(), 3), (said.into(), 4));
        let mappings = [theirs, said].map(|(parent_fd, child_fd)| FdMapping { parent_fd, child_fd });
        command.fd_mappings(mappings.into()).expect("each has a number of its own");
        let process = command.spawn().expect("the browser starts");
        // Its ends of the pipes are to be its own alone.
        drop(command);
        let (orders, said) = (Some(orders), listen(answers));
        let mut browser = Self {
            process,
            orders,
            said,
            last: 0,
            session: None,
            loads: 0,
            requests: Vec::new(),
            complaints: Vec::new(),
            _profile: profile,
        };
        browser.attach();
        Some(browser)
    }

    fn attach(&mut self) {
        let target = self.call("Target.createTarget", json!({ "url": "about:blank" }))["targetId"].clone();
        let attached = self.call("Target.attachToTarget", json!({ "targetId": target, "flatten": true }));
        self.session = Some(attached["sessionId"].clone());
        for domain in ["Page", "Runtime", "Log", "Network"] {
            self.call(&format!("{domain}.enable"), json!({}));
        }
    }

    /// Opens a page in a window and waits until all of it is there.
    #[track_caller]
    pub fn open(&mut self, url: &str, window: Window) {
        let Window { width, height, is_phone, is_dark } = window;
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": is_phone });
        self.call("Emulation.setDeviceMetricsOverride", metrics);
        let scheme = json!({ "name": "prefers-color-scheme", "value": if is_dark { "dark" } else { "light" } });
        self.call("Emulation.setEmulatedMedia", json!({ "features": [scheme] }));
        let before = self.loads;
        let navigated = self.call("Page.navigate", json!({ "url": url }));
        assert!(navigated["errorText"].is_null(), "{url}: {navigated}");
        self.wait_for_load(before);
    }

    /// Waits until the page has renewed itself.
    #[track_caller]
    pub fn wait_for_renewal(&mut self) {
        self.evaluate("0");
        let before = self.loads;
        self.wait_for_load(before);
    }

    #[track_caller]
    fn wait_for_load(&mut self, before: usize) {
        while self.loads == before {
            let event = self.said.recv_timeout(LONG).expect("the page is loaded");
            self.note(&event);
        }
    }

    /// What an expression of JavaScript is in the page.
    #[track_caller]
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let mut answer = self.call("Runtime.evaluate", json!({ "expression": expression, "returnByValue": true }));
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {answer}");
        answer["result"]["value"].take()
    }

    /// The whole page, as PNG.
    #[track_caller]
    pub fn picture(&mut self) -> Vec<u8> {
        let size = self.call("Page.getLayoutMetrics", json!({}))["cssContentSize"].clone();
        let clip = json!({ "x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1 });
        let options = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let answer = self.call("Page.captureScreenshot", options);
        STANDARD.decode(answer["data"].as_str().expect("a picture")).expect("base64")
    }

    /// All addresses that pages asked for so far.
    pub fn requests(&mut self) -> &[String] {
        self.evaluate("0");
        &self.requests
    }

    /// All that it had to say against pages so far.
    pub fn complaints(&mut self) -> &[String] {
        self.evaluate("0");
        &self.complaints
    }

    #[track_caller]
    fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.last += 1;
        let mut order = json!({ "id": self.last, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            order["sessionId"] = session.clone();
        }
        let bytes = [order.to_string().as_bytes(), &[0]].concat();
        self.orders.as_mut().and_then(|orders| orders.write_all(&bytes).ok()).expect("the browser listens");
        let deadline = Instant::now() + LONG;
        loop {
            let rest = deadline.saturating_duration_since(Instant::now());
            let mut said = self.said.recv_timeout(rest).unwrap_or_else(|error| panic!("{method}: {error}"));
            if said["id"] == self.last {
                assert!(said["error"].is_null(), "{method}: {said}");
                return said["result"].take();
            }
            self.note(&said);
        }
    }

    fn note(&mut self, event: &Value) {
        let told = &event["params"];
        match event["method"].as_str().unwrap_or_default() {
            "Page.loadEventFired" => self.loads += 1,
            "Network.requestWillBeSent" => {
                self.requests.push(told["request"]["url"].as_str().unwrap_or_default().to_owned());
            }
            "Network.loadingFailed" | "Runtime.exceptionThrown" => self.complaints.push(told.to_string()),
            "Runtime.consoleAPICalled" | "Log.entryAdded" => self.complaints.push(told.to_string()),
            _ => {}
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.orders = None;
        let limit = Instant::now() + Duration::from_secs(10);
        while Instant::now() < limit && matches!(self.process.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        // What it has started too, where it does not end.
        if let Some(group) = Pid::from_raw(self.process.id() as i32) {
            let _gone = kill_process_group(group, Signal::KILL);
        }
        let _ended = self.process.wait();
    }
}

/// The one that the variable names, or one that is installed.
fn program() -> Option<PathBuf> {
    let runs = |program: &PathBuf| Command::new(program).arg("--version").output().is_ok();
    if let Some(named) = std::env::var_os(VARIABLE).map(PathBuf::from) {
        assert!(runs(&named), "{VARIABLE} names {}, which does not start", named.display());
        return Some(named);
    }
    NAMES.map(PathBuf::from).into_iter().find(runs)
}

/// Messages end with a zero.
fn listen(answers: PipeReader) -> Receiver<Value> {
    let (sender, said) = channel();
    std::thread::spawn(move || {
        let messages = BufReader::new(answers).split(0).map_while(Result::ok);
        for message in messages.filter_map(|message| serde_json::from_slice(&message).ok()) {
            if sender.send(message).is_err() {
                return;
            }
        }
    });
    said
}
