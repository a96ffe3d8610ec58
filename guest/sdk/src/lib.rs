#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

pub mod expression;
pub mod schema;
pub mod values;

#[cfg(target_family = "wasm")]
#[path = "component.rs"]
mod host;
#[cfg(not(target_family = "wasm"))]
#[path = "native.rs"]
mod host;

mod decode;
#[cfg(doctest)]
mod misuse;
mod model;
mod query;
mod rows;
mod run;
mod scalar;
mod session;
#[doc(hidden)]
pub mod support;
mod tree;

pub use ferro_macros::{Enum, Model, exports, plugin};
pub use ferro_wit::types::{Dialect, Error, ErrorKind, Isolation, TransactionOptions};

pub use crate::expression::{Assignment, Column, Condition, Expr, Expression, Order};
pub use crate::model::{Insertable, Model};
pub use crate::query::Query;
pub use crate::rows::Rows;
pub use crate::run::run;
pub use crate::scalar::{Field, Scalar, Storable};
pub use crate::session::{Request, Session, Transaction};

/// What a file that works with models needs: `use ferro::prelude::*;`.
pub mod prelude {
    pub use crate::expression::Expression as _;
    pub use crate::{Model, Session};
}

#[doc(hidden)]
pub use crate::support as __private;
