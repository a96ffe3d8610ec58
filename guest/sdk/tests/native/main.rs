//! The same models and queries that plugins use, natively over `ferro-session`, on real databases.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
mod database;
mod documents;
mod fields;
mod includes;
mod migrations;
#[path = "../models/mod.rs"]
mod models;
mod naming;
mod paging;
mod raw;
mod reading;
mod relations;
mod tables;
mod transactions;
mod writing;

use ferro::prelude::*;
use ferro::values::{Date, Decimal, Interval, Json, Time, Timestamp, Timestamptz, Uuid};
use ferro::{Error, ErrorKind};
use models::{
    City, Country, Everything, Membership, Mood, NewCity, NewEverything, NewTicket, Ticket,
};

on_each_database! {
    ferro::schema![crate::Country, crate::City, crate::Everything, crate::Membership, crate::Ticket] =>
    a_row_is_created_read_changed_and_deleted,
    filters_orders_and_pages_select_the_rows_that_they_say,
    updates_and_deletes_touch_the_selected_rows_and_no_others,
    many_rows_are_inserted_at_once_and_streamed,
    many_rows_that_are_inserted_come_back_with_their_keys_in_order,
    a_violated_constraint_is_an_error_that_names_it,
    a_transaction_is_all_or_nothing_and_so_is_a_savepoint,
    a_transaction_runs_in_a_task_of_its_own,
    every_type_comes_back_as_it_went,
    defaults_are_the_databases,
    a_row_of_nothing_but_a_generated_key_is_inserted,
    an_open_cursor_keeps_its_transaction_busy,
}

fn country(iso: &str, name: &str, population: Option<i64>) -> Country {
    Country { iso: iso.into(), name: name.into(), population }
}

fn city(name: &str, country: &str, population: i64) -> NewCity {
    NewCity {
        name: name.into(),
        country: country.into(),
        population: Some(population),
        slug: None,
        capital: false,
    }
}

async fn with_cities(db: &Session) -> Result<(), Error> {
    let countries = [
        country("FR", "France", Some(68)),
        country("IT", "Italy", Some(59)),
        country("AQ", "Antarctica", None),
    ];
    Country::bulk_create(db, &countries).await?;
    let cities = [
        city("Paris", "FR", 2_100),
        city("Lyon", "FR", 520),
        city("Nice", "FR", 350),
        city("Rome", "IT", 2_800),
        city("Milan", "IT", 1_370),
        city("100%", "IT", 1),
    ];
    City::bulk_create(db, &cities).await?;
    Ok(())
}

async fn names(query: ferro::Query<City>, db: &Session) -> Result<Vec<String>, Error> {
    Ok(query.all(db).await?.into_iter().map(|it| it.name).collect())
}

async fn a_row_is_created_read_changed_and_deleted(db: Session) -> Result<(), Error> {
    Country::insert(&db, &country("FR", "France", None)).await?;
    let mut paris = City::create(&db, city("Paris", "FR", 2_100)).await?;
    let lyon = City::create(&db, city("Lyon", "FR", 520)).await?;
    assert_ne!(paris.id, lyon.id);
    assert_eq!(City::get(&db, paris.id).await?, paris);

    paris.update(&db, |it| it.slug = Some("paris".into())).await?;
    assert_eq!(City::find(&db, paris.id).await?, Some(paris.clone()));
    assert_eq!(City::get(&db, lyon.id).await?, lyon);

    paris.delete(&db).await?;
    assert_eq!(City::find(&db, paris.id).await?, None);
    for error in [
        City::get(&db, paris.id).await.unwrap_err(),
        paris.update(&db, |it| it.population = 7).await.unwrap_err(),
        paris.delete(&db).await.unwrap_err(),
    ] {
        assert_eq!(error.kind, ErrorKind::NotFound);
        assert_eq!(error.message, "there is no `City` with this key");
        assert_eq!(error.table.as_deref(), Some("city"));
    }

    let member = Membership { person: 1, club: "chess".into() };
    assert_eq!(member.delete(&db).await.unwrap_err().kind, ErrorKind::NotFound);
    Membership::insert(&db, &member).await?;
    assert_eq!(Membership::get(&db, (1, "chess".to_owned())).await?, member);
    assert_eq!(Membership::find(&db, (1, "go".to_owned())).await?, None);
    Ok(())
}

