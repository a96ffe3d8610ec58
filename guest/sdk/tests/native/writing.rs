//! Changes of rows, upserts, and what happens when many do the same at once.

use std::sync::Arc;

use ferro::prelude::*;
use ferro::{Error, ErrorKind, OnConflict, excluded, value};

use crate::models::{City, Country, Membership, NewCity};
use crate::{city, country, on_each_database, with_cities};

on_each_database! {
    ferro::schema![
        crate::models::Country, crate::models::City, crate::models::Membership, super::Measure
    ] =>
    an_update_writes_the_changed_fields_and_no_others,
    what_is_no_number_is_still_the_same,
    an_update_of_a_row_that_has_gone_is_not_found_and_changes_nothing,
    a_key_that_is_taken_is_left_alone_or_updated_as_asked,
    many_rows_are_upserted_at_once,
    many_rows_get_values_of_their_own_at_once,
    the_rows_of_a_query_are_inserted,
    a_row_is_made_once_however_many_ask_for_it,
    rows_that_were_changed_or_deleted_come_back,
}

#[derive(Model, Debug, Clone)]
struct Measure {
    #[ferro(key)]
    id: i64,
    value: f64,
    series: Vec<f64>,
    note: String,
}

async fn what_is_no_number_is_still_the_same(db: Session) -> Result<(), Error> {
    let series = vec![0.5, f64::NAN];
    let mut row = Measure { id: 1, value: f64::NAN, series, note: String::new() };
    Measure::insert(&db, &row).await?;
    let measured = [Measure::value().set(1.5), Measure::series().set(vec![2.5])];
    Measure::query().update(&db, measured).await?;

    row.update(&db, |it| it.note = "late".into()).await?;
    assert_eq!((row.value, &row.series[..], row.note.as_str()), (1.5, &[2.5][..], "late"));
    row.update(&db, |it| it.series = vec![2.5, f64::NAN]).await?;
    assert!(row.series[1].is_nan());
    row.update(&db, |it| it.value = f64::NAN).await?;
    assert!(Measure::get(&db, 1).await?.value.is_nan());
    Ok(())
}

async fn an_update_writes_the_changed_fields_and_no_others(db: Session) -> Result<(), Error> {
    with_cities(&db).await?;
    let mut paris = City::query().filter(City::name().eq("Paris")).one(&db).await?;
    let mut other = paris.clone();
    paris.update(&db, |it| it.population += 1).await?;
    assert_eq!(paris.population, 2_101);

    other.update(&db, |it| it.slug = Some("paris".into())).await?;
    assert_eq!((other.population, other.slug.as_deref()), (2_101, Some("paris")));
    assert_eq!(City::get(&db, paris.id).await?, other);

    other.update(&db, |it| it.slug = None).await?;
    assert_eq!(City::get(&db, paris.id).await?.slug, None);
    let id = other.id;
    other.update(&db, |it| it.id = 1_000).await?;
    assert_eq!(City::find(&db, id).await?, None);
    assert_eq!(City::get(&db, 1_000).await?, other);
    Ok(())
}

async fn an_update_of_a_row_that_has_gone_is_not_found_and_changes_nothing(
    db: Session,
) -> Result<(), Error> {
    with_cities(&db).await?;
    let mut rome = City::query().filter(City::name().eq("Rome")).one(&db).await?;
    let before = rome.clone();
    rome.delete(&db).await?;
    let gone = rome.update(&db, |it| it.population = 0).await.unwrap_err();
    assert_eq!((gone.kind, gone.table.as_deref()), (ErrorKind::NotFound, Some("city")));
    assert_eq!(rome, before);
    rome.update(&db, |_| ()).await?;
    assert_eq!(City::query().count(&db).await?, 5);

    let mut paris = City::query().filter(City::name().eq("Paris")).one(&db).await?;
    let before = paris.clone();
    let taken = paris.update(&db, |it| it.name = "Lyon".into()).await.unwrap_err();
    assert_eq!(taken.kind, ErrorKind::UniqueViolation);
    assert_eq!(paris, before);
    Ok(())
}

