//! SQLite: SQLx opens and ages its connections, and lends their handles, on which statements run.
//!
//! A short statement runs where its caller stands; a hop to another thread and back would cost some
//! ten times as much. What reads has a time for that, after which it is started again on a thread
//! that may block; what writes runs there from the start, unless it was short the last time.

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
