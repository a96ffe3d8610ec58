//! What errors call the row that cannot be read, and the value that cannot be written.

use ferro::prelude::*;
use ferro::values::Timestamp;
use ferro::{Dialect, Error, ErrorKind, sql};

use crate::on_each_database;

on_each_database! {
    ferro::schema![super::Place, super::Event] =>
    a_row_that_cannot_be_read_is_named_by_its_key,
    a_value_that_cannot_be_written_is_named_by_its_field,
}

#[derive(Model, Debug, Clone, PartialEq)]
struct Place {
    #[ferro(key, length = 200)]
    name: String,
    country: String,
}

#[derive(Model, Debug, Clone, PartialEq)]
#[ferro(table = "events")]
struct Event {
    #[ferro(key, references = Place, reverse = "events")]
    place: String,
    #[ferro(key)]
    number: i64,
    #[ferro(column = "begins_at")]
    begins: Timestamp,
}

fn place(name: &str) -> Place {
    Place { name: name.into(), country: "CH".into() }
}

async fn a_row_that_cannot_be_read_is_named_by_its_key(db: Session) -> Result<(), Error> {
    let long = "x".repeat(200);
    Place::bulk_create(&db, &[place("Bern [CH]"), place(&long)]).await?;
    let begins = Timestamp::parse("2024-02-29T12:00:00")?;
    let event = |place: &str, number| Event { place: place.into(), number, begins };
    Event::bulk_create(&db, &[event("Bern [CH]", 1), event("Bern [CH]", 2)]).await?;
    // A text that is none, and a time that microseconds since 1970 have no room for.
    let (unreadable, why) = match db.dialect() {
        Dialect::Sqlite => ("soon", "is not a timestamp"),
        Dialect::Postgres => ("294276-12-31", "is outside the calendar"),
    };
    sql(format!("UPDATE events SET begins_at = '{unreadable}' WHERE number = 2"))
        .execute(&db)
        .await?;

    let sorted = Event::query().order_by(Event::number().asc());
    let key = "whose `place` is \"Bern [CH]\", `number` is 2,";
    let error = sorted.clone().all(&db).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::DecodeFailed);
    let start = format!("the value of column `begins` in row 2, {key} ");
    assert!(error.message.starts_with(&start) && error.message.contains(why), "{error}");
    assert!(!error.message.contains(unreadable), "{error}");
    let named = |error: &Error| (error.table.clone(), error.column.clone());
    let begins_at = (Some("events".to_owned()), Some("begins_at".to_owned()));
    assert_eq!(named(&error), begins_at);

    // So it is where the rows come with others, and where the row is written.
    let related = Place::query().order_by(Place::name().asc()).include(Place::events());
    let error = related.all(&db).await.unwrap_err();
    assert!(error.message.contains(key), "{error}");
    assert_eq!(named(&error), begins_at);

    // And where expressions are listed, as long as the whole key is among them.
    let select = (Event::begins(), Event::number(), Event::place());
    let error = sorted.clone().select(select).all(&db).await.unwrap_err();
    let key = "in row 2, whose `number` is 2, `place` is \"Bern [CH]\", ";
    assert!(error.message.contains(key), "{error}");
    let select = (Event::begins(), Event::number());
    let error = sorted.clone().select(select).all(&db).await.unwrap_err();
    assert!(!error.message.contains("whose"), "{error}");
    assert_eq!(named(&error), begins_at);
    let error = sorted.select(Event::begins().max()).all(&db).await.unwrap_err();
    assert_eq!(error.table, None);
    Ok(())
}

async fn a_value_that_cannot_be_written_is_named_by_its_field(db: Session) -> Result<(), Error> {
    let nul = "a\0b";
    let many = |count: u32| {
        let name = |number: u32| if number == 2 { nul.into() } else { format!("{number}") };
        (0..count).map(|it| Place { country: name(it), ..place(&it.to_string()) }).collect()
    };
    let (few, stream): (Vec<_>, Vec<_>) = (many(3), many(10_000));
    if db.dialect() == Dialect::Sqlite {
        Place::bulk_create(&db, &few).await?;
        assert_eq!(Place::query().filter(Place::country().eq(nul)).count(&db).await?, 1);
        return Ok(());
    }
    let all = Place::query();
    let outcomes = [
        (Place::insert(&db, &few[2]).await, "`country`"),
        (Place::bulk_create(&db, &few).await.map(drop), "`country` in row 3"),
        (Place::bulk_create(&db, &stream).await.map(drop), "`country` in row 3"),
        (all.clone().update(&db, [Place::country().set(nul)]).await.map(drop), "`country`"),
        (all.filter(Place::country().eq(nul)).count(&db).await.map(drop), "`country`"),
        (Event::query().filter(Event::place().eq(nul)).delete(&db).await.map(drop), "`place`"),
    ];
    for (outcome, field) in outcomes {
        let error = outcome.unwrap_err();
        assert_eq!((error.kind, &error.code), (ErrorKind::ValueOutOfRange, &None));
        let start = format!("the value for field {field} contains the character NUL");
        assert!(error.message.starts_with(&start), "{error}");
    }
    Ok(())
}
