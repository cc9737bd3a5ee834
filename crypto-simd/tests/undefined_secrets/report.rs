//! What memcheck wrote.

/// Frames of a finding that are kept.
const FRAMES: usize = 16;

/// A branch, or an address, that depends on undefined memory.
#[derive(Debug)]
pub struct Finding {
    /// Memcheck's words.
    #[expect(dead_code, reason = "shown in failures")]
    pub what: String,
    /// Function and place of each frame, innermost first.
    pub frames: Vec<String>,
}

/// Something that depends on secrets and that everybody may see.
pub struct Public {
    pub function: &'static str,
    file: &'static str,
    with_callees: bool,
}

impl Public {
    /// One function, by a part of its name and of its file's.
    pub const fn place(function: &'static str, file: &'static str, _reason: &'static str) -> Self {
        Self { function, file, with_callees: false }
    }

    /// The same with all that it calls.
    pub const fn within(function: &'static str, file: &'static str, _reason: &'static str) -> Self {
        Self { function, file, with_callees: true }
    }

    fn is(&self, frame: &str) -> bool {
        let (function, file) = frame.split_once(" (").unwrap_or((frame, ""));
        function.contains(self.function) && file.contains(self.file)
    }
}

impl Finding {
    pub fn is(&self, public: &Public) -> bool {
        public.is(self.place()) || public.with_callees && self.frames.iter().any(|frame| public.is(frame))
    }

    /// Where it stands: the innermost frame that is not inside the standard library, `subtle` or a wrapper of intrinsics,
    /// which do what they were asked to.
    pub fn place(&self) -> &str {
        let foreign =
            |frame: &&String| ["(/rustc/", "/subtle-", "/libcrux-intrinsics-"].iter().any(|path| frame.contains(path));
        self.frames.iter().find(|frame| !foreign(frame)).map_or("", String::as_str)
    }
}

/// The findings in a log: each line starts with the process's number, each frame with `at` or `by`.
pub fn findings(log: &str) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for line in log.lines() {
        let line = line.trim_start_matches(['=', '*']).trim_start_matches(|c: char| c.is_ascii_digit());
        let line = line.trim_start_matches(['=', '*']).trim();
        if line.contains("uninitialised") || line.starts_with("Invalid") {
            findings.push(Finding { what: line.into(), frames: Vec::new() });
        } else if let (Some(finding), Some((_, frame))) = (findings.last_mut(), line.split_once("x")) {
            if (line.starts_with("at ") || line.starts_with("by ")) && finding.frames.len() < FRAMES {
                finding.frames.push(frame.split_once(": ").map_or(frame, |(_, place)| place).into());
            }
        }
    }
    findings
}

#[test]
fn logs_are_read() {
    let log = "==7== Conditional jump or move depends on uninitialised value(s)\n\
               ==7==    at 0x1234: leak (in/file.rs:3)\n==7==    by 0x99: main (file.rs:9)\n==7== \n\
               ==7== Use of uninitialised value of size 8\n==7==    at 0x1: look_up (table.rs:4)\n";
    let findings = findings(log);
    assert_eq!(findings.len(), 2);
    assert_eq!(findings[0].frames, ["leak (in/file.rs:3)", "main (file.rs:9)"]);
    assert!(findings[1].place().contains("table.rs"));
}
