//! The query compiler: turns models and queries, as data, into SQL, and does nothing else.
//!
//! The core is pure: it has no state besides a [`Catalog`], does no I/O, and returns the same plan
//! for the same input. A query passes through these modules:
//!
//! 1. `catalog` has checked the models once, and resolved every name in them.
//! 2. `validate` checks that the query is well-formed: indices, depth, size.
//! 3. `policy` opens a view of the query's model: the fields that are visible in the caller's
//!    scope, and the conditions that the scope forces on rows. Whatever is outside is not found.
//! 4. `common_tables` checks the common tables of the query, which look like models from then on.
//! 5. `typing` finds the type of each expression, and rejects those that do not fit. It keeps the
//!    frames of a statement: the rows that an expression refers to, and the tables joined to them.
//! 6. `compile` writes the statement, in the spelling of `dialect`, through the writer in `sql`,
//!    which handles quoting and the binds.
//!
//! `ddl` creates tables for models, and migrates existing ones; `functions` is the closed list of
//! functions in expressions.
//!
//! The SQL of a query contains no values: they are parameters, and so are the values that a scope
//! forces. Literals of the query, which are part of its shape, are in the SQL.
//!
//! ```
//! use ferro_core::Catalog;
//! use ferro_wit::query::{Query, Select};
//! use ferro_wit::schema::{ColumnType, Field, Model, Schema};
//! use ferro_wit::types::Dialect;
//!
//! let name = Field::new("name", ColumnType::Text(None));
//! let city = Model::new("City", vec![name], &["name"]);
//! let catalog = Catalog::new(Schema { models: vec![city], enums: vec![] }).unwrap();
//! let query = Query::select(vec![], Select::new("City"));
//! let plan = catalog.compile(&query, Dialect::Sqlite, None)?;
//! assert_eq!(plan.steps[0].sql, r#"SELECT "t0"."name" FROM "city" AS "t0""#);
//! # Ok::<(), ferro_wit::types::Error>(())
//! ```

#![forbid(unsafe_code)]

mod blame;
mod catalog;
mod common_tables;
mod compile;
mod ddl;
mod dialect;
mod error;
mod functions;
mod policy;
mod sql;
mod task;
mod typing;
mod validate;

pub use catalog::Catalog;
