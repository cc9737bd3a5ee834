//! Services in descriptors: capabilities with parameters of any type, kept in the bytes that authorities compare.

use crate::cbor::normal::{self, any};
use crate::cbor::{Canonical, CborError, Item, Value};
use std::collections::BTreeMap;

/// Service names to their parameters, for writing.
pub type Capabilities = BTreeMap<String, Option<BTreeMap<String, Value>>>;

/// Service names to their parameters, as a descriptor has them. The parameters may be null in what others send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Services(Canonical);

impl Services {
    pub(super) fn from_item(item: Item<'_>, field: &'static str) -> Result<Option<Self>, CborError> {
        if item.is_null() {
            return Ok(None);
        }
        let written = Canonical::written(item, |reader, out| {
            normal::text_map(reader, out, field, |reader, out| {
                normal::text_map(reader, out, field, |reader, out| any(reader, out, true))
            })
        });
        written.map(|canonical| Some(Self(canonical)))
    }

    /// The capabilities, in the order of the encoding.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<Parameters<'_>>)> {
        self.0.pairs().map(|(name, item)| (name, (!item.is_null()).then_some(Parameters(item))))
    }

    pub(super) fn canonical(&self) -> &Canonical {
        &self.0
    }
}

impl Default for Services {
    fn default() -> Self {
        Self::from(&Capabilities::new())
    }
}

impl From<&Capabilities> for Services {
    fn from(capabilities: &Capabilities) -> Self {
        let parameter = |(name, value): (&String, &Value)| (Value::from(name.as_str()), value.clone());
        let service = |(name, parameters): (&String, &Option<BTreeMap<String, Value>>)| {
            let parameters = parameters.as_ref().map(|map| Value::Map(map.iter().map(parameter).collect()));
            (Value::from(name.as_str()), parameters.into())
        };
        Self(Canonical::from(&Value::Map(capabilities.iter().map(service).collect())))
    }
}

/// The parameters of one service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters<'a>(Item<'a>);

impl<'a> Parameters<'a> {
    /// All of them, in the order of the encoding.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, Item<'a>)> {
        self.0.pairs()
    }

    /// The parameter with that name.
    pub fn get(&self, name: &str) -> Option<Item<'a>> {
        self.iter().find(|(key, _)| *key == name).map(|(_, item)| item)
    }
}
