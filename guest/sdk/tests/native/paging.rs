//! Pages by key, window functions, sets of rows and locks.

use std::ops::Bound;

use ferro::prelude::*;
use ferro::values::Json;
use ferro::{
    Dialect, Error, ErrorKind, Page, Position, case, count, cume_dist, dense_rank, first_value,
    lag, lag_by, lag_or, last_value, lead, lead_by, lead_or, nth_value, ntile, partition_by,
    percent_rank, rank, row_number, subquery, value, window,
};

use crate::database::Database;
use crate::models::{City, Country};
use crate::{city, country, on_each_database, with_cities};

on_each_database! {
    ferro::schema![
        crate::models::Country, crate::models::City, super::Errand, super::Priority
    ] =>
    pages_by_key_have_every_row_once_with_nulls_and_ties,
    a_page_stays_where_it_is_when_rows_come_and_go,
    a_position_of_another_order_is_refused,
    rows_without_a_place_of_their_own_come_in_no_pages,
    a_page_refuses_windows_which_would_see_the_rest_only,
    what_has_no_order_of_its_own_is_refused_from_the_first_page_on,
    an_enum_that_is_stored_as_a_text_has_an_order,
    windows_number_rank_and_sum,
    a_frame_says_which_rows_are_taken,
    sets_of_rows_are_combined,
    the_first_row_of_each_is_chosen_in_the_order_of_the_query,
    a_locked_row_is_skipped_or_not_waited_for,
}

/// Countries whose populations tie and are null, under keys that do not go with them.
async fn with_ties(db: &Session) -> Result<(), Error> {
    let sizes = [Some(3), None, Some(1), Some(3), None, Some(2), Some(1), Some(3), None, Some(2)];
    let rows: Vec<_> =
        (0..).zip(sizes).map(|(n, size)| country(&format!("{n}"), "x", size)).collect();
    Country::bulk_create(db, &rows).await?;
    Ok(())
}

fn isos(page: &Page<Country>) -> String {
    page.rows.iter().map(|it| it.iso.as_str()).collect()
}

async fn pages_by_key_have_every_row_once_with_nulls_and_ties(db: Session) -> Result<(), Error> {
    with_ties(&db).await?;
    let population = Country::population;
    let orders = [
        Country::query().order_by(population().asc()),
        Country::query().order_by(population().desc()),
        Country::query().order_by(population().asc().nulls_first()),
        Country::query().order_by(population().desc().nulls_first()),
        Country::query().order_by(population().desc()).order_by(Country::iso().desc()),
        Country::query().order_by(population().coalesce(2).asc()),
        Country::query(),
    ];
    for query in orders {
        let all = query.clone().page(&db).await?;
        assert!(!all.more);
        for size in [1, 3, 4, 10, 11] {
            let query = query.clone().limit(size);
            let mut page = query.clone().page(&db).await?;
            let mut read = isos(&page);
            while page.more {
                let end: Position = page.end.unwrap().to_string().parse()?;
                page = query.clone().page_after(&db, &end).await?;
                read += &isos(&page);
            }
            assert_eq!(read, isos(&all), "forward by {size}: {query:?}");

            let beyond = query.clone().page_after(&db, all.end.as_ref().unwrap()).await?;
            assert_eq!(beyond, Page { rows: vec![], start: None, end: None, more: false });
            let last = all.rows.last().unwrap().iso.clone();
            let mut start = all.end.clone();
            let mut read = last;
            while let Some(from) = start {
                let page = query.clone().page_before(&db, &from).await?;
                read = isos(&page) + &read;
                start = page.start.filter(|_| page.more);
            }
            assert_eq!(read, isos(&all), "backward by {size}: {query:?}");
        }
    }
    Ok(())
}

