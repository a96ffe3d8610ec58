//! What a scope promises, with the names of the promises in `SECURITY-MODEL`.

use ferro_core::Catalog;
use ferro_wit::policy::{FieldSet, ForcedFilter, Scope, TableScope};
use ferro_wit::query::{
    Assignment, BinaryOperator, Conflict, Insert, Node, Projection, Query, RowSource, Select,
    Statement, UnaryOperator, Update,
};
use ferro_wit::schema::{Comparison, Schema};
use ferro_wit::types::{Dialect, ErrorKind, ScalarType};

use crate::fixture::*;

fn hidden_name() -> Scope {
    let readable = FieldSet::Except(vec!["name".into(), "token".into()]);
    scope(vec![TableScope {
        readable,
        writable: FieldSet::Only(vec!["email".into()]),
        ..open_scope("User")
    }])
}

fn force(field: &str, test: Comparison, many: bool) -> Scope {
    let filters = vec![ForcedFilter { field: field.into(), test, many }];
    scope(vec![TableScope { filters, ..open_scope("User") }])
}

/// One query for each position in which a field can be named.
fn everywhere(name: &str) -> Vec<Query> {
    let node = |build: &dyn Fn(&mut Nodes, u32) -> (Select, Statement)| {
        let mut nodes = Nodes::default();
        let field = nodes.field(name);
        let (select, statement) = build(&mut nodes, field);
        nodes.query(vec![select], statement)
    };
    let filter = |nodes: &mut Nodes, field| {
        let filter = nodes.unary(UnaryOperator::IsNull, field);
        Select { filter: Some(filter), ..ids() }
    };
    let set = |field: &str, value| vec![Assignment { field: field.into(), value }];
    vec![
        Nodes::default().select(Select { projection: fields(&[name]), ..all("User") }),
        node(&|_, it| (Select { projection: outputs(&[it]), ..all("User") }, Statement::Select(0))),
        node(&|nodes, it| (filter(nodes, it), Statement::Select(0))),
        node(&|nodes, it| (filter(nodes, it), Statement::Count(0))),
        node(&|nodes, it| (filter(nodes, it), Statement::Exists(0))),
        node(&|_, it| (Select { order_by: vec![ascending(it)], ..ids() }, Statement::Select(0))),
        node(&|_, it| (Select { order_by: vec![ascending(it)], ..ids() }, Statement::Count(0))),
        node(&|_, it| (Select { projection: outputs(&[it]), ..all("User") }, Statement::Count(0))),
        node(&|_, it| {
            let grouped = Select { projection: outputs(&[it]), group_by: vec![it], ..all("User") };
            (grouped, Statement::Select(0))
        }),
        node(&|nodes, it| (filter(nodes, it), Statement::Delete(delete("User")))),
        node(&|_, it| {
            (all("User"), Statement::Update(Update { set: set("email", it), ..update("User") }))
        }),
        node(&|_, it| {
            let returning = Some(outputs(&[it]));
            (
                all("User"),
                Statement::Delete(ferro_wit::query::Delete { returning, ..delete("User") }),
            )
        }),
        node(&|_, _| {
            let returning = Some(fields(&[name]));
            (all("User"), Statement::Insert(Insert { returning, ..insert("User", &["email"]) }))
        }),
        node(&|_, _| {
            let conflict = Some(conflict(&[name]));
            (all("User"), Statement::Insert(Insert { conflict, ..insert("User", &["email"]) }))
        }),
        node(&|nodes, _| {
            let value = nodes.add(Node::Excluded(name.into()));
            let conflict = Some(Conflict { update: set("email", value), ..conflict(&["email"]) });
            (all("User"), Statement::Insert(Insert { conflict, ..insert("User", &["email"]) }))
        }),
        node(&|_, _| (all("User"), Statement::Insert(insert("User", &[name])))),
        node(&|nodes, _| {
            let value = nodes.null();
            (all("User"), Statement::Update(Update { set: set(name, value), ..update("User") }))
        }),
    ]
}

#[test]
fn t1_a_hidden_field_looks_like_one_that_does_not_exist_in_every_position() {
    let scope = hidden_name();
    for (position, (hidden, unknown)) in
        everywhere("name").into_iter().zip(everywhere("nome")).enumerate()
    {
        let hidden = scoped_error(&hidden, Some(&scope));
        let unknown = scoped_error(&unknown, Some(&scope));
        assert_eq!(hidden.kind, ErrorKind::Denied, "position {position}");
        let same = unknown.message.replace("nome", "name");
        assert_eq!(hidden.message, same, "position {position}");
    }
}

#[test]
fn t1_suggestions_come_from_what_may_be_read_only() {
    let scope = hidden_name();
    let query = Nodes::default().select(Select { projection: fields(&["tokem"]), ..all("User") });
    insta::assert_snapshot!(line(&scoped_error(&query, Some(&scope))), @"denied: model `User` has no field `tokem`");
    let query = Nodes::default().select(Select { projection: fields(&["emial"]), ..all("User") });
    insta::assert_snapshot!(line(&scoped_error(&query, Some(&scope))), @"denied: model `User` has no field `emial`; did you mean `email`?");
    let query = Nodes::default().select(all("Membershep"));
    insta::assert_snapshot!(line(&scoped_error(&query, Some(&scope))), @"denied: there is no model `Membershep`");
}

