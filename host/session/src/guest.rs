//! The limits that the host of a guest keeps, whichever host that is: its deadline, and what it says
//! where they are reached.

use std::future::Future;
use std::time::Duration;

use ferro_wit::types::{Error, ErrorKind};
use tokio::time::{Instant, timeout_at};

use crate::limits::{exceeded, expired};

/// When a call has to end, what it does in the host included.
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
        // A limit that no clock reaches is none.
        Self { at: now.checked_add(limit).unwrap_or_else(|| now + CENTURY), limit }
    }

    /// Waits for something, but no longer than until the deadline. It comes pinned, as it is large:
    /// moved, it would take its place anew in each future around it.
    ///
    /// # Errors
    ///
    /// `timeout`, if the deadline has passed.
    pub async fn bound<T>(self, work: impl Future<Output = T> + Unpin) -> Result<T, Error> {
        // What is ready at once would pass else, however late.
        self.check()?;
        timeout_at(self.at, work).await.map_err(|_| self.exceeded())
    }

    /// Whether there is time left.
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

/// A limit that a guest has reached, with its value where the host knows it then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuestLimit {
    /// How long the call may take.
    Deadline(Duration),
    /// Units of fuel.
    Fuel(u64),
    /// Handles that are held at once.
    Handles(usize),
    /// Bytes that are passed in one call of the host, or returned.
    HostCallBytes,
    /// Core instances.
    Instances,
    /// Bytes of all memories.
    Memory(u64),
    /// Bytes of one query. It is the host's own: no tenant can have another.
    Query(u64),
    /// Bytes of the stack. It is the host's own: no tenant can have another.
    Stack(usize),
}

impl GuestLimit {
    /// The error that a call ends in, or that the guest gets where it can go on.
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
