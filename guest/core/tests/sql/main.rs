//! Hand-built models and queries, and the SQL that they become on both databases.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod blame;
mod blog;
mod common_tables;
mod commons;
mod delete;
mod documents;
mod expressions;
mod faults;
mod fixture;
mod hostile;
mod includes;
mod insert;
mod limits;
mod naming;
mod queries;
mod relations;
mod scope;
mod select;
mod shapes;
mod tables;
mod update;
mod writes;
