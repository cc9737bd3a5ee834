//! The addresses of a descriptor, kept in the bytes that authorities compare.

use crate::cbor::normal::{text_list, text_map};
use crate::cbor::{Canonical, CborError, Item, Value};
use std::collections::BTreeMap;

const FIELD: &str = "Addresses";

/// Transport names to URLs; a list may be null in what others send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses(Canonical);

impl Addresses {
    pub(crate) fn from_item(item: Item<'_>) -> Result<Option<Self>, CborError> {
        if item.is_null() {
            return Ok(None);
        }
        let written = Canonical::written(item, |reader, out| {
            text_map(reader, out, FIELD, |reader, out| text_list(reader, out, FIELD))
        });
        written.map(|canonical| Some(Self(canonical)))
    }

    /// The transports, each with its URLs.
    pub fn transports(&self) -> impl Iterator<Item = (&str, impl Iterator<Item = &str>)> {
        self.0.pairs().map(|(transport, urls)| (transport, urls.elements().filter_map(Item::as_text)))
    }

    /// All URLs with their transports.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.transports().flat_map(|(transport, urls)| urls.map(move |url| (transport, url)))
    }

    pub(crate) fn canonical(&self) -> &Canonical {
        &self.0
    }
}

impl From<&BTreeMap<String, Vec<String>>> for Addresses {
    fn from(map: &BTreeMap<String, Vec<String>>) -> Self {
        let urls = |urls: &[String]| Value::Array(urls.iter().map(|url| url.as_str().into()).collect());
        let entries = map.iter().map(|(transport, list)| (transport.as_str().into(), urls(list)));
        Self(Canonical::from(&Value::Map(entries.collect())))
    }
}
