use super::*;
use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;

const SOON: Duration = Duration::from_secs(30);

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn lines_have_the_form_of_the_reference_and_survive_rotation() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("katzenpost.log");
    let log = Log::to_file(Level::Notice, &path).unwrap();
    log.notice("server", "started");
    log.info("server", "not written at NOTICE");
    assert!(log.flush(SOON));
    let first = read(&path);
    assert_eq!(first.lines().count(), 1);
    assert_eq!(&first[12..], " NOTI server: started\n");
    std::fs::rename(&path, folder.path().join("katzenpost.log.1")).unwrap();
    log.reopen();
    log.error("pki", "again");
    assert!(log.flush(SOON));
    let second = read(&path);
    assert!(second.contains(" NOTI log: log reopened\n") && second.ends_with(" ERRO pki: again\n"), "{second}");
}

#[test]
fn a_file_that_cannot_be_opened_again_leaves_the_old_one_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let log = Log::to_file(Level::Debug, &path).unwrap();
    let moved = folder.path().join("log.1");
    std::fs::rename(&path, &moved).unwrap();
    std::fs::create_dir(&path).unwrap();
    log.reopen();
    log.debug("server", "still alive");
    assert!(log.flush(SOON));
    let text = read(&moved);
    assert!(text.contains(" ERRO log: cannot reopen the log: ") && text.ends_with("still alive\n"), "{text}");
}

#[test]
fn a_line_stays_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let log = Log::to_file(Level::Notice, &path).unwrap();
    log.error("dataplane", "refused: a\n00:00:00.000 NOTI server: forged\u{1b}[2J");
    assert!(log.flush(SOON));
    assert_eq!(read(&path).lines().count(), 1);
    assert!(read(&path).contains(r"refused: a\n00:00:00.000 NOTI server: forged\u{1b}[2J"));
}

/// A named pipe is a disk that hangs as long as nobody reads.
#[test]
fn a_disk_that_hangs_holds_nobody_up_and_costs_lines_that_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o600), 0)
        .unwrap();
    // Nobody reads: said at once.
    assert!(Log::to_file(Level::Debug, &path).is_err());
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let mut reader = OpenOptions::new().read(true).custom_flags(nonblocking).open(&path).unwrap();
    let log = Log::to_file(Level::Debug, &path).unwrap();
    // More than a pipe and the queue together can hold.
    for number in 0..20_000 {
        log.debug("test", format_args!("line {number} {}", "x".repeat(100)));
    }
    assert!(!log.flush(Duration::from_millis(10)), "the pipe is full");
    let mut text = String::new();
    let written = std::thread::spawn({
        let log = log.clone();
        move || log.flush(SOON)
    });
    while !written.is_finished() {
        // Empty for a moment, or with something.
        let _would_block = reader.read_to_string(&mut text);
    }
    assert!(written.join().unwrap());
    log.debug("test", "at last");
    assert!(log.flush(SOON));
    let _would_block = reader.read_to_string(&mut text);
    let said: u64 = text
        .lines()
        .filter_map(|line| {
            line.split_once(" WARN log: ")?
                .1
                .split_once(" lines are missing here: they came faster")?
                .0
                .parse::<u64>()
                .ok()
        })
        .sum();
    let there = text.lines().filter(|line| line.contains("DEBU test: line ")).count() as u64;
    assert_eq!(said + there, 20_000, "every line is there or counted");
    assert!(text.ends_with("DEBU test: at last\n"));
}

#[test]
fn lines_that_a_full_disk_refused_are_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    // Every write to it fails as on a full disk.
    let mut writer = writer::Writer::new(Sink::file(Path::new("/dev/full")).unwrap(), Default::default());
    writer.write("a\n");
    writer.write("b\n");
    writer.turn_to(Sink::file(&path).unwrap());
    writer.write("c\n");
    let text = read(&path);
    assert!(text.contains("2 lines are missing here: they could not be written: No space left on device"), "{text}");
    // What was begun before is not continued.
    assert!(text.starts_with('\n') && text.ends_with("\nc\n"), "{text}");
}

#[test]
fn a_kind_of_line_has_a_quota_and_the_rest_is_counted() {
    let quota = Quota { lines: 3, window: Duration::from_secs(10) };
    let mut throttle = Throttle::default();
    let at = Duration::from_millis;
    let mut written = 0;
    for number in 0..1000 {
        written += u32::from(throttle.admits("garbage", quota, at(number)));
    }
    assert_eq!(written, 3);
    assert!(throttle.admits("other", quota, at(1000)));
    assert_eq!(throttle.ended(at(9999)), []);
    assert_eq!(throttle.ended(at(10_000)), [("garbage", 997, 10)]);
    assert_eq!(throttle.ended(at(10_001)), []);
    assert!(throttle.admits("garbage", quota, at(10_001)));
    assert_eq!(throttle.ended(at(30_000)), [], "nothing is left out of it");
}

/// What a peer sends may be quoted; it must not fill the disk.
#[test]
fn a_line_is_no_longer_than_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let log = Log::to_file(Level::Notice, &path).unwrap();
    log.error("authority", format_args!("{:?} is not a URL", "\u{1}ä".repeat(1 << 20)));
    log.error("authority", "the next");
    assert!(log.flush(SOON));
    let text = read(&path);
    assert!(text.len() < 5000, "{} bytes", text.len());
    assert!(text.contains("… (cut)\n") && text.ends_with(" ERRO authority: the next\n"), "{text}");
    assert_eq!(Cut("whole", 5).to_string(), "whole");
    assert_eq!(Cut("größer", 3).to_string(), "gr… (cut)");
}
