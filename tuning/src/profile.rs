//! Hardware profiles, `hw-profiles/*.toml`: what is wanted on which kind of processor. A profile says what differs from
//! the one that it inherits from; the last one says everything.

#[cfg(test)]
mod tests;

use crate::host::Host;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// What stands in `hw-profiles/`, the more particular ones first.
const SHIPPED: [(&str, &str); 6] = [
    ("zen5", include_str!("../../hw-profiles/zen5.toml")),
    ("zen4", include_str!("../../hw-profiles/zen4.toml")),
    ("zen3", include_str!("../../hw-profiles/zen3.toml")),
    ("zen2", include_str!("../../hw-profiles/zen2.toml")),
    ("icelake", include_str!("../../hw-profiles/icelake.toml")),
    (GENERIC, include_str!("../../hw-profiles/generic.toml")),
];

/// The one of all other processors.
const GENERIC: &str = "generic";

/// What is wanted on a kind of processor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Its name, or the path of its file.
    pub name: String,
    /// Suggestions for `katzensprung.toml`.
    pub dataplane: Dataplane,
    /// How the host should be set.
    pub wanted: Wanted,
}

/// How many shards a node gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ShardPolicy {
    /// One for each core.
    Cores,
    /// One for each processor, siblings included.
    Processors,
}

/// Whether shards are pinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PinPolicy {
    /// One to each core but the first, where there are enough cores.
    SpareFirst,
    /// Not at all.
    None,
}

/// What becomes of the siblings of processors to which shards are pinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Siblings {
    /// They are taken out of use.
    Offline,
    /// They stay.
    Leave,
}

macro_rules! sections {
    ($($(#[$doc:meta])* $name:ident, $raw:ident, $section:literal { $($(#[$field_doc:meta])* $field:ident: $kind:ty,)* })*) => { $(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $kind,)*
        }

        #[derive(Default, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct $raw {
            $($field: Option<$kind>,)*
        }

        impl $raw {
            /// What is not said here is as `parent` says.
            fn or(self, parent: Self) -> Self {
                Self { $($field: self.$field.or(parent.$field),)* }
            }

            fn whole(self) -> Result<$name, &'static str> {
                Ok($name { $($field: self.$field.ok_or(concat!($section, ".", stringify!($field)))?,)* })
            }
        }
    )* };
}

sections! {
    /// Suggestions for `katzensprung.toml`.
    Dataplane, RawDataplane, "dataplane" {
        /// How many shards.
        shards: ShardPolicy,
        /// Whether they are pinned.
        pin_cpus: PinPolicy,
        /// Packets that are unwrapped together.
        batch_max: u32,
    }

    /// How the host should be set.
    Wanted, RawWanted, "wanted" {
        /// Governor of the processors' clocks.
        governor: String,
        /// What the processors themselves are to prefer.
        energy_preference: String,
        /// What becomes of siblings.
        siblings: Siblings,
        /// Most `vm.swappiness` where there is swap.
        swappiness_max: u64,
        /// Least `net.core.somaxconn`.
        somaxconn_min: u64,
        /// Least that a TCP connection may buffer in each direction.
        tcp_buffer_bytes_min: u64,
        /// Least that a UDP socket may buffer in each direction.
        udp_buffer_bytes_min: u64,
        /// Least hard limit of open files.
        open_files_min: u64,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    inherits: Option<String>,
    detect: Option<Detect>,
    #[serde(default)]
    dataplane: RawDataplane,
    #[serde(default)]
    wanted: RawWanted,
}

/// Of which processors a profile is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Detect {
    vendor: String,
    family: u32,
    /// First and last of each range.
    models: Vec<(u32, u32)>,
    #[serde(default)]
    flags: Vec<String>,
}

/// What is wrong with a profile.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ProfileError {
    /// There is none of that name.
    #[error(
        "there is no hardware profile '{name}'; there are {known}, or give the path of a file (with a '/' or .toml)"
    )]
    Unknown {
        /// The name that was given.
        name: String,
        /// The names that there are.
        known: String,
    },
    /// A file that cannot be used.
    #[error("hardware profile {file}: {problem}")]
    Invalid {
        /// The name or the path.
        file: String,
        /// What is wrong, where, and what would be right.
        problem: String,
    },
}

