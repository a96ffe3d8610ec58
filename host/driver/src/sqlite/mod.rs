//! SQLite: SQLx opens its connections and limits their age; statements run directly on their
//! handles.
//!
//! A short statement runs on its caller's thread; switching to another thread and back would take
//! about ten times as long. A statement that reads has a time limit there, after which it is
//! restarted on a blocking thread; a statement that writes runs on a blocking thread from the
//! start, unless it was short the last time.

mod connection;
mod failure;
mod handle;
mod interrupter;
mod slots;
mod timings;

pub(crate) use connection::{Connection, Job, Progress, STRIDE, Stop};
pub(crate) use failure::is_of_another_schema;
pub(crate) use handle::{Action, Handle, Lifetime, bound_memory};
pub(crate) use slots::{Claim, Slots};
pub(crate) use timings::Phase;
