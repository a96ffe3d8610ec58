//! A host and a plugin that misbehaves, on real databases.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod cache;
mod calls;
mod compiler;
mod faults;
mod growth;
mod hostile;
mod lent;
mod loading;
mod output;
mod raw_sql;
mod support;
mod tenants;
mod usage;
