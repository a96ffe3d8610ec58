//! Projections, groups, subqueries and what expressions give.

use ferro::prelude::*;
use ferro::values::Decimal;
use ferro::{Error, ErrorKind, case, count, value};

use crate::models::City;
use crate::{on_each_database, with_cities};

on_each_database! {
    ferro::schema![crate::models::Country, crate::models::City] =>
    rows_become_tuples_values_and_structs,
    rows_are_grouped_and_groups_are_filtered,
    aggregates_of_no_rows_are_null_and_a_count_is_zero,
    functions_of_texts_and_numbers_are_those_of_the_list,
    one_row_is_one_row,
}

async fn rows_become_tuples_values_and_structs(db: Session) -> Result<(), Error> {
    #[derive(ferro::Row, Debug, PartialEq)]
    struct Size {
        name: String,
        thousands: i64,
        slug: Option<String>,
    }

    with_cities(&db).await?;
    let large = City::query().filter(City::population().gt(1_000)).order_by(City::name().asc());
    let sizes = large.clone().select(SelectSize {
        name: City::name().upper(),
        thousands: City::population() / 1_000,
        slug: City::slug(),
    });
    let size = |name: &str, thousands| Size { name: name.into(), thousands, slug: None };
    assert_eq!(
        sizes.clone().all(&db).await?,
        [size("MILAN", 1), size("PARIS", 2), size("ROME", 2)]
    );
    assert_eq!(sizes.first(&db).await?, Some(size("MILAN", 1)));

    let names = large.clone().select(City::name());
    assert_eq!(names.all(&db).await?, ["Milan", "Paris", "Rome"]);
    let pairs = large.select((City::country(), City::population().gt(2_500), value(7)));
    let expected = [("IT", false), ("FR", false), ("IT", true)];
    assert_eq!(
        pairs.clone().all(&db).await?,
        expected.map(|(country, big)| (country.to_owned(), big, 7))
    );
    assert_eq!(pairs.limit(0).all(&db).await?, []);

    let countries = City::query().select(City::country()).distinct();
    assert_eq!(countries.clone().order_by(City::country().asc()).all(&db).await?, ["FR", "IT"]);
    assert_eq!(countries.count(&db).await?, 2);

    let mut stream =
        City::query().select(City::id()).order_by(City::id().asc()).stream(&db, 4).await?;
    assert_eq!(stream.next_batch().await?.map(|it| it.len()), Some(4));
    assert_eq!(stream.next_batch().await?.map(|it| it.len()), Some(2));
    assert_eq!(stream.next_batch().await?, None);
    Ok(())
}

async fn rows_are_grouped_and_groups_are_filtered(db: Session) -> Result<(), Error> {
    with_cities(&db).await?;
    let by_country = City::query().group_by(City::country());
    let totals = by_country
        .clone()
        .select((
            City::country(),
            count(),
            City::population().sum(),
            City::population().average(),
            City::name().min(),
            City::population().max().filter(City::name().ne("Rome")),
            City::capital().count().distinct(),
        ))
        .order_by(City::population().sum().desc());
    let expected = [
        ("IT", 3, Some(4_171), Some(4_171.0 / 3.0), Some("100%"), Some(1_370), 1),
        ("FR", 3, Some(2_970), Some(990.0), Some("Lyon"), Some(2_100), 1),
    ];
    let expected = expected.map(|(country, rows, sum, average, name, most, flags)| {
        (country.to_owned(), rows, sum, average, name.map(str::to_owned), most, flags)
    });
    assert_eq!(totals.all(&db).await?, expected);

    let large = by_country.having(City::population().sum().gt(3_000) & count().gt(1));
    assert_eq!(large.select(City::country()).all(&db).await?, ["IT"]);

    let size = case(City::population().gt(1_000), "large").otherwise("small");
    let sizes = City::query()
        .group_by(size.clone())
        .select((size.clone(), count()))
        .order_by(size.clone().asc());
    assert_eq!(sizes.all(&db).await?, [("large".to_owned(), 3), ("small".to_owned(), 3)]);
    let distinct = City::query().select(size.clone()).distinct().order_by(size.desc());
    assert_eq!(distinct.all(&db).await?, ["small", "large"]);
    Ok(())
}

async fn aggregates_of_no_rows_are_null_and_a_count_is_zero(db: Session) -> Result<(), Error> {
    let all = City::query().select((
        count(),
        City::slug().count(),
        City::population().sum(),
        City::population().average(),
        City::name().max(),
    ));
    assert_eq!(all.one(&db).await?, (0, 0, None, None, None));
    Ok(())
}

async fn functions_of_texts_and_numbers_are_those_of_the_list(db: Session) -> Result<(), Error> {
    with_cities(&db).await?;
    let paris = City::query().filter(City::name().eq("Paris"));
    let texts = paris.clone().select((
        City::name().lower(),
        City::name().upper(),
        City::name().concat("  ").trim(),
        City::name().length(),
        City::slug().length(),
        City::slug().coalesce(City::name()),
        City::slug().coalesce(value("none")).concat("!"),
    ));
    let (lower, upper, trimmed, length, none, slug, text) = texts.one(&db).await?;
    assert_eq!(
        (&*lower, &*upper, &*trimmed, length, none, &*slug, &*text),
        ("paris", "PARIS", "Paris", 5, None, "Paris", "none!")
    );
    let numbers = paris.clone().select((
        (City::population() - 3_000).abs(),
        -City::population(),
        (City::population().cast::<f64>() / 1_000.0).round(),
        City::population().cast::<Decimal>(),
    ));
    let decimal = Decimal::from(2_100);
    assert_eq!(numbers.one(&db).await?, (900, -2_100, 2.0, decimal));

    assert_eq!(paris.clone().filter(City::capital().is_false()).count(&db).await?, 1);
    assert_eq!(paris.filter(City::capital().is_true()).count(&db).await?, 0);
    Ok(())
}

async fn one_row_is_one_row(db: Session) -> Result<(), Error> {
    with_cities(&db).await?;
    assert_eq!(City::query().filter(City::name().eq("Rome")).one(&db).await?.population, 2_800);
    let none = City::query().filter(City::name().eq("Atlantis")).one(&db).await.unwrap_err();
    assert_eq!(none.kind, ErrorKind::NotFound);
    let many = City::query().one(&db).await.unwrap_err();
    assert_eq!(many.kind, ErrorKind::InvalidQuery);
    Ok(())
}