async fn filters_orders_and_pages_select_the_rows_that_they_say(db: Session) -> Result<(), Error> {
    with_cities(&db).await?;
    let by_size = || City::query().order_by(City::population().desc());
    let france = City::country().eq("FR");

    let large = by_size().filter(City::population().gt(1_000));
    assert_eq!(names(large.clone(), &db).await?, ["Rome", "Paris", "Milan"]);
    assert_eq!(names(large.clone().limit(1).offset(1), &db).await?, ["Paris"]);
    assert_eq!(names(large.clone().offset(2), &db).await?, ["Milan"]);
    assert_eq!(names(large.clone().limit(0), &db).await?, [""; 0]);
    assert_eq!(large.clone().count(&db).await?, 3);
    assert_eq!(large.clone().limit(2).count(&db).await?, 2);
    assert!(large.clone().exists(&db).await?);
    assert!(!large.clone().offset(3).exists(&db).await?);
    assert_eq!(large.first(&db).await?.map(|it| it.name).as_deref(), Some("Rome"));
    assert_eq!(City::query().first(&db).await?.map(|it| it.name).as_deref(), Some("Paris"));

    let cases = [
        (france.clone() & City::name().ne("Paris"), vec!["Lyon", "Nice"]),
        (!france.clone() & City::population().le(1_370), vec!["Milan", "100%"]),
        (City::population().between(350, 520), vec!["Lyon", "Nice"]),
        (City::name().in_(["Rome", "Nice"]), vec!["Rome", "Nice"]),
        (City::name().in_(Vec::<String>::new()), vec![]),
        (City::name().not_in(["Rome", "Nice"]) & france, vec!["Paris", "Lyon"]),
        (City::name().contains("0%"), vec!["100%"]),
        (City::name().like("%i%") & City::name().ilike("p%"), vec!["Paris"]),
        (City::name().starts_with("p"), vec![]),
        (City::name().ends_with("n"), vec!["Milan", "Lyon"]),
        (City::population().gt(City::population() + 1), vec![]),
        ((City::population() % 1_000).eq(100), vec!["Paris"]),
    ];
    for (filter, expected) in cases {
        let shown = format!("{filter:?}");
        assert_eq!(names(by_size().filter(filter), &db).await?, expected, "{shown}");
    }

    let isos = async |query: ferro::Query<Country>| {
        let rows = query.all(&db).await?;
        Ok::<_, Error>(rows.into_iter().map(|it| it.iso).collect::<Vec<_>>().join(" "))
    };
    let people = Country::population;
    let all = Country::query();
    assert_eq!(isos(all.clone().order_by(people().asc())).await?, "IT FR AQ");
    assert_eq!(isos(all.clone().order_by(people().desc())).await?, "FR IT AQ");
    assert_eq!(isos(all.clone().order_by(people().asc().nulls_first())).await?, "AQ IT FR");
    let back = people().desc().nulls_first().nulls_last();
    assert_eq!(isos(all.clone().order_by(back)).await?, "FR IT AQ");
    assert_eq!(isos(all.clone().filter(people().eq(None))).await?, "AQ");
    assert_eq!(isos(all.clone().filter(people().ne(68))).await?, "IT");
    assert_eq!(isos(all.clone().filter(!people().eq(68))).await?, "IT");
    let distinct = all.clone().filter(people().is_distinct_from(68));
    assert_eq!(isos(distinct.order_by(Country::iso().asc())).await?, "AQ IT");
    for (value, iso) in [(Some(68), "FR"), (None, "AQ"), (Some(1), "")] {
        assert_eq!(isos(all.clone().filter(people().is_not_distinct_from(value))).await?, iso);
    }
    let same = all.clone().filter(people().is_not_distinct_from(people()));
    assert_eq!(same.count(&db).await?, 3, "null is null");
    let listed = all.filter(people().in_([Some(68), None]));
    assert_eq!(isos(listed.order_by(Country::iso().asc())).await?, "AQ FR");
    Ok(())
}

