//! What a field can ask for beside its type: another column type, defaults that the program makes,
//! a version, a time that updates set.

use std::sync::atomic::{AtomicI64, Ordering};

use ferro::prelude::*;
use ferro::values::{Decimal, Timestamptz, Uuid};
use ferro::{Dialect, Error, ErrorKind, OnConflict, sql};

use crate::on_each_database;

on_each_database! {
    ferro::schema![
        super::Narrow, super::Ticket, super::Parcel, super::Draft, super::Crossing, super::Memo
    ] =>
    one_of_several_values_of_an_enum_is_one_too,
    columns_have_the_types_that_are_asked_for,
    defaults_are_made_by_the_program_where_a_row_says_nothing,
    a_default_is_made_by_a_function_of_any_name,
    a_change_to_a_row_that_another_has_changed_is_refused,
    an_upsert_that_changes_a_row_counts_its_version,
    updates_set_the_time_by_themselves_unless_they_name_it,
}

#[derive(ferro::Enum, Debug, Clone, Copy, PartialEq)]
enum Size {
    Small,
    Large,
}

#[derive(Model, Debug, Clone, PartialEq)]
struct Narrow {
    #[ferro(key)]
    id: i64,
    #[ferro(sql_type = "integer")]
    medium: i64,
    #[ferro(sql_type = "smallint")]
    few: i64,
    #[ferro(sql_type = "bigint")]
    many: i16,
    #[ferro(sql_type = "real")]
    ratio: f64,
    #[ferro(sql_type = "varchar(3)")]
    code: Option<String>,
    #[ferro(sql_type = "text")]
    size: Size,
    #[ferro(sql_type = "numeric(6, 2)")]
    price: Decimal,
}

async fn columns_have_the_types_that_are_asked_for(db: Session) -> Result<(), Error> {
    let row = Narrow {
        id: 1,
        medium: 4,
        few: 2,
        many: 3,
        ratio: 0.5,
        code: Some("abc".into()),
        size: Size::Large,
        price: Decimal::parse("12.50")?,
    };
    Narrow::insert(&db, &row).await?;
    let large = Narrow::query().filter(Narrow::size().eq(Size::Large) & Narrow::ratio().eq(0.5));
    assert_eq!(large.all(&db).await?, std::slice::from_ref(&row));

    let types: Vec<String> = match db.dialect() {
        Dialect::Sqlite => sql("SELECT lower(type) FROM pragma_table_info('narrow') WHERE cid > 0 ORDER BY cid"),
        Dialect::Postgres => sql("SELECT CAST(data_type AS text) FROM information_schema.columns \
             WHERE ordinal_position > 1 AND table_name = 'narrow' AND table_schema = current_schema() \
             ORDER BY ordinal_position"),
    }
    .all(&db)
    .await?;
    let expected = match db.dialect() {
        Dialect::Sqlite => {
            ["integer", "smallint", "bigint", "real", "varchar(3)", "text", "decimal_text(6,2)"]
        }
        Dialect::Postgres => {
            ["integer", "smallint", "bigint", "real", "character varying", "text", "numeric"]
        }
    };
    assert_eq!(types, expected);
    assert!(ferro::schema![Narrow].enums.is_empty(), "an enum as text has no type of its own");

    let long = Narrow { id: 2, code: Some("abcd".into()), ..row };
    assert!(Narrow::insert(&db, &long).await.is_err(), "four characters in three");
    Ok(())
}

#[derive(ferro::Enum, Debug, Clone, Copy, PartialEq)]
enum Signal {
    Stop,
    Go,
}

#[derive(Model, Debug, Clone, PartialEq)]
struct Crossing {
    #[ferro(key)]
    id: i64,
    signal: Option<Signal>,
    last: Signal,
}

async fn one_of_several_values_of_an_enum_is_one_too(db: Session) -> Result<(), Error> {
    let rows =
        [(1, Some(Signal::Go), Signal::Stop), (2, None, Signal::Stop), (3, None, Signal::Go)];
    let rows = rows.map(|(id, signal, last)| Crossing { id, signal, last });
    Crossing::bulk_create(&db, &rows).await?;
    let signal = || Crossing::signal().coalesce(Crossing::last());
    let ordered = Crossing::query().order_by(signal().asc()).order_by(Crossing::id().asc());
    let found = ordered.select(signal()).all(&db).await?;
    assert_eq!(found, [Signal::Stop, Signal::Go, Signal::Go], "in the order of the declaration");

    let stopped = Crossing::signal().null_if(Signal::Go).coalesce(Signal::Stop);
    Crossing::query().update(&db, [Crossing::signal().set(stopped)]).await?;
    let stopped = Crossing::query().filter(Crossing::signal().eq(Signal::Stop));
    assert_eq!(stopped.count(&db).await?, 3);
    Ok(())
}

static TOKENS: AtomicI64 = AtomicI64::new(100);

fn next_token() -> i64 {
    TOKENS.fetch_add(1, Ordering::Relaxed)
}

