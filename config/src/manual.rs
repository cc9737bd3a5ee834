//! `docs/reference/config.md`, made from the declarations of the tables, so that it cannot lack a key.

#[cfg(test)]
mod tests;

use crate::reader::{Description, Section};
use crate::server::{own, raw};
use std::fmt::Write;

const INTRODUCTION: &str = "\
<!-- Generated from config/src/server/raw.rs and own.rs: KATZENSPRUNG_BLESS=1 cargo test -p config manual -->
# Configuration

A node reads two files: the reference's `katzenpost.toml` (`--config`), unchanged, and `katzensprung.toml` beside it,
which is optional and holds what only this implementation knows.

* Absent keys take their defaults. All findings are printed at once, one line each: severity, file, line, key, problem
  and remedy. With an error among them the node does not start.
* Key names of `katzenpost.toml` are matched exactly first, else ignoring letter case, except below
  `[[PKI.Voting.Authorities]]`. Unknown keys are warnings at a normal start and errors under `--validate-only`.
* `katzensprung.toml` is always strict.
* Durations in `[Debug]` are integers in milliseconds.
";

/// The text of the manual page.
pub fn markdown() -> String {
    let mut text = String::from(INTRODUCTION);
    text.push_str("\n# katzenpost.toml\n");
    write_tables(&mut text, "", raw::Root::describe(), false);
    text.push_str("\n# katzensprung.toml\n");
    write_tables(&mut text, "", own::Root::describe(), false);
    text
}

fn write_tables(text: &mut String, path: &str, table: Description, is_array: bool) {
    if !path.is_empty() {
        let header = if is_array { format!("[[{path}]]") } else { format!("[{path}]") };
        let _ = write!(text, "\n## `{header}`\n\n{}\n", table.about.trim());
    }
    text.push_str("\n| key | type | default | meaning |\n|---|---|---|---|\n");
    for key in table.keys {
        let effect = if key.effect.is_empty() { String::new() } else { format!(" {}", key.effect) };
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {}{effect} |",
            key.name,
            key.kind,
            key.default,
            key.meaning.trim().replace('|', "\\|"),
        );
    }
    for key in table.keys {
        if let Some(section) = key.section {
            let below = if path.is_empty() { key.name.to_string() } else { format!("{path}.{}", key.name) };
            write_tables(text, &below, section(), key.kind.starts_with("array"));
        }
    }
}
