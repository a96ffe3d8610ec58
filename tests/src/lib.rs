//! What tests and benchmarks share: a PostgreSQL server of their own, and measuring in turns.

#![forbid(unsafe_code)]

pub mod bench;
pub mod postgres;
