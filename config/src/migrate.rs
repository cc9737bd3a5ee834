//! A configuration file of an older release as today's: keys that were renamed, split or retired, addresses without a
//! scheme. What only its operator can decide is said and left alone. Order stays, and so do comments, but for those of a
//! key or table that goes with nothing behind it.

#[cfg(test)]
mod tests;

use crate::address::Transport;
use crate::program::Program;
use crate::{authority, client, server};
use toml_edit::{Array, DocumentMut, Item, Table, TableLike, Value};

/// What a provider becomes, which was a gateway and a service node in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProviderRole {
    /// Clients connect to it.
    Gateway,
    /// It has services.
    ServiceNode,
}

/// A file as it would be today.
#[derive(Debug)]
pub struct Migration {
    /// The whole text.
    pub text: String,
    /// What was changed, a line each.
    pub changes: Vec<String>,
    /// What has to be decided first, a line each.
    pub undecided: Vec<String>,
}

const BYTE_ORDER_MARK: char = '\u{feff}';

/// Keys of a provider that a gateway has; all others are a service node's.
const GATEWAY_KEYS: &[&str] =
    &["SpoolDB", "UserDB", "SQLDB", "AltAddresses", "EnableEphemeralClients", "TrustOnFirstUse"];
const SERVICE_KEYS: &[&str] = &["Kaetzchen", "CBORPluginKaetzchen"];

/// Old key of `[Debug]`, and those that have taken its place.
const SPLIT_DEBUG_KEYS: &[(&str, [&str; 2])] = &[
    ("NumProviderWorkers", ["NumGatewayWorkers", "NumServiceWorkers"]),
    ("ProviderDelay", ["GatewayDelay", "ServiceDelay"]),
];

/// Brings the text of a program's file up to date. `provider` says what a provider is to be; an error is about text that
/// is no TOML.
pub fn migrate(program: Program, text: &str, provider: Option<ProviderRole>) -> Result<Migration, String> {
    let document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| error.to_string())?;
    let mut work = Work { document, changes: Vec::new(), undecided: Vec::new() };
    match program {
        Program::Server => work.server(provider),
        Program::ClientDaemon => work.client(),
        _ => {}
    }
    let hint: Option<fn(&str) -> Option<&'static str>> = match program {
        Program::Server => Some(server::removed::hint),
        Program::Authority => Some(authority::removed::hint),
        Program::ClientDaemon => Some(client::removed::hint),
        _ => None,
    };
    let Work { mut document, mut changes, undecided } = work;
    name_schemes(document.as_table_mut(), "", &mut changes);
    if let Some(hint) = hint {
        remove_retired(document.as_table_mut(), "", hint, &mut changes);
    }
    let mut new = document.to_string();
    if text.contains("\r\n") {
        new = new.replace("\r\n", "\n").replace('\n', "\r\n");
    }
    if text.starts_with(BYTE_ORDER_MARK) && !new.starts_with(BYTE_ORDER_MARK) {
        new.insert(0, BYTE_ORDER_MARK);
    }
    Ok(Migration { text: new, changes, undecided })
}

struct Work {
    document: DocumentMut,
    changes: Vec<String>,
    undecided: Vec<String>,
}

impl Work {
    fn server(&mut self, provider: Option<ProviderRole>) {
        self.provider(provider);
        self.alt_addresses();
        if let Some(management) = table(&mut self.document, "Management")
            && let Some(disable) = get(management, "Disable").and_then(Item::as_bool)
        {
            let enable = !disable;
            take(management, "Disable");
            if find(management, "Enable").is_none() {
                put(management, "Enable", enable);
            }
            self.changes.push(format!("Management.Disable: is now Management.Enable = {enable}"));
        }
        if let Some(debug) = table(&mut self.document, "Debug") {
            for (old, new) in SPLIT_DEBUG_KEYS {
                let Some(value) = get(debug, old).and_then(Item::as_value).cloned() else { continue };
                take(debug, old);
                for key in new {
                    if find(debug, key).is_none() {
                        put(debug, key, value.clone());
                    }
                }
                self.changes.push(format!("Debug.{old}: is now Debug.{} and Debug.{}", new[0], new[1]));
            }
        }
    }

