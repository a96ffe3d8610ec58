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

mod common;
mod decode;
mod insert;
#[cfg(doctest)]
mod misuse;
mod model;
mod query;
mod relation;
mod row;
mod rows;
mod run;
mod scalar;
mod session;
#[cfg(feature = "raw-sql")]
mod sql;
#[doc(hidden)]
pub mod support;
mod tree;
mod update;

pub use ferro_macros::{Enum, Model, Row, exports, plugin};
pub use ferro_wit::query::LockStrength;
pub use ferro_wit::types::{Dialect, Error, ErrorKind, Isolation, TransactionOptions};

pub use crate::common::{Common, Record, common, recursive, recursive_all};
pub use crate::expression::{
    Aggregate, Assignment, Case, Collected, Column, Condition, Expr, Expression, Order, Outer,
    Part, PartOfDocument, Window, WindowFunction, case, count, cume_dist, dense_rank, exists,
    first_value, lag, lag_by, lag_or, last_value, lead, lead_by, lead_or, nth_value, ntile, outer,
    partition_by, percent_rank, rank, row_number, subquery, value, window,
};
pub use crate::insert::{Fields, FieldsOf, Insertable, OnConflict, excluded};
pub use crate::model::Model;
pub use crate::query::{Page, Position, Query};
pub use crate::relation::{
    Append, Include, Link, Loading, Nested, Optional, Path, Presence, Required, ToMany, With,
};
pub use crate::row::{Output, Row, Selected, Selection, Streamed, Whole};
pub use crate::rows::Rows;
pub use crate::run::run;
pub use crate::scalar::{Field, Scalar, Storable};
pub use crate::session::{Request, Session, Transaction};
#[cfg(feature = "raw-sql")]
pub use crate::sql::{Bind, Sql, sql};

/// The items for code that works with models: `use ferro::prelude::*;`.
pub mod prelude {
    pub use crate::expression::{
        AggregateExpression as _, ArrayExpression as _, Expression as _, JsonExpression as _,
        MomentExpression as _, NumberExpression as _, TextExpression as _,
    };
    pub use crate::relation::Path as _;
    pub use crate::{Enum, Model, Session};
}

#[doc(hidden)]
pub use crate::support as __private;