async fn a_page_stays_where_it_is_when_rows_come_and_go(db: Session) -> Result<(), Error> {
    with_cities(&db).await?;
    let query =
        City::query().filter(City::population().gt(100)).order_by(City::population().desc());
    let query = query.limit(2);
    let page = query.clone().page(&db).await?;
    let names = |page: &Page<City>| {
        page.rows.iter().map(|it| it.name.clone()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(&page), "Rome Paris");
    City::create(&db, city("Naples", "IT", 2_200)).await?;
    page.rows[1].clone().delete(&db).await?;
    let next = query.page_after(&db, &page.end.unwrap()).await?;
    assert_eq!((names(&next).as_str(), next.more), ("Milan Lyon", true));
    Ok(())
}

async fn a_position_of_another_order_is_refused(db: Session) -> Result<(), Error> {
    with_cities(&db).await?;
    let by_id = City::query().limit(1).page(&db).await?.end.unwrap();
    let by_name = || City::query().order_by(City::name().asc()).limit(1);
    let fewer = by_name().page_after(&db, &by_id).await.unwrap_err();
    assert_eq!(fewer.kind, ErrorKind::InvalidQuery);
    assert!(fewer.message.contains("for the order `id`, but the query has the order `name,id`"));
    let position = by_name().page(&db).await?.end.unwrap();
    for order in [
        City::population().asc(),
        City::country().asc(),
        City::name().desc(),
        City::name().asc().nulls_first(),
        City::name().lower().asc(),
    ] {
        let other = City::query().order_by(order).page_after(&db, &position).await.unwrap_err();
        assert_eq!(other.kind, ErrorKind::InvalidQuery, "{other}");
    }
    assert!(by_name().page_before(&db, &position).await.is_ok());
    Ok(())
}

async fn rows_without_a_place_of_their_own_come_in_no_pages(db: Session) -> Result<(), Error> {
    with_cities(&db).await?;
    let by_size = || City::query().order_by(City::population().desc()).limit(1);
    let end = by_size().page(&db).await?.end.unwrap();
    let many = count().gt(1);
    let queries = [
        (by_size().group_by(City::country()), "`group_by`"),
        (by_size().group_by(City::country()).having(many), "`group_by`, `having`"),
        (by_size().distinct(), "`distinct`"),
        (by_size().distinct_on(City::country()), "`distinct_on`"),
        (by_size().offset(1), "`offset`"),
        (by_size().union(City::query()), "`union`"),
        (by_size().union_all(City::query()).union_all(City::query()), "`union_all`"),
        (by_size().intersect(City::query()), "`intersect`"),
        (by_size().except(City::query()).offset(1), "`except`, `offset`"),
    ];
    for (query, parts) in queries {
        let expected = format!("`page` has whole rows, and begins at a row: leave out {parts}");
        for refused in refusals(&db, query, &end).await {
            assert_eq!((refused.kind, &refused.message), (ErrorKind::InvalidQuery, &expected));
        }
    }
    Ok(())
}

async fn a_page_refuses_windows_which_would_see_the_rest_only(db: Session) -> Result<(), Error> {
    with_cities(&db).await?;
    let end = City::query().limit(1).page(&db).await?.end.unwrap();
    let place = || row_number::<City>().over(window().order_by(City::population().asc()));
    let orders = [
        place().desc(),
        (place() + 1).asc(),
        case(City::population().gt(1), place()).otherwise(0).asc(),
        case(place().between(1, 2), 1).otherwise(0).asc(),
        place().in_([1, 2]).asc(),
        place().coalesce(0).asc(),
        place().cast::<f64>().asc(),
        (!(place().gt(1) & City::id().gt(0))).asc(),
    ];
    for order in orders {
        for refused in refusals(&db, City::query().order_by(order), &end).await {
            assert_eq!(refused.kind, ErrorKind::InvalidQuery);
            let expected = "a window function depends on all rows: leave it out of `order_by`";
            assert!(refused.message.contains(expected), "{refused}");
        }
    }
    // Those of other rows are the same on each page.
    let smallest = City::query().select(place()).order_by(City::population().asc()).limit(1);
    let query = City::query().order_by(subquery::<City, _, _>(smallest).asc()).limit(1);
    let page = query.clone().page(&db).await?;
    assert_eq!(query.page_after(&db, &page.end.unwrap()).await?.rows.len(), 1);
    Ok(())
}

#[derive(ferro::Enum, Debug, Clone, Copy, PartialEq)]
enum Urgency {
    Low,
    High,
}

#[derive(Model, Debug, Clone, PartialEq)]
struct Errand {
    #[ferro(key)]
    id: i64,
    urgency: Urgency,
    least: Option<Urgency>,
    #[ferro(sql_type = "text")]
    label: Urgency,
    tags: Vec<String>,
    note: Json,
}

#[derive(Model, Debug, Clone, PartialEq)]
struct Priority {
    #[ferro(key)]
    urgency: Urgency,
    days: i64,
}

async fn with_errands(db: &Session) -> Result<(), Error> {
    let labels = [Urgency::Low, Urgency::High, Urgency::Low];
    let errands = (1..).zip(labels).map(|(id, label)| Errand {
        id,
        urgency: Urgency::High,
        least: None,
        label,
        tags: vec![],
        note: Json::new("1"),
    });
    Errand::bulk_create(db, &errands.collect::<Vec<_>>()).await?;
    Ok(())
}

async fn what_has_no_order_of_its_own_is_refused_from_the_first_page_on(
    db: Session,
) -> Result<(), Error> {
    with_errands(&db).await?;
    let end = Errand::query().limit(1).page(&db).await?.end.unwrap();
    let least = || Errand::least().coalesce(Errand::urgency());
    for (order, named) in [
        (Errand::urgency().asc(), "`Errand.urgency` is an enum"),
        (Errand::least().desc(), "`Errand.least` is an enum"),
        (least().asc(), "a computed value is an enum"),
        (Errand::tags().asc(), "`Errand.tags` is a list"),
        (Errand::note().desc(), "`Errand.note` is a document"),
    ] {
        let query = Errand::query().order_by(order).limit(1);
        let expected = format!(
            "{named}, and a page cannot begin after one in this order: order by other fields, or \
             use `limit` and `offset`"
        );
        for refused in refusals(&db, query, &end).await {
            assert_eq!((refused.kind, &refused.message), (ErrorKind::Unsupported, &expected));
        }
    }
    // The key is the end of every order.
    for query in [Priority::query(), Priority::query().order_by(Priority::days().asc())] {
        let refused = query.limit(1).page(&db).await.unwrap_err();
        assert!(refused.message.starts_with("`Priority.urgency` is an enum, and"), "{refused}");
    }
    Ok(())
}

async fn an_enum_that_is_stored_as_a_text_has_an_order(db: Session) -> Result<(), Error> {
    with_errands(&db).await?;
    let text = Errand::label().coalesce(Urgency::Low);
    for (order, expected) in [(Errand::label().desc(), [1, 3, 2]), (text.asc(), [2, 1, 3])] {
        let query = Errand::query().order_by(order).limit(1);
        let mut page = query.clone().page(&db).await?;
        let mut read = vec![page.rows[0].id];
        while page.more {
            page = query.clone().page_after(&db, &page.end.unwrap()).await?;
            read.push(page.rows[0].id);
        }
        assert_eq!(read, expected);
    }
    Ok(())
}

/// What each way to read a page says of a query.
async fn refusals<M: Model + std::fmt::Debug>(
    db: &Session,
    query: ferro::Query<M>,
    from: &Position,
) -> [Error; 3] {
    [
        query.clone().page(db).await.unwrap_err(),
        query.clone().page_after(db, from).await.unwrap_err(),
        query.page_before(db, from).await.unwrap_err(),
    ]
}

async fn windows_number_rank_and_sum(db: Session) -> Result<(), Error> {
    with_cities(&db).await?;
    let largest = || partition_by(City::country()).order_by(City::population().desc());
    let rows: Vec<_> = City::query()
        .select((
            City::name(),
            row_number().over(largest()),
            City::population().sum().over(largest()),
            lag(City::name()).over(largest()),
            lead(City::name()).over(largest()),
            first_value(City::name()).over(largest()),
            last_value(City::name()).over(largest()),
        ))
        .filter(City::country().eq("FR"))
        .order_by(City::population().desc())
        .all(&db)
        .await?;
    let text = |it: &str| it.to_owned();
    let expected = [
        (text("Paris"), 1, Some(2_100), None, Some(text("Lyon")), text("Paris"), text("Nice")),
        (
            text("Lyon"),
            2,
            Some(2_620),
            Some(text("Paris")),
            Some(text("Nice")),
            text("Paris"),
            text("Nice"),
        ),
        (text("Nice"), 3, Some(2_970), Some(text("Lyon")), None, text("Paris"), text("Nice")),
    ];
    assert_eq!(rows, expected);

    let by_name = || window().order_by(City::name().asc());
    let far = City::query()
        .select((
            lag_by(City::name(), 2).over(by_name()),
            lag_or(City::population(), 2, 0).over(by_name()),
            lead_by(City::slug(), 1).over(by_name()),
            lead_or(City::slug(), 1, "none").over(by_name()),
            lead_or(City::name(), 3, City::name()).over(by_name()),
        ))
        .filter(City::country().eq("FR"))
        .order_by(City::name().asc());
    let expected = [
        (None, 0, None, None, text("Lyon")),
        (None, 0, None, None, text("Nice")),
        (Some(text("Lyon")), 520, None, Some(text("none")), text("Paris")),
    ];
    assert_eq!(far.all(&db).await?, expected);

    let largest_of_all = || window().order_by(City::population().desc());
    let places = City::query()
        .select((
            ntile(4).over(largest_of_all()),
            percent_rank().over(largest_of_all()),
            cume_dist().over(largest_of_all()),
            nth_value(City::name(), 2)
                .over(partition_by(City::country()).order_by(City::id().asc())),
            nth_value(City::name(), 7).over(largest_of_all()),
        ))
        .order_by(City::population().desc())
        .limit(2);
    let expected = [
        (1, 0.0, 1.0 / 6.0, Some(text("Milan")), None),
        (1, 0.2, 2.0 / 6.0, Some(text("Lyon")), None),
    ];
    assert_eq!(places.all(&db).await?, expected);

    let by_country = || window().order_by(City::country().asc());
    let ranks = City::query()
        .select((rank().over(by_country()), dense_rank().over(by_country())))
        .order_by(City::id().asc());
    let expected = [(1, 1), (1, 1), (1, 1), (4, 2), (4, 2), (4, 2)];
    assert_eq!(ranks.all(&db).await?, expected);
    Ok(())
}

async fn a_frame_says_which_rows_are_taken(db: Session) -> Result<(), Error> {
    with_cities(&db).await?;
    let largest = || window().order_by(City::population().desc());
    let by_country = || window().order_by(City::country().asc());
    let moving = City::query()
        .select((
            City::population().sum().over(largest().rows(-1..=0)),
            City::population().max().over(largest().rows(1..3)),
            count().over(largest().rows(..0)),
            count().over(by_country().groups(..=0)),
            City::population().min().over(by_country().groups(1..)),
            nth_value(City::name(), 2).over(largest().rows(-1..=1)),
            last_value(City::name()).over(largest().rows(0..=1)),
        ))
        .filter(City::population().gt(500))
        .order_by(City::population().desc());
    let text = |it: &str| it.to_owned();
    let expected = [
        (Some(2_800), Some(2_100), 0, 4, None, Some(text("Paris")), text("Paris")),
        (Some(4_900), Some(1_370), 1, 2, Some(1_370), Some(text("Paris")), text("Milan")),
        (Some(3_470), Some(520), 2, 4, None, Some(text("Milan")), text("Lyon")),
        (Some(1_890), None, 3, 2, Some(1_370), Some(text("Lyon")), text("Lyon")),
    ];
    assert_eq!(moving.all(&db).await?, expected);

    let before = || by_country().rows(..=-1);
    let name = case(value(true), City::name()).or_null();
    let last = City::query()
        .select((last_value(name).over(before()), last_value(City::slug()).over(before())))
        .order_by(City::country().asc())
        .limit(2);
    assert_eq!(last.all(&db).await?, [(None, None), (Some(text("Paris")), None)]);
    let alone = City::query().select(last_value(City::name()).over(before()));
    let error = alone.all(&db).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidQuery);
    assert!(error.message.starts_with("`last-value` is null where its frame has no rows"));

    for (window, message) in [
        (
            by_country().rows((Bound::Included(1), Bound::Included(0))),
            "the frame starts at 1, which is after its end, 0",
        ),
        (by_country().rows(..i64::MIN), "the bounds of a frame are from"),
        (window().groups(..), "a frame of groups needs an order"),
    ] {
        let refused = City::query().select(count().over(window));
        let error = refused.all(&db).await.unwrap_err();
        assert!(error.message.contains(message), "{error}");
    }
    let ranks = City::query().select(rank().over(by_country().rows(..)));
    let error = ranks.all(&db).await.unwrap_err();
    assert!(error.message.contains("`rank` takes no frame"), "{error}");
    Ok(())
}

