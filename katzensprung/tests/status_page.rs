//! The status page in a browser, where there is one: of a node under load, of one whose data plane is gone, on a desk and
//! on a phone, by day and by night. `KATZENSPRUNG_PICTURES` names a folder that gets its pictures.

use crate::support::browser::{Browser, Window};
use crate::support::free_address;
use crate::support::site::Site;
use crate::support::wait_for;
use interplane::reason::DropReason;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// No epoch ends meanwhile.
const LONG: Duration = Duration::from_secs(1200);
const DESK: Window = Window { width: 1280, height: 900, is_phone: false, is_dark: false };
const PHONE: Window = Window { width: 390, height: 844, is_phone: true, is_dark: false };
/// The oldest phones that people still have.
const SMALL_PHONE: Window = Window { width: 320, height: 568, ..PHONE };
/// Of a letter on what is behind it, as WCAG wants it for text.
const CONTRAST_MIN: f64 = 4.5;
const LETTER_PIXELS_MIN: f64 = 12.0;

/// What of a page can be measured: how wide it is, its smallest letters, its palest ones, what sticks out of its parent.
const MEASURES: &str = r"(() => {
    const light = ([red, green, blue]) => {
        const [r, g, b] = [red, green, blue].map(c => c / 255).map(c => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4);
        return .2126 * r + .7152 * g + .0722 * b;
    };
    const parts = colour => colour.match(/[\d.]+/g).map(Number);
    const behind = element => {
        for (let at = element; at; at = at.parentElement) {
            const colour = parts(getComputedStyle(at).backgroundColor);
            if (colour.length === 3 || colour[3] === 1) return colour;
        }
        return [255, 255, 255];
    };
    const contrast = element => {
        const [high, low] = [parts(getComputedStyle(element).color), behind(element)].map(light).sort((a, b) => b - a);
        return (high + .05) / (low + .05);
    };
    const has_text = element => [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
    const written = [...document.querySelectorAll('body *')].filter(has_text);
    const edge = document.documentElement.clientWidth;
    return {
        width: document.documentElement.scrollWidth,
        letters: Math.min(...written.map(element => parseFloat(getComputedStyle(element).fontSize))),
        contrast: Math.min(...written.map(contrast)),
        outside: written.filter(e => e.getBoundingClientRect().right > edge + .5 || e.scrollWidth > e.clientWidth + 1 &&
            getComputedStyle(e).display !== 'inline').map(e => e.textContent),
        background: getComputedStyle(document.body).backgroundColor,
        text: document.body.innerText,
        first: document.querySelector('.attention li')?.innerText ?? '',
        card: Object.fromEntries([...document.querySelectorAll('.card')].map(card => [...card.children].map(e => e.innerText))),
        meters: [...document.querySelectorAll('meter')].map(meter => meter.getBoundingClientRect().width),
    };
})()";

/// Opens the page and sees that a person can read it; gives what was measured.
#[track_caller]
fn see(browser: &mut Browser, node: SocketAddr, window: Window, name: &str) -> Value {
    browser.open(&format!("http://{node}/"), window);
    let seen = browser.evaluate(MEASURES);
    let number = |key: &str| seen[key].as_f64().unwrap_or_else(|| panic!("{key}: {seen}"));
    assert!(number("width") <= f64::from(window.width), "{name}: one has to scroll sideways: {seen}");
    assert_eq!(seen["outside"].as_array().map(Vec::len), Some(0), "{name}: sticks out: {seen}");
    assert!(number("letters") >= LETTER_PIXELS_MIN, "{name}: letters that nobody can read: {seen}");
    assert!(number("contrast") >= CONTRAST_MIN, "{name}: letters that are too pale: {seen}");
    let is_dark = seen["background"].as_str().is_some_and(|colour| colour != "rgb(255, 255, 255)");
    assert_eq!(is_dark, window.is_dark, "{name}: {seen}");
    for meter in seen["meters"].as_array().unwrap() {
        assert!(meter.as_f64() >= Some(80.0), "{name}: a meter that shows nothing: {seen}");
    }
    if let Some(folder) = std::env::var_os("KATZENSPRUNG_PICTURES") {
        std::fs::write(Path::new(&folder).join(format!("status-{name}.png")), browser.picture()).unwrap();
    }
    seen
}

/// What stands in a card.
fn card<'a>(seen: &'a Value, name: &str) -> &'a str {
    seen["card"][name].as_str().unwrap_or_else(|| panic!("{name}: {seen}"))
}

