//! The WIT package `ferro:orm` as Rust types: the common language of the compiler, the hosts and
//! the SDK.
//!
//! The modules are generated from the `.wit` files next to this crate, one for each interface. They
//! read and write JSON through serde, in the form that `compiler-text` takes. With the feature
//! `wasmtime`, a host can pass them to components directly.
//!
//! ```
//! use ferro_wit::types::{Error, ErrorKind, Value};
//!
//! let error = Error::new(ErrorKind::NotFound, "no user with key 7");
//! assert_eq!(error.to_string(), "no user with key 7");
//! assert_eq!(Value::from("text"), Value::Text("text".into()));
//! ```

#![forbid(unsafe_code)]

mod batch;
pub mod calendar;
mod client;
mod column;
mod error;
pub mod iso8601;
mod names;
mod new;
pub mod position;
mod text;
mod value;

pub use client::{BoxFuture, Cursor, Session};
pub use names::{REBUILT, snake_case};
pub use text::escape_line;
pub use value::is_decimal;

include!(concat!(env!("OUT_DIR"), "/types.rs"));
