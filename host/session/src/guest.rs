//! Limits that the host of a guest enforces, in Rust and in Python: its deadline, and the errors of
//! limits.

use std::future::Future;
use std::time::Duration;

use ferro_wit::types::{Error, ErrorKind};
use tokio::time::{Instant, timeout_at};

use crate::limits::{exceeded, expired};

/// The deadline of a call, including its time in the host.
///
/// ```
/// use std::future::ready;
/// use std::time::Duration;
///
/// use ferro_session::Deadline;
/// use ferro_wit::types::ErrorKind;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// assert_eq!(Deadline::after(Duration::from_secs(5)).bound(ready(1)).await, Ok(1));
/// let error = Deadline::after(Duration::ZERO).bound(ready(1)).await.unwrap_err();
/// assert_eq!(error.kind, ErrorKind::Timeout);
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    at: Instant,
    limit: Duration,
}

impl Deadline {
    /// The deadline of a call that begins now.
    #[must_use]
    pub fn after(limit: Duration) -> Self {
        let now = Instant::now();
        // A limit that no clock can reach is no limit.
        Self { at: now.checked_add(limit).unwrap_or_else(|| now + CENTURY), limit }
    }

    /// Waits for a future until the deadline. It is passed pinned, as it is large: moved, it would
    /// be stored again in each enclosing future.
    ///
    /// # Errors
    ///
    /// `timeout`, if the deadline has passed.
    pub async fn bound<T>(self, work: impl Future<Output = T> + Unpin) -> Result<T, Error> {
        // Otherwise a future that is ready at once would pass, however late.
        self.check()?;
        timeout_at(self.at, work).await.map_err(|_| self.exceeded())
    }

    /// Checks that there is time left.
    ///
    /// # Errors
    ///
    /// `timeout`, if the deadline has passed.
    pub fn check(self) -> Result<(), Error> {
        match Instant::now() < self.at {
            true => Ok(()),
            false => Err(self.exceeded()),
        }
    }

    /// The time that is left.
    #[must_use]
    pub fn remaining(self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    fn exceeded(self) -> Error {
        GuestLimit::Deadline(self.limit).exceeded()
    }
}

const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// A limit that a guest has reached, with its value if the host knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuestLimit {
    /// The time limit of the call.
    Deadline(Duration),
    /// Units of fuel.
    Fuel(u64),
    /// Handles held at once.
    Handles(usize),
    /// Bytes passed to one host call, or returned.
    HostCallBytes,
    /// Core instances.
    Instances,
    /// Bytes of all memories.
    Memory(u64),
    /// Bytes of one query. The host sets it, for all tenants.
    Query(u64),
    /// Bytes of the stack. The host sets it, for all tenants.
    Stack(usize),
}

impl GuestLimit {
    /// The error that ends the call, or that the guest gets if it can continue.
    #[must_use]
    pub fn exceeded(self) -> Error {
        match self {
            Self::Deadline(limit) => {
                expired("deadline", limit, ErrorKind::Timeout, "the call was stopped")
            }
            Self::Fuel(units) => exceeded(&format!("`fuel`: {units} units")),
            Self::Handles(most) => {
                exceeded(&format!("`handles`: {most} held at once; drop one first"))
            }
            Self::HostCallBytes => {
                exceeded("`host-call-bytes`: pass less in one call, or return less")
            }
            Self::Instances => exceeded("`instances`: the component is made of more"),
            Self::Memory(bytes) => exceeded(&format!("`memory`: {bytes} bytes")),
            Self::Query(bytes) => exceeded(&format!("`query`: {bytes} bytes of one query")),
            Self::Stack(bytes) => exceeded(&format!("`stack`: {} KiB", bytes / 1024)),
        }
    }
}