async fn updates_and_deletes_touch_the_selected_rows_and_no_others(
    db: Session,
) -> Result<(), Error> {
    with_cities(&db).await?;
    let french = || City::query().filter(City::country().eq("FR"));
    let grow = [City::population().set(City::population() + 1), City::slug().set(City::name())];
    assert_eq!(french().update(&db, grow).await?, 3);
    let sizes = City::query().order_by(City::id().asc()).all(&db).await?;
    let sizes: Vec<_> = sizes.into_iter().map(|it| (it.population, it.slug.is_some())).collect();
    let expected =
        [(2_101, true), (521, true), (351, true), (2_800, false), (1_370, false), (1, false)];
    assert_eq!(sizes, expected);

    let smallest = City::query().order_by(City::population().asc()).limit(2);
    assert_eq!(smallest.clone().update(&db, [City::capital().set(true)]).await?, 2);
    assert_eq!(names(City::query().filter(City::capital()), &db).await?.len(), 2);
    assert_eq!(smallest.delete(&db).await?, 2);
    let left = names(City::query().order_by(City::id().asc()), &db).await?;
    assert_eq!(left, ["Paris", "Lyon", "Rome", "Milan"]);
    assert_eq!(french().update(&db, [City::slug().set(None)]).await?, 2);
    assert_eq!(City::query().filter(City::slug().is_not_null()).count(&db).await?, 0);
    Ok(())
}

async fn many_rows_are_inserted_at_once_and_streamed(db: Session) -> Result<(), Error> {
    let rows: Vec<_> = (0..5_000)
        .map(|person| Membership { person, club: format!("club {}", person % 7) })
        .collect();
    assert_eq!(Membership::bulk_create(&db, &rows).await?, 5_000);
    assert_eq!(Membership::bulk_create::<Membership>(&db, &[]).await?, 0);
    let all = Membership::query().order_by(Membership::person().asc());
    assert_eq!(all.clone().all(&db).await?, rows);

    let mut stream = all.clone().stream(&db, 999).await?;
    let mut read = vec![stream.next().await?.into_iter().collect::<Vec<_>>()];
    while let Some(batch) = stream.next_batch().await? {
        read.push(batch);
    }
    drop(stream);
    assert_eq!(read.iter().map(Vec::len).collect::<Vec<_>>(), [1, 998, 999, 999, 999, 999, 5]);
    assert_eq!(read.concat(), rows);

    let again = Membership::bulk_create(&db, &[rows[0].clone(), rows[1].clone()]).await;
    assert_eq!(again.unwrap_err().kind, ErrorKind::UniqueViolation);
    assert_eq!(all.count(&db).await?, 5_000);
    Ok(())
}

async fn many_rows_that_are_inserted_come_back_with_their_keys_in_order(
    db: Session,
) -> Result<(), Error> {
    with_cities(&db).await?;
    let before = City::query().count(&db).await?;
    let new = |it: i64| NewCity {
        slug: Some(format!("slug {it}")),
        ..city(&format!("city {it}"), if it % 2 == 0 { "FR" } else { "IT" }, -it)
    };
    let rows: Vec<_> = (0..2_345).map(new).collect();
    let cities = City::bulk_create_returning(&db, &rows).await?;
    let names: Vec<_> = cities.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, rows.iter().map(|it| it.name.as_str()).collect::<Vec<_>>());
    let stored = City::query().filter(City::name().starts_with("city ")).all(&db).await?;
    let by_key = |mut cities: Vec<City>| {
        cities.sort_by_key(|it| it.id);
        cities
    };
    assert_eq!(by_key(cities), by_key(stored));
    assert_eq!(City::bulk_create_returning::<NewCity>(&db, &[]).await?, []);

    let twice = City::bulk_create_returning(&db, &[new(9_000), new(9_001), new(1)]).await;
    assert_eq!(twice.unwrap_err().kind, ErrorKind::UniqueViolation);
    assert_eq!(City::query().count(&db).await?, before + 2_345);
    Ok(())
}

