//! A plugin that keeps accounts: relations, aggregates, and a transaction in which money is never
//! made nor lost.
//!
//! `wit/world.wit` says what it exports, `models.rs` which tables it works with, and this file what
//! it does. The database is the one that the host lends as `app`.

#![deny(unsafe_code)]

pub mod models;

use ferro::prelude::*;
use ferro::{Error, ErrorKind, count};

use bindings::{Holdings, Posting, Statement};
use models::{Account, Holder, NewHolder, NewTransfer, Transfer};

ferro::plugin! {
    world: "ledger",
    models: [Holder, Account, Transfer],
}

/// How often a transfer is tried that lost against others.
const ATTEMPTS: u32 = 10;

#[ferro::exports]
impl bindings::Guest for Plugin {
    async fn open(holder: String, account: String, cents: i64) -> Result<(), Error> {
        let db = Session::open("app")?;
        db.transaction(async |tx| {
            let holder = NewHolder { name: holder };
            let (holder, _) = Holder::get_or_create(tx, holder, Holder::name()).await?;
            let account = Account { number: account, holder_id: holder.id, balance: cents };
            Account::create(tx, account).await?;
            Ok(())
        })
        .await
    }

    async fn transfer(
        source: String,
        target: String,
        cents: i64,
        memo: String,
    ) -> Result<(), Error> {
        let db = Session::open("app")?;
        // Serializable, and from the start if another transfer was faster. An account that would
        // be overdrawn violates the check `covered`, and everything is as it was.
        db.retry(ATTEMPTS, async |tx| {
            change(tx, &source, -cents).await?;
            change(tx, &target, cents).await?;
            let transfer = NewTransfer {
                source_number: source.clone(),
                target_number: target.clone(),
                cents,
                memo: memo.clone(),
                made: None,
            };
            Transfer::create(tx, transfer).await?;
            Ok(())
        })
        .await
    }

    async fn statement(account: String, limit: u32) -> Result<Statement, Error> {
        let db = Session::open("app")?;
        let account = Account::get(&db, account).await?;
        let own = Transfer::source_number().eq(&account.number)
            | Transfer::target_number().eq(&account.number);
        let newest = Transfer::query().filter(own).order_by(Transfer::id().desc());
        let transfers = newest.limit(limit.into()).all(&db).await?;
        let postings = transfers.into_iter().map(|it| match it.source_number == account.number {
            true => Posting { other: it.target_number, amount: -it.cents, memo: it.memo },
            false => Posting { other: it.source_number, amount: it.cents, memo: it.memo },
        });
        Ok(Statement {
            postings: postings.collect(),
            account: account.number,
            balance: account.balance,
        })
    }

    async fn holdings(more_than: i64) -> Result<Vec<Holdings>, Error> {
        let db = Session::open("app")?;
        let payments = Transfer::query()
            .group_by(Transfer::source().holder_id())
            .select((Transfer::source().holder_id(), Transfer::cents().max()))
            .all(&db)
            .await?;
        let total = Account::balance().sum();
        let rows = Account::query()
            .group_by((Account::holder_id(), Account::holder().name()))
            .having(total.clone().gt(more_than))
            .order_by(total.clone().desc())
            .order_by(Account::holder().name().asc())
            .select((Account::holder_id(), Account::holder().name(), count(), total))
            .all(&db)
            .await?;
        Ok(rows
            .into_iter()
            .map(|(id, holder, accounts, balance)| Holdings {
                holder,
                accounts: accounts.unsigned_abs(),
                balance: balance.unwrap_or(0),
                largest_payment: payments.iter().find(|it| it.0 == id).and_then(|it| it.1),
            })
            .collect())
    }
}

/// Adds to the balance of an account, in the database: two at once cannot overwrite each other.
async fn change(tx: &Session, number: &str, cents: i64) -> Result<(), Error> {
    let account = Account::query().filter(Account::number().eq(number));
    match account.update(tx, [Account::balance().set(Account::balance() + cents)]).await? {
        0 => Err(Error::new(ErrorKind::NotFound, format!("there is no account `{number}`"))),
        _ => Ok(()),
    }
}
