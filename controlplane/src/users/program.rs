//! The user database behind a program that is asked over HTTP (`Backend = "extern"`, server.md D.2): forms there, JSON
//! back, read only.

use super::error::StoreError;
use config::server::ExternUrl;
use gateway::UserId;
use gateway::users::Found;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use std::fmt::Write;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

/// Questions under way at a time.
const CONNECTIONS_MAX: usize = 64;
/// Bytes of the longest answer.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// The way to the program.
#[derive(Clone)]
pub struct Program {
    url: Arc<ExternUrl>,
    places: Arc<Semaphore>,
}

impl Program {
    /// Behind this URL.
    pub fn new(url: &ExternUrl) -> Self {
        Self { url: Arc::new(url.clone()), places: Arc::new(Semaphore::new(CONNECTIONS_MAX)) }
    }

    /// What is there under a name, beside a client's link key.
    pub async fn find(&self, user: UserId, link_key: &[u8]) -> Result<Found, StoreError> {
        let key = hex::encode(link_key);
        let fields = [("user", user.trimmed()), ("key", key.as_bytes())];
        if self.ask("isvalid", &fields).await?.as_bool() == Some(true) {
            return Ok(Found::ThisKey);
        }
        let exists = self.ask("exists", &fields[..1]).await?.as_bool();
        Ok(if exists == Some(false) { Found::Nobody } else { Found::AnotherKey })
    }

    /// The identity key of a name.
    pub async fn identity_key(&self, user: UserId) -> Result<Option<Vec<u8>>, StoreError> {
        let answer = self.ask("getidkey", &[("user", user.trimmed())]).await?;
        Ok(answer.as_str().and_then(|digits| hex::decode(digits).ok()).filter(|key| !key.is_empty()))
    }

    /// The value that the answer has under the question's name, or null.
    async fn ask(&self, question: &str, fields: &[(&str, &[u8])]) -> Result<serde_json::Value, StoreError> {
        let _place = self.places.acquire().await;
        let url = &*self.url;
        let failed = |problem: String| StoreError::Program { at: format!("{}{}", url.authority, url.path), problem };
        let stream = TcpStream::connect(url.authority.as_str()).await.map_err(|error| failed(error.to_string()))?;
        let shaken = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = shaken.map_err(|error| failed(error.to_string()))?;
        let request = Request::post(format!("{}/{question}", url.path))
            .header(HOST, &url.authority)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::new(Bytes::from(form(fields))))
            .map_err(|error| failed(error.to_string()))?;
        let exchange = async {
            let response = sender.send_request(request).await.map_err(|error| failed(error.to_string()))?;
            if response.status() != StatusCode::OK {
                return Err(failed(format!("it answers {} to {question}", response.status())));
            }
            let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
            Ok(body.map_err(|error| failed(error.to_string()))?.to_bytes())
        };
        tokio::pin!(exchange);
        // The connection ends with what was asked over it.
        let body = tokio::select! {
            body = &mut exchange => body?,
            _ended = connection => exchange.await?,
        };
        let mut answer: serde_json::Value =
            serde_json::from_slice(&body).map_err(|_| failed(format!("its answer to {question} is no JSON")))?;
        Ok(answer.get_mut(question).map(serde_json::Value::take).unwrap_or_default())
    }
}

/// Fields of a form, as HTTP has them.
fn form(fields: &[(&str, &[u8])]) -> String {
    let mut text = String::new();
    for (name, value) in fields {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(name);
        text.push('=');
        for byte in *value {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => text.push(char::from(*byte)),
                // Writing into text cannot fail.
                _ => drop(write!(text, "%{byte:02X}")),
            }
        }
    }
    text
}

#[cfg(test)]
mod tests;
