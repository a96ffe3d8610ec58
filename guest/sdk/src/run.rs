//! The executor in a component, where no future ever waits.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use ferro_wit::types::{Error, ErrorKind};

/// Runs a future that is ready at once, for the `async` code in the exports of a plugin.
///
/// In a component, every host call is complete when it returns, so one poll is enough.
/// [`#[ferro::exports]`](crate::exports) calls it.
///
/// ```
/// let sum = ferro::run(async { Ok::<_, ferro::Error>(1 + 1) })?;
/// assert_eq!(sum, 2);
/// # Ok::<(), ferro::Error>(())
/// ```
///
/// # Errors
///
/// Those of the future; `internal` if it waits for something, such as a timer of another library:
/// in an application, use its async runtime.
pub fn run<T, E: From<Error>>(future: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => Err(Error::new(
            ErrorKind::Internal,
            "`ferro::run` was given a future that waits: it is for plugins, where all calls of \
             the database finish at once",
        )
        .into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_future_that_waits_is_an_error_and_not_a_hang() {
        let error = run(std::future::pending::<Result<(), Error>>()).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Internal);
    }
}