async fn sets_of_rows_are_combined(db: Session) -> Result<(), Error> {
    with_cities(&db).await?;
    let large = || City::query().filter(City::population().gt(1_000)).select(City::country());
    let france = || Country::query().filter(Country::iso().eq("FR")).select(Country::iso());
    let sorted = async |query: ferro::Query<City, ferro::Selected<String>>| {
        let mut rows = query.all(&db).await?;
        rows.sort();
        Ok::<_, Error>(rows.join(" "))
    };
    assert_eq!(sorted(large()).await?, "FR IT IT");
    assert_eq!(sorted(large().union(france())).await?, "FR IT");
    assert_eq!(sorted(large().union_all(france())).await?, "FR FR IT IT");
    assert_eq!(sorted(large().intersect(france())).await?, "FR");
    assert_eq!(sorted(large().except(france())).await?, "IT");
    assert_eq!(large().union_all(france()).count(&db).await?, 4);
    Ok(())
}

async fn the_first_row_of_each_is_chosen_in_the_order_of_the_query(
    db: Session,
) -> Result<(), Error> {
    with_cities(&db).await?;
    let largest = City::query().distinct_on(City::country()).order_by(City::population().desc());
    assert_eq!(largest.clone().select(City::name()).all(&db).await?, ["Rome", "Paris"]);
    assert_eq!(largest.count(&db).await?, 2);
    Ok(())
}

async fn a_locked_row_is_skipped_or_not_waited_for(database: Database) -> Result<(), Error> {
    let (db, second) = (database.session()?, database.session()?);
    with_cities(&db).await?;
    let first = || City::query().order_by(City::id().asc()).limit(1);
    let tx = db.begin().await?;
    assert_eq!(first().for_update().one(&tx).await?.name, "Paris");
    if db.dialect() == Dialect::Sqlite {
        return tx.commit().await;
    }
    let other = second.begin().await?;
    assert_eq!(first().skip_locked().one(&other).await?.name, "Lyon");
    assert_eq!(first().no_wait().one(&other).await.unwrap_err().kind, ErrorKind::Busy);
    other.rollback().await?;
    tx.commit().await?;
    let tx = second.begin().await?;
    assert_eq!(first().for_share().no_wait().one(&tx).await?.name, "Paris");
    tx.commit().await?;
    Ok(())
}
