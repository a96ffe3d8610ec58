//! Inserts of one row and of batches, and conflicts.

use ferro_wit::query::{
    Assignment, BinaryOperator, Conflict, Insert, Node, Projection, Query, RowSource, Statement,
};
use ferro_wit::types::{Dialect, ScalarType};

use crate::fixture::*;

fn query(nodes: Nodes, insert: Insert) -> Query {
    nodes.query(vec![], Statement::Insert(insert))
}

#[test]
fn one_row_of_parameters_returns_what_is_asked_for() {
    let returning = Some(fields(&["id", "mood"]));
    let insert = Insert { returning, ..insert("User", &["email", "mood", "tags"]) };
    insta::assert_snapshot!(plan(&query(Nodes::default(), insert)), @r##"
sqlite: INSERT INTO "user" AS "t0" ("email", "mood", "tags") VALUES (?1, ?2, ?3) RETURNING "id", "mood"
  parameter 0 Text, parameter 1 Text, parameter 2 Text[]
postgres: INSERT INTO "user" AS "t0" ("email", "mood", "tags") VALUES ($1, CAST($2 AS "mood"), $3) RETURNING "id", CAST("mood" AS text)
  parameter 0 Text, parameter 1 Text, parameter 2 Text[]
"##);
}

#[test]
fn a_model_with_only_a_generated_key_can_be_inserted() {
    let returning = Some(Projection::Model);
    let one = Insert { returning, ..insert("Counter", &[]) };
    insta::assert_snapshot!(plan(&query(Nodes::default(), one)), @r##"
sqlite: INSERT INTO "counter" AS "t0" DEFAULT VALUES RETURNING "id"
postgres: INSERT INTO "counter" AS "t0" DEFAULT VALUES RETURNING "id"
"##);
    let batch = Insert { source: RowSource::Batch, ..insert("Counter", &[]) };
    insta::assert_snapshot!(plan(&query(Nodes::default(), batch)), @r##"
sqlite (1 rows): INSERT INTO "counter" AS "t0" DEFAULT VALUES
postgres (1 rows): INSERT INTO "counter" AS "t0" DEFAULT VALUES
"##);
}

#[test]
fn a_batch_is_arrays_on_postgres_and_rows_on_sqlite() {
    let batch = Insert { source: RowSource::Batch, ..insert("User", &["email", "mood"]) };
    let text = plan(&query(Nodes::default(), batch));
    let short: Vec<_> = text.lines().filter(|it| it.len() < 300).collect();
    insta::assert_snapshot!(short.join("\n"), @r##"
sqlite (1 rows): INSERT INTO "user" AS "t0" ("email", "mood") VALUES (?1, ?2)
  column 0 Text, column 1 Text
postgres: INSERT INTO "user" AS "t0" ("email", "mood") SELECT "r"."c0", CAST("r"."c1" AS "mood") FROM (SELECT unnest($1), unnest($2)) AS "r" ("c0", "c1")
  column 0 Text[], column 1 Text[]
  or COPY "user" ("email", "mood") FROM STDIN WITH (FORMAT binary)
  column 0 Text, column 1 Text
"##);
}

#[test]
fn a_batch_of_many_rows_differs_from_that_of_one_in_their_number_only() {
    let batch = Insert { source: RowSource::Batch, ..insert("User", &["email", "name"]) };
    let plan = catalog().compile(&query(Nodes::default(), batch), Dialect::Sqlite, None).unwrap();
    assert!(plan.atomic);
    let [many, one] = plan.steps.as_slice() else { panic!("two alternatives") };
    assert_eq!((many.rows_per_statement, one.rows_per_statement), (Some(100), Some(1)));
    assert_eq!(many.binds.len(), 200);
    assert_eq!(many.binds[..2], one.binds);
    assert_eq!(many.binds[198..], one.binds);
    assert!(many.sql.ends_with("(?199, ?200)"));
}

#[test]
fn a_batch_with_arrays_in_it_goes_row_by_row_on_postgres_too() {
    let batch = Insert { source: RowSource::Batch, ..insert("User", &["email", "tags"]) };
    let plan = catalog().compile(&query(Nodes::default(), batch), Dialect::Postgres, None).unwrap();
    let rows: Vec<_> = plan.steps.iter().map(|it| it.rows_per_statement).collect();
    assert_eq!(rows, [Some(100), Some(1)]);
    insta::assert_snapshot!(plan.steps[1].sql, @r##"INSERT INTO "user" AS "t0" ("email", "tags") VALUES ($1, $2)"##);
}

#[test]
fn a_wide_batch_stays_inside_the_limits_of_a_statement() {
    let wide: Vec<_> = (0..1900).map(|it| text(&format!("column_{it}"))).collect();
    let names: Vec<_> = wide.iter().map(|it| it.name.as_str()).collect();
    let batch = Insert { source: RowSource::Batch, ..insert("Wide", &names) };
    let schema =
        ferro_wit::schema::Schema { models: vec![model("Wide", wide.clone())], enums: vec![] };
    let catalog = ferro_core::Catalog::new(schema).unwrap();
    let plan = catalog.compile(&query(Nodes::default(), batch), Dialect::Sqlite, None).unwrap();
    let rows: Vec<_> = plan.steps.iter().map(|it| it.rows_per_statement).collect();
    assert_eq!(rows, [Some(8), Some(1)]);
}

#[test]
fn a_taken_key_is_left_alone_or_updated_with_what_was_excluded() {
    let nothing =
        Insert { conflict: Some(conflict(&["email"])), ..insert("User", &["email", "name"]) };
    insta::assert_snapshot!(plan(&query(Nodes::default(), nothing)), @r##"
sqlite: INSERT INTO "user" AS "t0" ("email", "name") VALUES (?1, ?2) ON CONFLICT ("email") DO NOTHING
  parameter 0 Text, parameter 1 Text
postgres: INSERT INTO "user" AS "t0" ("email", "name") VALUES ($1, $2) ON CONFLICT ("email") DO NOTHING
  parameter 0 Text, parameter 1 Text
"##);

    let mut nodes = Nodes::default();
    let name = nodes.add(Node::Excluded("name".into()));
    let mood = nodes.parameter(2, ScalarType::Text);
    let age = nodes.field("age");
    let one = nodes.integer(1);
    let older = nodes.binary(age, BinaryOperator::Add, one);
    let current = nodes.field("name");
    let condition = nodes.binary(current, BinaryOperator::NotEqual, name);
    let set = |field: &str, value| Assignment { field: field.into(), value };
    let update = Insert {
        conflict: Some(Conflict {
            update: vec![set("name", name), set("mood", mood), set("age", older)],
            condition: Some(condition),
            ..conflict(&["email"])
        }),
        returning: Some(fields(&["id"])),
        ..insert("User", &["email", "name"])
    };
    insta::assert_snapshot!(plan(&query(nodes, update)), @r##"
sqlite: INSERT INTO "user" AS "t0" ("email", "name") VALUES (?1, ?2) ON CONFLICT ("email") DO UPDATE SET "name" = excluded."name", "mood" = ?3, "age" = CASE typeof("t0"."age" + 1) WHEN 'real' THEN abs(-9223372036854775808) ELSE "t0"."age" + 1 END WHERE "t0"."name" <> excluded."name" RETURNING "id"
  parameter 0 Text, parameter 1 Text, parameter 2 Text
postgres: INSERT INTO "user" AS "t0" ("email", "name") VALUES ($1, $2) ON CONFLICT ("email") DO UPDATE SET "name" = excluded."name", "mood" = CAST($3 AS "mood"), "age" = CAST("t0"."age" AS bigint) + CAST(1 AS bigint) WHERE "t0"."name" <> excluded."name" RETURNING "id"
  parameter 0 Text, parameter 1 Text, parameter 2 Text
"##);
}

#[test]
fn the_target_of_a_conflict_is_a_key_in_any_order() {
    let target = |names: &[&str]| {
        query(
            Nodes::default(),
            Insert { conflict: Some(conflict(names)), ..insert("User", &["email", "name"]) },
        )
    };
    assert!(catalog().compile(&target(&["name", "tenant_id"]), Dialect::Sqlite, None).is_ok());
    insta::assert_snapshot!(line(&error(&target(&["name"]))), @"invalid-query: the fields of the conflict are no key of `User`: name the primary key or a unique one");
    insta::assert_snapshot!(line(&error(&target(&[]))), @"invalid-query: the fields of the conflict are no key of `User`: name the primary key or a unique one");
}

#[test]
fn inserts_that_cannot_be_are_refused() {
    let fault = |nodes, insert| line(&error(&query(nodes, insert)));
    let twice = insert("User", &["name", "name"]);
    insta::assert_snapshot!(fault(Nodes::default(), twice), @"invalid-query: field `name` is inserted twice");
    let unknown = insert("User", &["nmae"]);
    insta::assert_snapshot!(fault(Nodes::default(), unknown), @"invalid-query: model `User` has no field `nmae`; did you mean `name`?");
    let nothing = Insert { conflict: Some(conflict(&["id"])), ..insert("Counter", &[]) };
    insta::assert_snapshot!(fault(Nodes::default(), nothing), @"invalid-query: an insert without fields has no key that could be taken");
    let mut nodes = Nodes::default();
    let value = nodes.parameter(0, ScalarType::Integer);
    let clash = Insert {
        conflict: Some(Conflict {
            update: vec![Assignment { field: "age".into(), value }],
            ..conflict(&["email"])
        }),
        ..insert("User", &["email"])
    };
    insta::assert_snapshot!(fault(nodes, clash), @"type-mismatch: `User.email`: parameter 0 is its value, and has another type elsewhere in the query");
}

#[test]
fn excluded_stands_in_a_conflict_only() {
    let mut nodes = Nodes::default();
    let name = nodes.add(Node::Excluded("name".into()));
    let filter = nodes.unary(ferro_wit::query::UnaryOperator::IsNull, name);
    let query = nodes.select(ferro_wit::query::Select { filter: Some(filter), ..ids() });
    insta::assert_snapshot!(line(&error(&query)), @"invalid-query: `User.name`: `excluded` stands only in the conflict of an insert and in an update by a batch");
}
