//! What the query builder sends.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod models;

use ferro::prelude::*;
use ferro::{Error, ErrorKind, Request, exists, partition_by, window};
use models::{City, Country};

/// The nodes, the statement and the values, as JSON: one line each.
fn show(request: Request) -> String {
    fn json(value: &impl serde::Serialize) -> String {
        serde_json::to_string(value).unwrap()
    }
    let Request { query, parameters } = request;
    let nodes = query.nodes.iter().enumerate().map(|(index, it)| format!("{index} {}", json(it)));
    let selects = query.selects.iter().map(|it| {
        let order: Vec<_> = it
            .order_by
            .iter()
            .map(|it| {
                format!("{}{}{:?}", it.expression, if it.descending { "↓" } else { "↑" }, it.nulls)
            })
            .collect();
        let (filter, limit, offset) = (it.filter, it.limit, it.offset);
        format!(
            "select {} filter {filter:?} order {order:?} limit {limit:?} offset {offset:?}",
            it.model
        )
    });
    let statement = json(&query.statement);
    let values = parameters.iter().map(|it| format!("value {}", json(it)));
    nodes.chain(selects).chain([statement]).chain(values).collect::<Vec<_>>().join("\n")
}

#[test]
fn values_become_parameters_in_the_order_in_which_they_are_written() -> Result<(), Error> {
    let query = City::query()
        .filter(City::population().gt(1_000_000) & City::name().ne("Paris"))
        .filter(City::slug().eq("x") | !City::capital())
        .order_by(City::population().desc())
        .order_by(City::name().asc().nulls_first())
        .limit(20)
        .offset(40);
    insta::assert_snapshot!(show(query.into_select()?));
    Ok(())
}

#[test]
fn an_expression_that_is_too_deep_is_an_error_and_no_overflow() {
    let deep = |nodes| {
        // A comparison is two nodes deep.
        let condition = (2..nodes).fold(City::id().gt(0), |condition, _| !condition);
        City::query().filter(condition).into_select()
    };
    assert_eq!(deep(64).map(|it| it.query.nodes.len()), Ok(65));
    for nodes in [65, 3_000] {
        let error = deep(nodes).unwrap_err();
        assert_eq!(error.kind, ErrorKind::LimitExceeded);
        assert_eq!(error.message, "an expression is more than 64 nodes deep");
    }
    let related = Country::cities().any(City::capital());
    let filtered = (0..40).fold(related, |condition, _| {
        exists(Country::query().filter(condition)) & Country::iso().eq("FR")
    });
    let error = Country::query().filter(filtered).into_select().unwrap_err();
    assert_eq!(error.kind, ErrorKind::LimitExceeded);
}

#[test]
fn a_window_refuses_what_it_would_leave_out() {
    let french = City::country().eq("FR");
    for people in [
        City::population().sum().filter(french).over(window()),
        City::population().sum().distinct().over(partition_by(City::country())),
    ] {
        for query in [
            City::query().select(people.clone()).into_select(),
            City::query().order_by(people.desc()).into_select(),
        ] {
            let error = query.unwrap_err();
            assert_eq!(error.kind, ErrorKind::Unsupported);
            assert!(error.message.contains("does not support `distinct` or `filter`"), "{error}");
        }
    }
}

#[test]
fn null_is_never_compared_with() -> Result<(), Error> {
    let filter = City::slug().eq(None) | City::slug().ne(None::<String>);
    insta::assert_snapshot!(show(City::query().filter(filter).into_select()?));
    Ok(())
}

#[test]
fn a_list_is_one_parameter_and_a_none_in_it_is_a_test_for_null() -> Result<(), Error> {
    let filter = City::slug().in_([Some("a".to_owned()), None])
        & City::slug().not_in([Some("b".to_owned()), None])
        & City::id().in_(Vec::<i64>::new())
        & City::name().not_in(["c", "d"]);
    insta::assert_snapshot!(show(City::query().filter(filter).into_select()?));
    Ok(())
}

#[test]
fn texts_ranges_and_arithmetic_are_operators() -> Result<(), Error> {
    let filter = City::name().like("a%")
        & City::name().ilike("a%")
        & City::name().contains("a")
        & City::name().starts_with("a")
        & City::slug().ends_with("a")
        & City::population().between(1, City::id() * 2)
        & (City::population() % 2 - City::id() / 3).le(City::population() + 1)
        & City::slug().is_distinct_from("x");
    insta::assert_snapshot!(show(City::query().filter(filter).into_select()?));
    Ok(())
}

#[test]
fn an_update_says_which_rows_and_what_with() -> Result<(), Error> {
    let update = City::query().filter(City::country().eq("FR")).limit(1).into_update(vec![
        City::population().set(City::population() + 1),
        City::slug().set("x"),
        City::slug().set(None),
        City::slug().set(City::name()),
    ]);
    insta::assert_snapshot!(show(update?));
    Ok(())
}

#[test]
fn a_delete_says_which_rows() -> Result<(), Error> {
    let delete = Country::query().filter(Country::population().lt(0)).into_delete();
    insta::assert_snapshot!(show(delete?));
    Ok(())
}

#[test]
fn a_chain_of_a_thousand_conditions_is_flat() -> Result<(), Error> {
    let chain = (0..1000).fold(City::id().eq(-1), |all, id| all | City::id().eq(id));
    let request = City::query().filter(chain).into_select()?;
    // Field, parameter and comparison of each, and one `any of`.
    assert_eq!(request.query.nodes.len(), 3 * 1001 + 1);
    Ok(())
}

#[test]
fn a_query_is_a_value_that_does_not_change() -> Result<(), Error> {
    let all = City::query();
    let some = all.clone().filter(City::capital()).limit(u64::MAX);
    assert_eq!(all.into_select()?.parameters, []);
    assert_eq!(some.into_select()?.parameters, [i64::MAX.into()]);
    Ok(())
}

#[test]
fn a_shape_is_the_same_whatever_the_values() -> Result<(), Error> {
    let shape = |ids: Vec<i64>, name: &str| {
        let query = City::query().filter(City::id().in_(ids) & City::name().eq(name)).limit(7);
        query.into_select().map(|it| it.query)
    };
    assert_eq!(shape(vec![], "a")?, shape(vec![1, 2, 3], "b")?);
    Ok(())
}
