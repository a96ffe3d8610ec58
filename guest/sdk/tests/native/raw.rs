//! SQL text whose rows become structs.

use ferro::prelude::*;
use ferro::values::{Decimal, Timestamptz};
use ferro::{Dialect, Error, ErrorKind, Row, sql};

use crate::database::Database;
use crate::models::{City, Country, Everything, NewCity};
use crate::{everything, on_each_database, with_cities};

on_each_database! {
    ferro::schema![
        crate::Country, crate::City, crate::Everything, super::Renamed, super::Band, super::Genre
    ] =>
    rows_become_structs_by_name_and_tuples_by_position,
    every_type_of_a_model_is_read,
    computed_columns_become_what_the_row_asks_for_without_loss,
    columns_that_do_not_fit_are_errors_that_name_them,
    values_are_bound_and_never_become_text,
    statements_run_in_transactions_and_rows_stream,
    what_a_write_of_a_tenant_returns_first_or_alone_is_kept,
    pairs_without_a_model_are_written_as_text_and_read_by_queries,
}

async fn what_a_write_of_a_tenant_returns_first_or_alone_is_kept(
    database: Database,
) -> Result<(), Error> {
    let db = database.session_of_tenant()?;
    let insert =
        |id: i64| sql("INSERT INTO renamed (id, nom) VALUES (?, 'un') RETURNING id").bind(id);
    assert_eq!(insert(1).one::<i64>(&db).await?, 1);
    assert_eq!(insert(2).first::<i64>(&db).await?, Some(2));
    // The rows that are not asked for are written, too.
    let several = sql("UPDATE renamed SET nom = 'deux' RETURNING id");
    assert!(several.first::<i64>(&db).await?.is_some());
    let renamed = Renamed::query().filter(Renamed::name().eq("deux")).count(&db).await?;
    assert_eq!(renamed, 2);
    Ok(())
}

/// Its columns have other names than its fields.
#[derive(Model, Debug, Clone, PartialEq)]
struct Renamed {
    #[ferro(key)]
    id: i64,
    #[ferro(column = "nom")]
    name: String,
}

#[derive(Model, Debug, Clone, PartialEq)]
#[ferro(many_to_many(genres: Genre, reverse = "bands"))]
struct Band {
    #[ferro(key)]
    id: i64,
}

#[derive(Model, Debug, Clone, PartialEq)]
struct Genre {
    #[ferro(key)]
    name: String,
}

async fn pairs_without_a_model_are_written_as_text_and_read_by_queries(
    db: Session,
) -> Result<(), Error> {
    Band::bulk_create(&db, &[Band { id: 1 }, Band { id: 2 }]).await?;
    Genre::create(&db, Genre { name: "dub".into() }).await?;
    let pair = "INSERT INTO band_genres (band_id, genre_name) VALUES (?, ?)";
    assert_eq!(sql(pair).bind(2_i64).bind("dub").execute(&db).await?, 1);

    let dub = Band::query().filter(Band::genres().any(Genre::name().eq("dub")));
    assert_eq!(dub.all(&db).await?, [Band { id: 2 }]);
    let genres = Genre::query().include(Genre::bands()).all(&db).await?;
    assert_eq!(genres, [(Genre { name: "dub".into() }, vec![Band { id: 2 }])]);
    Ok(())
}

#[derive(Row, Debug, PartialEq)]
struct Crowd {
    country: String,
    people: i64,
    largest: Option<String>,
}

async fn rows_become_structs_by_name_and_tuples_by_position(db: Session) -> Result<(), Error> {
    with_cities(&db).await?;
    let crowds: Vec<Crowd> = sql("SELECT max(name) AS largest, count(*) AS cities, country, \
         CAST(sum(population) AS BIGINT) AS people \
         FROM city GROUP BY country ORDER BY country")
    .all(&db)
    .await?;
    let crowd = |country: &str, people, largest: &str| Crowd {
        country: country.into(),
        people,
        largest: Some(largest.into()),
    };
    assert_eq!(crowds, [crowd("FR", 2_970, "Paris"), crowd("IT", 4_171, "Rome")]);

    let pairs: Vec<(String, i64)> =
        sql("SELECT name, population FROM city WHERE country = 'IT' ORDER BY population DESC")
            .all(&db)
            .await?;
    assert_eq!(pairs[0], ("Rome".to_owned(), 2_800));
    assert_eq!(sql("SELECT count(*) FROM city").one::<i64>(&db).await?, 6);

    Renamed::insert(&db, &Renamed { id: 7, name: "sept".into() }).await?;
    let renamed: Renamed = sql("SELECT nom, 1 AS more, id FROM renamed").one(&db).await?;
    assert_eq!(renamed, Renamed { id: 7, name: "sept".into() });
    Ok(())
}

