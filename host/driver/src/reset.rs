//! Connections as good as new: what the application's SQL text may have left on one, and how it
//! goes.

use sqlx::PgConnection;

use crate::connect::watch;

/// What statements may have left on a connection besides their rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Traces {
    /// Nothing: plans leave none.
    #[default]
    None,
    /// The application's own SQL text may have set something for the session.
    Session,
    /// A stranger's SQL text ran, which may have tried to leave anything.
    Stranger,
}

/// Takes a session of PostgreSQL back to what its startup packet asked for, in a round trip.
///
/// `RESET ALL` alone would keep the role. `DISCARD ALL` would take the prepared statements too,
/// which are the driver's own: SQL text cannot prepare any.
const RESET: &str = "CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ROLE; RESET ALL; \
                     UNLISTEN *; SELECT pg_catalog.pg_advisory_unlock_all(); DISCARD TEMP; \
                     DISCARD SEQUENCES; ";

/// Resets a connection that is at rest, outside of a transaction.
pub(crate) async fn reset(connection: &mut PgConnection, watches: bool) -> Result<(), sqlx::Error> {
    match watches {
        true => watch(connection, RESET).await,
        false => sqlx::raw_sql(RESET).execute(connection).await.map(drop),
    }
}