fn get(node: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(node).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: test\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

#[test]
fn the_status_page_tells_a_person_what_is_needed_on_a_desk_and_on_a_phone() {
    let Some(mut browser) = Browser::start() else { return };
    let (site, node) = (Site::new(LONG), free_address());
    site.folder.edit("  DataDir", &format!("  MetricsAddress = \"{node}\"\n  DataDir"));
    site.folder.run_as_two_units();
    let authority = site.start_authority();
    let mut plane = site.start_data_plane_with(&[]);
    let mut control = site.start_node();
    site.wait_for_log("Started.", 1);
    let (mut traffic, descriptor, epoch) = site.traffic(&authority);
    let packets = traffic.packets(&descriptor, epoch, 100);
    traffic.pass(&packets[..50]);
    let has_ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Also where what follows fails.
        let _end = Guard(&has_ended);
        // Good packets while there are any, then such as have been seen, and never a pause.
        scope.spawn(|| {
            for packet in packets[50..].iter().chain(packets.iter().cycle()) {
                if has_ended.load(Ordering::Relaxed) {
                    return;
                }
                traffic.send(std::slice::from_ref(packet));
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        under_load(&mut browser, node, &site);
    });

    plane.kill();
    site.wait_for_log("starting another", 1);
    without_data_plane(&mut browser, node);
    let mut plane = site.start_data_plane_with(&[]);
    site.wait_for_log("the data plane is back", 1);
    let seen = see(&mut browser, node, PHONE, "restarted");
    assert!(seen["first"].as_str().unwrap().contains("packets were dropped"), "{seen}");
    assert!(seen["text"].as_str().unwrap().contains("the data plane was started 1 times again"), "{seen}");

    let url = format!("http://{node}/");
    let others: Vec<_> = browser.requests().iter().filter(|asked| **asked != url).cloned().collect();
    assert!(others.is_empty(), "it asks for {others:?}");
    assert!(browser.complaints().is_empty(), "{:?}", browser.complaints());
    control.stop();
    assert_eq!(plane.wait().code(), Some(0));
}

/// Says at its end that the load is to end.
struct Guard<'a>(&'a AtomicBool);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn under_load(browser: &mut Browser, node: SocketAddr, site: &Site) {
    let drops = format!("<b>{}</b>", DropReason::Replay.label());
    wait_for("a page with a curve and drops", Duration::from_secs(120), || {
        get(node, "/").filter(|page| page.contains("<polyline") && page.contains(&drops))
    });
    let desk = see(browser, node, DESK, "wide");
    let epoch = site.network.epoch().0.to_string();
    for (name, value) in [
        ("epoch", epoch.as_str()),
        ("place in the consensus", "layer 2 of 3"),
        ("keys published", &format!("for epoch {}", site.next_epoch().0)),
        ("links", "1 in, 1 out"),
    ] {
        assert_eq!(card(&desk, name), value, "{desk}");
    }
    for name in ["packets in, a second", "packets dropped, a second", "late, 99 of 100 packets"] {
        assert!(
            card(&desk, name).trim_start_matches(['\u{2264}', ' ']).starts_with(|first: char| first.is_ascii_digit())
        );
    }
    assert!(card(&desk, "packets in, a second") != "0.0", "{desk}");
    let text = desk["text"].as_str().unwrap();
    let replay = DropReason::Replay;
    for part in
        ["takes part in this epoch", replay.label(), replay.meaning(), replay.remedy(), "Replay sets", "current"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(desk["first"].as_str().unwrap().contains("packets were dropped in a second"), "{desk}");
    see(browser, node, PHONE, "phone");
    see(browser, node, SMALL_PHONE, "small-phone");
    see(browser, node, Window { is_dark: true, ..PHONE }, "phone-dark");
    see(browser, node, Window { is_dark: true, ..DESK }, "wide-dark");
    // By itself, and with what is new.
    let before = browser.evaluate("document.body.innerText");
    browser.wait_for_renewal();
    assert_ne!(browser.evaluate("document.body.innerText"), before);
}

fn without_data_plane(browser: &mut Browser, node: SocketAddr) {
    for (window, name) in [(PHONE, "phone-trouble"), (DESK, "wide-trouble")] {
        let seen = see(browser, node, window, name);
        assert_eq!(seen["first"], "no data plane is attached: see the log", "{seen}");
        assert!(seen["text"].as_str().unwrap().contains("is not at work"), "{seen}");
        assert_eq!(card(&seen, "links"), "0 in, 0 out", "{seen}");
    }
}

/// The measures see what they are for.
#[test]
fn a_page_that_is_hard_to_read_is_measured_so() {
    let Some(mut browser) = Browser::start() else { return };
    let page = "<meta name=viewport content='width=device-width'><body style='background:white'>\
                <p style='width:900px'>wide</p><small style='font-size:9px;color:rgb(160,160,160)'>small</small>";
    browser.open(&format!("data:text/html,{page}"), PHONE);
    let seen = browser.evaluate(MEASURES);
    assert!(seen["width"].as_f64() > Some(390.0), "{seen}");
    assert_eq!(seen["letters"], 9.0, "{seen}");
    assert!(seen["contrast"].as_f64() < Some(3.0), "{seen}");
    assert_eq!(seen["outside"][0], "wide", "{seen}");
    // Whoever asks elsewhere, or says something to the console, is noticed.
    browser.open("data:text/html,<img src='http://katzensprung.invalid/x'><script>console.error('no')</script>", DESK);
    assert!(browser.requests().iter().any(|asked| asked.contains("katzensprung.invalid")));
    assert!(browser.complaints().iter().any(|complaint| complaint.contains("no")));
}