impl Profile {
    /// The profile of the processors of `host`.
    pub fn detect(host: &Host) -> Result<Self, ProfileError> {
        let cpu = Cpu::of(host);
        for (name, text) in SHIPPED {
            if parse(name, text)?.detect.is_some_and(|detect| cpu.fits(&detect)) {
                return Self::named(name);
            }
        }
        Self::named(GENERIC)
    }

    /// The profile of that name, or of the file at that path.
    pub fn named(name: &str) -> Result<Self, ProfileError> {
        let folder = Path::new(name).parent().filter(|_| is_path(name)).map(Path::to_owned);
        Self::inherited(name, &|name| find(folder.as_deref(), name))
    }

    /// The same with other shelves.
    fn inherited(name: &str, find: &dyn Fn(&str) -> Result<String, ProfileError>) -> Result<Self, ProfileError> {
        let mut line = vec![name.to_owned()];
        let Raw { mut inherits, mut dataplane, mut wanted, .. } = parse(name, &find(name)?)?;
        while let Some(parent) = inherits {
            if line.contains(&parent) {
                let problem =
                    format!("inherits from itself: {} -> {parent}; take out one `inherits`", line.join(" -> "));
                return Err(ProfileError::Invalid { file: name.into(), problem });
            }
            let raw = parse(&parent, &find(&parent)?)?;
            (inherits, dataplane, wanted) = (raw.inherits, dataplane.or(raw.dataplane), wanted.or(raw.wanted));
            line.push(parent);
        }
        let lacks = |key| {
            let problem = format!("does not say `{key}`, nor does what it inherits; write `inherits = \"{GENERIC}\"`");
            ProfileError::Invalid { file: name.into(), problem }
        };
        let (dataplane, wanted) = (dataplane.whole().map_err(lacks)?, wanted.whole().map_err(lacks)?);
        if !(1..=32).contains(&dataplane.batch_max) {
            let problem = format!("dataplane.batch_max = {} is out of range; write 1 to 32", dataplane.batch_max);
            return Err(ProfileError::Invalid { file: name.into(), problem });
        }
        Ok(Self { name: name.into(), dataplane, wanted })
    }
}

fn is_path(name: &str) -> bool {
    name.contains('/') || name.ends_with(".toml")
}

/// The text of a profile: a file's, one beside the file at which it began, or a shipped one.
fn find(folder: Option<&Path>, name: &str) -> Result<String, ProfileError> {
    let beside = folder.map(|folder| folder.join(format!("{name}.toml"))).filter(|path| path.exists());
    let path = if is_path(name) { Some(PathBuf::from(name)) } else { beside };
    if let Some(path) = path {
        let failed = |problem| ProfileError::Invalid { file: path.display().to_string(), problem };
        return crate::host::read_text(&path).map_err(failed);
    }
    let known = || SHIPPED.map(|(name, _)| name).join(", ");
    let shipped = SHIPPED.iter().find(|(shipped, _)| *shipped == name);
    shipped.map(|(_, text)| (*text).into()).ok_or_else(|| ProfileError::Unknown { name: name.into(), known: known() })
}

/// The parser's message has the line, the key and what it expected there.
fn parse(name: &str, text: &str) -> Result<Raw, ProfileError> {
    toml::from_str(text)
        .map_err(|error| ProfileError::Invalid { file: name.into(), problem: error.to_string().trim().into() })
}

/// What a processor says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cpu {
    /// As it is sold.
    pub name: String,
    vendor: String,
    family: Option<u32>,
    model: Option<u32>,
    flags: Vec<String>,
}

impl Cpu {
    /// The first processor of `host`.
    pub fn of(host: &Host) -> Self {
        let text = host.text("/proc/cpuinfo").unwrap_or_default();
        let first = text.split("\n\n").next().unwrap_or_default();
        let value = |wanted: &str| {
            let mut pairs = first.lines().filter_map(|line| line.split_once(':'));
            pairs.find(|(key, _)| key.trim() == wanted).map_or("", |(_, value)| value.trim())
        };
        Self {
            name: value("model name").into(),
            vendor: value("vendor_id").into(),
            family: value("cpu family").parse().ok(),
            model: value("model").parse().ok(),
            flags: value("flags").split_whitespace().map(Into::into).collect(),
        }
    }

    fn fits(&self, Detect { vendor, family, models, flags }: &Detect) -> bool {
        let in_range = |model| models.iter().any(|&(first, last)| (first..=last).contains(&model));
        self.vendor == *vendor
            && self.family == Some(*family)
            && self.model.is_some_and(in_range)
            && flags.iter().all(|flag| self.flags.contains(flag))
    }
}
