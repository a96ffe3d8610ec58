//! A host and a plugin that misbehaves, on real databases.

mod cache;
mod calls;
mod faults;
mod loading;
mod output;
mod support;
mod tenants;
