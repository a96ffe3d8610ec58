//! The one gate to the databases: what a caller may do, under which limits, on which rows.

#![forbid(unsafe_code)]

mod cache;
mod call;
mod compiler;
mod cursor;
mod error;
mod filter;
mod gate;
mod grant;
mod limits;
mod models;
mod names;
mod policy;
mod session;
mod size;
mod tenant;
mod usage;

pub use cache::PlanCache;
pub use compiler::{Catalog, Compiler};
pub use cursor::Cursor;
pub use filter::Filter;
pub use gate::Gate;
pub use grant::{Access, Grant, TableGrant};
pub use limits::Limits;
pub use models::Models;
pub use session::Session;
pub use tenant::Tenant;
pub use usage::Usage;