async fn a_key_that_is_taken_is_left_alone_or_updated_as_asked(db: Session) -> Result<(), Error> {
    with_cities(&db).await?;
    let key = || OnConflict::on((City::country(), City::name()));
    let paris = || NewCity { capital: true, ..city("Paris", "FR", 7) };

    assert_eq!(City::upsert(&db, paris(), key()).await?, None);
    assert_eq!(City::query().count(&db).await?, 6);

    let grown =
        key().set(City::population().set(City::population() + excluded(City::population())));
    let row = City::upsert(&db, paris(), grown.clone()).await?.unwrap();
    assert_eq!((row.population, row.capital), (2_107, false));
    let row = City::upsert(&db, paris(), grown.clone().update(City::capital())).await?.unwrap();
    assert_eq!((row.population, row.capital), (2_114, true));
    let small = grown.only_if(City::population().lt(1_000));
    assert_eq!(City::upsert(&db, paris(), small.clone()).await?, None);
    assert_eq!(City::upsert(&db, city("Metz", "FR", 3), small).await?.unwrap().population, 3);

    let no_key = City::upsert(&db, paris(), OnConflict::on(City::population())).await;
    assert_eq!(no_key.unwrap_err().kind, ErrorKind::InvalidQuery);

    let row = City::update_or_create(&db, paris(), (City::country(), City::name())).await?;
    assert_eq!((row.population, row.capital, row.slug), (7, true, None));
    let metz = || NewCity { slug: Some("metz".into()), ..city("Metz", "FR", 4) };
    assert_eq!(
        City::update_or_create(&db, metz(), (City::country(), City::name())).await?.population,
        4
    );
    let other = NewCity { population: None, ..metz() };
    let kept = City::update_or_create(&db, other, City::slug()).await?;
    assert_eq!(kept.population, 4);
    Ok(())
}

async fn many_rows_are_upserted_at_once(db: Session) -> Result<(), Error> {
    let people = |range: std::ops::Range<i64>| -> Vec<_> {
        range.map(|it| country(&format!("{it}"), "before", Some(it))).collect()
    };
    Country::bulk_create(&db, &people(10..60)).await?;
    let mut rows = people(30..90);
    for row in &mut rows {
        row.name = "after".into();
        row.population = None;
    }
    let same = || OnConflict::on(Country::iso());
    assert_eq!(Country::bulk_upsert(&db, &rows, same().update(Country::name())).await?, 60);
    assert_eq!(Country::query().count(&db).await?, 80);
    let after = Country::query().filter(Country::name().eq("after"));
    assert_eq!(after.clone().count(&db).await?, 60);
    assert_eq!(after.filter(Country::population().is_not_null()).count(&db).await?, 30);
    assert_eq!(Country::bulk_upsert(&db, &people(0..10), same()).await?, 10);
    assert_eq!(Country::bulk_upsert(&db, &people(0..12), same()).await?, 0);
    assert_eq!(Country::bulk_upsert::<Country>(&db, &[], same()).await?, 0);
    Ok(())
}

async fn many_rows_get_values_of_their_own_at_once(db: Session) -> Result<(), Error> {
    let country = |number: i64| country(&format!("{number}"), "before", Some(number));
    let mut rows: Vec<_> = (10..90).map(country).collect();
    Country::bulk_create(&db, &rows[..70]).await?;
    for row in &mut rows {
        row.name = format!("after {}", row.iso);
        row.population = None;
    }
    Country::bulk_update(&db, &rows[..70], Country::name()).await?;
    let stored = Country::query().order_by(Country::iso().asc()).all(&db).await?;
    let expected = rows[..70].iter().zip(10..);
    let expected = expected.map(|(row, it)| Country { population: Some(it), ..row.clone() });
    assert_eq!(stored, expected.collect::<Vec<_>>());

    let both = (Country::name(), Country::population());
    Country::bulk_update(&db, &rows[..1], both).await?;
    assert_eq!(Country::get(&db, "10").await?, rows[0]);
    let gone = Country::bulk_update(&db, &rows[1..], both).await.unwrap_err();
    assert_eq!((gone.kind, gone.table.as_deref()), (ErrorKind::NotFound, Some("country")));
    assert_eq!(Country::query().filter(Country::population().is_null()).count(&db).await?, 1);
    Country::bulk_update(&db, &[], Country::name()).await?;
    let key = Country::bulk_update(&db, &rows, (Country::name(), Country::iso())).await;
    let error = key.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidQuery);
    assert!(error.message.contains("`iso` is a part of the key"), "{error}");

    let measure = |id, note: &str| Measure {
        id,
        value: 0.5,
        series: vec![1.5, f64::INFINITY],
        note: note.into(),
    };
    Measure::bulk_create(&db, &[measure(1, "a"), measure(2, "b")]).await?;
    let changed = [Measure { series: vec![], ..measure(2, "c") }, measure(1, "d")];
    Measure::bulk_update(&db, &changed, (Measure::series(), Measure::note())).await?;
    let stored = Measure::query().order_by(Measure::id().desc()).all(&db).await?;
    assert!(stored[0].series.is_empty());
    assert_eq!(stored[1].series, [1.5, f64::INFINITY]);
    assert_eq!([&*stored[0].note, &*stored[1].note], ["c", "d"]);
    Ok(())
}