async fn a_violated_constraint_is_an_error_that_names_it(db: Session) -> Result<(), Error> {
    Country::insert(&db, &country("FR", "France", None)).await?;
    let twice = Country::insert(&db, &country("FR", "Frankreich", None)).await.unwrap_err();
    assert_eq!(twice.kind, ErrorKind::UniqueViolation);
    assert_eq!(Country::get(&db, "FR").await?.name, "France");
    let nowhere = City::create(&db, city("Atlantis", "XX", 0)).await.unwrap_err();
    assert_eq!(nowhere.kind, ErrorKind::ForeignKeyViolation);
    let long = Country::insert(&db, &country("FRA", "France", None)).await.unwrap_err();
    assert!(
        matches!(long.kind, ErrorKind::CheckViolation | ErrorKind::ValueOutOfRange),
        "{long:?}"
    );
    Ok(())
}

async fn a_transaction_is_all_or_nothing_and_so_is_a_savepoint(db: Session) -> Result<(), Error> {
    let count = async || Country::query().count(&db).await;

    let tx = db.begin().await?;
    Country::insert(&tx, &country("FR", "France", None)).await?;
    assert!(Country::find(&tx, "FR").await?.is_some());
    tx.rollback().await?;
    assert_eq!(count().await?, 0);

    let tx = db.begin().await?;
    Country::insert(&tx, &country("FR", "France", None)).await?;
    drop(tx);
    assert_eq!(count().await?, 0);

    let tx = db.begin().await?;
    Country::insert(&tx, &country("FR", "France", None)).await?;
    let savepoint = tx.begin().await?;
    Country::insert(&savepoint, &country("IT", "Italy", None)).await?;
    savepoint.rollback().await?;
    let savepoint = tx.begin().await?;
    Country::insert(&savepoint, &country("ES", "Spain", None)).await?;
    savepoint.commit().await?;
    tx.commit().await?;
    assert_eq!(count().await?, 2);

    let added = db
        .transaction(async |tx| {
            Country::insert(tx, &country("DE", "Germany", None)).await?;
            let twice = tx
                .transaction(async |savepoint| {
                    Country::insert(savepoint, &country("PT", "Portugal", None)).await?;
                    Country::insert(savepoint, &country("FR", "France", None)).await
                })
                .await;
            assert_eq!(twice.unwrap_err().kind, ErrorKind::UniqueViolation);
            Country::query().count(tx).await
        })
        .await?;
    assert_eq!((added, count().await?), (3, 3));
    let failed = db
        .transaction(async |tx| {
            Country::query().delete(tx).await?;
            Err::<(), _>(Error::new(ErrorKind::Cancelled, "changed my mind"))
        })
        .await;
    assert_eq!(failed.unwrap_err().message, "changed my mind");
    assert_eq!(count().await?, 3);
    Ok(())
}

async fn a_transaction_runs_in_a_task_of_its_own(db: Session) -> Result<(), Error> {
    let task = tokio::spawn(async move {
        db.transaction(async |tx| {
            Country::insert(tx, &country("FR", "France", None)).await?;
            Country::query().count(tx).await
        })
        .await
    });
    assert_eq!(task.await.unwrap()?, 1);
    Ok(())
}

fn everything(id: u128) -> Everything {
    Everything {
        id: Uuid::from_u128(id),
        boolean: true,
        small: i16::MIN,
        regular: i32::MAX,
        big: i64::MIN,
        real: 1.5,
        double: f64::MAX,
        decimal: Decimal::parse("-1234567890123456.7800").unwrap(),
        text: "é\u{1F980}'\"\\".into(),
        blob: vec![0, 255],
        date: Date::parse("0001-01-01").unwrap(),
        time: Time::parse("23:59:59.999999").unwrap(),
        timestamp: Timestamp::parse("9999-12-31 23:59:59.999999").unwrap(),
        timestamptz: Timestamptz::parse("1969-12-31 23:59:59.5Z").unwrap(),
        interval: Interval { months: 14, days: -3, micros: 1 },
        json: Json::new("null"),
        mood: Mood::SoSo,
        numbers: vec![1, -1],
        maybe_texts: Some(vec!["a,\"b".into(), String::new()]),
        maybe_mood: Some(Mood::VerySad),
        r#type: Some(Decimal::parse("0.10").unwrap()),
    }
}

