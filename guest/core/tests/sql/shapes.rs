//! Selects of other shapes than rows of a model: cases, windows, sets, firsts, locks.

use ferro_core::Catalog;
use ferro_wit::policy::Scope;
use ferro_wit::query::{
    AggregateFunction, BinaryOperator as B, Distinct, Frame, FrameUnit, Lock, LockStrength,
    LockWait, Node, NodeRef, Query, Select, SetOperator as O, Statement,
};
use ferro_wit::types::{ErrorKind, ScalarType as S};

use crate::fixture::*;
use crate::{blog, queries};

fn plan(query: &Query) -> String {
    scoped(query, None)
}

fn scoped(query: &Query, scope: Option<&Scope>) -> String {
    plans(&Catalog::new(blog::schema()).unwrap(), query, scope)
}

fn error(query: &Query) -> String {
    line(&fault(&Catalog::new(blog::schema()).unwrap(), query, None))
}

#[test]
fn a_case_is_the_value_of_its_first_branch_that_holds() {
    insta::assert_snapshot!(plan(&queries::cases()), @r##"
sqlite: SELECT "t0"."id", CASE WHEN "t0"."stars" >= ?1 THEN ?2 WHEN "t0"."stars" IS NULL THEN ?3 ELSE "t0"."title" END, CASE WHEN "t0"."stars" >= ?1 THEN 0 END FROM "post" AS "t0" ORDER BY "t0"."id"
  parameter 0 Integer, parameter 1 Text, parameter 2 Text
postgres: SELECT "t0"."id", CASE WHEN "t0"."stars" >= $1 THEN $2 WHEN "t0"."stars" IS NULL THEN $3 ELSE "t0"."title" END, CASE WHEN "t0"."stars" >= $1 THEN 0 END FROM "post" AS "t0" ORDER BY "t0"."id"
  parameter 0 Integer, parameter 1 Text, parameter 2 Text
"##);
    let mut nodes = Nodes::default();
    let (active, one, title) =
        (nodes.test("id", B::Less, 0, S::Integer), nodes.integer(1), nodes.field("title"));
    let mixed = nodes.case(&[(active, one)], Some(title));
    let query = nodes.clone().select(Select { projection: outputs(&[mixed]), ..all("Post") });
    insta::assert_snapshot!(error(&query), @"type-mismatch: `Post.id`, `Post.title`: the branches of a `case` are of one type: integer and text");
    let empty = nodes.case(&[], Some(title));
    let query = nodes.clone().select(Select { projection: outputs(&[empty]), ..all("Post") });
    insta::assert_snapshot!(error(&query), @"invalid-query: `case` has at least one branch");
    let no_condition = nodes.case(&[(title, one)], None);
    let query = nodes.select(Select { projection: outputs(&[no_condition]), ..all("Post") });
    insta::assert_snapshot!(error(&query), @"type-mismatch: `Post.title`: expected a boolean as a condition, got text");
}

#[test]
fn window_functions_number_and_compare_rows() {
    insta::assert_snapshot!(plan(&queries::places()), @r##"
sqlite: SELECT "t0"."id", row_number() OVER (PARTITION BY "t0"."author_id" ORDER BY "t0"."stars" DESC, "t0"."id"), row_number() OVER (ORDER BY "t0"."id"), rank() OVER (ORDER BY "t0"."author_id"), dense_rank() OVER (ORDER BY "t0"."author_id") FROM "post" AS "t0" ORDER BY "t0"."id"
postgres: SELECT "t0"."id", row_number() OVER (PARTITION BY "t0"."author_id" ORDER BY "t0"."stars" DESC NULLS LAST, "t0"."id"), row_number() OVER (ORDER BY "t0"."id"), rank() OVER (ORDER BY "t0"."author_id"), dense_rank() OVER (ORDER BY "t0"."author_id") FROM "post" AS "t0" ORDER BY "t0"."id"
"##);
    insta::assert_snapshot!(plan(&queries::neighbours()), @r##"
sqlite: SELECT "t0"."id", lag("t0"."title") OVER (ORDER BY "t0"."id"), lead("t0"."title", 2, ?1) OVER (ORDER BY "t0"."id"), first_value("t0"."title") OVER (ORDER BY "t0"."id"), last_value("t0"."title") OVER (ORDER BY "t0"."id" ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING), sum("t0"."stars") OVER (ORDER BY "t0"."id"), count(*) OVER (PARTITION BY "t0"."author_id"), avg("t0"."stars") OVER (PARTITION BY "t0"."author_id") FROM "post" AS "t0" ORDER BY "t0"."id"
  parameter 0 Text
postgres: SELECT "t0"."id", lag("t0"."title") OVER (ORDER BY "t0"."id"), lead("t0"."title", 2, $1) OVER (ORDER BY "t0"."id"), first_value("t0"."title") OVER (ORDER BY "t0"."id"), last_value("t0"."title") OVER (ORDER BY "t0"."id" ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING), CAST(sum("t0"."stars") OVER (ORDER BY "t0"."id") AS bigint), count(*) OVER (PARTITION BY "t0"."author_id"), CAST(avg("t0"."stars") OVER (PARTITION BY "t0"."author_id") AS double precision) FROM "post" AS "t0" ORDER BY "t0"."id"
  parameter 0 Text
"##);
    insta::assert_snapshot!(plan(&queries::ranked_groups()), @r##"
sqlite: SELECT "t0"."author_id", count(*), rank() OVER (ORDER BY count(*) DESC) FROM "post" AS "t0" GROUP BY "t0"."author_id" ORDER BY rank() OVER (ORDER BY count(*) DESC), "t0"."author_id"
postgres: SELECT "t0"."author_id", count(*), rank() OVER (ORDER BY count(*) DESC) FROM "post" AS "t0" GROUP BY "t0"."author_id" ORDER BY rank() OVER (ORDER BY count(*) DESC), "t0"."author_id"
"##);
}

#[test]
fn window_functions_stand_in_outputs_and_orders_only() {
    let with = |build: &dyn Fn(&mut Nodes) -> Select| {
        let mut nodes = Nodes::default();
        let select = build(&mut nodes);
        error(&nodes.select(select))
    };
    let number = |it: &mut Nodes| {
        let number = it.window("row-number", &[], &[], &[]);
        let two = it.integer(2);
        it.binary(number, B::Less, two)
    };
    insta::assert_snapshot!(with(&|it| Select { filter: Some(number(it)), ..all("Post") }), @"invalid-query: `row-number` cannot be used in a filter: window functions go into the outputs and the order of a select");
    insta::assert_snapshot!(with(&|it| {
        let number = number(it);
        Select { projection: outputs(&[number]), group_by: vec![number], ..all("Post") }
    }), @"invalid-query: `row-number` cannot be used in `group-by`: window functions go into the outputs and the order of a select");
    insta::assert_snapshot!(with(&|it| {
        let number = it.window("row-number", &[], &[], &[]);
        let sum = it.aggregate(AggregateFunction::Sum, number);
        Select { projection: outputs(&[sum]), ..all("Post") }
    }), @"invalid-query: a window function cannot stand in an aggregate");
    insta::assert_snapshot!(with(&|it| {
        let rank = it.window("rank", &[], &[], &[]);
        Select { projection: outputs(&[rank]), ..all("Post") }
    }), @"invalid-query: `rank` needs an order");
    insta::assert_snapshot!(with(&|it| {
        let rank = it.window("ranc", &[], &[], &[]);
        Select { projection: outputs(&[rank]), ..all("Post") }
    }), @"denied: there is no window function `ranc`; did you mean `rank`?");
    insta::assert_snapshot!(with(&|it| {
        let (title, id) = (it.field("title"), it.field("id"));
        let lag = it.window("lag", &[title, id], &[], &[ascending(id)]);
        Select { projection: outputs(&[lag]), ..all("Post") }
    }), @"type-mismatch: `Post.title`, `Post.id`: the distance is a whole number from 0 to 2147483647");
    insta::assert_snapshot!(with(&|it| {
        let (title, id, one) = (it.field("title"), it.field("id"), it.integer(1));
        let lag = it.window("lag", &[title, one, id], &[], &[ascending(id)]);
        Select { projection: outputs(&[lag]), ..all("Post") }
    }), @"type-mismatch: `Post.title`, `Post.id`: the default has the type of the value: text and integer");
    insta::assert_snapshot!(with(&|it| {
        let (id, none) = (it.field("id"), it.integer(0));
        let nth = it.window("nth-value", &[id, none], &[], &[ascending(id)]);
        Select { projection: outputs(&[nth]), ..all("Post") }
    }), @"value-out-of-range: `Post.id`: the number of the row is a whole number from 1 to 2147483647");
    insta::assert_snapshot!(with(&|it| {
        let id = it.field("id");
        let group = it.window("ntile", &[id], &[], &[ascending(id)]);
        Select { projection: outputs(&[group]), ..all("Post") }
    }), @"type-mismatch: `Post.id`: the number of groups is a whole number from 1 to 2147483647");
}

#[test]
fn a_frame_of_rows_orders_those_that_tie_and_one_of_groups_does_not() {
    insta::assert_snapshot!(plan(&queries::moving()), @r##"
sqlite: SELECT "t0"."id", sum("t0"."stars") OVER (ORDER BY "t0"."author_id", "t0"."id" ROWS BETWEEN 1 PRECEDING AND CURRENT ROW), sum("t0"."stars") OVER (ORDER BY "t0"."author_id" GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW), count(*) OVER (ORDER BY "t0"."author_id", "t0"."id" ROWS BETWEEN 1 FOLLOWING AND 2 FOLLOWING), count(*) OVER (ORDER BY "t0"."author_id" GROUPS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING), max("t0"."stars") OVER (ORDER BY "t0"."author_id", "t0"."id" ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), avg("t0"."stars") OVER (ORDER BY "t0"."author_id" GROUPS BETWEEN CURRENT ROW AND CURRENT ROW), first_value("t0"."title") OVER (ORDER BY "t0"."author_id", "t0"."id" ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING), last_value("t0"."title") OVER (ORDER BY "t0"."author_id", "t0"."id" ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING), nth_value("t0"."title", 2) OVER (ORDER BY "t0"."author_id", "t0"."id" ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) FROM "post" AS "t0" ORDER BY "t0"."author_id", "t0"."id"
postgres: SELECT "t0"."id", CAST(sum("t0"."stars") OVER (ORDER BY "t0"."author_id", "t0"."id" ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS bigint), CAST(sum("t0"."stars") OVER (ORDER BY "t0"."author_id" GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW) AS bigint), count(*) OVER (ORDER BY "t0"."author_id", "t0"."id" ROWS BETWEEN 1 FOLLOWING AND 2 FOLLOWING), count(*) OVER (ORDER BY "t0"."author_id" GROUPS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING), max("t0"."stars") OVER (ORDER BY "t0"."author_id", "t0"."id" ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), CAST(avg("t0"."stars") OVER (ORDER BY "t0"."author_id" GROUPS BETWEEN CURRENT ROW AND CURRENT ROW) AS double precision), first_value("t0"."title") OVER (ORDER BY "t0"."author_id", "t0"."id" ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING), last_value("t0"."title") OVER (ORDER BY "t0"."author_id", "t0"."id" ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING), nth_value("t0"."title", 2) OVER (ORDER BY "t0"."author_id", "t0"."id" ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) FROM "post" AS "t0" ORDER BY "t0"."author_id", "t0"."id"
"##);
    let mut nodes = Nodes::default();
    let (stars, author) = (nodes.field("stars"), nodes.field("author_id"));
    let everywhere = nodes.window("sum", &[stars], &[author], &[]);
    let count = nodes.aggregate(AggregateFunction::Count, stars);
    let of_groups = nodes.window("sum", &[count], &[], &[ascending(author)]);
    let bounds = |start, end| Frame { unit: FrameUnit::Rows, start, end };
    let whole = nodes.framed(everywhere, bounds(None, Some(0)));
    let most = nodes.framed(of_groups, bounds(Some(-0x7fff_ffff), Some(0x7fff_ffff)));
    let rows = Select { projection: outputs(&[whole]), ..all("Post") };
    insta::assert_snapshot!(plan(&nodes.clone().select(rows)), @r##"
sqlite: SELECT sum("t0"."stars") OVER (PARTITION BY "t0"."author_id" ORDER BY "t0"."id" ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) FROM "post" AS "t0"
postgres: SELECT CAST(sum("t0"."stars") OVER (PARTITION BY "t0"."author_id" ORDER BY "t0"."id" ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS bigint) FROM "post" AS "t0"
"##);
    let rows =
        Select { projection: outputs(&[author, most]), group_by: vec![author], ..all("Post") };
    insta::assert_snapshot!(plan(&nodes.select(rows)), @r##"
sqlite: SELECT "t0"."author_id", sum(count("t0"."stars")) OVER (ORDER BY "t0"."author_id" ROWS BETWEEN 2147483647 PRECEDING AND 2147483647 FOLLOWING) FROM "post" AS "t0" GROUP BY "t0"."author_id"
postgres: SELECT "t0"."author_id", CAST(sum(count("t0"."stars")) OVER (ORDER BY "t0"."author_id" ROWS BETWEEN 2147483647 PRECEDING AND 2147483647 FOLLOWING) AS bigint) FROM "post" AS "t0" GROUP BY "t0"."author_id"
"##);
}

#[test]
fn what_is_no_frame_is_refused() {
    let with = |function: &str, ordered: bool, unit, start, end| {
        let mut nodes = Nodes::default();
        let (id, one) = (nodes.field("id"), nodes.integer(1));
        let by = [ascending(id)];
        let arguments = match function {
            "rank" | "row-number" => vec![],
            "ntile" => vec![one],
            _ => vec![id],
        };
        let window = nodes.window(function, &arguments, &[], if ordered { &by } else { &[] });
        let framed = nodes.framed(window, Frame { unit, start, end });
        error(&nodes.select(Select { projection: outputs(&[framed]), ..all("Post") }))
    };
    use FrameUnit::{Groups, Rows};
    let faults = [
        with("rank", true, Rows, None, None),
        with("row-number", true, Rows, Some(0), Some(0)),
        with("ntile", true, Groups, None, None),
        with("lag", true, Rows, None, Some(0)),
        with("lead", true, Rows, None, Some(0)),
        with("first-value", true, Groups, None, Some(0)),
        with("sum", false, Groups, None, Some(0)),
        with("sum", true, Rows, Some(1), Some(0)),
        with("sum", true, Groups, Some(-1), Some(-2)),
        with("sum", true, Rows, Some(-0x8000_0000), None),
        with("sum", true, Rows, None, Some(i64::MAX)),
    ];
    insta::assert_snapshot!(faults.join("\n"), @r"
invalid-query: `Post.id`: `rank` takes no frame: aggregates, `first-value`, `last-value` and `nth-value` do
invalid-query: `Post.id`: `row-number` takes no frame: aggregates, `first-value`, `last-value` and `nth-value` do
invalid-query: `Post.id`: `ntile` takes no frame: aggregates, `first-value`, `last-value` and `nth-value` do
invalid-query: `Post.id`: `lag` takes no frame: aggregates, `first-value`, `last-value` and `nth-value` do
invalid-query: `Post.id`: `lead` takes no frame: aggregates, `first-value`, `last-value` and `nth-value` do
invalid-query: `Post.id`: `first-value` takes a frame of rows: which of the rows of a group is first, nothing says
invalid-query: `Post.id`: a frame of groups needs an order, in which rows tie
invalid-query: `Post.id`: the frame starts at 1, which is after its end, 0
invalid-query: `Post.id`: the frame starts at -1, which is after its end, -2
value-out-of-range: `Post.id`: the bounds of a frame are from -2147483647 to 2147483647
value-out-of-range: `Post.id`: the bounds of a frame are from -2147483647 to 2147483647
");
}

#[test]
fn places_among_all_rows_are_numbers() {
    let mut nodes = Nodes::default();
    let (id, stars, four) = (nodes.field("id"), nodes.field("stars"), nodes.integer(4));
    let by = [descending(stars)];
    let listed = [
        nodes.window("percent-rank", &[], &[], &by),
        nodes.window("cume-dist", &[], &[], &by),
        nodes.window("ntile", &[four], &[], &by),
        nodes.window("nth-value", &[id, four], &[], &by),
    ];
    let query = nodes.select(Select { projection: outputs(&listed), ..all("Post") });
    insta::assert_snapshot!(plan(&query), @r##"
sqlite: SELECT percent_rank() OVER (ORDER BY "t0"."stars" DESC), cume_dist() OVER (ORDER BY "t0"."stars" DESC), ntile(4) OVER (ORDER BY "t0"."stars" DESC, "t0"."id"), nth_value("t0"."id", 4) OVER (ORDER BY "t0"."stars" DESC, "t0"."id" ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) FROM "post" AS "t0"
postgres: SELECT percent_rank() OVER (ORDER BY "t0"."stars" DESC NULLS LAST), cume_dist() OVER (ORDER BY "t0"."stars" DESC NULLS LAST), ntile(4) OVER (ORDER BY "t0"."stars" DESC NULLS LAST, "t0"."id"), nth_value("t0"."id", 4) OVER (ORDER BY "t0"."stars" DESC NULLS LAST, "t0"."id" ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) FROM "post" AS "t0"
"##);
}

#[test]
fn selects_are_combined_from_left_to_right() {
    insta::assert_snapshot!(plan(&queries::combined(&[O::Union])), @r##"
sqlite: SELECT "t0"."body" FROM "comment" AS "t0" WHERE "t0"."tenant_id" = ?1 UNION SELECT "t1"."title" FROM "post" AS "t1" WHERE "t1"."tenant_id" = ?1 ORDER BY 1 DESC
  parameter 0 Integer
postgres: SELECT "t0"."body" FROM "comment" AS "t0" WHERE "t0"."tenant_id" = $1 UNION SELECT "t1"."title" FROM "post" AS "t1" WHERE "t1"."tenant_id" = $1 ORDER BY 1 DESC NULLS LAST
  parameter 0 Integer
"##);
    insta::assert_snapshot!(plan(&queries::combined(&[O::Union, O::Intersect, O::UnionAll])), @r##"
sqlite: SELECT "t0"."body" FROM "comment" AS "t0" WHERE "t0"."tenant_id" = ?1 UNION SELECT "t1"."title" FROM "post" AS "t1" WHERE "t1"."tenant_id" = ?1 INTERSECT SELECT "t2"."name" FROM "tag" AS "t2" WHERE "t2"."tenant_id" = ?1 UNION ALL SELECT * FROM (SELECT "t3"."body" FROM "comment" AS "t3" WHERE "t3"."tenant_id" = ?1 ORDER BY "t3"."id" DESC LIMIT 2) AS "rows" ORDER BY 1 DESC
  parameter 0 Integer
postgres: ((SELECT "t0"."body" FROM "comment" AS "t0" WHERE "t0"."tenant_id" = $1 UNION SELECT "t1"."title" FROM "post" AS "t1" WHERE "t1"."tenant_id" = $1) INTERSECT SELECT "t2"."name" FROM "tag" AS "t2" WHERE "t2"."tenant_id" = $1) UNION ALL SELECT * FROM (SELECT "t3"."body" FROM "comment" AS "t3" WHERE "t3"."tenant_id" = $1 ORDER BY "t3"."id" DESC LIMIT 2) AS "rows" ORDER BY 1 DESC NULLS LAST
  parameter 0 Integer
"##);
    let mut count = queries::combined(&[O::Except]);
    count.statement = Statement::Count(3);
    insta::assert_snapshot!(plan(&count), @r##"
sqlite: SELECT count(*) FROM (SELECT "t0"."body" FROM "comment" AS "t0" WHERE "t0"."tenant_id" = ?1 EXCEPT SELECT "t1"."title" FROM "post" AS "t1" WHERE "t1"."tenant_id" = ?1) AS "rows"
  parameter 0 Integer
postgres: SELECT count(*) FROM (SELECT "t0"."body" FROM "comment" AS "t0" WHERE "t0"."tenant_id" = $1 EXCEPT SELECT "t1"."title" FROM "post" AS "t1" WHERE "t1"."tenant_id" = $1) AS "rows"
  parameter 0 Integer
"##);
}

#[test]
fn combined_rows_are_ordered_by_constants() {
    let mut nodes = Nodes::default();
    let (one, two) = (nodes.integer(1), nodes.integer(2));
    let listed = |it| Select { projection: outputs(&[it]), ..all("Post") };
    let rows =
        Select { combined: vec![(O::UnionAll, 0)], order_by: vec![ascending(two)], ..listed(two) };
    insta::assert_snapshot!(plan(&nodes.query(vec![listed(one), rows], Statement::Select(1))), @r##"
sqlite: SELECT 2 FROM "post" AS "t0" UNION ALL SELECT 1 FROM "post" AS "t1" ORDER BY 1 NULLS LAST
postgres: SELECT 2 FROM "post" AS "t0" UNION ALL SELECT 1 FROM "post" AS "t1" ORDER BY 1
"##);
}

#[test]
fn only_postgres_orders_and_groups_by_the_fields_of_an_outer_select() {
    let inside = |build: &dyn Fn(NodeRef, NodeRef) -> Select| {
        let mut nodes = Nodes::default();
        let (stars, one) = (nodes.outer_path(1, "stars"), nodes.integer(1));
        let body = nodes.field("body");
        let inner = Select { limit: Some(one), ..build(body, stars) };
        let first = nodes.add(Node::Subquery(0));
        plan(&nodes.query(
            vec![inner, Select { projection: outputs(&[first]), ..all("Post") }],
            Statement::Select(1),
        ))
    };
    insta::assert_snapshot!(inside(&|body, stars| Select {
        projection: outputs(&[body]),
        order_by: vec![ascending(stars)],
        ..all("Comment")
    }), @r##"
sqlite: unsupported: `Post.stars`: SQLite does not order or group rows by the fields of an outer select
postgres: SELECT (SELECT "t1"."body" FROM "comment" AS "t1" ORDER BY "t0"."stars", "t1"."id" LIMIT 1) FROM "post" AS "t0"
"##);
    insta::assert_snapshot!(inside(&|_, stars| Select {
        projection: outputs(&[stars]),
        group_by: vec![stars],
        ..all("Comment")
    }), @r##"
sqlite: unsupported: `Post.stars`: SQLite does not order or group rows by the fields of an outer select
postgres: SELECT (SELECT "t0"."stars" FROM "comment" AS "t1" GROUP BY "t0"."stars" LIMIT 1) FROM "post" AS "t0"
"##);
}

#[test]
fn t2_every_select_of_a_combination_is_in_scope() {
    insta::assert_snapshot!(scoped(&queries::combined(&[O::UnionAll]), Some(&blog::tenant())), @r##"
sqlite: SELECT "t0"."body" FROM "comment" AS "t0" WHERE "t0"."tenant_id" = ?1 AND "t0"."tenant_id" = ?2 UNION ALL SELECT "t1"."title" FROM "post" AS "t1" WHERE "t1"."tenant_id" = ?3 AND "t1"."tenant_id" = ?2 ORDER BY 1 DESC
  forced 2 Integer, parameter 0 Integer, forced 1 Integer
postgres: WITH "t0" AS (SELECT "body", "tenant_id" FROM "comment" AS "t0"), "t1" AS (SELECT "tenant_id", "title" FROM "post" AS "t1") SELECT "t0"."body" FROM "comment" AS "t0" WHERE "t0"."tenant_id" = $1 AND "t0"."tenant_id" = $2 UNION ALL SELECT "t1"."title" FROM "post" AS "t1" WHERE "t1"."tenant_id" = $3 AND "t1"."tenant_id" = $2 ORDER BY 1 DESC NULLS LAST
  forced 2 Integer, parameter 0 Integer, forced 1 Integer
"##);
}

#[test]
fn combined_selects_list_the_same_types_and_order_by_them() {
    let with = |first: Select, second: Select| {
        let mut nodes = Nodes::default();
        nodes.field("id");
        let second = Select { combined: vec![(O::Union, 0)], ..second };
        error(&nodes.query(vec![first, second], Statement::Select(1)))
    };
    let list = |field: &str| Select { projection: fields(&[field]), ..all("Post") };
    insta::assert_snapshot!(with(list("id"), list("title")), @"type-mismatch: `Post`: it is combined with a select of `Post` whose columns have other types");
    insta::assert_snapshot!(with(list("id"), all("Post")), @"type-mismatch: `Post`: it is combined with a select of `Post` whose columns have other types");
    let ordered = Select { order_by: vec![ascending(0)], ..list("title") };
    insta::assert_snapshot!(with(list("title"), ordered), @"invalid-query: `Post.id`: distinct and combined rows are ordered by what they list only");
}

#[test]
fn the_first_rows_of_those_that_agree_are_chosen_by_their_keys() {
    insta::assert_snapshot!(plan(&queries::best()), @r##"
sqlite: SELECT "t0"."author_id", "t0"."title", "t0"."stars" FROM "post" AS "t0" WHERE "t0"."id" IN (SELECT "k0" FROM (SELECT "t1"."id" AS "k0", row_number() OVER (PARTITION BY "t1"."author_id" ORDER BY "t1"."stars" DESC, "t1"."id") AS "place" FROM "post" AS "t1" WHERE "t1"."tenant_id" <= ?1) AS "first" WHERE "place" = 1) ORDER BY "t0"."stars" DESC, "t0"."id"
  parameter 0 Integer
postgres: SELECT "t0"."author_id", "t0"."title", "t0"."stars" FROM "post" AS "t0" WHERE "t0"."id" IN (SELECT "k0" FROM (SELECT "t1"."id" AS "k0", row_number() OVER (PARTITION BY "t1"."author_id" ORDER BY "t1"."stars" DESC NULLS LAST, "t1"."id") AS "place" FROM "post" AS "t1" WHERE "t1"."tenant_id" <= $1) AS "first" WHERE "place" = 1) ORDER BY "t0"."stars" DESC NULLS LAST, "t0"."id"
  parameter 0 Integer
"##);
    insta::assert_snapshot!(scoped(&queries::best(), Some(&blog::tenant())), @r##"
sqlite: SELECT "t0"."author_id", "t0"."title", "t0"."stars" FROM "post" AS "t0" WHERE "t0"."tenant_id" = ?1 AND "t0"."id" IN (SELECT "k0" FROM (SELECT "t1"."id" AS "k0", row_number() OVER (PARTITION BY "t1"."author_id" ORDER BY "t1"."stars" DESC, "t1"."id") AS "place" FROM "post" AS "t1" WHERE "t1"."tenant_id" = ?1 AND "t1"."tenant_id" <= ?2) AS "first" WHERE "place" = 1) ORDER BY "t0"."stars" DESC, "t0"."id"
  forced 1 Integer, parameter 0 Integer
postgres: WITH "t0" AS (SELECT "author_id", "id", "stars", "tenant_id", "title" FROM "post" AS "t0"), "t1" AS (SELECT "author_id", "id", "stars", "tenant_id" FROM "post" AS "t1") SELECT "t0"."author_id", "t0"."title", "t0"."stars" FROM "post" AS "t0" WHERE "t0"."tenant_id" = $1 AND "t0"."id" IN (SELECT "k0" FROM (SELECT "t1"."id" AS "k0", row_number() OVER (PARTITION BY "t1"."author_id" ORDER BY "t1"."stars" DESC NULLS LAST, "t1"."id") AS "place" FROM "post" AS "t1" WHERE "t1"."tenant_id" = $1 AND "t1"."tenant_id" <= $2) AS "first" WHERE "place" = 1) ORDER BY "t0"."stars" DESC NULLS LAST, "t0"."id"
  forced 1 Integer, parameter 0 Integer
"##);
    let empty = Select { distinct: Distinct::On(vec![]), ..all("Post") };
    insta::assert_snapshot!(error(&Nodes::default().select(empty)), @"invalid-query: `Post`: `distinct on` names what rows agree in, and takes no groups and no `combined`");
}

#[test]
fn rows_are_locked_where_the_database_locks_rows() {
    insta::assert_snapshot!(plan(&queries::locked(LockStrength::Update, LockWait::SkipLocked)), @r##"
sqlite: SELECT "t0"."id" FROM "post" AS "t0" LEFT JOIN "author" AS "t1" ON "t1"."id" = "t0"."editor_id" ORDER BY "t1"."name" NULLS LAST, "t0"."id" LIMIT 1
postgres: SELECT "t0"."id" FROM "post" AS "t0" LEFT JOIN "author" AS "t1" ON "t1"."id" = "t0"."editor_id" ORDER BY "t1"."name", "t0"."id" LIMIT 1 FOR UPDATE OF "t0" SKIP LOCKED
"##);
    insta::assert_snapshot!(plan(&queries::locked(LockStrength::KeyShare, LockWait::NoWait)), @r##"
sqlite: SELECT "t0"."id" FROM "post" AS "t0" LEFT JOIN "author" AS "t1" ON "t1"."id" = "t0"."editor_id" ORDER BY "t1"."name" NULLS LAST, "t0"."id" LIMIT 1
postgres: SELECT "t0"."id" FROM "post" AS "t0" LEFT JOIN "author" AS "t1" ON "t1"."id" = "t0"."editor_id" ORDER BY "t1"."name", "t0"."id" LIMIT 1 FOR KEY SHARE OF "t0" NOWAIT
"##);
    let lock = Some(Lock { strength: LockStrength::Share, wait: LockWait::Wait });
    let locked = Select { lock, ..all("Post") };
    let distinct = Select { distinct: Distinct::Rows, ..locked.clone() };
    insta::assert_snapshot!(error(&Nodes::default().select(distinct)), @"invalid-query: `Post`: `lock` is for the rows of a model: not with groups, `distinct`, `combined` or window functions, not for a count or a common table, and not inside of another select");
    let count = Nodes::default().query(vec![locked.clone()], Statement::Count(0));
    insta::assert_snapshot!(error(&count), @"invalid-query: `Post`: `lock` is for the rows of a model: not with groups, `distinct`, `combined` or window functions, not for a count or a common table, and not inside of another select");
    let query = Nodes::default().query(vec![locked], Statement::Delete(delete("Post")));
    insta::assert_snapshot!(error(&query), @"invalid-query: the rows to change are chosen by a filter, an order, a limit and an offset only");
}

/// A lock keeps others from writing, so it takes the right to write.
#[test]
fn t8_a_lock_is_a_write() {
    let query = queries::locked(LockStrength::Update, LockWait::Wait);
    let catalog = Catalog::new(blog::schema()).unwrap();
    for dialect in BOTH {
        let plan = catalog.compile(&query, dialect, None).unwrap();
        assert_eq!(plan.effect, ferro_wit::plan::Effect::Write);
        let mut scope = blog::tenant();
        scope.read_only = true;
        let fault = catalog.compile(&query, dialect, Some(&scope)).unwrap_err();
        assert_eq!(fault.kind, ErrorKind::ReadOnly);
        let mut scope = blog::tenant();
        for table in &mut scope.tables {
            table.update = false;
        }
        let fault = catalog.compile(&query, dialect, Some(&scope)).unwrap_err();
        assert_eq!(fault.kind, ErrorKind::Denied);
    }
}

#[test]
fn the_key_goes_last_in_the_order_of_a_page() {
    insta::assert_snapshot!(plan(&queries::page_after()), @r##"
sqlite: SELECT "t0"."id", "t0"."stars" FROM "post" AS "t0" WHERE ("t0"."stars" < ?1 OR "t0"."stars" IS NULL OR ("t0"."stars" = ?1 AND "t0"."id" > ?2)) ORDER BY "t0"."stars" DESC, "t0"."id" LIMIT 2
  parameter 0 Integer, parameter 1 Integer
postgres: SELECT "t0"."id", "t0"."stars" FROM "post" AS "t0" WHERE ("t0"."stars" < $1 OR "t0"."stars" IS NULL OR ("t0"."stars" = $1 AND "t0"."id" > $2)) ORDER BY "t0"."stars" DESC NULLS LAST, "t0"."id" LIMIT 2
  parameter 0 Integer, parameter 1 Integer
"##);
    let by = |names: &[&str], model: &str| {
        let mut nodes = Nodes::default();
        let order_by = names.iter().map(|it| ascending(nodes.field(it))).collect();
        plan(&nodes.select(Select { projection: fields(&["post_id"]), order_by, ..all(model) }))
    };
    insta::assert_snapshot!(by(&["tenant_id", "label_id"], "PostLabel"), @r##"
sqlite: SELECT "t0"."post_id" FROM "post_label" AS "t0" ORDER BY "t0"."tenant_id", "t0"."label_id", "t0"."post_id"
postgres: SELECT "t0"."post_id" FROM "post_label" AS "t0" ORDER BY "t0"."tenant_id", "t0"."label_id", "t0"."post_id"
"##);
    insta::assert_snapshot!(by(&["label_id", "post_id"], "PostLabel"), @r##"
sqlite: SELECT "t0"."post_id" FROM "post_label" AS "t0" ORDER BY "t0"."label_id", "t0"."post_id"
postgres: SELECT "t0"."post_id" FROM "post_label" AS "t0" ORDER BY "t0"."label_id", "t0"."post_id"
"##);
}
