//! A host and a plugin that misbehaves, on real databases.

mod cache;
mod calls;
mod faults;
mod loading;
mod output;
mod raw_sql;
mod support;
mod tenants;