    /// A provider becomes one of the two roles that it was.
    fn provider(&mut self, role: Option<ProviderRole>) {
        let Some(server) = table(&mut self.document, "Server") else { return };
        let is_provider = match find(server, "IsProvider") {
            Some(key) => server.get(&key).and_then(Item::as_bool),
            None => None,
        };
        if is_provider == Some(false) {
            take(server, "IsProvider");
            self.changes.push("Server.IsProvider = false: removed".into());
            return;
        }
        if is_provider != Some(true) {
            return;
        }
        let Some(role) = role else {
            self.undecided.push(
                "a provider was a gateway and a service node in one: say which this is to be (--provider-as gateway, \
                 --provider-as service-node); for both, make two nodes with identities of their own"
                    .into(),
            );
            return;
        };
        let (flag, section, keys) = match role {
            ProviderRole::Gateway => ("IsGatewayNode", "Gateway", GATEWAY_KEYS),
            ProviderRole::ServiceNode => ("IsServiceNode", "ServiceNode", SERVICE_KEYS),
        };
        if find(self.document.as_table(), section).is_some() {
            self.undecided.push(format!(
                "there are [Provider] and [{section}]: move by hand what is to stay, and remove [Provider]"
            ));
            return;
        }
        if let Some(server) = table(&mut self.document, "Server") {
            take(server, "IsProvider");
            put(server, flag, true);
            self.changes.push(format!("Server.IsProvider: is now Server.{flag} = true"));
        }
        let Some(mut old) = take(self.document.as_table_mut(), "Provider") else { return };
        if let Some(table) = old.as_table_like_mut() {
            let names: Vec<String> = table.iter().map(|(name, _)| name.to_owned()).collect();
            for name in names.iter().filter(|name| !keys.iter().any(|key| key.eq_ignore_ascii_case(name))) {
                table.remove(name);
                let reason = server::removed::hint(&format!("{section}.{name}"));
                let reason = reason.and_then(|hint| hint.strip_prefix("remove it; "));
                let reason = reason.map_or_else(|| format!("as [{section}] has no such key"), str::to_owned);
                self.changes.push(format!("Provider.{name}: removed, {reason}"));
            }
        }
        self.changes.push(format!("[Provider]: is now [{section}]"));
        if let (ProviderRole::Gateway, Some(table)) = (role, old.as_table_mut()) {
            self.keep_users(table);
        }
        if old.get("CBORPluginKaetzchen").is_some() && role == ProviderRole::ServiceNode {
            let note = "ServiceNode.CBORPluginKaetzchen: a plugin that was made for version 0.0.3 or older needs Protocol = \"http\"";
            self.changes.push(note.into());
        }
        self.document.insert(section, old);
    }

    /// A provider with a user database took nobody else, unless a flag said so. A gateway without the flags takes everybody.
    fn keep_users(&mut self, gateway: &mut Table) {
        let has = |key: &str| find(gateway, key).is_some();
        let (flag, other) = ("EnableEphemeralClients", "TrustOnFirstUse");
        if (has("UserDB") || has("SQLDB")) && !has(flag) && !has(other) {
            put(gateway, flag, false);
            self.changes.push(format!(
                "Gateway.{flag}: is written as false, what it was where it was not written: without it and {other} every \
                 client is accepted"
            ));
        }
    }

