//! How PostgreSQL is reached: what `Gateway.SQLDB.DataSourceName` says, without I/O but for the file of a certificate.
//! Nothing of it is ever shown but the names of keys, and the values of those that are no secrets.

use super::error::StoreError;
use super::tls::{Check, Tls};
use std::str::FromStr;
use std::time::Duration;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use zeroize::Zeroizing;

/// How long a connection may take to be made.
pub const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How long what was sent may stay without any sign of the other host.
pub const SILENCE_MAX: Duration = Duration::from_secs(5);

/// Keys about TLS.
const MODE: &str = "sslmode";
const ROOT: &str = "sslrootcert";

/// Where the database is, and how it is spoken to.
pub struct Source {
    /// Host, user and all that.
    pub config: Config,
    /// TLS, where the configuration asks for it.
    pub tls: Tls,
}

/// Keys and values in the order of the file.
type Pairs = Vec<(String, Zeroizing<String>)>;

impl Source {
    /// Reads a URL, or pairs of keys and values.
    pub fn read(text: &str) -> Result<Self, StoreError> {
        let source = |problem: String| StoreError::Source(problem);
        let (rest, found) = split(text).ok_or_else(|| source(UNREADABLE.into()))?;
        let value = |key: &str| found.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.as_str());
        let root = value(ROOT).filter(|path| !path.is_empty());
        let (mode, check) = match value(MODE).unwrap_or("prefer") {
            "disable" => (SslMode::Disable, Check::Nothing),
            "prefer" => (SslMode::Prefer, Check::Nothing),
            // As others do: a certificate that is named is looked at.
            "require" if root.is_none() => (SslMode::Require, Check::Nothing),
            "require" | "verify-ca" => (SslMode::Require, Check::Authority),
            "verify-full" => (SslMode::Require, Check::AuthorityAndName),
            other => {
                let remedy = "write disable, prefer, require, verify-ca or verify-full";
                return Err(source(format!("has {MODE}={}, which is none; {remedy}", shown(other))));
            }
        };
        let mut config = Config::from_str(&rest).map_err(|_| source(UNREADABLE.into()))?;
        if config.get_hosts().is_empty() {
            return Err(source("names no host: write host=/run/postgresql for one on this host".into()));
        }
        if mode == SslMode::Require && config.get_hosts().iter().any(|host| matches!(host, Host::Unix(_))) {
            let mode = value(MODE).unwrap_or_default();
            let remedy = "over which no TLS is spoken: write sslmode=disable, or the name of a host";
            return Err(source(format!("has {MODE}={mode} and a socket of this host, {remedy}")));
        }
        let pem = match (check, root) {
            (Check::Nothing, _) => None,
            (_, None) => {
                let mode = value(MODE).unwrap_or_default();
                let remedy = "write the path of the certificate of its authority (PEM)";
                return Err(source(format!("has {MODE}={mode} and no {ROOT}; {remedy}")));
            }
            (_, Some(path)) => Some(std::fs::read(path).map_err(|error| {
                let remedy = crate::process::remedy::remedy_at_path(&error);
                source(format!("has {ROOT}={}, which cannot be read: {error}{remedy}", shown(path)))
            })?),
        };
        let tls = Tls::new(check, pem.as_deref()).map_err(|problem| {
            let path = shown(root.unwrap_or_default());
            source(format!("has {ROOT}={path}, in which {problem}; name a file with certificates in PEM"))
        })?;
        config.ssl_mode(mode).application_name("katzensprung");
        config.connect_timeout(CONNECT_LIMIT).tcp_user_timeout(SILENCE_MAX);
        config.keepalives_idle(SILENCE_MAX).keepalives_interval(Duration::from_secs(1)).keepalives_retries(5);
        Ok(Self { config, tls })
    }
}

const UNREADABLE: &str = "is neither a URL (postgresql://user:password@host:port/database) nor pairs of keys and values that are \
                          known (host, port, user, password, dbname, connect_timeout, sslmode, sslrootcert)";

/// What is shown of a value that is no secret, whatever it is.
fn shown(text: &str) -> String {
    let printable = text.chars().take(200).filter(|letter| !letter.is_control());
    printable.collect()
}

/// What is about TLS, and all the rest as the client library reads it.
fn split(text: &str) -> Option<(Zeroizing<String>, Pairs)> {
    let is_of_tls = |key: &str| key == MODE || key == ROOT;
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        let (url, query) = text.rsplit_once('?').unwrap_or((text, ""));
        let (mut rest, mut found) = (Zeroizing::new(String::from(url)), Pairs::new());
        let mut joint = '?';
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some((key, value)) if is_of_tls(key) => found.push((key.into(), Zeroizing::new(plain(value)?))),
                _ => {
                    rest.push(joint);
                    rest.push_str(pair);
                    joint = '&';
                }
            }
        }
        return Some((rest, found));
    }
    let mut rest = Zeroizing::new(String::new());
    let (of_tls, others): (Pairs, Pairs) = pairs(text)?.into_iter().partition(|(key, _)| is_of_tls(key));
    for (key, value) in others {
        // pgx calls `database` what others call `dbname`.
        rest.push_str(if key == "database" { "dbname" } else { &key });
        rest.push_str("='");
        value.chars().for_each(|letter| {
            rest.extend(matches!(letter, '\'' | '\\').then_some('\\'));
            rest.push(letter);
        });
        rest.push_str("' ");
    }
    Some((rest, of_tls))
}

/// `key=value key='value with spaces'`, where a backslash takes the next letter as it is.
fn pairs(text: &str) -> Option<Pairs> {
    let mut found = Pairs::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (key, behind) = rest.split_once('=')?;
        let key = key.trim_end();
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return None;
        }
        let behind = behind.trim_start();
        let is_quoted = behind.starts_with('\'');
        let mut letters = behind.char_indices().skip(usize::from(is_quoted));
        // Grown letter by letter it would leave parts of a password behind.
        let mut value = Zeroizing::new(String::with_capacity(text.len()));
        rest = loop {
            match letters.next() {
                Some((_, '\\')) => value.push(letters.next()?.1),
                Some((at, '\'')) if is_quoted => break behind.get(at + 1..)?,
                Some((at, letter)) if !is_quoted && letter.is_whitespace() => break behind.get(at..)?,
                Some((_, letter)) => value.push(letter),
                None if is_quoted => return None,
                None => break "",
            }
        };
        rest = rest.trim_start();
        found.push((key.into(), value));
    }
    Some(found)
}

/// A value of a URL without its percent signs.
fn plain(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
            let (high, low) = (digit(rest.next())?, digit(rest.next())?);
            bytes.push((high * 16 + low) as u8);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests;
