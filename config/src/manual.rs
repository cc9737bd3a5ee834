//! `docs/reference/config.md`, made from the declarations of the tables, so that it cannot lack a key.

#[cfg(test)]
mod tests;

use crate::authority;
use crate::client;
use crate::reader::{Description, Section, join};
use crate::server::live::is_live;
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
* A running node reads both files again at `katzensprung ctl RELOAD`. Keys with _(live)_ count at once, whatever else has
  changed; it names the others that are written otherwise than at its start, and they count from the next one on.
";

const AUTHORITY_INTRODUCTION: &str = "\
<!-- Generated from config/src/authority/raw.rs: KATZENSPRUNG_BLESS=1 cargo test -p config manual -->
# Configuration of directory authorities

`katzensprung dirauth` reads the reference's `authority.toml` (`--config`, default `katzenpost-authority.toml`),
unchanged. Absent keys take their defaults; all findings are printed at once, one line each. Key names are matched exactly
first, else ignoring letter case, except below `[[Authorities]]`. Unknown keys are warnings at a normal start and errors
under `--validate-only`. The length of an epoch is not in the file: where it is not 20 minutes, set
`KATZENPOST_EPOCH_DURATION` alike on the whole network.

`[Parameters]`, the members, `[Topology]` and `[SphinxGeometry]` must be the same on all authorities, or their documents
differ and no consensus comes about. Key files of members are read once, at the start.

# authority.toml
";

const CLIENT_INTRODUCTION: &str = "\
<!-- Generated from config/src/client/raw.rs: KATZENSPRUNG_BLESS=1 cargo test -p config manual -->
# Configuration of clients

`katzensprung ping` reads the reference's `client.toml`, unchanged. Absent keys take their defaults; all findings are
printed at once. Key names are matched exactly first, else ignoring letter case, except below
`[[VotingAuthority.Peers]]`. Unknown keys are warnings. The length of an epoch is not in the file: where it is not 20
minutes, set `KATZENPOST_EPOCH_DURATION` as on the nodes.

# client.toml
";

const MEMORY: &str = "
# Memory

Two things grow with traffic; both are sized from `dataplane.line_rate_packets_per_second`, or, where that is not set,
from processors and memory (20,000 packets per second for each shard; replay sets take at most half of the memory,
packet slots a quarter). The memory is the host's, or the limit of the container around the node if that is less. The
start says in one line what came of it, and warns when less is free at that moment. A configured rate that cannot fit is
refused at start, with one that does.

| what | sized for | memory under full load | when the rate is higher |
|---|---|---|---|
| replay sets, one for each mix key, three of them in use at a time | one epoch at the line rate, filled to 60 % | 16 kB for each packet per second and set, at epochs of 20 minutes | from 84 % on packets are dropped (`replay_set_full`) until the next epoch; the log warns at 70 % |
| packet slots of each shard | packets that are delayed for the longest time that documents with the usual `Mu` of 0.005 allow, 5.5 s; with several shards twice each one's share | packet length and 0.2 kB for each slot | random delayed packets are dropped (`scheduler_queue_overflow`); other links do not notice |

| line rate, packets/s | replay sets | slots of one shard, packets of 3 kB |
|---|---|---|
| 1,000 | 48 MB | 22 MB |
| 5,000 | 240 MB | 105 MB |
| 20,000 | 960 MB | 415 MB |
| 100,000 | 4.8 GB | 2.1 GB |

Memory is taken as it is used: an idle node has some 16 MB of slots for each shard and nothing of the replay sets. Where
the line rate is configured, the memory of the replay sets of all mix keys (up to five) is taken ahead of time, so that
the first packets of an epoch need not wait for it. Packets that come before the epoch of their key may take a fifth of
its set (`replay_early_quota`). How full the sets are is in the metrics `katzensprung_replay_set_tags` and
`katzensprung_replay_set_slots`, by key.
";

/// The text of the manual page.
pub fn markdown() -> String {
    let mut text = String::from(INTRODUCTION);
    text.push_str("\n# katzenpost.toml\n");
    write_tables(&mut text, "", raw::Root::describe(), false, is_live);
    text.push_str("\n# katzensprung.toml\n");
    write_tables(&mut text, "", own::Root::describe(), false, is_live);
    text.push_str(MEMORY);
    text
}

/// The text of the manual page of directory authorities.
pub fn markdown_of_authority() -> String {
    let mut text = String::from(AUTHORITY_INTRODUCTION);
    write_tables(&mut text, "", authority::raw::Root::describe(), false, |_| false);
    text
}

/// The text of the manual page of clients.
pub fn markdown_of_client() -> String {
    let mut text = String::from(CLIENT_INTRODUCTION);
    write_tables(&mut text, "", client::raw::Root::describe(), false, |_| false);
    text
}

fn write_tables(text: &mut String, path: &str, table: Description, is_array: bool, is_live: fn(&str) -> bool) {
    if !path.is_empty() {
        let header = if is_array { format!("[[{path}]]") } else { format!("[{path}]") };
        let _ = write!(text, "\n## `{header}`\n\n{}\n", table.about.trim());
    }
    text.push_str("\n| key | type | default | meaning |\n|---|---|---|---|\n");
    for key in table.keys {
        let live = if is_live(&join(path, key.name)) { " _(live)_" } else { "" };
        let effect = if key.effect.is_empty() { String::new() } else { format!(" {}", key.effect) };
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {}{effect}{live} |",
            key.name,
            key.kind,
            key.default,
            key.meaning.trim().replace('|', "\\|"),
        );
    }
    for key in table.keys {
        if let Some(section) = key.section {
            write_tables(text, &join(path, key.name), section(), key.kind.starts_with("array"), is_live);
        }
    }
}