    /// Advertised addresses beside those that are bound became two lists.
    fn alt_addresses(&mut self) {
        let Some(server) = table(&mut self.document, "Server") else { return };
        let only = get(server, "OnlyAdvertiseAltAddresses").and_then(Item::as_bool);
        let Some(alt) = get(server, "AltAddresses") else {
            if only.is_some() {
                take(server, "OnlyAdvertiseAltAddresses");
                self.changes.push("Server.OnlyAdvertiseAltAddresses: removed, as there are no AltAddresses".into());
            }
            return;
        };
        let Some(alt) = alt.as_table_like().and_then(urls).filter(|_| find(server, "BindAddresses").is_none()) else {
            let what = "Server.AltAddresses: write what others dial into Server.Addresses, and where the node listens into \
                        Server.BindAddresses";
            self.undecided.push(what.into());
            return;
        };
        let mut bound = get(server, "Addresses").and_then(Item::as_array).cloned().unwrap_or_default();
        add_schemes(&mut bound);
        let mut advertised = if only == Some(true) { Array::new() } else { bound.clone() };
        advertised.extend(alt);
        advertised.fmt();
        for old in ["AltAddresses", "OnlyAdvertiseAltAddresses"] {
            take(server, old);
        }
        if !bound.is_empty() {
            put(server, "BindAddresses", bound);
        }
        put(server, "Addresses", advertised);
        self.changes.push(
            "Server.AltAddresses, OnlyAdvertiseAltAddresses: are now Server.Addresses (what is advertised) and \
             Server.BindAddresses (where it listens)"
                .into(),
        );
    }

    fn client(&mut self) {
        let root = self.document.as_table_mut();
        let text = |key: &str| get(root, key).and_then(Item::as_str).map(str::to_owned);
        match (text("ListenNetwork"), text("ListenAddress"), find(root, "Listen")) {
            (Some(network), Some(address), None) => {
                let section = if network.starts_with("unix") { "Unix" } else { "Tcp" };
                let mut listen = Table::new();
                listen.set_implicit(true);
                let mut inner = Table::new();
                if section == "Tcp" {
                    inner.insert("Network", toml_edit::value(network));
                }
                inner.insert("Address", toml_edit::value(address));
                listen.insert(section, Item::Table(inner));
                take(root, "ListenNetwork");
                take(root, "ListenAddress");
                root.insert("Listen", Item::Table(listen));
                self.changes.push(format!("ListenNetwork, ListenAddress: are now [Listen.{section}]"));
            }
            (None, None, _) => {}
            _ => self
                .undecided
                .push("ListenNetwork, ListenAddress: write [Listen.Tcp] or [Listen.Unix], and remove them".into()),
        }
        if take(root, "PigeonholeGeometry").is_some() {
            self.changes.push("[PigeonholeGeometry]: removed, as it follows from [SphinxGeometry]".into());
        }
    }
}

/// The addresses of a map from a transport to addresses; none if it is something else.
fn urls(map: &dyn TableLike) -> Option<Vec<String>> {
    let mut urls = Vec::new();
    for (transport, list) in map.iter() {
        for value in list.as_array()? {
            let text = value.as_str()?;
            let is_whole = text.contains("://");
            urls.push(if is_whole { text.to_owned() } else { format!("{}://{text}", transport.to_lowercase()) });
        }
    }
    Some(urls)
}

/// Addresses without a scheme mean TCP, wherever they stand.
fn name_schemes(table: &mut dyn TableLike, path: &str, changes: &mut Vec<String>) {
    for (key, item) in table.iter_mut() {
        // What these hold is for a plugin to understand.
        if ["Config", "PKIAdvertizedData"].iter().any(|name| name.eq_ignore_ascii_case(key.get())) {
            continue;
        }
        let path = format!("{path}{}", key.get());
        let holds_addresses = ["Addresses", "BindAddresses"].iter().any(|name| name.eq_ignore_ascii_case(key.get()));
        if let Some(array) = item.as_array_mut().filter(|_| holds_addresses) {
            let count = add_schemes(array);
            if count > 0 {
                changes.push(format!("{path}: {count} without a scheme, now tcp://"));
            }
        } else if let Some(tables) = item.as_array_of_tables_mut() {
            for (at, table) in tables.iter_mut().enumerate() {
                name_schemes(table, &format!("{path}[{at}]."), changes);
            }
        } else if let Some(table) = item.as_table_like_mut() {
            name_schemes(table, &format!("{path}."), changes);
        }
    }
}

