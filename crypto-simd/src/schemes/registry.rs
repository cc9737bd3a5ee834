//! Looking up schemes by name, once for all kinds of them.

/// Why a name gives no scheme.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// No scheme of this kind has that name.
    #[error("unknown {kind} scheme {name:?}; built in are: {built_in}")]
    Unknown {
        /// "NIKE", "KEM" or "signature".
        kind: &'static str,
        /// What was asked for.
        name: String,
        /// The names that are built in, comma separated: those that can be written instead.
        built_in: String,
    },
    /// The name is registered, its sizes are known, the code is not in this build.
    #[error("{kind} scheme {name:?} is not built in yet; built in are: {built_in}")]
    NotBuiltIn {
        /// "NIKE", "KEM" or "signature".
        kind: &'static str,
        /// The canonical name.
        name: &'static str,
        /// The names that are built in, comma separated.
        built_in: String,
    },
}

/// The schemes of one kind.
pub(super) struct Registry<I: 'static, S: ?Sized + 'static> {
    /// "NIKE", "KEM" or "signature".
    pub(super) kind: &'static str,
    /// Name and sizes of each, built in or not.
    pub(super) rows: &'static [I],
    /// Those that have code.
    pub(super) built_in: &'static [&'static S],
    /// The name in a row.
    pub(super) name: fn(&I) -> &'static str,
    /// The row of a scheme.
    pub(super) info: fn(&S) -> &'static I,
}

impl<I, S: ?Sized> Registry<I, S> {
    /// The scheme that an operator calls `name`; letter case does not matter.
    pub(super) fn by_name(&self, name: &str) -> Result<&'static S, LookupError> {
        let built_in = || self.built_in.iter().map(|scheme| (self.name)((self.info)(scheme)));
        if let Some(index) = built_in().position(|known| known.eq_ignore_ascii_case(name)) {
            return Ok(self.built_in[index]);
        }
        let (kind, mut known) = (self.kind, self.rows.iter().map(self.name));
        let list = built_in().collect::<Vec<_>>().join(", ");
        match known.find(|known| known.eq_ignore_ascii_case(name)) {
            Some(name) => Err(LookupError::NotBuiltIn { kind, name, built_in: list }),
            None => Err(LookupError::Unknown { kind, name: name.into(), built_in: list }),
        }
    }
}

/// Whether two names are the same, for use in constants.
pub(super) const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut index = 0;
    while index < a.len() {
        if a[index] != b[index] {
            return false;
        }
        index += 1;
    }
    true
}