async fn every_type_of_a_model_is_read(db: Session) -> Result<(), Error> {
    let rows = [everything(1), everything(2)];
    Everything::bulk_create(&db, &rows).await?;
    let read: Vec<Everything> = sql("SELECT * FROM everything ORDER BY id").all(&db).await?;
    assert_eq!(read, rows);
    Ok(())
}

async fn computed_columns_become_what_the_row_asks_for_without_loss(
    db: Session,
) -> Result<(), Error> {
    with_cities(&db).await?;
    let row = everything(1);
    Everything::insert(&db, &row).await?;
    let (large, sum, none, last): (bool, Decimal, Option<f64>, Timestamptz) = sql(
        "SELECT count(*) > 2, sum(population), NULL, (SELECT max(timestamptz) FROM everything) \
         FROM city",
    )
    .one(&db)
    .await?;
    assert_eq!((large, sum.as_str(), none, last), (true, "7141", None, row.timestamptz));
    Ok(())
}

async fn columns_that_do_not_fit_are_errors_that_name_them(db: Session) -> Result<(), Error> {
    with_cities(&db).await?;
    let crowd = async |text: &'static str| sql(text).all::<Crowd>(&db).await.unwrap_err();
    let error = crowd("SELECT country, population AS people FROM city").await;
    assert_eq!(error.kind, ErrorKind::DecodeFailed);
    assert!(error.message.contains("`largest`") && error.message.contains("`people`"), "{error}");
    let error = crowd("SELECT country, name AS people, name AS largest FROM city").await;
    assert!(error.message.contains("column `people`: it is `text`"), "{error}");
    let error = crowd("SELECT country, country, 1 AS people, name AS largest FROM city").await;
    assert!(error.message.contains("several columns `country`"), "{error}");
    let error = crowd("SELECT NULL AS country, 1 AS people, name AS largest FROM city").await;
    assert!(error.message.contains("`country`") && error.message.contains("null"), "{error}");

    let error = sql("SELECT name, slug FROM city").all::<String>(&db).await.unwrap_err();
    assert!(error.message.contains("`name`, `slug`"), "{error}");
    let error = sql("SELECT 1.5").one::<i64>(&db).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::DecodeFailed, "a fraction is never cut off");

    let error = sql("SELECT name FROM city").one::<String>(&db).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidQuery);
    let nobody = || sql("SELECT name FROM city WHERE name = ''");
    assert_eq!(nobody().one::<String>(&db).await.unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(nobody().first::<String>(&db).await?, None);
    Ok(())
}

async fn values_are_bound_and_never_become_text(db: Session) -> Result<(), Error> {
    with_cities(&db).await?;
    let hostile = "x'; DROP TABLE city; --";
    let renamed = sql("UPDATE city SET name = ?, slug = ? WHERE name = '?' OR name = ? /* ? */")
        .bind(hostile)
        .bind(None::<String>)
        .bind("Rome");
    assert_eq!(renamed.execute(&db).await?, 1);
    let found = sql("SELECT population FROM city WHERE name = $1 AND country = $2 AND name = $1");
    assert_eq!(found.clone().bind(hostile).bind("IT").one::<i64>(&db).await?, 2_800);

    let error = found.bind(hostile).one::<i64>(&db).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidQuery, "{error}");
    let error = sql("SELECT 1; SELECT 2").one::<i64>(&db).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidQuery, "{error}");
    assert_eq!(City::query().count(&db).await?, 6);
    Ok(())
}

async fn statements_run_in_transactions_and_rows_stream(db: Session) -> Result<(), Error> {
    Country::insert(&db, &crate::country("FR", "France", None)).await?;
    let failed: Result<(), Error> = db
        .transaction(async |tx| {
            sql("DELETE FROM country").execute(tx).await?;
            assert_eq!(Country::query().count(tx).await?, 0);
            Err(Error::new(ErrorKind::NotFound, "undo it"))
        })
        .await;
    assert_eq!(failed.unwrap_err().message, "undo it");
    assert_eq!(Country::query().count(&db).await?, 1);

    let city = |number| NewCity { name: format!("{number:04}"), ..crate::city("", "FR", number) };
    City::bulk_create(&db, &(0..2_500).map(city).collect::<Vec<_>>()).await?;
    let mut rows = sql("SELECT population, name FROM city WHERE population >= ? ORDER BY name")
        .bind(10_i64)
        .stream::<(i64, String)>(&db, 1_000)
        .await?;
    let mut expected = 10;
    while let Some((population, name)) = rows.next().await? {
        assert_eq!((population, name), (expected, format!("{expected:04}")));
        expected += 1;
    }
    assert_eq!(expected, 2_500);
    drop(rows);
    let version = match db.dialect() {
        Dialect::Sqlite => "SELECT sqlite_version()",
        Dialect::Postgres => "SELECT version()",
    };
    assert!(!sql(version).one::<String>(&db).await?.is_empty());
    Ok(())
}