#[test]
fn t1_a_model_outside_of_the_scope_looks_like_one_that_does_not_exist() {
    let scope = hidden_name();
    let hidden = scoped_error(&Nodes::default().select(all("Membership")), Some(&scope));
    let unknown = scoped_error(&Nodes::default().select(all("Nonsense00")), Some(&scope));
    assert_eq!(hidden.kind, ErrorKind::Denied);
    assert_eq!(hidden.message, unknown.message.replace("Nonsense00", "Membership"));
}

#[test]
fn t1_hidden_fields_are_missing_from_the_model() {
    insta::assert_snapshot!(scoped(&Nodes::default().select(all("User")), Some(&hidden_name())), @r##"
sqlite: SELECT "t0"."id", "t0"."email", "t0"."age", "t0"."score", "t0"."balance", "t0"."mood", "t0"."tags", "t0"."profile", "t0"."avatar", "t0"."born", "t0"."created", "t0"."active", "t0"."break", "t0"."tenant_id" FROM "user" AS "t0"
postgres: WITH "t0" AS (SELECT "active", "age", "avatar", "balance", "born", "break", "created", "email", "id", "mood", "profile", "score", "tags", "tenant_id" FROM "user" AS "t0") SELECT "t0"."id", "t0"."email", "t0"."age", "t0"."score", "t0"."balance", CAST("t0"."mood" AS text), "t0"."tags", "t0"."profile", "t0"."avatar", "t0"."born", "t0"."created", "t0"."active", "t0"."break", "t0"."tenant_id" FROM "user" AS "t0"
"##);
    let nothing =
        scope(vec![TableScope { readable: FieldSet::Only(vec![]), ..open_scope("User") }]);
    let fault = scoped_error(&Nodes::default().select(all("User")), Some(&nothing));
    insta::assert_snapshot!(line(&fault), @"denied: no field of `User` may be read");
}

/// PostgreSQL reads `"t0"."x"` as `x("t0")` where there is no column `x`: ahead of the statement, names
/// are proven to be columns.
#[test]
fn t1_a_name_that_is_no_column_cannot_become_a_function_of_a_row_with_hidden_columns() {
    let scope = hidden_name();
    let compile = |build: &dyn Fn(&mut Nodes, u32) -> Statement, limit: bool| {
        let mut nodes = Nodes::default();
        let age = nodes.field("age");
        let filter = Some(nodes.test("email", BinaryOperator::Equal, 0, ScalarType::Text));
        let five = nodes.integer(5);
        let statement = build(&mut nodes, age);
        let select = Select { filter, limit: limit.then_some(five), ..ids() };
        let query = nodes.query(vec![select], statement);
        let plan = catalog().compile(&query, Dialect::Postgres, Some(&scope));
        plan.map_or_else(|error| line(&error), |plan| plan.steps[0].sql.clone())
    };
    let remove = |_: &mut Nodes, age| {
        Statement::Delete(ferro_wit::query::Delete {
            returning: Some(outputs(&[age])),
            ..delete("User")
        })
    };
    insta::assert_snapshot!(compile(&remove, false), @r##"WITH "t0" AS (SELECT "age", "email" FROM "user" AS "t0") DELETE FROM "user" AS "t0" WHERE "t0"."email" = $1 RETURNING "age""##);
    insta::assert_snapshot!(compile(&remove, true), @r##"WITH "t0" AS (SELECT "age", "id" FROM "user" AS "t0"), "t1" AS (SELECT "email", "id" FROM "user" AS "t1") DELETE FROM "user" AS "t0" WHERE "t0"."id" IN (SELECT "t1"."id" FROM "user" AS "t1" WHERE "t1"."email" = $1 ORDER BY "t1"."id" LIMIT 5) RETURNING "age""##);
    let upsert = |field: &'static str| {
        move |nodes: &mut Nodes, _| {
            let value = nodes.add(Node::Excluded("email".into()));
            let field = nodes.field(field);
            let condition = Some(nodes.unary(UnaryOperator::IsNull, field));
            let update = vec![Assignment { field: "email".into(), value }];
            let conflict = Some(Conflict { update, condition, ..conflict(&["email"]) });
            Statement::Insert(Insert { conflict, ..insert("User", &["email"]) })
        }
    };
    let inserted = compile(&upsert("email"), false);
    assert!(inserted.ends_with(r##" WHERE "t0"."email" IS NULL"##), "{inserted}");
    insta::assert_snapshot!(compile(&upsert("age"), false), @r##"WITH "t0" AS (SELECT "age", "email" FROM "user" AS "t0") INSERT INTO "user" AS "t0" ("email") VALUES ($1) ON CONFLICT ("email") DO UPDATE SET "email" = excluded."email" WHERE "t0"."age" IS NULL"##);
}

#[test]
fn t1_a_field_that_may_be_read_only_is_not_written() {
    let query = Nodes::default().query(vec![], Statement::Insert(insert("User", &["age"])));
    insta::assert_snapshot!(line(&scoped_error(&query, Some(&hidden_name()))), @"denied: field `age` of `User` may not be written");
}

#[test]
fn t2_every_statement_reaches_rows_in_scope_only() {
    let scope = scope(vec![open_scope("Membership"), tenant_scope()]);
    let filtered = |statement: Statement, limit: bool| {
        let mut nodes = Nodes::default();
        let one = nodes.test("age", BinaryOperator::Equal, 0, ScalarType::Integer);
        let other = nodes.test("name", BinaryOperator::Equal, 1, ScalarType::Text);
        let filter = nodes.add(Node::AnyOf(vec![one, other]));
        let five = nodes.integer(5);
        let select = Select { filter: Some(filter), limit: limit.then_some(five), ..ids() };
        scoped(&nodes.query(vec![select], statement), Some(&scope))
    };
    insta::assert_snapshot!(filtered(Statement::Select(0), false), @r##"
sqlite: SELECT "t0"."id" FROM "user" AS "t0" WHERE "t0"."tenant_id" = ?1 AND ("t0"."age" = ?2 OR "t0"."name" = ?3)
  forced 0 Integer, parameter 0 Integer, parameter 1 Text
postgres: WITH "t0" AS (SELECT "age", "id", "name", "tenant_id" FROM "user" AS "t0") SELECT "t0"."id" FROM "user" AS "t0" WHERE "t0"."tenant_id" = $1 AND ("t0"."age" = $2 OR "t0"."name" = $3)
  forced 0 Integer, parameter 0 Integer, parameter 1 Text
"##);
    insta::assert_snapshot!(filtered(Statement::Count(0), false), @r##"
sqlite: SELECT count(*) FROM "user" AS "t0" WHERE "t0"."tenant_id" = ?1 AND ("t0"."age" = ?2 OR "t0"."name" = ?3)
  forced 0 Integer, parameter 0 Integer, parameter 1 Text
postgres: WITH "t0" AS (SELECT "age", "name", "tenant_id" FROM "user" AS "t0") SELECT count(*) FROM "user" AS "t0" WHERE "t0"."tenant_id" = $1 AND ("t0"."age" = $2 OR "t0"."name" = $3)
  forced 0 Integer, parameter 0 Integer, parameter 1 Text
"##);
    insta::assert_snapshot!(filtered(Statement::Count(0), true), @r##"
sqlite: SELECT count(*) FROM (SELECT 1 FROM "user" AS "t0" WHERE "t0"."tenant_id" = ?1 AND ("t0"."age" = ?2 OR "t0"."name" = ?3) LIMIT 5) AS "rows"
  forced 0 Integer, parameter 0 Integer, parameter 1 Text
postgres: WITH "t0" AS (SELECT "age", "name", "tenant_id" FROM "user" AS "t0") SELECT count(*) FROM (SELECT 1 FROM "user" AS "t0" WHERE "t0"."tenant_id" = $1 AND ("t0"."age" = $2 OR "t0"."name" = $3) LIMIT 5) AS "rows"
  forced 0 Integer, parameter 0 Integer, parameter 1 Text
"##);
    insta::assert_snapshot!(filtered(Statement::Exists(0), false), @r##"
sqlite: SELECT EXISTS (SELECT 1 FROM "user" AS "t0" WHERE "t0"."tenant_id" = ?1 AND ("t0"."age" = ?2 OR "t0"."name" = ?3))
  forced 0 Integer, parameter 0 Integer, parameter 1 Text
postgres: WITH "t0" AS (SELECT "age", "name", "tenant_id" FROM "user" AS "t0") SELECT EXISTS (SELECT 1 FROM "user" AS "t0" WHERE "t0"."tenant_id" = $1 AND ("t0"."age" = $2 OR "t0"."name" = $3))
  forced 0 Integer, parameter 0 Integer, parameter 1 Text
"##);
    insta::assert_snapshot!(filtered(Statement::Delete(delete("User")), false), @r##"
sqlite: DELETE FROM "user" AS "t0" WHERE "t0"."tenant_id" = ?1 AND ("t0"."age" = ?2 OR "t0"."name" = ?3)
  forced 0 Integer, parameter 0 Integer, parameter 1 Text
postgres: WITH "t0" AS (SELECT "age", "name", "tenant_id" FROM "user" AS "t0") DELETE FROM "user" AS "t0" WHERE "t0"."tenant_id" = $1 AND ("t0"."age" = $2 OR "t0"."name" = $3)
  forced 0 Integer, parameter 0 Integer, parameter 1 Text
"##);
    insta::assert_snapshot!(filtered(Statement::Delete(delete("User")), true), @r##"
sqlite: DELETE FROM "user" AS "t0" WHERE "t0"."tenant_id" = ?1 AND "t0"."id" IN (SELECT "t1"."id" FROM "user" AS "t1" WHERE "t1"."tenant_id" = ?1 AND ("t1"."age" = ?2 OR "t1"."name" = ?3) ORDER BY "t1"."id" LIMIT 5)
  forced 0 Integer, parameter 0 Integer, parameter 1 Text
postgres: WITH "t0" AS (SELECT "id", "tenant_id" FROM "user" AS "t0"), "t1" AS (SELECT "age", "id", "name", "tenant_id" FROM "user" AS "t1") DELETE FROM "user" AS "t0" WHERE "t0"."tenant_id" = $1 AND "t0"."id" IN (SELECT "t1"."id" FROM "user" AS "t1" WHERE "t1"."tenant_id" = $1 AND ("t1"."age" = $2 OR "t1"."name" = $3) ORDER BY "t1"."id" LIMIT 5)
  forced 0 Integer, parameter 0 Integer, parameter 1 Text
"##);
    insta::assert_snapshot!(scoped(&Nodes::default().select(ids()), Some(&scope)), @r##"
sqlite: SELECT "t0"."id" FROM "user" AS "t0" WHERE "t0"."tenant_id" = ?1
  forced 0 Integer
postgres: WITH "t0" AS (SELECT "id", "tenant_id" FROM "user" AS "t0") SELECT "t0"."id" FROM "user" AS "t0" WHERE "t0"."tenant_id" = $1
  forced 0 Integer
"##);
}

#[test]
fn t2_forced_values_are_numbered_over_the_tables_of_the_scope() {
    let filter = |field: &str, test, many| ForcedFilter { field: field.into(), test, many };
    let membership = TableScope {
        filters: vec![
            filter("team", Comparison::Equal, false),
            filter("user_id", Comparison::Less, false),
        ],
        ..open_scope("Membership")
    };
    let user = TableScope {
        filters: vec![
            filter("tenant_id", Comparison::Equal, true),
            filter("mood", Comparison::NotEqual, true),
            filter("mood", Comparison::Equal, false),
            filter("balance", Comparison::GreaterOrEqual, false),
            filter("token", Comparison::Equal, true),
        ],
        ..open_scope("User")
    };
    let scope = scope(vec![membership, user]);
    insta::assert_snapshot!(scoped(&Nodes::default().select(ids()), Some(&scope)), @r##"
sqlite: SELECT "t0"."id" FROM "user" AS "t0" WHERE "t0"."tenant_id" IN (SELECT value FROM json_each(?1)) AND "t0"."mood" COLLATE BINARY NOT IN (SELECT value FROM json_each(?2)) AND typeof("t0"."mood") = 'text' AND "t0"."mood" COLLATE BINARY = ?3 AND "t0"."balance" COLLATE "ferro_decimal" >= ?4 AND typeof("t0"."balance") = 'text' AND "t0"."token" IN (SELECT unhex(value) FROM json_each(?5))
  forced 2 Integer[], forced 3 Text[], forced 4 Text, forced 5 Decimal, forced 6 Uuid[]
postgres: WITH "t0" AS (SELECT "balance", "id", "mood", "tenant_id", "token" FROM "user" AS "t0") SELECT "t0"."id" FROM "user" AS "t0" WHERE "t0"."tenant_id" = ANY($1) AND CAST("t0"."mood" AS text) COLLATE "C" <> ALL($2) AND "t0"."mood" = CAST($3 AS "mood") AND CAST("t0"."mood" AS text) COLLATE "C" = $3 AND "t0"."balance" >= $4 AND "t0"."token" = ANY($5)
  forced 2 Integer[], forced 3 Text[], forced 4 Text, forced 5 Decimal, forced 6 Uuid[]
"##);
}

#[test]
fn t6_forced_texts_compare_byte_by_byte() {
    let select = || Nodes::default().select(ids());
    let equal = force("name", Comparison::Equal, false);
    insta::assert_snapshot!(scoped(&select(), Some(&equal)), @r##"
sqlite: SELECT "t0"."id" FROM "user" AS "t0" WHERE "t0"."name" COLLATE BINARY = ?1
  forced 0 Text
postgres: WITH "t0" AS (SELECT "id", "name" FROM "user" AS "t0") SELECT "t0"."id" FROM "user" AS "t0" WHERE "t0"."name" = $1 AND "t0"."name" COLLATE "C" = $1
  forced 0 Text
"##);
    let many = force("name", Comparison::Equal, true);
    insta::assert_snapshot!(scoped(&select(), Some(&many)), @r##"
sqlite: SELECT "t0"."id" FROM "user" AS "t0" WHERE "t0"."name" COLLATE BINARY IN (SELECT value FROM json_each(?1))
  forced 0 Text[]
postgres: WITH "t0" AS (SELECT "id", "name" FROM "user" AS "t0") SELECT "t0"."id" FROM "user" AS "t0" WHERE "t0"."name" = ANY($1) AND "t0"."name" COLLATE "C" = ANY($1)
  forced 0 Text[]
"##);
    let none = force("name", Comparison::NotEqual, true);
    insta::assert_snapshot!(scoped(&select(), Some(&none)), @r##"
sqlite: SELECT "t0"."id" FROM "user" AS "t0" WHERE "t0"."name" COLLATE BINARY NOT IN (SELECT value FROM json_each(?1)) AND typeof("t0"."name") = 'text'
  forced 0 Text[]
postgres: WITH "t0" AS (SELECT "id", "name" FROM "user" AS "t0") SELECT "t0"."id" FROM "user" AS "t0" WHERE "t0"."name" COLLATE "C" <> ALL($1)
  forced 0 Text[]
"##);
}

#[test]
fn t6_enums_that_are_forced_compare_as_texts() {
    let select = || Nodes::default().select(ids());
    let many = force("mood", Comparison::Equal, true);
    insta::assert_snapshot!(scoped(&select(), Some(&many)), @r##"
sqlite: SELECT "t0"."id" FROM "user" AS "t0" WHERE "t0"."mood" COLLATE BINARY IN (SELECT value FROM json_each(?1))
  forced 0 Text[]
postgres: WITH "t0" AS (SELECT "id", "mood" FROM "user" AS "t0") SELECT "t0"."id" FROM "user" AS "t0" WHERE "t0"."mood" = ANY(CAST($1 AS "mood"[])) AND CAST("t0"."mood" AS text) COLLATE "C" = ANY($1)
  forced 0 Text[]
"##);
    let insert = Statement::Insert(insert("User", &["email"]));
    let insert = Nodes::default().query(vec![], insert);
    insta::assert_snapshot!(scoped(&insert, Some(&force("mood", Comparison::Equal, false))), @r##"
sqlite: INSERT INTO "user" AS "t0" ("email", "mood") VALUES (?1, ?2)
  parameter 0 Text, forced 0 Text
postgres: INSERT INTO "user" AS "t0" ("email", "mood") VALUES ($1, (SELECT CAST($2 AS "mood") UNION ALL SELECT CAST($2 AS "mood") WHERE CAST(CAST($2 AS "mood") AS text) COLLATE "C" <> $2))
  parameter 0 Text, forced 0 Text
"##);
}

#[test]
fn t3_what_can_fail_is_asked_of_rows_in_scope_only() {
    let scope = scope(vec![tenant_scope()]);
    let mut nodes = Nodes::default();
    let quotient = nodes.test("age", BinaryOperator::Divide, 0, ScalarType::Integer);
    let two = nodes.integer(2);
    let fallible = nodes.binary(quotient, BinaryOperator::Greater, two);
    let safe = nodes.test("email", BinaryOperator::Equal, 1, ScalarType::Text);
    let filter = nodes.add(Node::AllOf(vec![safe, fallible]));
    let query = nodes.select(Select { filter: Some(filter), ..ids() });
    insta::assert_snapshot!(scoped(&query, Some(&scope)), @r##"
sqlite: SELECT "t0"."id" FROM "user" AS "t0" WHERE "t0"."tenant_id" = ?1 AND "t0"."email" = ?2 AND CASE WHEN "t0"."tenant_id" = ?1 THEN ("t0"."age" / ?3) > 2 ELSE 0 END
  forced 0 Integer, parameter 1 Text, parameter 0 Integer
postgres: WITH "t0" AS (SELECT "age", "email", "id", "tenant_id" FROM "user" AS "t0") SELECT "t0"."id" FROM "user" AS "t0" WHERE "t0"."tenant_id" = $1 AND "t0"."email" = $2 AND CASE WHEN "t0"."tenant_id" = $1 THEN (CAST("t0"."age" AS bigint) / NULLIF($3, 0)) > 2 ELSE FALSE END
  forced 0 Integer, parameter 1 Text, parameter 0 Integer
"##);
}

#[test]
fn t3_dates_are_moved_in_rows_in_scope_only() {
    let mut nodes = Nodes::default();
    let (born, days) = (nodes.field("born"), nodes.field("age"));
    let moved = nodes.binary(born, BinaryOperator::Add, days);
    let filter = nodes.add(Node::Binary((BinaryOperator::Greater, moved, born)));
    let query = nodes.select(Select { filter: Some(filter), ..ids() });
    insta::assert_snapshot!(scoped(&query, Some(&scope(vec![tenant_scope()]))), @r##"
sqlite: SELECT "t0"."id" FROM "user" AS "t0" WHERE "t0"."tenant_id" = ?1 AND CASE WHEN "t0"."tenant_id" = ?1 THEN (ferro_add_days("t0"."born", "t0"."age")) > "t0"."born" ELSE 0 END
  forced 0 Integer
postgres: WITH "t0" AS (SELECT "age", "born", "id", "tenant_id" FROM "user" AS "t0") SELECT "t0"."id" FROM "user" AS "t0" WHERE "t0"."tenant_id" = $1 AND CASE WHEN "t0"."tenant_id" = $1 THEN ("t0"."born" + CAST("t0"."age" AS integer)) > "t0"."born" ELSE FALSE END
  forced 0 Integer
"##);
}

#[test]
fn t3_a_question_to_groups_is_not_asked_of_rows() {
    let scope = scope(vec![tenant_scope()]);
    let mut nodes = Nodes::default();
    let age = nodes.field("age");
    let quotient = nodes.test("age", BinaryOperator::Divide, 0, ScalarType::Integer);
    let two = nodes.integer(2);
    let having = nodes.binary(quotient, BinaryOperator::Greater, two);
    let query = nodes.select(Select {
        projection: outputs(&[age]),
        group_by: vec![age],
        having: Some(having),
        ..all("User")
    });
    insta::assert_snapshot!(scoped(&query, Some(&scope)), @r##"
sqlite: SELECT "t0"."age" FROM "user" AS "t0" WHERE "t0"."tenant_id" = ?1 GROUP BY "t0"."age" HAVING CASE WHEN count(*) > 0 THEN ("t0"."age" / ?2) > 2 END
  forced 0 Integer, parameter 0 Integer
postgres: WITH "t0" AS (SELECT "age", "tenant_id" FROM "user" AS "t0") SELECT "t0"."age" FROM "user" AS "t0" WHERE "t0"."tenant_id" = $1 GROUP BY "t0"."age" HAVING CASE WHEN count(*) > 0 THEN (CAST("t0"."age" AS bigint) / NULLIF($2, 0)) > 2 END
  forced 0 Integer, parameter 0 Integer
"##);
}

#[test]
fn t4_inserts_carry_the_forced_values_on_every_path() {
    let scope = scope(vec![tenant_scope()]);
    let insert = |source| {
        let insert = Insert { source, ..insert("User", &["email", "mood"]) };
        let query = Nodes::default().query(vec![], Statement::Insert(insert));
        let text = scoped(&query, Some(&scope));
        text.lines().filter(|it| it.len() < 300).collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(insert(RowSource::Parameters), @r##"
sqlite: INSERT INTO "user" AS "t0" ("email", "mood", "tenant_id") VALUES (?1, ?2, ?3)
  parameter 0 Text, parameter 1 Text, forced 0 Integer
postgres: INSERT INTO "user" AS "t0" ("email", "mood", "tenant_id") VALUES ($1, CAST($2 AS "mood"), $3)
  parameter 0 Text, parameter 1 Text, forced 0 Integer
"##);
    insta::assert_snapshot!(insert(RowSource::Batch), @r##"
sqlite (1 rows): INSERT INTO "user" AS "t0" ("email", "mood", "tenant_id") VALUES (?1, ?2, ?3)
  column 0 Text, column 1 Text, forced 0 Integer
postgres: INSERT INTO "user" AS "t0" ("email", "mood", "tenant_id") SELECT "r"."c0", CAST("r"."c1" AS "mood"), $1 FROM (SELECT unnest($2), unnest($3)) AS "r" ("c0", "c1")
  forced 0 Integer, column 0 Text[], column 1 Text[]
  or COPY "user" ("email", "mood", "tenant_id") FROM STDIN WITH (FORMAT binary)
  column 0 Text, column 1 Text, forced 0 Integer
"##);
    let nothing =
        Nodes::default().query(vec![], Statement::Insert(crate::fixture::insert("User", &[])));
    insta::assert_snapshot!(scoped(&nothing, Some(&scope)), @r##"
sqlite: INSERT INTO "user" AS "t0" ("tenant_id") VALUES (?1)
  forced 0 Integer
postgres: INSERT INTO "user" AS "t0" ("tenant_id") VALUES ($1)
  forced 0 Integer
"##);
}

#[test]
fn t4_every_row_of_a_batch_carries_the_forced_values() {
    let scope = scope(vec![tenant_scope()]);
    let insert = Insert { source: RowSource::Batch, ..insert("User", &["email"]) };
    let query = Nodes::default().query(vec![], Statement::Insert(insert));
    let plan = catalog().compile(&query, Dialect::Sqlite, Some(&scope)).unwrap();
    let many = &plan.steps[0];
    assert_eq!(many.sql.matches(", ?2)").count(), 100);
    assert_eq!(many.binds.len(), 101);
}

#[test]
fn t4_an_insert_that_cannot_be_kept_in_scope_is_refused() {
    let query = Nodes::default().query(vec![], Statement::Insert(insert("User", &["email"])));
    for (test, many) in
        [(Comparison::Less, false), (Comparison::Equal, true), (Comparison::NotEqual, false)]
    {
        let fault = scoped_error(&query, Some(&force("tenant_id", test, many)));
        assert_eq!(fault.kind, ErrorKind::Denied);
    }
}

#[test]
fn t4_a_forced_field_that_an_insert_names_has_the_forced_value() {
    let scope = scope(vec![tenant_scope()]);
    let query =
        Nodes::default().query(vec![], Statement::Insert(insert("User", &["tenant_id", "email"])));
    insta::assert_snapshot!(scoped(&query, Some(&scope)), @r##"
sqlite: INSERT INTO "user" AS "t0" ("tenant_id", "email") VALUES (?1, ?2)
  forced 0 Integer, parameter 1 Text
  tenant_id: Parameter(0) agrees with forced 0
postgres: INSERT INTO "user" AS "t0" ("tenant_id", "email") VALUES ($1, $2)
  forced 0 Integer, parameter 1 Text
  tenant_id: Parameter(0) agrees with forced 0
"##);
    let batch = Insert { source: RowSource::Batch, ..insert("User", &["tenant_id", "email"]) };
    let query = Nodes::default().query(vec![], Statement::Insert(batch));
    let plans = scoped(&query, Some(&scope));
    insta::assert_snapshot!(&plans[plans.find("sqlite (1 rows)").unwrap()..], @r##"
sqlite (1 rows): INSERT INTO "user" AS "t0" ("tenant_id", "email") VALUES (?1, ?2)
  forced 0 Integer, column 1 Text
  tenant_id: Column(0) agrees with forced 0
postgres: INSERT INTO "user" AS "t0" ("tenant_id", "email") SELECT $1, "r"."c1" FROM (SELECT unnest($2), unnest($3)) AS "r" ("c0", "c1")
  forced 0 Integer, column 0 Integer[], column 1 Text[]
  or COPY "user" ("tenant_id", "email") FROM STDIN WITH (FORMAT binary)
  forced 0 Integer, column 1 Text
  tenant_id: Column(0) agrees with forced 0
"##);
}

#[test]
fn t4_a_forced_field_that_an_update_sets_keeps_the_forced_value() {
    let scope = scope(vec![tenant_scope()]);
    let mut nodes = Nodes::default();
    let value = nodes.parameter(0, ScalarType::Integer);
    let set = vec![Assignment { field: "tenant_id".into(), value }];
    let query = nodes.query(vec![all("User")], Statement::Update(Update { set, ..update("User") }));
    insta::assert_snapshot!(scoped(&query, Some(&scope)), @r##"
sqlite: UPDATE "user" AS "t0" SET "tenant_id" = "t0"."tenant_id" WHERE "t0"."tenant_id" = ?1
  forced 0 Integer
  tenant_id: Parameter(0) agrees with forced 0
postgres: WITH "t0" AS (SELECT "tenant_id" FROM "user" AS "t0") UPDATE "user" AS "t0" SET "tenant_id" = "t0"."tenant_id" WHERE "t0"."tenant_id" = $1
  forced 0 Integer
  tenant_id: Parameter(0) agrees with forced 0
"##);

    let mut nodes = Nodes::default();
    let value = nodes.integer(7);
    let set = vec![Assignment { field: "tenant_id".into(), value }];
    let query = nodes.query(vec![all("User")], Statement::Update(Update { set, ..update("User") }));
    insta::assert_snapshot!(line(&scoped_error(&query, Some(&scope))), @r##"denied: field `tenant_id` of `User` takes a parameter only: its value is forced"##);
}

#[test]
fn t4_an_upsert_updates_rows_in_scope_only() {
    let scope = scope(vec![tenant_scope()]);
    let mut nodes = Nodes::default();
    let name = nodes.add(Node::Excluded("name".into()));
    let quotient = nodes.test("age", BinaryOperator::Divide, 2, ScalarType::Integer);
    let two = nodes.integer(2);
    let condition = nodes.binary(quotient, BinaryOperator::Greater, two);
    let insert = Insert {
        conflict: Some(Conflict {
            update: vec![Assignment { field: "name".into(), value: name }],
            condition: Some(condition),
            ..conflict(&["email"])
        }),
        ..insert("User", &["email", "name"])
    };
    let query = nodes.query(vec![], Statement::Insert(insert));
    insta::assert_snapshot!(scoped(&query, Some(&scope)), @r##"
sqlite: INSERT INTO "user" AS "t0" ("email", "name", "tenant_id") VALUES (?1, ?2, ?3) ON CONFLICT ("email") DO UPDATE SET "name" = excluded."name" WHERE "t0"."tenant_id" = ?3 AND CASE WHEN "t0"."tenant_id" = ?3 THEN ("t0"."age" / ?4) > 2 ELSE 0 END
  parameter 0 Text, parameter 1 Text, forced 0 Integer, parameter 2 Integer
postgres: WITH "t0" AS (SELECT "age", "name", "tenant_id" FROM "user" AS "t0") INSERT INTO "user" AS "t0" ("email", "name", "tenant_id") VALUES ($1, $2, $3) ON CONFLICT ("email") DO UPDATE SET "name" = excluded."name" WHERE "t0"."tenant_id" = $3 AND CASE WHEN "t0"."tenant_id" = $3 THEN (CAST("t0"."age" AS bigint) / NULLIF($4, 0)) > 2 ELSE FALSE END
  parameter 0 Text, parameter 1 Text, forced 0 Integer, parameter 2 Integer
"##);
}

#[test]
fn t4_what_is_not_granted_is_refused() {
    let nothing = scope(vec![TableScope {
        insert: false,
        update: false,
        delete: false,
        ..open_scope("User")
    }]);
    let mut nodes = Nodes::default();
    let value = nodes.parameter(0, ScalarType::Text);
    let set = vec![Assignment { field: "name".into(), value }];
    let updates = Statement::Update(Update { set, ..update("User") });
    let query = |statement| nodes.clone().query(vec![all("User")], statement);
    let inserts = Statement::Insert(insert("User", &["name"]));
    insta::assert_snapshot!(line(&scoped_error(&query(inserts), Some(&nothing))), @"denied: rows may not be inserted into `User`");
    insta::assert_snapshot!(line(&scoped_error(&query(updates), Some(&nothing))), @"denied: rows may not be updated in `User`");
    let deletes = Statement::Delete(delete("User"));
    insta::assert_snapshot!(line(&scoped_error(&query(deletes), Some(&nothing))), @"denied: rows may not be deleted from `User`");
    let upsert = Insert {
        conflict: Some(Conflict {
            update: vec![Assignment { field: "name".into(), value: 0 }],
            ..conflict(&["email"])
        }),
        ..insert("User", &["name"])
    };
    let no_update = scope(vec![TableScope { update: false, ..open_scope("User") }]);
    let fault = scoped_error(&query(Statement::Insert(upsert)), Some(&no_update));
    insta::assert_snapshot!(line(&fault), @"denied: rows may not be updated in `User`");
}

#[test]
fn t8_a_read_only_scope_refuses_every_write() {
    let read_only = Scope { read_only: true, ..scope(vec![open_scope("User")]) };
    let query = |statement| Nodes::default().query(vec![all("User")], statement);
    for statement in [
        Statement::Insert(insert("User", &["name"])),
        Statement::Update(update("User")),
        Statement::Delete(delete("User")),
    ] {
        assert_eq!(scoped_error(&query(statement), Some(&read_only)).kind, ErrorKind::ReadOnly);
    }
    let reads = query(Statement::Select(0));
    assert!(catalog().compile(&reads, Dialect::Sqlite, Some(&read_only)).is_ok());
}

#[test]
fn a_scope_that_does_not_fit_the_models_grants_nothing() {
    let select = Nodes::default().select(all("User"));
    let faults = [
        scope(vec![open_scope("User"), open_scope("User")]),
        scope(vec![TableScope {
            readable: FieldSet::Except(vec!["tokne".into()]),
            ..open_scope("User")
        }]),
        force("tenant", Comparison::Equal, false),
        force("profile", Comparison::Equal, false),
        force("tenant_id", Comparison::Less, true),
        force("mood", Comparison::Less, false),
    ];
    for scope in faults {
        let fault = scoped_error(&select, Some(&scope));
        assert_eq!(fault.kind, ErrorKind::InvalidConfiguration, "{fault}");
    }
}

#[test]
fn t7_no_value_of_the_scope_is_in_the_plan() {
    let scope = scope(vec![tenant_scope()]);
    let plan = catalog()
        .compile(&Nodes::default().select(all("User")), Dialect::Postgres, Some(&scope))
        .unwrap();
    assert_eq!(plan.steps[0].binds.len(), 1);
    assert!(matches!(plan.steps[0].binds[0].source, ferro_wit::plan::Binding::Forced(0)));
    assert!(matches!(all("User").projection, Projection::Model));
}

#[test]
fn t1_no_column_has_the_name_of_an_alias_which_would_be_the_whole_row() {
    for column in ["t0", "T1"] {
        let schema =
            Schema { models: vec![model("Thing", vec![id(), text(column)])], enums: vec![] };
        let faults = Catalog::new(schema).unwrap_err();
        assert!(faults.len() == 1 && faults[0].contains("alias"), "{faults:?}");
    }
}

#[test]
fn t1_no_table_has_the_name_of_a_part_of_a_statement() {
    let faults = |table: &str| {
        let thing = ferro_wit::schema::Model {
            table: Some(table.into()),
            ..model("Thing", vec![id(), text("name")])
        };
        Catalog::new(Schema { models: vec![thing], enums: vec![] }).err().unwrap_or_default()
    };
    for table in ["t0", "T63", "common0", "Common31", "source.rows", "batch.rows", "Related.rows"] {
        let faults = faults(table);
        assert!(faults.len() == 1 && faults[0].contains("alias"), "{table}: {faults:?}");
    }
    for table in ["t", "t64", "t00", "common", "common32", "common01", "source", "1t1", "tt1"] {
        assert!(faults(table).is_empty(), "{table}");
    }
}

#[test]
fn s3_texts_that_a_tenant_joins_are_asked_for_their_length_first() {
    let mut nodes = Nodes::default();
    let name = nodes.field("name");
    let given = nodes.parameter(0, ScalarType::Text);
    let email = nodes.field("email");
    let either = nodes.call("coalesce", &[email, given]);
    let pair = nodes.binary(given, BinaryOperator::Concat, either);
    let joined = nodes.binary(name, BinaryOperator::Concat, pair);
    let query = nodes.select(Select { projection: outputs(&[joined]), ..all("User") });
    let scope = scope(vec![open_scope("User")]);
    insta::assert_snapshot!(scoped(&query, Some(&scope)), @r##"
sqlite: SELECT "t0"."name" || (?1 || coalesce("t0"."email", ?1)) FROM "user" AS "t0"
  parameter 0 Text
postgres: WITH "t0" AS (SELECT "email", "name" FROM "user" AS "t0") SELECT CASE WHEN 2143483647 + octet_length("t0"."name") + octet_length($1) + octet_length(coalesce("t0"."email", $1)) > 0 THEN concat("t0"."name", $1, coalesce("t0"."email", $1)) END FROM "user" AS "t0"
  parameter 0 Text
"##);
}

#[test]
fn s3_a_statement_of_a_tenant_makes_few_texts() {
    type Build<'a> = &'a dyn Fn(&mut Nodes, u32) -> u32;
    let compiled = |scope: Option<&Scope>, build: Build<'_>, times: usize| {
        let mut nodes = Nodes::default();
        let name = nodes.field("name");
        let made = build(&mut nodes, name);
        let query = nodes.select(Select { projection: outputs(&vec![made; times]), ..all("User") });
        catalog().compile(&query, Dialect::Postgres, scope).map(drop).map_err(|it| it.kind)
    };
    let open = scope(vec![open_scope("User")]);
    let pair = |nodes: &mut Nodes, name| nodes.binary(name, BinaryOperator::Concat, name);
    let lower = |nodes: &mut Nodes, name| nodes.call("lower", &[name]);
    let replace = |nodes: &mut Nodes, name| nodes.call("replace", &[name, name, name]);
    let search = |nodes: &mut Nodes, name| nodes.binary(name, BinaryOperator::Ilike, name);
    let hidden = |nodes: &mut Nodes, name| {
        let pair = nodes.binary(name, BinaryOperator::Concat, name);
        nodes.call("coalesce", &[name, pair])
    };
    let builds: [(Build<'_>, usize); 5] =
        [(&pair, 96), (&lower, 96), (&replace, 12), (&search, 96), (&hidden, 96)];
    for (build, most) in builds {
        assert_eq!(compiled(Some(&open), build, most), Ok(()));
        assert_eq!(compiled(Some(&open), build, most + 1), Err(ErrorKind::LimitExceeded));
        assert_eq!(compiled(None, build, most + 1), Ok(()));
    }
    // A chain that unfolds has no end that could be written.
    let chain = |nodes: &mut Nodes, name| {
        (0..40).fold(name, |it, _| nodes.binary(it, BinaryOperator::Concat, it))
    };
    assert_eq!(compiled(Some(&open), &chain, 1), Err(ErrorKind::LimitExceeded));
}
