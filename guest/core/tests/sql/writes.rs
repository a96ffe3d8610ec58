//! Inserts from selects, updates by batches, versions, and fields that updates set by themselves.

use ferro_core::Catalog;
use ferro_wit::policy::{FieldSet, ForcedFilter, TableScope};
use ferro_wit::query::{
    Assignment, BinaryOperator as B, Conflict, Insert, KeyedBatch, Node, NodeRef, RowSource,
    Select, SelectRef, Statement, Update,
};
use ferro_wit::schema::{ColumnType, Comparison, Field, Model, Schema, UpdateValue};
use ferro_wit::types::ScalarType as S;

use crate::fixture::*;

fn copied(fields: &[&str], from: SelectRef) -> Insert {
    Insert { source: RowSource::Select(from), ..insert("User", fields) }
}

fn set(field: &str, value: NodeRef) -> Assignment {
    Assignment { field: field.into(), value }
}

fn by(fields: &[&str], key: &[&str]) -> Option<KeyedBatch> {
    let names = |it: &[&str]| it.iter().map(|it| (*it).to_owned()).collect();
    Some(KeyedBatch { fields: names(fields), key: names(key) })
}

#[test]
fn an_insert_takes_the_rows_of_a_select() {
    let mut nodes = Nodes::default();
    let (name, age) = (nodes.field("name"), nodes.field("age"));
    let one = nodes.integer(1);
    let older = nodes.binary(age, B::Add, one);
    let mood = nodes.field("mood");
    let null = nodes.null();
    let adult = nodes.test("age", B::Greater, 0, S::Integer);
    let users = Select {
        projection: outputs(&[name, older, age, mood, null]),
        filter: Some(adult),
        ..all("User")
    };
    let fields = ["email", "age", "balance", "mood", "token"];
    let insert = Insert { conflict: Some(conflict(&["email"])), ..copied(&fields, 0) };
    let query = nodes.query(vec![users], Statement::Insert(insert));
    insta::assert_snapshot!(plan(&query), @r##"
sqlite: WITH "source.rows" ("c0", "c1", "c2", "c3", "c4") AS (SELECT "t1"."name", "t1"."age" + 1, "t1"."age", "t1"."mood", NULL FROM "user" AS "t1" WHERE "t1"."age" > ?1) INSERT INTO "user" AS "t0" ("email", "age", "balance", "mood", "token") SELECT "c0", CASE typeof("c1") WHEN 'real' THEN abs(-9223372036854775808) ELSE "c1" END, CAST("c2" AS TEXT), "c3", CAST("c4" AS BLOB) FROM "source.rows" WHERE 1 ON CONFLICT ("email") DO NOTHING
  parameter 0 Integer
postgres: WITH "source.rows" ("c0", "c1", "c2", "c3", "c4") AS (SELECT "t1"."name", CAST("t1"."age" AS bigint) + CAST(1 AS bigint), "t1"."age", CAST("t1"."mood" AS text), NULL FROM "user" AS "t1" WHERE "t1"."age" > $1) INSERT INTO "user" AS "t0" ("email", "age", "balance", "mood", "token") SELECT "c0", "c1", "c2", CAST("c3" AS "mood"), CAST("c4" AS uuid) FROM "source.rows" WHERE TRUE ON CONFLICT ("email") DO NOTHING
  parameter 0 Integer
"##);
}

#[test]
fn t4_rows_of_a_select_are_in_scope_and_get_forced_values() {
    let users = || Select { projection: fields(&["name", "email"]), ..all("User") };
    let query = Nodes::default().query(
        vec![users()],
        Statement::Insert(Insert {
            returning: Some(fields(&["id"])),
            ..copied(&["email", "name"], 0)
        }),
    );
    let scope = scope(vec![tenant_scope()]);
    insta::assert_snapshot!(scoped(&query, Some(&scope)), @r##"
sqlite: WITH "source.rows" ("c0", "c1") AS (SELECT "t1"."name", "t1"."email" FROM "user" AS "t1" WHERE "t1"."tenant_id" = ?1) INSERT INTO "user" AS "t0" ("email", "name", "tenant_id") SELECT "c0", "c1", ?1 FROM "source.rows" RETURNING "id"
  forced 0 Integer
postgres: WITH "t0" AS (SELECT "id" FROM "user" AS "t0"), "t1" AS (SELECT "email", "name", "tenant_id" FROM "user" AS "t1"), "source.rows" ("c0", "c1") AS (SELECT "t1"."name", "t1"."email" FROM "user" AS "t1" WHERE "t1"."tenant_id" = $1) INSERT INTO "user" AS "t0" ("email", "name", "tenant_id") SELECT "c0", "c1", $1 FROM "source.rows" RETURNING "id"
  forced 0 Integer
"##);
    let named = copied(&["email", "tenant_id"], 0);
    let users = Select { projection: fields(&["name", "tenant_id"]), ..all("User") };
    let query = Nodes::default().query(vec![users], Statement::Insert(named));
    insta::assert_snapshot!(line(&scoped_error(&query, Some(&scope))), @"denied: field `tenant_id` of `User` gets its forced value: leave it out of the select");
}

#[test]
fn a_select_that_does_not_fit_is_refused() {
    let refused = |fields: &[&str], projection| {
        let users = Select { projection, ..all("User") };
        let query = Nodes::default().query(vec![users], Statement::Insert(copied(fields, 0)));
        line(&error(&query))
    };
    insta::assert_snapshot!(refused(&["name"], fields(&["id", "name"])), @"invalid-query: the select has 2 columns for 1 fields");
    insta::assert_snapshot!(refused(&["name"], fields(&["age"])), @"type-mismatch: field `name` of `User` wants text, and the select has integer");
    insta::assert_snapshot!(refused(&["mood"], fields(&["name"])), @"type-mismatch: field `mood` of `User` wants enum `mood`, and the select has text");
    insta::assert_snapshot!(refused(&["name"], fields(&["tags"])), @"type-mismatch: field `name` of `User` wants text, and the select has a list of text");
    let missing = Nodes::default().query(vec![], Statement::Insert(copied(&["name"], 7)));
    insta::assert_snapshot!(line(&error(&missing)), @"invalid-query: there is no select 7");
}

#[test]
fn rows_of_a_batch_update_the_rows_with_their_keys() {
    let mut nodes = Nodes::default();
    let name = nodes.add(Node::Excluded("name".into()));
    let (age, more) = (nodes.field("age"), nodes.add(Node::Excluded("age".into())));
    let older = nodes.binary(age, B::Add, more);
    let mood = nodes.add(Node::Excluded("mood".into()));
    let active = nodes.field("active");
    let update = Update {
        set: vec![set("name", name), set("age", older), set("mood", mood)],
        batch: by(&["email", "name", "age", "mood"], &["email"]),
        returning: Some(fields(&["id"])),
        ..update("User")
    };
    let rows = Select { filter: Some(active), ..all("User") };
    let query = nodes.query(vec![rows], Statement::Update(update));
    let shown = plan(&query);
    // The rows of SQLite are a hundred times the same.
    let shown = shown.replace(&shown_rows(100), "…").replace(&shown_binds(100), "…");
    insta::assert_snapshot!(shown, @r##"
sqlite (100 rows): WITH "batch.rows" ("given.0", "given.1", "given.2", "given.3") AS (VALUES …) UPDATE "user" AS "t0" SET "name" = "batch.rows"."given.1", "age" = CASE typeof("t0"."age" + "batch.rows"."given.2") WHEN 'real' THEN abs(-9223372036854775808) ELSE "t0"."age" + "batch.rows"."given.2" END, "mood" = "batch.rows"."given.3" FROM "batch.rows" WHERE "t0"."active" AND "t0"."email" = "batch.rows"."given.0" RETURNING "id"
  …
sqlite (1 rows): WITH "batch.rows" ("given.0", "given.1", "given.2", "given.3") AS (VALUES (?1, ?2, ?3, ?4)) UPDATE "user" AS "t0" SET "name" = "batch.rows"."given.1", "age" = CASE typeof("t0"."age" + "batch.rows"."given.2") WHEN 'real' THEN abs(-9223372036854775808) ELSE "t0"."age" + "batch.rows"."given.2" END, "mood" = "batch.rows"."given.3" FROM "batch.rows" WHERE "t0"."active" AND "t0"."email" = "batch.rows"."given.0" RETURNING "id"
  column 0 Text, column 1 Text, column 2 Integer, column 3 Text
postgres: WITH "batch.rows" ("given.0", "given.1", "given.2", "given.3") AS (SELECT unnest($1), unnest($2), unnest($3), unnest($4)) UPDATE "user" AS "t0" SET "name" = "batch.rows"."given.1", "age" = CAST("t0"."age" AS bigint) + CAST("batch.rows"."given.2" AS bigint), "mood" = CAST("batch.rows"."given.3" AS "mood") FROM "batch.rows" WHERE "t0"."active" AND "t0"."email" = "batch.rows"."given.0" RETURNING "id"
  column 0 Text[], column 1 Text[], column 2 Integer[], column 3 Text[]
"##);
}

fn shown_rows(rows: usize) -> String {
    let row = |row: usize| {
        let marks: Vec<_> = (1..=4).map(|it| format!("?{}", 4 * row + it)).collect();
        format!("({})", marks.join(", "))
    };
    (0..rows).map(row).collect::<Vec<_>>().join(", ")
}

fn shown_binds(rows: usize) -> String {
    vec!["column 0 Text, column 1 Text, column 2 Integer, column 3 Text"; rows].join(", ")
}

#[test]
fn t4_a_batch_updates_rows_of_the_scope_and_leaves_them_there() {
    let mut nodes = Nodes::default();
    let (name, tenant) =
        (nodes.add(Node::Excluded("name".into())), nodes.add(Node::Excluded("tenant_id".into())));
    let update = Update {
        set: vec![set("name", name), set("tenant_id", tenant)],
        batch: by(&["id", "name", "tenant_id"], &["id"]),
        ..update("User")
    };
    let query = nodes.query(vec![all("User")], Statement::Update(update));
    let scope = scope(vec![tenant_scope()]);
    let shown = scoped(&query, Some(&scope));
    let shown = shown.lines().filter(|it| {
        !it.contains("(100 rows)")
            && !it.contains("column 0 Integer, column 1 Text, column 2 Integer, column 0")
    });
    insta::assert_snapshot!(shown.collect::<Vec<_>>().join("\n"), @r##"
sqlite (1 rows): WITH "batch.rows" ("given.0", "given.1", "given.2") AS (VALUES (?1, ?2, ?3)) UPDATE "user" AS "t0" SET "name" = "batch.rows"."given.1", "tenant_id" = "t0"."tenant_id" FROM "batch.rows" WHERE "t0"."tenant_id" = ?4 AND "t0"."id" = "batch.rows"."given.0"
  column 0 Integer, column 1 Text, column 2 Integer, forced 0 Integer
  tenant_id: Column(2) agrees with forced 0
postgres: WITH "t0" AS (SELECT "id", "tenant_id" FROM "user" AS "t0"), "batch.rows" ("given.0", "given.1", "given.2") AS (SELECT unnest($1), unnest($2), unnest($3)) UPDATE "user" AS "t0" SET "name" = "batch.rows"."given.1", "tenant_id" = "t0"."tenant_id" FROM "batch.rows" WHERE "t0"."tenant_id" = $4 AND "t0"."id" = "batch.rows"."given.0"
  column 0 Integer[], column 1 Text[], column 2 Integer[], forced 0 Integer
  tenant_id: Column(2) agrees with forced 0
"##);
}

#[test]
fn a_batch_that_makes_no_sense_is_refused() {
    let refused = |batch: Option<KeyedBatch>, build: &dyn Fn(&mut Nodes) -> Select| {
        let mut nodes = Nodes::default();
        let name = nodes.add(Node::Excluded("name".into()));
        let rows = build(&mut nodes);
        let update = Update { set: vec![set("name", name)], batch, ..update("User") };
        line(&error(&nodes.query(vec![rows], Statement::Update(update))))
    };
    let whole = |_: &mut Nodes| all("User");
    insta::assert_snapshot!(refused(None, &whole), @"invalid-query: `User.name`: `excluded` stands only in the conflict of an insert and in an update by a batch");
    insta::assert_snapshot!(refused(by(&["id"], &["id"]), &whole), @"invalid-query: the batch has no field `name`");
    insta::assert_snapshot!(refused(by(&["name"], &["name"]), &whole), @"invalid-query: the fields of the batch's key are no key of `User`: name the primary key or a unique one");
    insta::assert_snapshot!(refused(by(&["name"], &["id"]), &whole), @"invalid-query: the batch has no field `id`, its key");
    insta::assert_snapshot!(refused(by(&["id", "name", "id"], &["id"]), &whole), @"invalid-query: the batch has field `id` twice");
    insta::assert_snapshot!(refused(by(&["id", "nmae"], &["id"]), &whole), @"invalid-query: model `User` has no field `nmae`; did you mean `name`?");
    let limited = |nodes: &mut Nodes| Select { limit: Some(nodes.integer(1)), ..all("User") };
    insta::assert_snapshot!(refused(by(&["id", "name"], &["id"]), &limited), @"invalid-query: an update by a batch has no order, limit and offset");
}

/// A document whose updates are counted.
fn documents() -> Catalog {
    let version = Field { version: true, ..big("version") };
    let document = Model { ..model("Document", vec![id(), text("title"), version]) };
    Catalog::new(Schema { models: vec![document], enums: vec![] }).unwrap()
}

#[test]
fn a_version_counts_updates_unless_one_sets_it() {
    let mut nodes = Nodes::default();
    let title = nodes.parameter(0, S::Text);
    let same = nodes.test("version", B::Equal, 1, S::Integer);
    let rows = Select { filter: Some(same), ..all("Document") };
    let update = Update { set: vec![set("title", title)], ..update("Document") };
    let query = nodes.clone().query(vec![rows.clone()], Statement::Update(update.clone()));
    insta::assert_snapshot!(plans(&documents(), &query, None), @r##"
sqlite: UPDATE "document" AS "t0" SET "title" = ?1, "version" = "t0"."version" + 1 WHERE "t0"."version" = ?2
  parameter 0 Text, parameter 1 Integer
postgres: UPDATE "document" AS "t0" SET "title" = $1, "version" = "t0"."version" + 1 WHERE "t0"."version" = $2
  parameter 0 Text, parameter 1 Integer
"##);
    let zero = nodes.integer(0);
    let update = Update { set: vec![set("title", title), set("version", zero)], ..update };
    let query = nodes.query(vec![rows], Statement::Update(update));
    insta::assert_snapshot!(plans(&documents(), &query, None), @r##"
sqlite: UPDATE "document" AS "t0" SET "title" = ?1, "version" = 0 WHERE "t0"."version" = ?2
  parameter 0 Text, parameter 1 Integer
postgres: UPDATE "document" AS "t0" SET "title" = $1, "version" = 0 WHERE "t0"."version" = $2
  parameter 0 Text, parameter 1 Integer
"##);

    let mut nodes = Nodes::default();
    let title = nodes.add(Node::Excluded("title".into()));
    let mut taken = conflict(&["id"]);
    taken.update = vec![set("title", title)];
    let insert =
        Insert { conflict: Some(taken), ..insert("Document", &["id", "title", "version"]) };
    let query = nodes.query(vec![], Statement::Insert(insert));
    insta::assert_snapshot!(plans(&documents(), &query, None), @r##"
sqlite: INSERT INTO "document" AS "t0" ("id", "title", "version") VALUES (?1, ?2, ?3) ON CONFLICT ("id") DO UPDATE SET "title" = excluded."title", "version" = "t0"."version" + 1
  parameter 0 Integer, parameter 1 Text, parameter 2 Integer
postgres: INSERT INTO "document" AS "t0" ("id", "title", "version") VALUES ($1, $2, $3) ON CONFLICT ("id") DO UPDATE SET "title" = excluded."title", "version" = "t0"."version" + 1
  parameter 0 Integer, parameter 1 Text, parameter 2 Integer
"##);
}

/// Whoever writes the models says what counts.
#[test]
fn t4_a_version_is_counted_only_where_it_may_be_written() {
    let mut nodes = Nodes::default();
    let title = nodes.parameter(0, S::Text);
    let set = vec![set("title", title)];
    let update = Update { set: set.clone(), ..update("Document") };
    let batch = Update { batch: by(&["id", "title"], &["id"]), ..update.clone() };
    let taken = Conflict { update: set, ..conflict(&["id"]) };
    let upsert = Insert { conflict: Some(taken), ..insert("Document", &["title", "id"]) };

    let forced = ForcedFilter { field: "version".into(), test: Comparison::Equal, many: false };
    let kept = TableScope { filters: vec![forced], ..open_scope("Document") };
    let only = |names: &[&str]| FieldSet::Only(names.iter().map(|it| (*it).to_owned()).collect());
    let written = |fields: &[&str]| TableScope { writable: only(fields), ..open_scope("Document") };
    let hidden = TableScope { readable: only(&["id", "title"]), ..written(&["id", "title"]) };
    for statement in
        [Statement::Update(update), Statement::Update(batch), Statement::Insert(upsert)]
    {
        let query = nodes.clone().query(vec![all("Document")], statement);
        let refused = |table: &TableScope| {
            line(&fault(&documents(), &query, Some(&scope(vec![table.clone()]))))
        };
        for table in [&kept, &written(&["id", "title"])] {
            assert_eq!(refused(table), "denied: field `version` of `Document` may not be written");
        }
        assert_eq!(refused(&hidden), "denied: model `Document` has no field `version`");
        let table = written(&["id", "title", "version"]);
        let plans = plans(&documents(), &query, Some(&scope(vec![table])));
        assert!(plans.contains(r#""version" = "t0"."version" + 1"#), "{plans}");
    }
}

/// A post whose updates leave a time and a tag behind.
fn posts() -> Catalog {
    let on_update = |value, field| Field { on_update: Some(value), ..field };
    let edited =
        Field { column: Some("edited".into()), ..field("edited_at", ColumnType::Timestamptz) };
    let post = model(
        "Post",
        vec![
            id(),
            text("title"),
            on_update(UpdateValue::Now, edited),
            on_update(UpdateValue::RandomUuid, nullable("tag", ColumnType::Uuid)),
        ],
    );
    Catalog::new(Schema { models: vec![post], enums: vec![] }).unwrap()
}

#[test]
fn updates_set_some_fields_by_themselves_unless_they_name_them() {
    let mut nodes = Nodes::default();
    let title = nodes.parameter(0, S::Text);
    let update = Update { set: vec![set("title", title)], ..update("Post") };
    let query = nodes.clone().query(vec![all("Post")], Statement::Update(update.clone()));
    insta::assert_snapshot!(plans(&posts(), &query, None), @r##"
sqlite: UPDATE "post" AS "t0" SET "title" = ?1, "edited" = (strftime('%Y-%m-%d %H:%M:%f000+00:00', 'now')), "tag" = (unhex(hex(randomblob(6)) || '4' || substr(hex(randomblob(2)), 2) || substr('89AB', 1 + (random() & 3), 1) || substr(hex(randomblob(2)), 2) || hex(randomblob(6))))
  parameter 0 Text
postgres: UPDATE "post" AS "t0" SET "title" = $1, "edited" = now(), "tag" = gen_random_uuid()
  parameter 0 Text
"##);
    let moment = nodes.parameter(1, S::Timestamptz);
    let update = Update { set: vec![set("title", title), set("edited_at", moment)], ..update };
    let query = nodes.query(vec![all("Post")], Statement::Update(update));
    insta::assert_snapshot!(plans(&posts(), &query, None), @r##"
sqlite: UPDATE "post" AS "t0" SET "title" = ?1, "edited" = ?2, "tag" = (unhex(hex(randomblob(6)) || '4' || substr(hex(randomblob(2)), 2) || substr('89AB', 1 + (random() & 3), 1) || substr(hex(randomblob(2)), 2) || hex(randomblob(6))))
  parameter 0 Text, parameter 1 Timestamptz
postgres: UPDATE "post" AS "t0" SET "title" = $1, "edited" = $2, "tag" = gen_random_uuid()
  parameter 0 Text, parameter 1 Timestamptz
"##);

    let mut nodes = Nodes::default();
    let title = nodes.add(Node::Excluded("title".into()));
    let set = vec![set("title", title)];
    let taken = Conflict { update: set, ..conflict(&["id"]) };
    let upsert = Insert { conflict: Some(taken), ..insert("Post", &["id", "title"]) };
    let query = nodes.query(vec![], Statement::Insert(upsert));
    insta::assert_snapshot!(plans(&posts(), &query, None), @r##"
sqlite: INSERT INTO "post" AS "t0" ("id", "title") VALUES (?1, ?2) ON CONFLICT ("id") DO UPDATE SET "title" = excluded."title", "edited" = (strftime('%Y-%m-%d %H:%M:%f000+00:00', 'now')), "tag" = (unhex(hex(randomblob(6)) || '4' || substr(hex(randomblob(2)), 2) || substr('89AB', 1 + (random() & 3), 1) || substr(hex(randomblob(2)), 2) || hex(randomblob(6))))
  parameter 0 Integer, parameter 1 Text
postgres: INSERT INTO "post" AS "t0" ("id", "title") VALUES ($1, $2) ON CONFLICT ("id") DO UPDATE SET "title" = excluded."title", "edited" = now(), "tag" = gen_random_uuid()
  parameter 0 Integer, parameter 1 Text
"##);
}

#[test]
fn the_time_of_an_update_has_the_type_of_its_field() {
    let of = |kind| {
        let at = Field { on_update: Some(UpdateValue::Now), ..field("at", kind) };
        let models = vec![model("Post", vec![id(), text("title"), at])];
        let catalog = Catalog::new(Schema { models, enums: vec![] }).unwrap();
        let mut nodes = Nodes::default();
        let title = nodes.parameter(0, S::Text);
        let update = Update { set: vec![set("title", title)], ..update("Post") };
        let query = nodes.query(vec![all("Post")], Statement::Update(update));
        plans(&catalog, &query, None)
    };
    let all = [ColumnType::Date, ColumnType::Time, ColumnType::Timestamp].map(of);
    insta::assert_snapshot!(all.join("\n"), @r##"
sqlite: UPDATE "post" AS "t0" SET "title" = ?1, "at" = (strftime('%Y-%m-%d', 'now'))
  parameter 0 Text
postgres: UPDATE "post" AS "t0" SET "title" = $1, "at" = CAST(now() AT TIME ZONE 'UTC' AS date)
  parameter 0 Text
sqlite: UPDATE "post" AS "t0" SET "title" = ?1, "at" = (strftime('%H:%M:%f000', 'now'))
  parameter 0 Text
postgres: UPDATE "post" AS "t0" SET "title" = $1, "at" = CAST(now() AT TIME ZONE 'UTC' AS time)
  parameter 0 Text
sqlite: UPDATE "post" AS "t0" SET "title" = ?1, "at" = (strftime('%Y-%m-%d %H:%M:%f000', 'now'))
  parameter 0 Text
postgres: UPDATE "post" AS "t0" SET "title" = $1, "at" = (now() AT TIME ZONE 'UTC')
  parameter 0 Text
"##);
}

/// Whoever writes the models says what updates set.
#[test]
fn t4_updates_set_fields_by_themselves_only_where_they_may_be_written() {
    let mut nodes = Nodes::default();
    let title = nodes.add(Node::Excluded("title".into()));
    let set = vec![set("title", title)];
    let batch = Update { set: set.clone(), batch: by(&["id", "title"], &["id"]), ..update("Post") };
    let taken = Conflict { update: set, ..conflict(&["id"]) };
    let upsert = Insert { conflict: Some(taken), ..insert("Post", &["id", "title"]) };
    let one = {
        let mut nodes = Nodes::default();
        let title = nodes.parameter(0, S::Text);
        let update = Update { set: vec![self::set("title", title)], ..update("Post") };
        nodes.query(vec![all("Post")], Statement::Update(update))
    };
    let many = nodes.clone().query(vec![all("Post")], Statement::Update(batch));
    let upsert = nodes.query(vec![], Statement::Insert(upsert));

    let only = |names: &[&str]| FieldSet::Only(names.iter().map(|it| (*it).to_owned()).collect());
    let written = |fields: &[&str]| TableScope { writable: only(fields), ..open_scope("Post") };
    let forced = ForcedFilter { field: "tag".into(), test: Comparison::Equal, many: false };
    let kept = TableScope { filters: vec![forced], ..open_scope("Post") };
    let hidden = TableScope { readable: only(&["id", "title"]), ..written(&["id", "title"]) };
    for query in [one, many, upsert] {
        let refused = |table: TableScope| line(&fault(&posts(), &query, Some(&scope(vec![table]))));
        assert_eq!(
            refused(written(&["id", "title", "tag"])),
            "denied: field `edited_at` of `Post` may not be written"
        );
        assert_eq!(
            refused(written(&["id", "title", "edited_at"])),
            "denied: field `tag` of `Post` may not be written"
        );
        assert_eq!(refused(kept.clone()), "denied: field `tag` of `Post` may not be written");
        assert_eq!(refused(hidden.clone()), "denied: model `Post` has no field `edited_at`");
        let table = written(&["id", "title", "edited_at", "tag"]);
        let plans = plans(&posts(), &query, Some(&scope(vec![table])));
        assert!(plans.contains(r#""edited" = now()"#), "{plans}");
    }
}
