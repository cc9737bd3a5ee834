//! Findings: what is wrong with a configuration file, where, and what to do about it. All of them are collected;
//! nothing stops at the first.

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// The file can be used, though probably not as its writer meant it.
    Warning,
    /// Worth knowing; nothing has to be done.
    Note,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        })
    }
}

/// One thing to tell the operator. `Display` gives it as one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Stable name of the kind of finding, for tests and for tools.
    pub code: &'static str,
    /// The file in which it was found.
    pub file: PathBuf,
    /// Line in the file, counted from 1; none where a missing thing has no line.
    pub line: Option<usize>,
    /// Dotted path of the key, for example `Server.Addresses[1]`; empty when the whole file is meant.
    pub key: String,
    /// What is wrong. Where the reference has a text for it, that text.
    pub problem: String,
    /// What the operator can do about it.
    pub remedy: String,
}

impl Finding {
    /// The line without its severity, for a log that has levels of its own.
    pub fn text(&self) -> String {
        let line = self.to_string();
        line.split_once(": ").map_or(line.clone(), |(_, rest)| rest.into())
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.severity, one_line(&self.file.display().to_string()))?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", one_line(&self.key))?;
        }
        write!(f, ": {}", one_line(&self.problem))?;
        if !self.remedy.is_empty() {
            write!(f, "; {}", one_line(&self.remedy))?;
        }
        Ok(())
    }
}

/// Text from a file may hold line ends and terminal control characters: a finding stays one harmless line.
fn one_line(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

/// Where a value stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Line in the file, counted from 1.
    pub line: Option<usize>,
    /// Dotted path of the key.
    pub key: String,
}

impl Place {
    /// A key that the file does not have.
    pub fn absent(key: impl Into<String>) -> Self {
        Self { line: None, key: key.into() }
    }
}

/// Collects the findings of one file. One mistake gives one finding: what follows from a value of the wrong type is not
/// said, and that a key is not set is said where it was written with a slip of the pen.
#[derive(Debug)]
pub struct Findings {
    file: PathBuf,
    is_strict: bool,
    list: Vec<Finding>,
    /// Keys whose values could not be read.
    unreadable: Vec<String>,
    /// Keys that are absent and what was probably meant to be them: the number of the finding about that.
    misspelt: Vec<(String, usize)>,
}

impl Findings {
    /// None yet.
    pub fn new(file: &Path) -> Self {
        let file = file.to_path_buf();
        Self { file, is_strict: false, list: Vec::new(), unreadable: Vec::new(), misspelt: Vec::new() }
    }

    /// None yet, of a file that is to be checked strictly or not.
    pub fn of(file: &Path, is_strict: bool) -> Self {
        Self { is_strict, ..Self::new(file) }
    }

    /// Adds the error that the value at `place` cannot be read.
    pub fn unreadable(
        &mut self,
        code: &'static str,
        place: &Place,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.error(code, place, problem, remedy);
        self.unreadable.push(place.key.clone());
    }

    /// Adds the error that a table is missing.
    pub fn missing_block(&mut self, block: &str) {
        let problem = format!("config: No {block} block was present");
        self.error("missing-block", &Place::absent(block), problem, format!("add [{block}]"));
    }

    /// Whether the value of `key` or an element of it cannot be read: what would follow from that is not worth telling.
    pub fn is_unreadable(&self, key: &str) -> bool {
        let after =
            |unreadable: &String| unreadable.strip_prefix(key).map(|rest| rest.is_empty() || rest.starts_with('['));
        self.unreadable.iter().any(|unreadable| after(unreadable) == Some(true))
    }

    /// Whether something in the table cannot be read.
    pub fn has_unreadable(&self, table: &str) -> bool {
        let is_below = |unreadable: &String| unreadable.strip_prefix(table).is_some_and(|rest| rest.starts_with('.'));
        self.unreadable.iter().any(is_below)
    }

    /// Tells that the finding added last is about a key that was probably meant to be `key`, which is absent.
    pub fn last_was_probably(&mut self, key: String) {
        self.misspelt.push((key, self.list.len() - 1));
    }

    /// Whether something was probably meant to be `key`, which is absent.
    pub fn is_misspelt(&self, key: &str) -> bool {
        self.misspelt.iter().any(|(meant, _)| meant == key)
    }

    /// Adds one.
    pub fn add(
        &mut self,
        severity: Severity,
        code: &'static str,
        place: &Place,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        if !place.key.is_empty() && self.is_unreadable(&place.key) {
            return;
        }
        if let Some((key, number)) = self.misspelt.iter().find(|(key, _)| *key == place.key) {
            let (written, problem) = (&mut self.list[*number], format!("; {key}: {}", problem.into()));
            written.severity = written.severity.min(severity);
            if !written.problem.contains(&problem) {
                written.problem += &problem;
            }
            return;
        }
        self.list.push(Finding {
            severity,
            code,
            file: self.file.clone(),
            line: place.line,
            key: place.key.clone(),
            problem: problem.into(),
            remedy: remedy.into(),
        });
    }

    /// Adds an error.
    pub fn error(&mut self, code: &'static str, place: &Place, problem: impl Into<String>, remedy: impl Into<String>) {
        self.add(Severity::Error, code, place, problem, remedy);
    }

    /// Adds a warning.
    pub fn warning(
        &mut self,
        code: &'static str,
        place: &Place,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(Severity::Warning, code, place, problem, remedy);
    }

    /// Adds what the reference runs with, though not as its writer meant it: a warning at a start, and an error of a check.
    pub fn doubt(&mut self, code: &'static str, place: &Place, problem: impl Into<String>, remedy: impl Into<String>) {
        let severity = if self.is_strict { Severity::Error } else { Severity::Warning };
        self.add(severity, code, place, problem, remedy);
    }

    /// All, in the order of the file; those without a line come first.
    pub fn into_sorted(mut self) -> Vec<Finding> {
        self.list.sort_by_key(|finding| finding.line);
        self.list
    }
}
