//! The status page in a browser, where there is one: on a phone and on a desk it is readable, and asks nobody else for
//! anything.

use crate::support::free_address;
use crate::support::program::finish_within;
use crate::support::site::Site;
use crate::support::wait_for;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(600);
/// A phone, which has narrow windows, and a desk.
const WINDOWS: [(&str, u32, u32); 2] = [("phone", 400, 1100), ("wide", 900, 900)];
/// Tells in its title how wide the page and how small its letters are.
const RULER: &str = "<script>document.title = 'width ' + document.documentElement.scrollWidth + ' of ' + innerWidth + \
                     ' letters ' + Math.min(...[...document.querySelectorAll('body *')].map(e => \
                     parseFloat(getComputedStyle(e).fontSize)))</script></body>";

/// A Chromium: the one that a variable names, or one that is installed.
fn browser() -> Option<PathBuf> {
    let named = std::env::var_os("KATZENSPRUNG_CHROMIUM").map(PathBuf::from);
    let installed = ["chromium", "chromium-browser", "google-chrome"].map(PathBuf::from);
    named.into_iter().chain(installed).find(|program| Command::new(program).arg("--version").output().is_ok())
}

fn open(browser: &Path, profile: &Path, (width, height): (u32, u32), more: &[&str], url: &str) -> String {
    let mut command = Command::new(browser);
    // Nothing of its own is asked of the network either, and no name leads anywhere.
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]);
    command.args(["--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars"]);
    command.arg("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1");
    command.arg(format!("--user-data-dir={}", profile.display())).arg(format!("--window-size={width},{height}"));
    finish_within(command.args(more).arg(url), Duration::from_secs(120)).succeeded()
}

/// What a node answers at `/`.
fn page(node: SocketAddr) -> Option<String> {
    let mut stream = TcpStream::connect(node).ok()?;
    stream.write_all(b"GET / HTTP/1.0\r\nHost: test\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    // Whoever serves it says that nothing else may be loaded, whatever stands in it.
    assert!(head.to_ascii_lowercase().contains("content-security-policy: default-src 'none'"), "{head}");
    Some(body.to_owned())
}

/// Serves the node's page with a ruler in it; gives the paths that are asked for.
fn with_ruler(node: SocketAddr) -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, (sender, asked)) = (listener.local_addr().unwrap(), channel());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = BufReader::new(&stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
            let path = head.next().and_then(|line| Some(line.split(' ').nth(1)?.to_owned())).unwrap_or_default();
            drop(head.by_ref().count());
            let body = page(node).unwrap_or_default().replace("</body>", RULER);
            let _gone = write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
            if sender.send(path).is_err() {
                return;
            }
        }
    });
    (address, asked)
}

#[test]
fn the_status_page_fits_a_phone_and_a_desk_and_asks_nobody_else() {
    let Some(browser) = browser() else { return testhost::lacks_tool("chromium") };
    let (site, node) = (Site::new(LONG), free_address());
    site.folder.edit("  DataDir", &format!("  MetricsAddress = \"{node}\"\n  DataDir"));
    let authority = site.start_authority();
    let mut process = site.start_node();
    site.wait_for_log("Started.", 1);
    let (mut traffic, descriptor, epoch) = site.traffic(&authority);
    let packets = traffic.packets(&descriptor, epoch, 40);
    traffic.pass(&packets[..20]);
    // Drops, and a curve of two looks at least.
    traffic.send(&packets[..20]);
    traffic.pass(&packets[20..]);
    wait_for("a page with a curve", LONG, || page(node).filter(|text| text.contains("<polyline") || text.contains("<path")));
    let folder = tempfile::tempdir().unwrap();
    let (measured, asked) = with_ruler(node);
    for (name, width, height) in WINDOWS {
        let dom = open(&browser, &folder.path().join(name), (width, height), &["--dump-dom"], &format!("http://{measured}/"));
        let title = dom.split_once("<title>").unwrap().1.split_once("</title>").unwrap().0;
        let words: Vec<&str> = title.split(' ').collect();
        let number = |at: usize| words.get(at).and_then(|word| word.parse::<f64>().ok()).unwrap_or_else(|| panic!("{title}"));
        assert!(number(1) <= number(3), "{name}: it is wider than its window: {title}");
        assert!(number(5) >= 12.0, "{name}: letters that nobody can read: {title}");
        assert!(number(3) <= f64::from(width), "{name}: the window is wider than asked for: {title}");
        if let Some(pictures) = std::env::var_os("KATZENSPRUNG_PICTURES") {
            let picture = format!("--screenshot={}", Path::new(&pictures).join(format!("status-{name}.png")).display());
            open(&browser, &folder.path().join(name), (width, height), &[&picture], &format!("http://{node}/"));
        }
    }
    let paths: Vec<String> = asked.try_iter().collect();
    assert!(paths.iter().all(|path| path == "/" || path == "/favicon.ico"), "{paths:?}");
    assert!(paths.iter().filter(|path| *path == "/").count() >= WINDOWS.len(), "{paths:?}");
    process.stop();
}
