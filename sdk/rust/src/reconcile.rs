//! Finding out what became of an operation that was cut off. The host never repeats a write of which it does not know whether
//! it arrived; where the operator chose `doubt = "reconcile"`, it asks the tool before it asks a person. Write a function that
//! looks, and name it in [`export!`](crate::export). It can change nothing: files are read-only, requests are GET.
//!
//! ```
//! use agent_host_tool::reconcile::{Doubtful, Finding, Write};
//!
//! /// Pays.
//! #[agent_host_tool::tool]
//! fn pay() -> &'static str {
//!     "paid"
//! }
//!
//! fn find_out(doubtful: &Doubtful) -> Finding {
//!     match &doubtful.write {
//!         // A server that knows the key of the request would be asked here.
//!         Write::Request { idempotency_key: Some(_), .. } => Finding::Happened("paid".to_owned()),
//!         Write::Request { .. } | Write::File(_) => Finding::Unknown,
//!     }
//! }
//!
//! agent_host_tool::export!(pay; reconcile = find_out);
//! # fn main() {}
//! ```

use serde::de::DeserializeOwned;

use crate::arguments;

/// An operation of which the host does not know whether it did what it was to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubtful {
    /// Its name.
    pub operation: String,
    /// Its arguments, the text of a JSON object.
    pub arguments: String,
    /// What may or may not have happened.
    pub write: Write,
}

/// A write that may or may not have happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// A request that may or may not have arrived.
    Request {
        /// Its method.
        method: String,
        /// Its URL.
        url: String,
        /// The key that the host sent with it, where it sent one: the server may know the request by it.
        idempotency_key: Option<String>,
    },
    /// A change of the file or folder at this path.
    File(String),
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// It happened. The text takes the place of the operation's result: the model reads it.
    Happened(String),
    /// It did not happen.
    DidNotHappen,
    /// It cannot be found out: a person is asked.
    Unknown,
}

impl Doubtful {
    /// The arguments as the operation itself reads them.
    ///
    /// # Errors
    /// Where they are not of that type.
    pub fn arguments<T: DeserializeOwned>(&self) -> Result<T, String> {
        arguments::parse(&self.arguments)
    }
}

/// The component interface, generated from the host's WIT. `export!` is its one user.
#[cfg(target_family = "wasm")]
#[doc(hidden)]
#[allow(unsafe_code, missing_docs, unused_qualifications, reason = "generated code")]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "reconciler",
        pub_export_macro: true,
        default_bindings_module: "agent_host_tool::reconcile::bindings",
        export_macro_name: "export_reconciler",
    });

    pub use exports::agent_host::tool::reconcile::{Finding as WitFinding, Guest, Write as WitWrite};

    use super::{Doubtful, Finding, Write};

    /// Asks `find_out` as the host does.
    #[must_use]
    pub fn ask(
        find_out: fn(&Doubtful) -> Finding,
        operation: String,
        arguments: String,
        write: WitWrite,
    ) -> WitFinding {
        let write = match write {
            WitWrite::Request(request) => {
                Write::Request { method: request.method, url: request.url, idempotency_key: request.idempotency_key }
            }
            WitWrite::File(path) => Write::File(path),
        };
        match find_out(&Doubtful { operation, arguments, write }) {
            Finding::Happened(text) => WitFinding::Happened(text),
            Finding::DidNotHappen => WitFinding::DidNotHappen,
            Finding::Unknown => WitFinding::Unknown,
        }
    }
}
