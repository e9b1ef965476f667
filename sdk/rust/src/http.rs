//! HTTP requests, through the host's gate: each one is checked against what the operator granted, bounded and recorded.
//! The host follows no redirect; a 3xx answer is an answer. It decompresses bodies: what is read is plain. On native builds
//! sending always fails with [`Error::NoHost`].
//!
//! ```
//! use agent_host_tool::http::{Error, Request};
//!
//! match Request::get("https://example.org/").header("accept", "text/html").send() {
//!     Ok(response) => println!("status {}", response.status),
//!     Err(Error::NoHost) => {} // this example runs natively
//!     Err(error) => println!("{error}"),
//! }
//! ```
//!
//! An `async` tool waits for several answers at once:
//!
//! ```
//! use agent_host_tool::http::{Error, Request};
//! use agent_host_tool::{Json, args, task, tool};
//!
//! #[args]
//! struct Pages {
//!     /// Their addresses.
//!     urls: Vec<String>,
//! }
//!
//! async fn status(url: String) -> Result<u16, Error> {
//!     Ok(Request::new("HEAD", &url).send_async().await?.status)
//! }
//!
//! /// Says which status pages have.
//! #[tool]
//! async fn statuses(pages: Pages) -> Result<Json<Vec<u16>>, Error> {
//!     let statuses = task::all(pages.urls.into_iter().map(status)).await;
//!     Ok(Json(statuses.into_iter().collect::<Result<_, _>>()?))
//! }
//!
//! agent_host_tool::export!(statuses);
//! # fn main() {}
//! ```

use std::fmt;
use std::io::{self, Read};

mod url;
#[cfg(target_family = "wasm")]
pub(crate) mod waiting;
#[cfg(target_family = "wasm")]
mod wasi;

pub use url::{Scheme, Url};

/// A request under construction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Such as `GET`, in capitals.
    pub method: String,
    /// Where to, as text: [`Request::send`] parses it.
    pub url: String,
    /// Header fields in order.
    pub headers: Vec<(String, String)>,
    /// Sent whole before the answer is awaited.
    pub body: Vec<u8>,
}

/// An answer, whatever its status.
#[derive(Debug)]
pub struct Response {
    /// Such as 200.
    pub status: u16,
    /// Header fields in order; a value that is not UTF-8 is shown with replacement characters.
    pub headers: Vec<(String, String)>,
    /// Read as it arrives.
    pub body: Body,
}

/// The body of an answer, as a stream.
pub struct Body(Box<dyn Read>);

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The address is not one that can be asked.
    Url {
        /// The address.
        url: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The operator did not grant this request.
    Refused {
        /// Scheme, host and port.
        origin: String,
    },
    /// The name, the connection or the exchange failed.
    Failed {
        /// Scheme, host and port.
        origin: String,
        /// In the host's words.
        reason: String,
    },
    /// A header field or the method is malformed.
    Malformed(String),
    /// There is no host: this is a native build.
    NoHost,
}

impl Request {
    /// A request with this method and neither headers nor body.
    #[must_use]
    pub fn new(method: &str, url: &str) -> Self {
        Self { method: method.to_ascii_uppercase(), url: url.to_owned(), headers: Vec::new(), body: Vec::new() }
    }

    /// A `GET`.
    #[must_use]
    pub fn get(url: &str) -> Self {
        Self::new("GET", url)
    }

    /// A `POST`.
    #[must_use]
    pub fn post(url: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..Self::new("POST", url) }
    }

    /// Adds a header field.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sends the request and waits for the head of the answer.
    ///
    /// # Errors
    /// The address is malformed, the operator refused, or there was no answer.
    pub fn send(&self) -> Result<Response, Error> {
        let url: Url = self.url.parse()?;
        #[cfg(target_family = "wasm")]
        return wasi::send(self, &url);
        #[cfg(not(target_family = "wasm"))]
        {
            drop(url);
            Err(Error::NoHost)
        }
    }

    /// The same for an `async` tool, which may wait for several answers at once.
    ///
    /// # Errors
    /// See [`Request::send`].
    pub async fn send_async(&self) -> Result<Response, Error> {
        #[cfg(target_family = "wasm")]
        return wasi::send_async(self, &self.url.parse()?).await;
        #[cfg(not(target_family = "wasm"))]
        self.send()
    }
}

impl Response {
    /// The first header field of that name, in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Reads the body up to `bytes_max`, and says whether that was all of it.
    ///
    /// # Errors
    /// The connection broke, or the host's own cap was reached.
    pub fn read(self, bytes_max: usize) -> io::Result<(Vec<u8>, Complete)> {
        let mut bytes = Vec::new();
        let mut body = self.body;
        Read::by_ref(&mut body).take(bytes_max as u64).read_to_end(&mut bytes)?;
        let more = bytes.len() == bytes_max && body.read(&mut [0])? > 0;
        Ok((bytes, if more { Complete::No } else { Complete::Yes }))
    }
}

/// Whether a body was read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Complete {
    /// It was.
    Yes,
    /// There is more that was not read.
    No,
}

impl Body {
    /// A body from any reader, also for tests.
    pub fn new(reader: impl Read + 'static) -> Self {
        Self(Box::new(reader))
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Body")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url { url, problem } => write!(f, "`{url}` cannot be asked: {problem}"),
            Self::Refused { origin } => write!(
                f,
                "the host refused: `{origin}` is not granted to this tool; the operator grants it with `--allow-net HOST`"
            ),
            Self::Failed { origin, reason } => write!(f, "no answer from `{origin}`: {reason}"),
            Self::Malformed(what) => write!(f, "malformed request: {what}"),
            Self::NoHost => f.write_str("there is no host to send the request: this is a native build"),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(body: &'static [u8]) -> Response {
        let headers = vec![("Content-Type".to_owned(), "text/plain".to_owned())];
        Response { status: 200, headers, body: Body::new(body) }
    }

    #[test]
    fn a_body_is_read_to_its_end_or_its_bound() -> io::Result<()> {
        assert_eq!(answer(b"hello").read(5)?, (b"hello".to_vec(), Complete::Yes));
        assert_eq!(answer(b"hello").read(4)?, (b"hell".to_vec(), Complete::No));
        Ok(())
    }

    #[test]
    fn header_names_have_no_case() {
        assert_eq!(answer(b"").header("content-type"), Some("text/plain"));
    }

    #[test]
    fn a_native_build_says_so() {
        assert_eq!(Request::get("https://example.org").send().err(), Some(Error::NoHost));
    }
}
