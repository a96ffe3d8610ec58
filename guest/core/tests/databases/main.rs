//! What queries mean: plans of the core on a real SQLite and a real PostgreSQL, which agree.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod batches;
#[allow(dead_code, reason = "the tests of SQL use all of it")]
#[path = "../sql/blog.rs"]
mod blog;
mod catalogs;
mod changed_documents;
mod common_tables;
#[path = "../sql/commons.rs"]
mod commons;
mod decimals;
mod differential;
mod documents;
mod enums;
mod evaluator;
#[allow(dead_code, reason = "the tests of SQL use all of it")]
#[path = "../sql/fixture.rs"]
mod fixture;
mod functions;
mod includes;
mod lists;
mod migrations;
#[path = "../sql/queries.rs"]
mod queries;
mod random;
mod relations;
mod shapes;
mod world;
mod writes;
