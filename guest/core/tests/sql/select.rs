//! Selects, counts and exists.

use ferro_wit::query::{
    Aggregate, AggregateFunction, BinaryOperator, Distinct, Node, NullsOrder, OrderTerm, Query,
    Select, Statement,
};
use ferro_wit::types::{ColumnInfo, Dialect, ScalarType};

use crate::fixture::*;

#[test]
fn a_model_is_all_of_its_fields_in_order() {
    insta::assert_snapshot!(plan(&Nodes::default().select(all("User"))), @r##"
sqlite: SELECT "t0"."id", "t0"."email", "t0"."name", "t0"."age", "t0"."score", "t0"."balance", "t0"."mood", "t0"."tags", "t0"."profile", "t0"."token", "t0"."avatar", "t0"."born", "t0"."created", "t0"."active", "t0"."break", "t0"."tenant_id" FROM "user" AS "t0"
postgres: SELECT "t0"."id", "t0"."email", "t0"."name", "t0"."age", "t0"."score", "t0"."balance", CAST("t0"."mood" AS text), "t0"."tags", "t0"."profile", "t0"."token", "t0"."avatar", "t0"."born", "t0"."created", "t0"."active", "t0"."break", "t0"."tenant_id" FROM "user" AS "t0"
"##);
    let plan = catalog()
        .compile(&Nodes::default().select(all("Membership")), Dialect::Sqlite, None)
        .unwrap();
    let column = |name: &str, kind, nullable| ColumnInfo {
        path: vec![name.into()],
        kind,
        many: false,
        nullable,
    };
    assert_eq!(
        plan.steps[0].columns,
        [
            column("user_id", ScalarType::Integer, false),
            column("team", ScalarType::Text, false),
            column("note", ScalarType::Text, true),
        ]
    );
}

#[test]
fn a_filter_binds_its_parameters_in_the_order_of_their_use() {
    let mut nodes = Nodes::default();
    let name = nodes.test("name", BinaryOperator::Equal, 1, ScalarType::Text);
    let age = nodes.test("age", BinaryOperator::GreaterOrEqual, 0, ScalarType::Integer);
    let email = nodes.test("email", BinaryOperator::NotEqual, 1, ScalarType::Text);
    let filter = nodes.add(ferro_wit::query::Node::AllOf(vec![name, age, email]));
    let query = nodes.select(Select { filter: Some(filter), ..ids() });
    insta::assert_snapshot!(plan(&query), @r##"
sqlite: SELECT "t0"."id" FROM "user" AS "t0" WHERE "t0"."name" = ?1 AND "t0"."age" >= ?2 AND "t0"."email" <> ?1
  parameter 1 Text, parameter 0 Integer
postgres: SELECT "t0"."id" FROM "user" AS "t0" WHERE "t0"."name" = $1 AND "t0"."age" >= $2 AND "t0"."email" <> $1
  parameter 1 Text, parameter 0 Integer
"##);
}

#[test]
fn nulls_come_last_unless_asked_for_first() {
    let mut nodes = Nodes::default();
    let (age, id, score) = (nodes.field("age"), nodes.field("id"), nodes.field("score"));
    let first = |it: OrderTerm| OrderTerm { nulls: NullsOrder::First, ..it };
    let order_by = vec![
        ascending(age),
        descending(age),
        first(ascending(score)),
        first(descending(score)),
        descending(id),
    ];
    insta::assert_snapshot!(plan(&nodes.select(Select { order_by, ..ids() })), @r##"
sqlite: SELECT "t0"."id" FROM "user" AS "t0" ORDER BY "t0"."age" NULLS LAST, "t0"."age" DESC, "t0"."score", "t0"."score" DESC NULLS FIRST, "t0"."id" DESC
postgres: SELECT "t0"."id" FROM "user" AS "t0" ORDER BY "t0"."age", "t0"."age" DESC NULLS LAST, "t0"."score" NULLS FIRST, "t0"."score" DESC, "t0"."id" DESC
"##);
}

#[test]
fn enums_and_decimals_are_ordered_alike_on_both_databases() {
    let mut nodes = Nodes::default();
    let (mood, balance) = (nodes.field("mood"), nodes.field("balance"));
    let order_by = vec![ascending(mood), descending(balance)];
    insta::assert_snapshot!(plan(&nodes.select(Select { order_by, ..ids() })), @r##"
sqlite: SELECT "t0"."id" FROM "user" AS "t0" ORDER BY CASE "t0"."mood" WHEN 'sad' THEN 0 WHEN 'so-so' THEN 1 WHEN 'glad' THEN 2 END NULLS LAST, "t0"."balance" DESC, "t0"."id"
postgres: SELECT "t0"."id" FROM "user" AS "t0" ORDER BY "t0"."mood", "t0"."balance" DESC, "t0"."id"
"##);
}

fn page(limit: bool, offset: bool) -> Query {
    let mut nodes = Nodes::default();
    let zero = nodes.integer(0);
    let parameter = nodes.parameter(0, ScalarType::Integer);
    let select =
        Select { limit: limit.then_some(zero), offset: offset.then_some(parameter), ..ids() };
    nodes.select(select)
}

#[test]
fn a_limit_of_zero_and_an_offset_alone_are_valid() {
    insta::assert_snapshot!(plan(&page(true, true)), @r##"
sqlite: SELECT "t0"."id" FROM "user" AS "t0" ORDER BY "t0"."id" LIMIT 0 OFFSET ?1
  parameter 0 Integer
postgres: SELECT "t0"."id" FROM "user" AS "t0" ORDER BY "t0"."id" LIMIT 0 OFFSET $1
  parameter 0 Integer
"##);
    insta::assert_snapshot!(plan(&page(false, true)), @r##"
sqlite: SELECT "t0"."id" FROM "user" AS "t0" ORDER BY "t0"."id" LIMIT -1 OFFSET ?1
  parameter 0 Integer
postgres: SELECT "t0"."id" FROM "user" AS "t0" ORDER BY "t0"."id" OFFSET $1
  parameter 0 Integer
"##);
    insta::assert_snapshot!(plan(&page(true, false)), @r##"
sqlite: SELECT "t0"."id" FROM "user" AS "t0" ORDER BY "t0"."id" LIMIT 0
postgres: SELECT "t0"."id" FROM "user" AS "t0" ORDER BY "t0"."id" LIMIT 0
"##);
}

#[test]
fn a_limit_is_a_whole_number_that_is_not_negative() {
    let mut nodes = Nodes::default();
    let limit = nodes.integer(-1);
    let fault = error(&nodes.select(Select { limit: Some(limit), ..ids() }));
    insta::assert_snapshot!(line(&fault), @"value-out-of-range: a limit or an offset is not negative");
    let mut nodes = Nodes::default();
    let limit = nodes.field("age");
    let fault = error(&nodes.select(Select { limit: Some(limit), ..ids() }));
    insta::assert_snapshot!(line(&fault), @"type-mismatch: `User.age`: a limit or an offset is a whole number or a parameter of type integer");
    let mut nodes = Nodes::default();
    let limit = nodes.parameter(0, ScalarType::Text);
    let fault = error(&nodes.select(Select { limit: Some(limit), ..ids() }));
    insta::assert_snapshot!(line(&fault), @"type-mismatch: a limit or an offset is a whole number or a parameter of type integer");
}

#[test]
fn count_and_exists_describe_what_the_select_would_return() {
    let filtered = |limit: bool, statement: Statement| {
        let mut nodes = Nodes::default();
        let filter = nodes.test("age", BinaryOperator::Less, 0, ScalarType::Integer);
        let order = nodes.field("name");
        let ten = nodes.integer(10);
        let select = Select {
            filter: Some(filter),
            order_by: vec![ascending(order)],
            limit: limit.then_some(ten),
            offset: limit.then_some(ten),
            ..all("User")
        };
        plan(&nodes.query(vec![select], statement))
    };
    insta::assert_snapshot!(filtered(false, Statement::Count(0)), @r##"
sqlite: SELECT count(*) FROM "user" AS "t0" WHERE "t0"."age" < ?1
  parameter 0 Integer
postgres: SELECT count(*) FROM "user" AS "t0" WHERE "t0"."age" < $1
  parameter 0 Integer
"##);
    insta::assert_snapshot!(filtered(true, Statement::Count(0)), @r##"
sqlite: SELECT count(*) FROM (SELECT 1 FROM "user" AS "t0" WHERE "t0"."age" < ?1 LIMIT 10 OFFSET 10) AS "rows"
  parameter 0 Integer
postgres: SELECT count(*) FROM (SELECT 1 FROM "user" AS "t0" WHERE "t0"."age" < $1 LIMIT 10 OFFSET 10) AS "rows"
  parameter 0 Integer
"##);
    insta::assert_snapshot!(filtered(false, Statement::Exists(0)), @r##"
sqlite: SELECT EXISTS (SELECT 1 FROM "user" AS "t0" WHERE "t0"."age" < ?1)
  parameter 0 Integer
postgres: SELECT EXISTS (SELECT 1 FROM "user" AS "t0" WHERE "t0"."age" < $1)
  parameter 0 Integer
"##);
    insta::assert_snapshot!(filtered(true, Statement::Exists(0)), @r##"
sqlite: SELECT EXISTS (SELECT 1 FROM "user" AS "t0" WHERE "t0"."age" < ?1 LIMIT 10 OFFSET 10)
  parameter 0 Integer
postgres: SELECT EXISTS (SELECT 1 FROM "user" AS "t0" WHERE "t0"."age" < $1 LIMIT 10 OFFSET 10)
  parameter 0 Integer
"##);
}

#[test]
fn a_count_of_distinct_rows_counts_them_once() {
    let select =
        Select { projection: fields(&["name", "mood"]), distinct: Distinct::Rows, ..all("User") };
    let query = Nodes::default().query(vec![select], Statement::Count(0));
    insta::assert_snapshot!(plan(&query), @r##"
sqlite: SELECT count(*) FROM (SELECT DISTINCT "t0"."name", "t0"."mood" FROM "user" AS "t0") AS "rows"
postgres: SELECT count(*) FROM (SELECT DISTINCT "t0"."name", CAST("t0"."mood" AS text) FROM "user" AS "t0") AS "rows"
"##);
}

#[test]
fn a_count_keeps_what_takes_parameters() {
    let mut nodes = Nodes::default();
    let sum = nodes.test("age", BinaryOperator::Add, 0, ScalarType::Integer);
    let order = nodes.test("age", BinaryOperator::Multiply, 1, ScalarType::Integer);
    let select =
        Select { projection: outputs(&[sum]), order_by: vec![ascending(order)], ..all("User") };
    insta::assert_snapshot!(plan(&nodes.query(vec![select], Statement::Count(0))), @r##"
sqlite: SELECT count(*) FROM (SELECT "t0"."age" + ?1 FROM "user" AS "t0" ORDER BY "t0"."age" * ?2 NULLS LAST, "t0"."id") AS "rows"
  parameter 0 Integer, parameter 1 Integer
postgres: SELECT count(*) FROM (SELECT CAST("t0"."age" AS bigint) + $1 FROM "user" AS "t0" ORDER BY CAST("t0"."age" AS bigint) * $2, "t0"."id") AS "rows"
  parameter 0 Integer, parameter 1 Integer
"##);
}

#[test]
fn distinct_rows_are_ordered_by_what_they_list_only() {
    let distinct = |names: &[&str]| {
        let mut nodes = Nodes::default();
        let name = nodes.field("name");
        nodes.select(Select {
            projection: fields(names),
            distinct: Distinct::Rows,
            order_by: vec![ascending(name)],
            ..all("User")
        })
    };
    insta::assert_snapshot!(plan(&distinct(&["name", "age"])), @r##"
sqlite: SELECT DISTINCT "t0"."name", "t0"."age" FROM "user" AS "t0" ORDER BY "t0"."name"
postgres: SELECT DISTINCT "t0"."name", "t0"."age" FROM "user" AS "t0" ORDER BY "t0"."name"
"##);
    insta::assert_snapshot!(line(&error(&distinct(&["age"]))), @"invalid-query: `User.name`: distinct and combined rows are ordered by what they list only");
}

#[test]
fn groups_are_counted_and_asked() {
    use AggregateFunction as A;
    let mut nodes = Nodes::default();
    let (mood, star, age) = (nodes.field("mood"), nodes.star(), nodes.field("age"));
    let count = nodes.aggregate(A::Count, star);
    let sum = nodes.aggregate(A::Sum, age);
    let average = nodes.aggregate(A::Average, age);
    let least = nodes.integer(2);
    let having = nodes.binary(count, BinaryOperator::Greater, least);
    let select = Select {
        projection: outputs(&[mood, count, sum, average]),
        group_by: vec![mood],
        having: Some(having),
        order_by: vec![descending(count)],
        ..all("User")
    };
    insta::assert_snapshot!(plan(&nodes.select(select)), @r##"
sqlite: SELECT "t0"."mood", count(*), sum("t0"."age"), avg("t0"."age") FROM "user" AS "t0" GROUP BY "t0"."mood" HAVING count(*) > 2 ORDER BY count(*) DESC
postgres: SELECT CAST("t0"."mood" AS text), count(*), CAST(sum("t0"."age") AS bigint), CAST(avg("t0"."age") AS double precision) FROM "user" AS "t0" GROUP BY "t0"."mood" HAVING count(*) > 2 ORDER BY count(*) DESC
"##);
}

#[test]
fn aggregates_of_every_kind_have_the_same_types_on_both_databases() {
    use AggregateFunction as A;
    let mut nodes = Nodes::default();
    let (name, score, balance) =
        (nodes.field("name"), nodes.field("score"), nodes.field("balance"));
    let adult = nodes.test("age", BinaryOperator::Greater, 0, ScalarType::Integer);
    let distinct = nodes.add(Node::Aggregate(Aggregate {
        distinct: true,
        filter: Some(adult),
        ..Aggregate::new(A::Count, name)
    }));
    let listed = [
        distinct,
        nodes.aggregate(A::Minimum, name),
        nodes.aggregate(A::Maximum, balance),
        nodes.aggregate(A::Average, score),
    ];
    let query = nodes.select(Select { projection: outputs(&listed), ..all("User") });
    insta::assert_snapshot!(plan(&query), @r##"
sqlite: SELECT count(DISTINCT "t0"."name") FILTER (WHERE "t0"."age" > ?1), min("t0"."name"), max("t0"."balance"), avg("t0"."score") FROM "user" AS "t0"
  parameter 0 Integer
postgres: SELECT count(DISTINCT "t0"."name") FILTER (WHERE "t0"."age" > $1), min("t0"."name"), max("t0"."balance"), avg("t0"."score") FROM "user" AS "t0"
  parameter 0 Integer
"##);
    let plan = catalog().compile(&query, Dialect::Postgres, None).unwrap();
    let kinds: Vec<_> = plan.steps[0].columns.iter().map(|it| (it.kind, it.nullable)).collect();
    use ScalarType as S;
    assert_eq!(kinds, [(S::Integer, false), (S::Text, true), (S::Decimal, true), (S::Float, true)]);
}

#[test]
fn sums_of_decimals_are_exact() {
    let mut nodes = Nodes::default();
    let balance = nodes.field("balance");
    let sum = nodes.aggregate(AggregateFunction::Sum, balance);
    let query = nodes.select(Select { projection: outputs(&[sum]), ..all("User") });
    insta::assert_snapshot!(plan(&query), @r##"
sqlite: SELECT ferro_sum("t0"."balance") FROM "user" AS "t0"
postgres: SELECT sum("t0"."balance") FROM "user" AS "t0"
"##);
}

#[test]
fn texts_are_joined_in_an_order_that_leaves_nothing_open() {
    use AggregateFunction as A;
    let mut nodes = Nodes::default();
    let (name, age, mood) = (nodes.field("name"), nodes.field("age"), nodes.field("mood"));
    let comma = nodes.parameter(0, ScalarType::Text);
    let adult = nodes.test("age", BinaryOperator::Greater, 1, ScalarType::Integer);
    let joined =
        |argument| Aggregate { separator: Some(comma), ..Aggregate::new(A::StringAgg, argument) };
    let listed = [
        nodes.add(Node::Aggregate(joined(name))),
        nodes.add(Node::Aggregate(Aggregate {
            filter: Some(adult),
            order_by: vec![descending(age), ascending(mood)],
            ..joined(mood)
        })),
    ];
    let query = nodes.select(Select { projection: outputs(&listed), ..all("User") });
    insta::assert_snapshot!(plan(&query), @r##"
sqlite: SELECT group_concat("t0"."name", ?1), group_concat("t0"."mood", ?1 ORDER BY "t0"."age" DESC, CASE "t0"."mood" WHEN 'sad' THEN 0 WHEN 'so-so' THEN 1 WHEN 'glad' THEN 2 END NULLS LAST, "t0"."id") FILTER (WHERE "t0"."age" > ?2) FROM "user" AS "t0"
  parameter 0 Text, parameter 1 Integer
postgres: SELECT string_agg("t0"."name", $1), string_agg(CAST("t0"."mood" AS text), $1 ORDER BY "t0"."age" DESC NULLS LAST, "t0"."mood", "t0"."id") FILTER (WHERE "t0"."age" > $2) FROM "user" AS "t0"
  parameter 0 Text, parameter 1 Integer
"##);
}

#[test]
fn texts_are_joined_as_a_whole_or_not_at_all() {
    use AggregateFunction as A;
    let mut nodes = Nodes::default();
    let (name, age, id) = (nodes.field("name"), nodes.field("age"), nodes.field("id"));
    let (comma, number) =
        (nodes.parameter(0, ScalarType::Text), nodes.parameter(1, ScalarType::Integer));
    let count = nodes.aggregate(A::Count, name);
    let joined = Aggregate { separator: Some(comma), ..Aggregate::new(A::StringAgg, name) };
    let faults = [
        Aggregate { separator: None, ..joined.clone() },
        Aggregate { separator: Some(number), ..joined.clone() },
        Aggregate { separator: Some(name), ..joined.clone() },
        Aggregate { argument: age, ..joined.clone() },
        Aggregate { distinct: true, ..joined.clone() },
        Aggregate { order_by: vec![ascending(comma)], ..joined.clone() },
        Aggregate { order_by: vec![ascending(count)], ..joined.clone() },
        Aggregate { separator: Some(comma), ..Aggregate::new(A::Sum, age) },
        Aggregate { order_by: vec![ascending(id)], ..Aggregate::new(A::Sum, age) },
    ];
    let faults = faults.map(|aggregate| {
        let mut nodes = nodes.clone();
        let listed = [nodes.add(Node::Aggregate(aggregate))];
        line(&error(&nodes.select(Select { projection: outputs(&listed), ..all("User") })))
    });
    insta::assert_snapshot!(faults.join("\n"), @r"
invalid-query: `User.name`: `string-agg` needs a separator
type-mismatch: `User.name`: a separator is a parameter of type text
type-mismatch: `User.name`: a separator is a parameter of type text
type-mismatch: `User.age`: `string-agg` does not take integer
unsupported: `User.name`: `string-agg` takes no `distinct`: take distinct rows of a common table
invalid-query: rows cannot be ordered or grouped by a constant
invalid-query: `User.name`: an aggregate cannot stand in another one
invalid-query: `User.age`: only `string-agg` takes a separator
invalid-query: `User.age`, `User.id`: only `string-agg` and `array-agg` take an order
");
}

#[test]
fn values_are_put_into_a_list_without_nulls_in_an_order_that_leaves_nothing_open() {
    use AggregateFunction as A;
    let mut nodes = Nodes::default();
    let (name, age, mood) = (nodes.field("name"), nodes.field("age"), nodes.field("mood"));
    let (score, token, balance) =
        (nodes.field("score"), nodes.field("token"), nodes.field("balance"));
    let adult = nodes.test("age", BinaryOperator::Greater, 0, ScalarType::Integer);
    let either = nodes.add(Node::AnyOf(vec![adult, adult]));
    let list = |argument| Aggregate::new(A::ArrayAgg, argument);
    let order = |expression| vec![descending(expression)];
    let listed = [
        list(name),
        Aggregate { filter: Some(either), order_by: order(age), ..list(mood) },
        Aggregate { distinct: true, order_by: order(mood), ..list(mood) },
        list(score),
        Aggregate { filter: Some(adult), ..list(token) },
        Aggregate { distinct: true, ..list(balance) },
    ];
    let listed = listed.map(|it| nodes.add(Node::Aggregate(it)));
    let query = nodes.select(Select { projection: outputs(&listed), ..all("User") });
    insta::assert_snapshot!(plan(&query), @r##"
sqlite: SELECT ferro_list("t0"."name"), ferro_list("t0"."mood" ORDER BY "t0"."age" DESC, "t0"."id") FILTER (WHERE "t0"."age" > ?1 OR "t0"."age" > ?1), ferro_list(DISTINCT "t0"."mood" ORDER BY CASE "t0"."mood" WHEN 'sad' THEN 0 WHEN 'so-so' THEN 1 WHEN 'glad' THEN 2 END DESC), ferro_list("t0"."score"), ferro_blobs("t0"."token") FILTER (WHERE "t0"."age" > ?1), ferro_list(DISTINCT "t0"."balance") FROM "user" AS "t0"
  parameter 0 Integer
postgres: SELECT CAST(array_agg("t0"."name") AS text[]), CAST(array_agg("t0"."mood" ORDER BY "t0"."age" DESC NULLS LAST, "t0"."id") FILTER (WHERE ("t0"."age" > $1 OR "t0"."age" > $1) AND "t0"."mood" IS NOT NULL) AS text[]), CAST(array_agg(DISTINCT "t0"."mood" ORDER BY "t0"."mood" DESC NULLS LAST) FILTER (WHERE "t0"."mood" IS NOT NULL) AS text[]), CAST(array_agg("t0"."score") FILTER (WHERE "t0"."score" IS NOT NULL) AS double precision[]), CAST(array_agg("t0"."token") FILTER (WHERE "t0"."age" > $1) AS uuid[]), CAST(array_agg(DISTINCT "t0"."balance") AS numeric[]) FROM "user" AS "t0"
  parameter 0 Integer
"##);
}

#[test]
fn what_is_no_list_of_values_is_refused() {
    use AggregateFunction as A;
    let mut nodes = Nodes::default();
    let (name, age, tags) = (nodes.field("name"), nodes.field("age"), nodes.field("tags"));
    let (comma, null) = (nodes.parameter(0, ScalarType::Text), nodes.null());
    let lower = nodes.call("lower", &[name]);
    let count = nodes.aggregate(A::Count, name);
    let list = |argument| Aggregate::new(A::ArrayAgg, argument);
    let faults = [
        list(tags),
        list(null),
        list(count),
        Aggregate { separator: Some(comma), ..list(name) },
        Aggregate { distinct: true, order_by: vec![ascending(age)], ..list(name) },
        Aggregate { distinct: true, order_by: vec![ascending(lower)], ..list(name) },
        Aggregate { order_by: vec![ascending(comma)], ..list(name) },
    ];
    let faults = faults.map(|aggregate| {
        let mut nodes = nodes.clone();
        let listed = [nodes.add(Node::Aggregate(aggregate))];
        line(&error(&nodes.select(Select { projection: outputs(&listed), ..all("User") })))
    });
    insta::assert_snapshot!(faults.join("\n"), @r"
type-mismatch: `User.tags`: `array-agg` does not take a list of text
type-mismatch: a bare null cannot be aggregated
invalid-query: `User.name`: an aggregate cannot stand in another one
invalid-query: `User.name`: only `string-agg` takes a separator
invalid-query: `User.age`: distinct values are ordered by themselves only: by what is aggregated
invalid-query: `User.name`: distinct values are ordered by themselves only: by what is aggregated
invalid-query: rows cannot be ordered or grouped by a constant
");
    let window = nodes.window("array-agg", &[name], &[], &[]);
    let query = nodes.select(Select { projection: outputs(&[window]), ..all("User") });
    insta::assert_snapshot!(line(&error(&query)), @"denied: `User.name`: there is no window function `array-agg`");
}

#[test]
fn what_groups_do_not_have_is_refused() {
    let mut nodes = Nodes::default();
    let (name, star) = (nodes.field("name"), nodes.star());
    let count = nodes.aggregate(AggregateFunction::Count, star);
    let query = nodes.clone().select(Select { projection: outputs(&[name, count]), ..all("User") });
    insta::assert_snapshot!(line(&error(&query)), @"invalid-query: `User.name`: the field is neither grouped by nor aggregated");
    let query = nodes.clone().select(Select { group_by: vec![name], ..all("User") });
    insta::assert_snapshot!(line(&error(&query)), @"invalid-query: `User`: a select with groups or aggregates lists its outputs");
    let mut filtered = nodes.clone();
    let zero = filtered.integer(0);
    let filter = filtered.binary(count, BinaryOperator::Greater, zero);
    let one_row = Select { projection: outputs(&[zero]), ..all("User") };
    for select in [
        Select { having: Some(filter), ..one_row.clone() },
        Select { order_by: vec![ascending(count)], ..one_row },
    ] {
        let query = filtered.clone().query(vec![select], Statement::Count(0));
        assert_eq!(
            line(&error(&query)),
            "invalid-query: `User`: a select with aggregates and without groups lists an aggregate"
        );
    }
    let query = filtered.select(Select { filter: Some(filter), ..ids() });
    insta::assert_snapshot!(line(&error(&query)), @"invalid-query: `count` cannot be used in a filter: aggregates go into the outputs, the order and `having` of a select");
    let mut distinct = nodes.clone();
    let count_of_each = distinct.add(Node::Aggregate(Aggregate {
        distinct: true,
        ..Aggregate::new(AggregateFunction::Count, star)
    }));
    let query = distinct.select(Select { projection: outputs(&[count_of_each]), ..all("User") });
    insta::assert_snapshot!(line(&error(&query)), @"invalid-query: a count of all rows takes no `distinct`");
    let nested = nodes.aggregate(AggregateFunction::Maximum, count);
    let query = nodes.select(Select { projection: outputs(&[nested]), ..all("User") });
    insta::assert_snapshot!(line(&error(&query)), @"invalid-query: an aggregate cannot stand in another one");
}

#[test]
fn rows_are_not_ordered_by_a_constant_which_would_mean_a_column() {
    let mut nodes = Nodes::default();
    let one = nodes.integer(1);
    let fault = error(&nodes.select(Select { order_by: vec![ascending(one)], ..ids() }));
    insta::assert_snapshot!(line(&fault), @"invalid-query: rows cannot be ordered or grouped by a constant");
}

#[test]
fn a_misspelt_name_is_an_error_with_the_nearest_one() {
    let query = Nodes::default().select(all("Usre"));
    insta::assert_snapshot!(line(&error(&query)), @"invalid-query: there is no model `Usre`; did you mean `User`?");
    let mut nodes = Nodes::default();
    let filter = nodes.test("nmae", BinaryOperator::Equal, 0, ScalarType::Text);
    let query = nodes.select(Select { filter: Some(filter), ..ids() });
    insta::assert_snapshot!(line(&error(&query)), @"invalid-query: model `User` has no field `nmae`; did you mean `name`?");
    let query = Nodes::default().select(Select { projection: fields(&["emial"]), ..all("User") });
    insta::assert_snapshot!(line(&error(&query)), @"invalid-query: model `User` has no field `emial`; did you mean `email`?");
}

#[test]
fn two_columns_of_one_name_are_refused() {
    let query =
        Nodes::default().select(Select { projection: fields(&["name", "name"]), ..all("User") });
    insta::assert_snapshot!(line(&error(&query)), @"invalid-query: `User`: a projection has two columns `name`");
    let query = Nodes::default().select(Select { projection: fields(&[]), ..all("User") });
    insta::assert_snapshot!(line(&error(&query)), @"invalid-query: `User`: a projection names at least one column");
}
