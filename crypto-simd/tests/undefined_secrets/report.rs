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

/// Something that depends on secrets and that everybody may see: parts of the file and of the function where it stands,
/// part of a function that has called this, and the reason. Empty parts fit everything.
pub struct Public(pub &'static str, pub &'static str, pub &'static str, pub &'static str);

impl Finding {
    /// Why it is no secret, when it stands in the table.
    pub fn public(&self, table: &[Public]) -> Option<&'static str> {
        let (function, file) = self.place().split_once(" (")?;
        let is_below = |caller: &str| self.frames.iter().any(|frame| frame.contains(caller));
        let mut fitting = table.iter().filter(|Public(in_file, in_function, caller, _)| {
            file.contains(in_file) && function.contains(in_function) && is_below(caller)
        });
        fitting.next().map(|Public(.., reason)| *reason)
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
        } else if let (Some(finding), Some((_, frame))) = (findings.last_mut(), line.split_once("x"))
            && (line.starts_with("at ") || line.starts_with("by "))
            && finding.frames.len() < FRAMES
        {
            finding.frames.push(frame.split_once(": ").map_or(frame, |(_, place)| place).into());
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