#[derive(Model, Debug, Clone, PartialEq)]
struct Ticket {
    #[ferro(key, default_with = next_token)]
    id: i64,
    #[ferro(default_with = || Some("new".to_owned()))]
    state: Option<String>,
}

async fn defaults_are_made_by_the_program_where_a_row_says_nothing(
    db: Session,
) -> Result<(), Error> {
    let made = Ticket::create(&db, NewTicket { id: None, state: None }).await?;
    assert!(made.id >= 100);
    assert_eq!(made.state.as_deref(), Some("new"));
    let given = NewTicket { id: Some(1), state: Some(None) };
    assert_eq!(Ticket::create(&db, given).await?, Ticket { id: 1, state: None });

    // Unlike with a default of the database, each row may say something or nothing.
    let rows = [
        NewTicket { id: None, state: Some(Some("open".into())) },
        NewTicket { id: Some(2), state: None },
    ];
    assert_eq!(Ticket::bulk_create(&db, &rows).await?, 2);
    let states = Ticket::query().order_by(Ticket::id().asc()).select(Ticket::state());
    let states = states.all(&db).await?;
    assert_eq!(
        states.iter().map(Option::as_deref).collect::<Vec<_>>(),
        [None, Some("new"), Some("new"), Some("open")]
    );
    Ok(())
}

/// Functions that are called like what generated code calls its variables.
mod made {
    pub(super) fn value() -> i64 {
        1
    }

    pub(super) fn values() -> String {
        "two".to_owned()
    }

    pub(super) fn columns() -> i64 {
        3
    }

    pub(super) fn given() -> Option<i64> {
        None
    }

    pub(super) fn rows() -> bool {
        true
    }

    pub(super) fn row() -> Vec<u8> {
        vec![6]
    }
}
use made::{columns, given, row, rows, value, values};

#[derive(Model, Debug, Clone, PartialEq)]
struct Parcel {
    #[ferro(key, default_with = value)]
    id: i64,
    #[ferro(default_with = values)]
    label: String,
    #[ferro(default_with = columns)]
    weight: i64,
    #[ferro(default_with = given)]
    height: Option<i64>,
    #[ferro(default_with = rows)]
    sent: bool,
    #[ferro(default_with = row)]
    code: Vec<u8>,
}

async fn a_default_is_made_by_a_function_of_any_name(db: Session) -> Result<(), Error> {
    let new =
        |id| NewParcel { id, label: None, weight: None, height: None, sent: None, code: None };
    let made = Parcel::create(&db, new(None)).await?;
    let expected =
        Parcel { id: 1, label: "two".into(), weight: 3, height: None, sent: true, code: vec![6] };
    assert_eq!(made, expected);
    assert_eq!(Parcel::bulk_create(&db, &[new(Some(2))]).await?, 1);
    assert_eq!(Parcel::get(&db, 2).await?, Parcel { id: 2, ..expected });
    Ok(())
}

#[derive(Model, Debug, Clone, PartialEq)]
struct Draft {
    #[ferro(key)]
    id: i64,
    text: String,
    #[ferro(version)]
    version: i64,
}

async fn a_change_to_a_row_that_another_has_changed_is_refused(db: Session) -> Result<(), Error> {
    Draft::insert(&db, &Draft { id: 1, text: "a".into(), version: 0 }).await?;
    let mut mine = Draft::get(&db, 1).await?;
    let mut theirs = mine.clone();
    theirs.update(&db, |it| it.text = "b".into()).await?;
    assert_eq!(theirs.version, 1);

    let stale = mine.update(&db, |it| it.text = "c".into()).await.unwrap_err();
    assert_eq!(stale.kind, ErrorKind::SerializationFailure);
    assert!(stale.retryable);
    assert_eq!(stale.table.as_deref(), Some("draft"));
    assert!(stale.message.contains("read it again"), "{stale}");
    assert_eq!(mine.delete(&db).await.unwrap_err().kind, ErrorKind::SerializationFailure);
    assert_eq!(mine.text, "a", "what failed changes nothing here");
    assert_eq!(Draft::get(&db, 1).await?, theirs);

    // So it is with many rows that were read before.
    Draft::insert(&db, &Draft { id: 2, text: "a".into(), version: 0 }).await?;
    let others = Draft { text: "c".into(), ..Draft::get(&db, 2).await? };
    let stale = Draft::bulk_update(&db, &[others.clone(), mine.clone()], Draft::text()).await;
    let stale = stale.unwrap_err();
    assert_eq!((stale.kind, stale.retryable), (ErrorKind::SerializationFailure, true));
    assert_eq!(Draft::get(&db, 2).await?.text, "a");
    theirs.text = "d".into();
    Draft::bulk_update(&db, &[others.clone(), theirs.clone()], Draft::text()).await?;
    assert_eq!(Draft::get(&db, 1).await?, Draft { version: 2, ..theirs });
    assert_eq!(Draft::get(&db, 2).await?, Draft { version: 1, ..others });
    theirs = Draft::get(&db, 1).await?;

    // A change of many rows at once counts their versions, too.
    Draft::query().update(&db, [Draft::text().set("d")]).await?;
    let error = theirs.update(&db, |it| it.text = "e".into()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::SerializationFailure);
    mine = Draft::get(&db, 1).await?;
    mine.update(&db, |it| it.text = "f".into()).await?;
    assert_eq!((mine.text.as_str(), mine.version), ("f", 4));

    mine.clone().delete(&db).await?;
    let gone = mine.update(&db, |it| it.text = "g".into()).await.unwrap_err();
    assert_eq!(gone.kind, ErrorKind::NotFound, "a row that has gone is no conflict");
    Ok(())
}

