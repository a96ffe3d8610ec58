//! The compiler of queries: from models and queries as data to SQL, and nothing else.
//!
//! The core is pure: it has no state besides a [`Catalog`], does no I/O, and gives the same plan
//! for the same input. A query goes through one module after the other:
//!
//! 1. `catalog` checked the models once, and resolved every name in them.
//! 2. `validate` makes sure that the query can be walked: indices, depth, size.
//! 3. `policy` opens a view of the query's model: the fields that the caller's scope shows, and the
//!    conditions that it forces on rows. What is outside of the scope is looked up in vain.
//! 4. `common_tables` looks at the common tables that the query makes for itself, which are like models from
//!    then on.
//! 5. `typing` finds what each expression is, and refuses what does not fit. It keeps the frames of
//!    a statement: which rows an expression looks at, and which tables are joined to them.
//! 6. `compile` writes the statement, in the spelling of `dialect`, through the writer in `sql`,
//!    which owns quoting and the binds.
//!
//! `ddl` makes tables of models, and migrates those that are there; `functions` is the closed list of what expressions may call.
//!
//! Values never stand in the SQL of a query: they are parameters, and so are the values that a
//! scope forces. Literals of the query, which are part of its shape, do.
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
