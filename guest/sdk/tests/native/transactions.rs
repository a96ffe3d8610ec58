//! Options of transactions, and what is tried again.

use std::sync::atomic::{AtomicU32, Ordering};

use ferro::prelude::*;
use ferro::{Error, ErrorKind, Isolation, TransactionOptions};

use crate::database::Database;
use crate::models::Country;
use crate::{country, on_each_database};

on_each_database! {
    ferro::schema![crate::models::Country] =>
    a_read_only_transaction_reads_one_state_and_writes_nothing,
    what_lost_against_others_is_run_again,
    only_what_lost_is_run_again_and_not_for_ever,
    nothing_is_run_again_inside_a_transaction,
}

async fn a_read_only_transaction_reads_one_state_and_writes_nothing(
    db: Session,
) -> Result<(), Error> {
    let snapshot = TransactionOptions {
        isolation: Some(Isolation::Serializable),
        read_only: true,
        deferrable: db.dialect() == ferro::Dialect::Postgres,
        ..TransactionOptions::default()
    };
    let refused = db
        .transaction_with(snapshot, async |tx| {
            assert_eq!(Country::query().count(tx).await?, 0);
            Country::insert(tx, &country("FR", "France", None)).await
        })
        .await;
    assert_eq!(refused.unwrap_err().kind, ErrorKind::ReadOnly);
    assert_eq!(Country::query().count(&db).await?, 0);
    Ok(())
}

async fn what_lost_against_others_is_run_again(database: Database) -> Result<(), Error> {
    let db = database.session()?;
    Country::insert(&db, &country("FR", "France", Some(0))).await?;
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let db = database.session();
            tokio::spawn(async move {
                db?.retry(100, async |tx| {
                    let mut france = Country::get(tx, "FR").await?;
                    france.update(tx, |it| it.population = it.population.map(|n| n + 1)).await
                })
                .await
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap()?;
    }
    assert_eq!(Country::get(&db, "FR").await?.population, Some(8));
    Ok(())
}

async fn only_what_lost_is_run_again_and_not_for_ever(db: Session) -> Result<(), Error> {
    let busy = |code: &str, retryable| Error {
        code: Some(code.into()),
        retryable,
        ..Error::new(ErrorKind::Busy, "lost")
    };
    for (error, expected) in [
        (Error::new(ErrorKind::SerializationFailure, "lost"), 3),
        (Error::new(ErrorKind::Deadlock, "lost"), 3),
        (Error::new(ErrorKind::CheckViolation, "lost"), 1),
        (busy("SQLITE_BUSY", true), 3),
        (busy("55P03", true), 3),
        // No race, but a mistake, and a pool that is too small.
        (Error::new(ErrorKind::Busy, "a cursor is open"), 1),
        (busy(Error::POOL_TIMEOUT, true), 1),
    ] {
        let runs = AtomicU32::new(0);
        let failed = db
            .retry(3, async |tx| {
                runs.fetch_add(1, Ordering::Relaxed);
                Country::insert(tx, &country("FR", "France", None)).await?;
                Err::<(), _>(error.clone())
            })
            .await;
        assert_eq!(failed.unwrap_err(), error);
        assert_eq!(runs.into_inner(), expected, "{error}");
    }
    assert_eq!(Country::query().count(&db).await?, 0);
    Ok(())
}

async fn nothing_is_run_again_inside_a_transaction(db: Session) -> Result<(), Error> {
    let outer = db.begin().await?;
    let refused =
        outer.retry(3, async |_| -> Result<(), Error> { panic!("it is not begun") }).await;
    assert_eq!(refused.unwrap_err().kind, ErrorKind::InvalidQuery);
    outer.transaction(async |tx| Country::insert(tx, &country("FR", "France", None)).await).await?;
    outer.commit().await?;
    assert_eq!(Country::query().count(&db).await?, 1);
    Ok(())
}
