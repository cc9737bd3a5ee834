//! What a stage says about a host.

/// What a stage found out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How it is, in one line.
    pub seen: String,
    /// What should be otherwise; none if all is well.
    pub findings: Vec<Finding>,
}

/// One thing that should be otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is about.
    pub what: String,
    /// How it is.
    pub value: String,
    /// How it should be.
    pub wanted: String,
    /// What it costs to leave it so.
    pub why: &'static str,
    /// What mends it.
    pub remedy: Remedy,
}

/// What mends a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// These writes, which last until the host is started again.
    Writes(Vec<Write>),
    /// Something that an operator has to do.
    Advice(String),
}

/// One write of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The file, as a path of the host.
    pub path: String,
    /// What is written.
    pub value: String,
}

impl Write {
    /// A write of `value` to the file at `path`.
    pub fn new(path: impl Into<String>, value: impl Into<String>) -> Self {
        Self { path: path.into(), value: value.into() }
    }

    /// The line of a shell that does the same.
    pub fn shell_line(&self) -> String {
        format!("echo {} > {}", quoted(&self.value), quoted(&self.path))
    }
}

fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/_-.,:@".contains(&byte);
    match !word.is_empty() && word.bytes().all(is_plain) {
        true => word.into(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

impl Report {
    /// All is well.
    pub fn fine(seen: impl Into<String>) -> Self {
        Self { seen: seen.into(), findings: Vec::new() }
    }
}
