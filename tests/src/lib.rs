//! What tests and benchmarks share: a PostgreSQL server of their own, and measuring in turns.

#![forbid(unsafe_code)]

pub mod bench;
pub mod postgres;

/// The examples of the project's first page, so that they cannot rot.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