async fn every_type_comes_back_as_it_went(db: Session) -> Result<(), Error> {
    let full = everything(u128::MAX);
    let mut sparse = everything(0);
    sparse.numbers.clear();
    (sparse.maybe_texts, sparse.maybe_mood, sparse.r#type) = (None, None, None);
    Everything::insert(&db, &full).await?;
    Everything::bulk_create(&db, std::slice::from_ref(&sparse)).await?;
    assert_eq!(Everything::get(&db, full.id).await?, full);
    assert_eq!(Everything::get(&db, sparse.id).await?, sparse);
    common::every_type_comes_through(&db, [&full, &sparse]).await?;

    let found = [
        Everything::date().lt(Date::parse("0001-01-02")?),
        Everything::timestamptz().le(full.timestamptz),
        Everything::decimal().lt(Decimal::from(-1)),
        Everything::mood().eq(Mood::SoSo) & Everything::maybe_mood().in_([Mood::VerySad]),
        Everything::blob().eq(&[0, 255][..]),
        Everything::id().ne(Uuid::default()),
        Everything::r#type().eq(Decimal::parse("0.1")?),
    ];
    for filter in found {
        let shown = format!("{filter:?}");
        let query = Everything::query().filter(filter & Everything::id().eq(full.id));
        assert!(query.exists(&db).await?, "{shown}");
    }

    let larger = (Everything::decimal() + Decimal::from(1)).gt(Everything::decimal());
    assert_eq!(Everything::query().filter(larger).count(&db).await?, 2);

    let mut changed = full.clone();
    changed
        .update(&db, |it| {
            it.mood = Mood::Happy;
            it.maybe_texts = None;
            it.real = f32::INFINITY;
        })
        .await?;
    assert_eq!((changed.mood, changed.real), (Mood::Happy, f32::INFINITY));
    assert_eq!(Everything::get(&db, full.id).await?, changed);
    Ok(())
}

async fn defaults_are_the_databases(db: Session) -> Result<(), Error> {
    Country::insert(&db, &country("FR", "France", None)).await?;
    let paris = NewCity { population: None, ..city("Paris", "FR", 0) };
    assert_eq!(City::create(&db, paris).await?.population, 0);

    let row = everything(7);
    let Everything { id, boolean, small, regular, big, real, double, decimal, text, blob, .. } =
        row.clone();
    let Everything { date, time, timestamp, interval, json, mood, numbers, .. } = row;
    let new = NewEverything {
        id,
        boolean,
        small,
        regular,
        big,
        real,
        double,
        decimal,
        text,
        blob,
        date,
        time,
        timestamp,
        timestamptz: None,
        interval,
        json,
        mood,
        numbers,
        maybe_texts: None,
        maybe_mood: None,
        r#type: None,
    };
    let now = Timestamptz::try_from(std::time::SystemTime::now())?.micros();
    let created = Everything::create(&db, new).await?;
    assert!((created.timestamptz.micros() - now).abs() < 60_000_000, "{}", created.timestamptz);
    Ok(())
}

async fn a_row_of_nothing_but_a_generated_key_is_inserted(db: Session) -> Result<(), Error> {
    let first = Ticket::create(&db, NewTicket {}).await?;
    let second = Ticket::create(&db, NewTicket {}).await?;
    assert_ne!(first, second);
    Ticket::insert(&db, &NewTicket {}).await?;
    assert_eq!(Ticket::bulk_create(&db, &[NewTicket {}, NewTicket {}]).await?, 2);
    assert_eq!(Ticket::query().count(&db).await?, 5);
    assert_eq!(Ticket::get(&db, second.r#type).await?, second);
    Ok(())
}

async fn an_open_cursor_keeps_its_transaction_busy(db: Session) -> Result<(), Error> {
    with_cities(&db).await?;
    let tx = db.begin().await?;
    let mut cities = City::query().stream(&tx, 2).await?;
    assert!(cities.next().await?.is_some());
    assert_eq!(City::query().count(&tx).await.unwrap_err().kind, ErrorKind::Busy);
    drop(cities);
    assert_eq!(City::query().count(&tx).await?, 6);
    tx.commit().await
}