async fn the_rows_of_a_query_are_inserted(db: Session) -> Result<(), Error> {
    with_cities(&db).await?;
    let code = City::country().lower();
    let sizes = City::query()
        .filter(City::population().gt(1))
        .group_by((code.clone(), City::country()))
        .select((code, City::country(), City::population().sum()));
    let fields = (Country::iso(), Country::name(), Country::population());
    assert_eq!(Country::insert_from(&db, fields, sizes.clone()).await?, 2);
    let made = Country::query().filter(Country::iso().in_(["fr", "it"]));
    let made = made.order_by(Country::iso().asc()).all(&db).await?;
    assert_eq!(made, [country("fr", "FR", Some(2_970)), country("it", "IT", Some(4_170))]);

    let taken = Country::insert_from(&db, fields, sizes).await.unwrap_err();
    assert_eq!(taken.kind, ErrorKind::UniqueViolation);
    let capitals = City::query().filter(City::capital());
    let none = capitals.select((City::country(), City::name(), City::population()));
    assert_eq!(Country::insert_from(&db, fields, none).await?, 0);

    let copy = City::query().filter(City::name().eq("Rome")).select((
        value("Roma"),
        City::country(),
        City::capital(),
    ));
    let fields = (City::name(), City::country(), City::capital());
    assert_eq!(City::insert_from(&db, fields, copy).await?, 1);
    let roma = City::query().filter(City::name().eq("Roma")).one(&db).await?;
    assert_eq!((roma.population, roma.slug), (0, None), "what is left out has its default");
    Ok(())
}

async fn a_row_is_made_once_however_many_ask_for_it(db: Session) -> Result<(), Error> {
    Country::insert(&db, &country("FR", "France", None)).await?;
    let db = Arc::new(db);
    let tasks: Vec<_> = (0..100)
        .map(|number| {
            let db = Arc::clone(&db);
            tokio::spawn(async move {
                let row = NewCity { slug: Some("paris".into()), ..city("Paris", "FR", number) };
                City::get_or_create(&db, row, City::slug()).await
            })
        })
        .collect();
    let mut created = 0;
    let mut ids = Vec::new();
    for task in tasks {
        let (city, new) = task.await.unwrap()?;
        created += u32::from(new);
        ids.push(city.id);
    }
    ids.dedup();
    assert_eq!((created, ids.len()), (1, 1));
    assert_eq!(City::query().count(&db).await?, 1);

    let unnamed = City::get_or_create(&db, city("Lyon", "FR", 1), City::slug()).await;
    assert_eq!(unnamed.unwrap_err().kind, ErrorKind::InvalidQuery);
    let chess = Membership { person: 1, club: "chess".into() };
    let key = (Membership::person(), Membership::club());
    assert!(Membership::get_or_create(&db, chess.clone(), key).await?.1);
    assert!(!Membership::get_or_create(&db, chess.clone(), key).await?.1);
    let only_key = Membership::update_or_create(&db, chess, key).await.unwrap_err();
    assert_eq!(only_key.kind, ErrorKind::InvalidQuery);
    Ok(())
}

async fn rows_that_were_changed_or_deleted_come_back(db: Session) -> Result<(), Error> {
    with_cities(&db).await?;
    let french = || City::query().filter(City::country().eq("FR")).order_by(City::name().asc());
    let halved =
        french().limit(2).update_returning(&db, [City::population().set(City::population() / 2)]);
    let mut sizes: Vec<_> = halved.await?.into_iter().map(|it| it.population).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [175, 260]);
    let deleted = french().delete_returning(&db).await?;
    assert_eq!(deleted.len(), 3);
    assert!(deleted.iter().any(|it| it.name == "Paris"));
    assert_eq!(City::query().count(&db).await?, 3);
    assert_eq!(french().delete_returning(&db).await?, []);
    Ok(())
}
