//! Projections, groups, subqueries and what expressions give.

use ferro::prelude::*;
use ferro::values::{Date, Decimal, Interval, Timestamptz};
use ferro::{Error, ErrorKind, case, count, value};

use crate::models::{City, Everything};
use crate::{everything, on_each_database, with_cities};

on_each_database! {
    ferro::schema![crate::models::Country, crate::models::City, crate::models::Everything] =>
    rows_become_tuples_values_and_structs,
    rows_are_grouped_and_groups_are_filtered,
    texts_of_a_group_are_joined,
    values_of_a_group_become_a_list,
    aggregates_of_no_rows_are_null_and_a_count_is_zero,
    functions_of_texts_and_numbers_are_those_of_the_list,
    dates_and_times_have_parts_and_distances,
    dates_and_timestamps_are_moved,
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

async fn texts_of_a_group_are_joined(db: Session) -> Result<(), Error> {
    with_cities(&db).await?;
    let largest = || City::name().string_agg(", ").order_by(City::population().desc());
    let large = largest().filter(City::population().gt(1_000)).filter(City::name().ne("Rome"));
    let by_country = City::query().group_by(City::country()).order_by(City::country().asc());
    let joined =
        by_country.clone().select((largest(), large.coalesce("-"), City::slug().string_agg("")));
    let text = |text: &str| Some(text.to_owned());
    let expected = [
        (text("Paris, Lyon, Nice"), "Paris".to_owned(), None),
        (text("Rome, Milan, 100%"), "Milan".to_owned(), None),
    ];
    assert_eq!(joined.all(&db).await?, expected);
    let starts = by_country.having(largest().starts_with("Rome")).select(largest());
    assert_eq!(starts.all(&db).await?, [text("Rome, Milan, 100%")]);
    let none = City::query().filter(value(false)).select(City::name().string_agg(", "));
    assert_eq!(none.one(&db).await?, None);
    Ok(())
}

async fn values_of_a_group_become_a_list(db: Session) -> Result<(), Error> {
    with_cities(&db).await?;
    let largest = || City::name().array_agg().order_by(City::population().desc());
    let large = largest().filter(City::population().gt(1_000)).filter(City::name().ne("Rome"));
    let thousands = || City::population() / 1_000;
    let sizes = thousands().array_agg().distinct().order_by(thousands().desc());
    let by_country = City::query().group_by(City::country()).order_by(City::country().asc());
    let lists = by_country.clone().select((largest(), large, sizes, City::slug().array_agg()));
    let texts = |texts: &[&str]| Some(texts.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>());
    let expected = [
        (texts(&["Paris", "Lyon", "Nice"]), texts(&["Paris"]), Some(vec![2, 0]), None),
        (texts(&["Rome", "Milan", "100%"]), texts(&["Milan"]), Some(vec![2, 1, 0]), None),
    ];
    assert_eq!(lists.all(&db).await?, expected);
    let with_rome =
        by_country.having(largest().contains_all(vec!["Rome".to_owned()])).select(City::country());
    assert_eq!(with_rome.all(&db).await?, ["IT"]);
    let none = City::query().filter(value(false)).select(City::name().array_agg());
    assert_eq!(none.one(&db).await?, None);
    let by_other = City::name().array_agg().distinct().order_by(City::id().asc());
    let error = City::query().select(by_other).all(&db).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidQuery);
    let start = "`City.id`: distinct values are ordered by themselves only";
    assert!(error.message.starts_with(start), "{error}");

    let one = everything(7);
    Everything::insert(&db, &one).await?;
    let lists = Everything::query().select((
        Everything::mood().array_agg().distinct(),
        Everything::blob().array_agg(),
        Everything::decimal().array_agg(),
        Everything::json().array_agg(),
    ));
    let expected =
        (Some(vec![one.mood]), Some(vec![one.blob]), Some(vec![one.decimal]), Some(vec![one.json]));
    assert_eq!(lists.one(&db).await?, expected);
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
    let parts = paris.clone().select((
        City::name().left(2),
        City::name().right(2),
        City::name().substring(2, 3),
        City::name().substring_from(4),
        City::name().position("ri"),
        City::name().replace("a", City::country()),
        value("  a ").trim_start().concat("|"),
        value(" a  ").trim_end(),
        City::name().null_if("Paris"),
        City::slug().left(1),
    ));
    let (left, right, middle, rest, position, replaced, end, start, none, null) =
        parts.one(&db).await?;
    assert_eq!([left, right, middle, rest], ["Pa", "is", "ari", "is"]);
    assert_eq!((position, &*replaced, &*end, &*start), (3, "PFRris", "a |", " a"));
    assert_eq!((none, null), (None, None));
    let refused = paris.clone().select(City::name().left(0)).one(&db).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::ValueOutOfRange);
    let numbers = paris.clone().select((
        (City::population() - 3_000).abs(),
        -City::population(),
        (City::population().cast::<f64>() / 1_000.0).round(),
        City::population().cast::<Decimal>(),
    ));
    let decimal = Decimal::from(2_100);
    assert_eq!(numbers.one(&db).await?, (900, -2_100, 2.0, decimal));
    let thousands = || City::population().cast::<Decimal>() / Decimal::from(-1_000);
    let exact = paris.clone().select((
        thousands().round(),
        thousands().round_to(2),
        thousands().floor(),
        thousands().ceiling(),
        (City::population().cast::<f64>() / 1_000.0).floor(),
        (City::population().cast::<f64>() / 1_000.0).ceiling(),
    ));
    let [rounded, to_digits, below, above] =
        ["-2", "-2.10", "-3", "-2"].map(|it| it.parse().unwrap());
    assert_eq!(exact.one(&db).await?, (rounded, to_digits, below, above, 2.0, 3.0));

    assert_eq!(paris.clone().filter(City::capital().is_false()).count(&db).await?, 1);
    assert_eq!(paris.filter(City::capital().is_true()).count(&db).await?, 0);
    Ok(())
}