/// Gives how many had none.
fn add_schemes(array: &mut Array) -> usize {
    let mut count = 0;
    for value in array.iter_mut() {
        let Some(text) = value.as_str().filter(|text| !text.contains("://") && text.contains(':')) else { continue };
        let decor = value.decor().clone();
        *value = Value::from(format!("{}://{text}", Transport::Tcp.scheme()));
        *value.decor_mut() = decor;
        count += 1;
    }
    count
}

/// Removes what has no effect any more and nothing in its place.
fn remove_retired(
    table: &mut dyn TableLike,
    path: &str,
    hint: fn(&str) -> Option<&'static str>,
    changes: &mut Vec<String>,
) {
    let keys: Vec<String> = table.iter().map(|(key, _)| key.to_owned()).collect();
    for key in keys {
        let path = format!("{path}{key}");
        if let Some(reason) = hint(&path).and_then(|hint| hint.strip_prefix("remove it")) {
            move_comment(table, &key);
            table.remove(&key);
            changes.push(format!("{path}: removed{reason}"));
        } else if let Some(item) = table.get_mut(&key) {
            if let Some(tables) = item.as_array_of_tables_mut() {
                for (at, table) in tables.iter_mut().enumerate() {
                    remove_retired(table, &format!("{path}[{at}]."), hint, changes);
                }
            } else if let Some(inner) = item.as_table_like_mut() {
                remove_retired(inner, &format!("{path}."), hint, changes);
            }
        }
    }
}

/// Sets a key, which looks like its neighbours.
fn put(table: &mut Table, key: &str, value: impl Into<Value>) {
    let found = find(table, key);
    if let Some(Item::Value(old)) = found.as_ref().and_then(|key| table.get_mut(key)) {
        *old = value.into().decorated(" ", "");
        return;
    }
    let first = table.iter().find(|(_, item)| item.is_value()).map(|(key, _)| key.to_owned());
    let prefix = first.and_then(|first| {
        let (key, _) = table.get_key_value(&first)?;
        Some(key.leaf_decor().prefix()?.as_str()?.rsplit('\n').next()?.to_owned())
    });
    table.insert(key, toml_edit::value(value));
    if let (Some(prefix), Some(mut key)) = (prefix, table.key_mut(key)) {
        key.leaf_decor_mut().set_prefix(prefix);
    }
}

/// The key as it is written; letter case does not matter to the reference.
fn find(table: &Table, name: &str) -> Option<String> {
    table.iter().map(|(key, _)| key).find(|key| key.eq_ignore_ascii_case(name)).map(str::to_owned)
}

fn get<'a>(table: &'a Table, name: &str) -> Option<&'a Item> {
    table.get(&find(table, name)?)
}

/// Takes a key out. What is written above it stays, above the next one.
fn take(table: &mut Table, name: &str) -> Option<Item> {
    let key = find(table, name)?;
    move_comment(table, &key);
    table.remove(&key)
}

fn move_comment(table: &mut dyn TableLike, key: &str) {
    let prefix = |table: &dyn TableLike, key: &str| {
        table.key(key).and_then(|key| Some(key.leaf_decor().prefix()?.as_str()?.to_owned())).unwrap_or_default()
    };
    let above = prefix(table, key);
    let names: Vec<String> =
        table.iter().filter(|(_, item)| item.is_value()).map(|(name, _)| name.to_owned()).collect();
    let next = names.iter().skip_while(|name| *name != key).nth(1);
    if let (true, Some(next)) = (above.contains('#'), next) {
        let below = prefix(table, next);
        if let Some(mut next) = table.key_mut(next) {
            // The old key's own indentation goes with it.
            let above = above.rsplit_once('\n').map_or("", |(lines, _)| lines);
            next.leaf_decor_mut().set_prefix(format!("{above}\n{below}"));
        }
    }
}

fn table<'a>(document: &'a mut DocumentMut, name: &str) -> Option<&'a mut Table> {
    let key = find(document.as_table(), name)?;
    document.get_mut(&key)?.as_table_mut()
}