async fn an_upsert_that_changes_a_row_counts_its_version(db: Session) -> Result<(), Error> {
    let draft = |text: &str| Draft { id: 1, text: text.into(), version: 0 };
    assert_eq!(Draft::update_or_create(&db, draft("a"), Draft::id()).await?.version, 0);
    let mut stale = Draft::get(&db, 1).await?;
    assert_eq!(Draft::update_or_create(&db, draft("b"), Draft::id()).await?.version, 1);
    assert_eq!(Draft::update_or_create(&db, draft("b"), Draft::id()).await?.version, 2);
    let lost = stale.update(&db, |it| it.text = "c".into()).await.unwrap_err();
    assert_eq!(lost.kind, ErrorKind::SerializationFailure);

    let taken = || OnConflict::on(Draft::id());
    let changed = Draft::upsert(&db, draft("d"), taken().update(Draft::text())).await?;
    assert_eq!(changed.unwrap().version, 3);
    let set = Draft::upsert(&db, draft("e"), taken().set(Draft::text().set("f"))).await?;
    assert_eq!(set.unwrap().version, 4);
    Draft::bulk_upsert(&db, &[draft("g")], taken().update(Draft::text())).await?;
    assert_eq!(Draft::get(&db, 1).await?.version, 5);
    assert_eq!(Draft::upsert(&db, draft("h"), taken()).await?, None);
    assert_eq!(Draft::get(&db, 1).await?.version, 5, "a row that is left as it was is no change");

    // As in an update, whoever names the version says what it is.
    let named = taken().update((Draft::text(), Draft::version()));
    let imported = Draft { version: 40, ..draft("i") };
    assert_eq!(Draft::upsert(&db, imported, named).await?.unwrap().version, 40);
    Ok(())
}

#[derive(Model, Debug, Clone, PartialEq)]
struct Memo {
    #[ferro(key)]
    id: i64,
    text: String,
    #[ferro(default = now, on_update = now)]
    edited_at: Timestamptz,
    #[ferro(on_update = random_uuid)]
    tag: Option<Uuid>,
}

async fn updates_set_the_time_by_themselves_unless_they_name_it(db: Session) -> Result<(), Error> {
    let long_ago = Timestamptz::parse("2000-01-01 00:00Z").unwrap();
    let old = |id| Memo { id, text: "a".into(), edited_at: long_ago, tag: None };
    let (mut one, two) = (Memo::create(&db, old(1)).await?, Memo::create(&db, old(2)).await?);
    assert_eq!([&one, &two], [&old(1), &old(2)], "an insert is no update");
    one.update(&db, |it| it.text = "a".into()).await?;
    assert_eq!(one, old(1), "nothing has changed");

    one.update(&db, |it| it.text = "b".into()).await?;
    assert!(one.edited_at > long_ago && one.tag.is_some(), "{one:?}");
    assert_eq!(Memo::get(&db, 1).await?, one);
    one.update(&db, |it| it.edited_at = long_ago).await?;
    assert_eq!(one.edited_at, long_ago, "the update names it");

    let is_new = Memo::edited_at().gt(long_ago) & Memo::tag().is_not_null();
    let reset = || [Memo::edited_at().set(long_ago), Memo::tag().set(None)];
    assert_eq!(Memo::query().update(&db, reset()).await?, 2);
    assert_eq!(Memo::query().filter(is_new.clone()).count(&db).await?, 0);
    assert_eq!(Memo::query().update(&db, [Memo::text().set("c")]).await?, 2);
    assert_eq!(Memo::query().filter(is_new.clone()).count(&db).await?, 2);

    Memo::query().update(&db, reset()).await?;
    Memo::bulk_update(&db, &[old(1), old(2)], Memo::text()).await?;
    assert_eq!(Memo::query().filter(is_new.clone()).count(&db).await?, 2);
    Memo::query().update(&db, reset()).await?;
    assert!(Memo::update_or_create(&db, old(1), Memo::id()).await?.edited_at > long_ago);
    let taken = OnConflict::on(Memo::id());
    Memo::bulk_upsert(&db, &[old(2), old(3)], taken.clone().update(Memo::text())).await?;
    assert_eq!(Memo::query().filter(is_new).count(&db).await?, 2);
    assert_eq!(Memo::get(&db, 3).await?, old(3));
    let named = taken.update((Memo::text(), Memo::edited_at()));
    assert_eq!(Memo::upsert(&db, old(1), named).await?.unwrap().edited_at, long_ago);
    Ok(())
}