async fn dates_and_timestamps_are_moved(db: Session) -> Result<(), Error> {
    let date = Date::parse("2021-01-03").unwrap();
    Everything::insert(&db, &Everything { date, ..everything(1) }).await?;
    let (day, at) = (Everything::date, Everything::timestamptz);
    let month = Interval { months: 1, days: -1, micros: 1 };
    let moved = Everything::query().select((
        day() + 7,
        day() - day().days_between(Date::from_days(0)),
        (at() + month).interval_between(at()),
        (Everything::timestamp() - Interval::default()).eq(Everything::timestamp()),
        day().week(),
        day().iso_year(),
        day().truncate_week(),
        day().truncate_quarter(),
    ));
    let all = moved.one(&db).await?;
    let dates = ["2021-01-10", "1970-01-01", "2020-12-28", "2021-01-01"];
    let dates = dates.map(|it| Date::parse(it).unwrap());
    let between = Interval { months: 0, days: 30, micros: 1 };
    assert_eq!(all, (dates[0], dates[1], between, true, 53, 2020, dates[2], dates[3]));
    let later = Everything::date().set(Everything::date() + 1);
    assert_eq!(Everything::query().update(&db, [later]).await?, 1);
    assert_eq!(Everything::query().one(&db).await?.date, Date::parse("2021-01-04").unwrap());
    Ok(())
}

async fn dates_and_times_have_parts_and_distances(db: Session) -> Result<(), Error> {
    let date = Date::parse("2024-03-14").unwrap();
    Everything::insert(&db, &Everything { date, ..everything(1) }).await?;
    let all = Everything::query;
    let (day, at) = (Everything::date, Everything::timestamptz);
    let parts = all().select((
        day().year(),
        day().month(),
        day().day(),
        day().weekday(),
        day().day_of_year(),
        Everything::time().hour(),
        at().minute(),
        Everything::timestamp().second(),
    ));
    assert_eq!(parts.one(&db).await?, (2024, 3, 14, 4, 74, 23, 59, 59));
    let days = all().select((
        day().truncate_month(),
        day().truncate_year(),
        day().days_between(Date::parse("2024-03-01").unwrap()),
        day().days_between(at().cast::<Date>()),
        at().microseconds_between(Timestamptz::from_micros(0)),
    ));
    let [month, year] = ["2024-03-01", "2024-01-01"].map(|it| Date::parse(it).unwrap());
    assert_eq!(days.one(&db).await?, (month, year, 13, 19_797, -500_000));
    let moments = all().select((
        at().truncate_year(),
        at().truncate_month(),
        at().truncate_day(),
        at().truncate_hour(),
        at().truncate_minute(),
        at().truncate_second(),
    ));
    let seconds = |it: i64| Timestamptz::from_micros(-it * 1_000_000);
    let found = moments.one(&db).await?;
    let day = 86_400;
    let expected = [365 * day, 31 * day, day, 3_600, 60, 1].map(seconds);
    assert_eq!(<[Timestamptz; 6]>::from(found), expected);
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
