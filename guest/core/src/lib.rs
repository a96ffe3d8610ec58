//! The compiler of queries: from models and queries as data to SQL, and nothing else.
//!
//! The core is pure: it has no state besides a [`Catalog`], does no I/O, and gives the same plan
//! for the same input. A query goes through one module after the other:
//!
//! 1. `catalog` checked the models once, and resolved every name in them.
//! 2. `validate` makes sure that the query can be walked: indices, depth, size.
//! 3. `policy` opens a view of the query's model: the fields that the caller's scope shows, and the
//!    conditions that it forces on rows. What is outside of the scope is looked up in vain.
//! 4. `common` looks at the common tables that the query makes for itself, which are like models from
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
//! use ferro_wit::query::{Distinct, Projection, Query, Select, Statement};
//! use ferro_wit::schema::{ColumnType, Field, Model, Schema};
//! use ferro_wit::types::Dialect;
//!
//! let name = Field {
//!     name: "name".into(),
//!     column: None,
//!     kind: ColumnType::Text(None),
//!     nullable: false,
//!     unique: false,
//!     indexed: false,
//!     generated_key: false,
//!     version: false,
//!     default: None,
//!     renamed_from: None,
//! };
//! let city = Model {
//!     name: "City".into(),
//!     table: None,
//!     namespace: None,
//!     fields: vec![name],
//!     primary_key: vec!["name".into()],
//!     foreign_keys: vec![],
//!     many_to_manys: vec![],
//!     indexes: vec![],
//!     checks: vec![],
//!     comment: None,
//!     renamed_from: None,
//! };
//! let catalog = Catalog::new(Schema { models: vec![city], enums: vec![] }).unwrap();
//! let all = Select {
//!     model: "City".into(),
//!     projection: Projection::Model,
//!     distinct: Distinct::No,
//!     filter: None,
//!     joins: vec![],
//!     group_by: vec![],
//!     having: None,
//!     order_by: vec![],
//!     limit: None,
//!     offset: None,
//!     lock: None,
//!     includes: vec![],
//!     combined: vec![],
//! };
//! let statement = Statement::Select(0);
//! let query = Query { nodes: vec![], selects: vec![all], common: vec![], statement };
//! let plan = catalog.compile(&query, Dialect::Sqlite, None)?;
//! assert_eq!(plan.steps[0].sql, r#"SELECT "t0"."name" FROM "city" AS "t0""#);
//! # Ok::<(), ferro_wit::types::Error>(())
//! ```

#![forbid(unsafe_code)]

mod catalog;
mod common;
mod compile;
mod ddl;
mod dialect;
mod error;
mod functions;
mod policy;
mod sql;
mod typing;
mod validate;

pub use catalog::Catalog;
