//! Resets connections: removes what the application's SQL text may have left on them.

use sqlx::PgConnection;

use crate::connect::watch;

/// What statements may have left on a connection besides their rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Traces {
    /// Nothing: plans leave no traces.
    #[default]
    None,
    /// The application's own SQL text may have set something for the session.
    Session,
    /// Untrusted SQL text ran, which may have tried to leave anything.
    Stranger,
}

/// Resets a session of PostgreSQL to the state that its startup packet requested.
///
/// `RESET ALL` alone would keep the role. `DISCARD ALL` would also discard the prepared statements,
/// which all belong to the driver: SQL text cannot prepare any.
const RESET: &str = "CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ROLE; RESET ALL; \
                     UNLISTEN *; SELECT pg_catalog.pg_advisory_unlock_all(); DISCARD TEMP; \
                     DISCARD SEQUENCES; ";

/// Resets an idle connection outside a transaction: in one round trip, or two if the server rejects
/// the setting of [`watch`].
pub(crate) async fn reset(connection: &mut PgConnection, watches: bool) -> Result<(), sqlx::Error> {
    match watches {
        true => watch(connection, RESET).await,
        false => sqlx::raw_sql(RESET).execute(connection).await.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use sqlx::Connection as _;
    use tracing::{Event, Subscriber};
    use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

    use super::*;

    /// Counts events that the driver logs.
    #[derive(Clone, Default)]
    struct Told(Arc<AtomicUsize>);

    impl<S: Subscriber> Layer<S> for Told {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let ours = event.metadata().target().starts_with("ferro");
            self.0.fetch_add(ours.into(), Ordering::Relaxed);
        }
    }

    #[tokio::test]
    async fn only_a_server_that_refuses_to_watch_is_told_of() {
        let mut server = PgConnection::connect(&ferro_test_support::postgres::url()).await.unwrap();
        let told = Told::default();
        let subscriber = tracing_subscriber::registry().with(told.clone());
        let _guard = tracing::subscriber::set_default(subscriber);
        reset(&mut server, true).await.unwrap();
        assert!(watch(&mut server, "SELECT 1 / 0; ").await.is_err());
        assert_eq!(told.0.load(Ordering::Relaxed), 0);
        // Simulates a server that rejects it: a sequence advances even if the statements that
        // called it are undone.
        sqlx::raw_sql("CREATE TEMPORARY SEQUENCE once").execute(&mut server).await.unwrap();
        watch(&mut server, "SELECT 1 / (nextval('once') - 1); ").await.unwrap();
        assert_eq!(told.0.load(Ordering::Relaxed), 1);
    }
}
