//! The user database behind a program that is asked over HTTP (`Backend = "extern"`, server.md D.2): forms there, JSON
//! back, read only.

use super::error::StoreError;
use config::server::ExternUrl;
use gateway::UserId;
use gateway::program::{self, ANSWER_BYTES_MAX, Said};
use gateway::users::Found;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
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
        if self.ask("isvalid", &fields).await?.truth() == Some(true) {
            return Ok(Found::ThisKey);
        }
        Ok(if self.exists(user).await? { Found::AnotherKey } else { Found::Nobody })
    }

    /// Whether a name is there: what is no plain no means that it is somebody's.
    pub async fn exists(&self, user: UserId) -> Result<bool, StoreError> {
        Ok(self.ask("exists", &[("user", user.trimmed())]).await?.truth() != Some(false))
    }

    /// The identity key of a name.
    pub async fn identity_key(&self, user: UserId) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.ask("getidkey", &[("user", user.trimmed())]).await?.key())
    }

    /// What the answer has under the question's name.
    async fn ask(&self, question: &str, fields: &[(&str, &[u8])]) -> Result<Said, StoreError> {
        let _place = self.places.acquire().await;
        let url = &*self.url;
        let at = || format!("{}{}", url.authority, url.path);
        let failed = |problem: String| StoreError::Program { at: at(), problem };
        let odd = |problem: String| StoreError::Answer { at: at(), problem };
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
            match response.status() {
                StatusCode::OK => {}
                // What stands before a program says so when that is away.
                status @ (StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT) => {
                    return Err(failed(format!("it answers {status} to {question}")));
                }
                status => return Err(odd(format!("answers {status} to {question}"))),
            }
            match Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await {
                Ok(body) => Ok(body.to_bytes()),
                Err(error) if error.is::<LengthLimitError>() => {
                    Err(odd(format!("answers {question} with more than {ANSWER_BYTES_MAX} bytes")))
                }
                Err(error) => Err(failed(error.to_string())),
            }
        };
        tokio::pin!(exchange);
        // The connection ends with what was asked over it.
        let body = tokio::select! {
            body = &mut exchange => body?,
            _ended = connection => exchange.await?,
        };
        program::read(question, &body).map_err(|error| odd(format!("answers {question} with what {error}")))
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
