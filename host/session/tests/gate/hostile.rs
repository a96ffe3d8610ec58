//! What a plugin sends that no honest one would: values that contradict themselves, queries that are
//! large, and models that name what is no column.

use std::sync::Arc;

use ferro_session::{Gate, Grant, Models, PlanCache, Session, TableGrant, Tenant};
use ferro_test_support::Core;
use ferro_wit::policy::FieldSet;
use ferro_wit::query::{
    Assignment, Conflict, Distinct, FunctionCall, Literal, Node, Path, Query, Statement,
};
use ferro_wit::schema::{Field, Schema};
use ferro_wit::types::{
    Arrays, Batch, Column, Dialect, Elements, ErrorKind, Scalars, Texts, Value,
};
use serde_json::json;

use crate::on_both_databases;
use crate::queries::{
    all, bounded, compare, count, delete_all, failing_where_like, fields, insert, insert_batch,
    inside, related, returning, select_in, update_all, update_inside,
};
use crate::world::{SECRET, World, assert_error, drain, gate, models, notes, rows, schema, tenant};

on_both_databases! {
    s3_an_array_whose_texts_overlap_is_refused,
    s4_a_batch_whose_arrays_overlap_is_not_read,
    t1_a_hidden_column_that_a_plugin_calls_the_key_tells_nothing,
    t1_a_table_that_a_plugin_takes_for_pairs_is_read_only_where_it_is_granted,
    t1_names_with_sql_in_them_are_names_that_do_not_exist,
    t3_what_can_fail_is_not_asked_of_rows_that_a_path_would_join,
    t4_a_plugin_cannot_call_the_column_of_its_tenant_a_version,
    t9_patterns_with_sql_in_them_are_patterns,
    t9_steps_into_documents_with_sql_in_them_are_keys,
}

/// What would be SQL if anybody took it for that.
const SQL: [&str; 12] = [
    "note\0",
    "na\"me",
    "title\" FROM note --",
    "title; DROP TABLE note",
    "' OR '1'='1",
    "'); DELETE FROM note; --",
    "$$; ROLLBACK; $$",
    "*",
    "secret",
    "pg_class",
    "sqlite_schema",
    "note.title",
];

async fn t1_names_with_sql_in_them_are_names_that_do_not_exist(world: &World) {
    let session = world.tenant(1);
    let missing = async |query: &Query| session.fetch(query, vec![]).await.map(drop).unwrap_err();
    let nothing = [fields("Note", &["nothing"]), all("Nothing"), delete_all("Nothing")];
    let expected = [
        missing(&nothing[0]).await.kind,
        missing(&nothing[1]).await.kind,
        missing(&nothing[2]).await.kind,
    ];
    for name in SQL {
        let queries = [fields("Note", &[name]), all(name), delete_all(name)];
        for (query, expected) in queries.iter().zip(expected) {
            let error = missing(query).await;
            assert_eq!(error.kind, expected, "{name}: {error}");
            assert!(!error.message.contains(SECRET), "{error}");
        }
        assert_error(world.gate(tenant(1)).open(name), ErrorKind::Denied, "is not granted");
    }
    assert_eq!(world.all_notes().await.len(), 5);
}

async fn t9_patterns_with_sql_in_them_are_patterns(world: &World) {
    let session = world.tenant(1);
    for operator in ["like", "not-like", "ilike", "contains", "starts-with", "ends-with", "equal"] {
        for text in SQL.into_iter().chain(["%", "_", "\\", "%' ESCAPE '%", "x\\"]) {
            let query = compare("Note", "title", operator);
            let found = match session.fetch(&query, vec![text.into()]).await {
                Ok(cursor) => drain(cursor).await,
                Err(error) => Err(error),
            };
            match found {
                Ok(rows) => assert!(rows.len() <= 3, "{operator} {text}: rows of others"),
                // PostgreSQL has no NUL in texts, and no pattern that ends where it escapes.
                Err(error) => {
                    let refused = text.contains('\0') || text.ends_with('\\');
                    assert!(refused, "{operator} {text}: {error}");
                }
            }
        }
    }
    // A pattern that fails fails on rows in scope only: here are none.
    let nobody = world.tenant(3);
    for operator in ["like", "not-like", "ilike", "not-ilike"] {
        let query = compare("Note", "title", operator);
        for pattern in ["\\", "_\\", "x\\"] {
            let found = nobody.fetch(&query, vec![pattern.into()]).await.unwrap();
            assert_eq!(drain(found).await, Ok(vec![]), "{operator} {pattern}");
        }
    }
    let all = session.fetch(&compare("Note", "title", "like"), vec!["%".into()]).await.unwrap();
    assert_eq!(drain(all).await.unwrap().len(), 3);
    assert_eq!(world.all_notes().await.len(), 5);
}

async fn t9_steps_into_documents_with_sql_in_them_are_keys(world: &World) {
    let mut schema = schema();
    let mut note = schema.models.remove(0);
    (note.name, note.indexes) = ("Paper".into(), vec![]);
    note.fields[2].kind = serde_json::from_value(json!("json")).unwrap();
    schema.models = vec![note];
    let compiler = Core::default();
    let models = Arc::new(Models::new(&compiler, schema, Arc::default()).unwrap());
    models.create_tables(&world.databases.get(Some("app")).unwrap()).await.unwrap();
    let table = TableGrant::read_write().filter("tenant_id", 1);
    let tenant = Tenant::new("one").grant("app", Grant::read_write().table("paper", table));
    let gate = Gate::new(world.databases.clone(), models, Arc::new(tenant));
    let session = gate.open("app").unwrap();
    let insert = insert("Paper", &["title", "secret"]);
    for step in SQL.into_iter().filter(|it| !it.contains('\0')) {
        let document = json!({ step: { "inner": step } }).to_string();
        let values = vec![Value::Json(document), "s".into()];
        assert_eq!(session.execute(&insert, values).await.unwrap(), 1);
        let found = session.fetch(&inside("Paper", "title", &[step, "inner"]), vec![]).await;
        let set = update_inside("Paper", "title", &[step, "set"]);
        if step.contains('"') {
            assert_error(found, ErrorKind::Unsupported, "");
            assert_error(
                session.execute(&set, vec![step.into()]).await,
                ErrorKind::Unsupported,
                "",
            );
            continue;
        }
        let found = drain(found.unwrap()).await.unwrap();
        assert_eq!(found.last().unwrap(), &vec![Value::from(step)]);
        let elsewhere = found.iter().filter(|row| row[0] != Value::Null).count();
        assert_eq!(elsewhere, 1, "{step} leads into its own document only");
        session.execute(&set, vec![step.into()]).await.unwrap();
        let found = session.fetch(&inside("Paper", "title", &[step, "set"]), vec![]).await;
        let found = drain(found.unwrap()).await.unwrap();
        assert!(found.iter().all(|row| row[0] == Value::from(step)), "{step}: {found:?}");
    }
    let nul = session.fetch(&inside("Paper", "title", &["a\0b"]), vec![]).await;
    assert_error(nul, ErrorKind::Unsupported, "");
    assert_eq!(world.all_notes().await.len(), 5);
}

/// The relation decides what its table is called, and the models what the columns are.
async fn t1_a_table_that_a_plugin_takes_for_pairs_is_read_only_where_it_is_granted(world: &World) {
    let database = world.databases.get(Some("app")).unwrap();
    for sql in [
        "CREATE TABLE note_reviews (note_id integer, label_id integer)",
        "INSERT INTO note_reviews VALUES (1, 1), (2, 7)",
    ] {
        database.execute_raw(sql, vec![]).await.unwrap();
    }
    let mut schema = schema();
    let pairs = json!({ "name": "reviews", "target": "Label", "through": null, "reverse": null });
    schema.models[0].many_to_manys = vec![serde_json::from_value(pairs).unwrap()];
    let compiler = Core::default();
    let models = Arc::new(Models::new(&compiler, schema, Arc::default()).unwrap());
    let found = async |pairs: Option<TableGrant>| {
        let grant = Grant::read_only().table("note", notes(1));
        let grant = grant.table("label", TableGrant::read_only());
        let grant = pairs.into_iter().fold(grant, |it, pairs| it.table("note_reviews", pairs));
        let tenant = Arc::new(Tenant::new("one").grant("app", grant));
        let gate = Gate::new(world.databases.clone(), models.clone(), tenant);
        let session = gate.open("app").unwrap();
        drain(session.fetch(&related("Note", "reviews"), vec![]).await?).await
    };
    let whole = TableGrant::read_only;
    assert_eq!(found(Some(whole())).await, Ok(vec![vec![1.into()]]));
    let part = whole().read(FieldSet::Only(vec!["note_id".into(), "label_id".into()]));
    for pairs in [None, Some(part), Some(whole().filter("note_id", 2))] {
        assert_error(found(pairs).await, ErrorKind::Denied, "`Note` has no relation `reviews`");
    }
}

/// An outer join that becomes an inner one, which SQLite asks everything before it joins; once with a
/// key that is null in rows of others; and what the scope says, said again by the caller.
async fn t3_what_can_fail_is_not_asked_of_rows_that_a_path_would_join(world: &World) {
    let database = world.databases.get(Some("app")).unwrap();
    for sql in [
        "CREATE TABLE item (id bigint, tenant_id bigint, size bigint, title text)",
        "INSERT INTO item VALUES (1, 2, NULL, 'hunter2'), (2, 1, 5, 'mine'), (3, NULL, NULL, 'hunter2')",
        "CREATE TABLE shelf (id bigint)",
        "INSERT INTO shelf VALUES (1), (2), (3)",
    ] {
        database.execute_raw(sql, vec![]).await.unwrap();
    }
    let mut schema = schema();
    let [item, shelf] = schema.models.as_mut_slice() else { panic!("two models") };
    (item.name, item.indexes) = ("Item".into(), vec![]);
    (item.fields[0].unique, item.fields[0].generated_key) = (true, false);
    item.fields[3].kind = item.fields[0].kind.clone();
    item.fields[3].name = "size".into();
    (shelf.name, shelf.indexes) = ("Shelf".into(), vec![]);
    shelf.fields.truncate(1);
    let key = json!({
        "name": "item", "target": "Item", "fields": [["id", "id"]], "reverse": null,
        "unique": false, "on-delete": "no-action", "on-update": "no-action",
    });
    shelf.foreign_keys = vec![serde_json::from_value(key).unwrap()];
    let own = TableGrant::read_only().filter("tenant_id", 1);
    let grant = Grant::read_only().table("item", own).table("shelf", TableGrant::read_only());
    let tenant = Arc::new(Tenant::new("one").grant("app", grant));
    for (key, pattern, fails) in
        [("id", "hunter%", false), ("size", "hunter%", false), ("size", "mine%", true)]
    {
        schema.models[0].primary_key = vec![key.into()];
        let compiler = Core::default();
        let models = Models::new(&compiler, schema.clone(), Arc::default()).unwrap();
        let gate = Gate::new(world.databases.clone(), Arc::new(models), tenant.clone());
        let session = gate.open("app").unwrap();
        for query in [
            failing_where_like("Shelf", &["item"], "title", ("id", "greater", 0)),
            failing_where_like("Item", &[], "title", ("tenant_id", "equal", 1)),
        ] {
            let found = match session.fetch(&query, vec![pattern.into()]).await {
                Ok(cursor) => drain(cursor).await,
                Err(error) => Err(error),
            };
            match fails {
                true => drop(assert_error(found, ErrorKind::ValueOutOfRange, "")),
                false => assert_eq!(found, Ok(vec![vec![2.into()]])),
            }
        }
    }
}

/// Keys decide on the order of pages, and which rows a limit chooses.
async fn t1_a_hidden_column_that_a_plugin_calls_the_key_tells_nothing(world: &World) {
    let secrets = "UPDATE note SET secret = CASE id WHEN 2 THEN 'a' ELSE 'b' END";
    world.trusted().execute_raw(secrets, vec![]).await.unwrap();
    let mut schema = schema();
    schema.models[0].primary_key = vec!["secret".into()];
    schema.models[0].fields[0].generated_key = false;
    let session = session_with(world, schema, tenant(1));
    let page = session.fetch(&bounded("Note", "limit"), vec![10.into()]).await.unwrap();
    let ids: Vec<_> = drain(page).await.unwrap().into_iter().map(|mut it| it.remove(0)).collect();
    assert_eq!(ids, [1.into(), 2.into(), 3.into()]);

    let mut update = update_all("Note", "title", "text");
    update.nodes.push(Node::Literal(Literal::Integer(1)));
    update.selects[0].limit = Some(1);
    let outcome = session.execute(&update, vec!["z".into()]).await;
    assert_error(outcome, ErrorKind::Denied, "`Note` has no field `secret`");
    let mut first = bounded("Note", "limit");
    first.nodes.push(Node::Field(Path { outer: 0, relations: vec![], field: "tenant_id".into() }));
    first.selects[0].distinct = Distinct::On(vec![1]);
    let outcome = session.fetch(&first, vec![10.into()]).await;
    assert_error(outcome, ErrorKind::Denied, "`Note` has no field `secret`");
}

/// Every update would have it count, and lead the rows to the next tenant.
async fn t4_a_plugin_cannot_call_the_column_of_its_tenant_a_version(world: &World) {
    let before = world.all_notes().await;
    let mut schema = schema();
    schema.models[0].fields[1].version = true;
    let compiler = Core::default();
    let models = Arc::new(Models::new(&compiler, schema, Arc::default()).unwrap());
    let gate = Gate::new(world.databases.clone(), models, Arc::new(tenant(1)));
    let update = update_all("Note", "secret", "text");
    let outcome = gate.open("app").unwrap().execute(&update, vec!["theirs".into()]).await;
    assert_error(outcome, ErrorKind::Denied, "field `tenant_id` of `Note` may not be written");
    assert_eq!(world.all_notes().await, before);
}

/// A session of a plugin whose models say this.
fn session_with(world: &World, schema: Schema, tenant: Tenant) -> Session {
    let compiler = Core::default();
    let models = Arc::new(Models::new(&compiler, schema, Arc::default()).unwrap());
    gate(&world.databases, &models, tenant).open("app").unwrap()
}

/// Each second text is all of the data; those between go back to its beginning, and are null.
fn overlapping(bytes: u32, texts: usize) -> Scalars {
    let ends = (0..texts).map(|it| if it % 2 == 0 { bytes } else { 0 }).collect();
    let data = "x".repeat(bytes as usize);
    let nulls = Some(vec![0b1010_1010; texts.div_ceil(8)]);
    Scalars { elements: Elements::Text(Texts { data, ends }), nulls }
}

async fn s3_an_array_whose_texts_overlap_is_refused(world: &World) {
    let session = world.tenant(1);
    let select_in = select_in("Note", "title", "text");
    let outcome = session.fetch(&select_in, vec![Value::Array(overlapping(1_000, 1_000))]).await;
    assert_error(outcome, ErrorKind::TypeMismatch, "parameter 1 is inconsistent");
}

/// Where a number is forced. Each array but the last says that it is all of the items and one more, and
/// each second one is null: there was nothing to disagree with, after all of them had been copied.
async fn s4_a_batch_whose_arrays_overlap_is_not_read(world: &World) {
    let session = world.tenant(1);
    let insert = insert_batch("Note", &["tenant_id", "title", "secret"]);
    let (items, rows) = (1_000_u32, 1_001);
    let mut ends: Vec<_> = (0..rows).map(|it| if it % 2 == 0 { items + 1 } else { 0 }).collect();
    ends[rows - 1] = 0;
    let items = Elements::Boolean(vec![true; items as usize]);
    let mut nulls = vec![0b1010_1010; rows.div_ceil(8)];
    nulls[rows / 8] = 0;
    let arrays =
        Arrays { items: Scalars { elements: items, nulls: None }, ends, nulls: Some(nulls) };
    let batch = Batch { rows: 1_001, columns: vec![Column::Arrays(arrays)] };
    let outcome = session.write(&insert, vec![], batch).await;
    assert_error(outcome, ErrorKind::InvalidQuery, "the batch is inconsistent");
}

/// PostgreSQL reads `row.name` as `name(row)` where the row has no such column.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t1_a_column_that_is_none_is_not_taken_for_a_function_of_the_row() {
    let world = World::postgres().await;
    for column in ["row_to_json", "to_jsonb", "to_json", "note"] {
        let mut schema = schema();
        let leak = json!({
            "name": "leak", "column": column, "kind": "json", "nullable": true, "unique": false,
            "indexed": false, "generated-key": false, "version": false,
        });
        schema.models[0].fields.push(serde_json::from_value(leak).unwrap());
        let compiler = Core::default();
        let models = Arc::new(Models::new(&compiler, schema, Arc::default()).unwrap());
        let gate = Gate::new(world.databases.clone(), models, Arc::new(tenant(1)));
        let session = gate.open("app").unwrap();
        let json = vec![Value::Json("{}".into())];
        let attempts = [
            (fields("Note", &["leak"]), vec![]),
            (select_in("Note", "leak", "json"), vec![]),
            (returning(delete_all("Note"), "leak"), vec![]),
            (returning(insert("Note", &["title", "secret"]), "leak"), vec!["t".into(), "s".into()]),
            (update_all("Note", "leak", "json"), json),
        ];
        for (query, values) in attempts {
            let rows = match session.fetch(&query, values).await {
                Ok(mut cursor) => cursor.next(10).await,
                Err(error) => Err(error),
            };
            let error = rows.unwrap_err();
            let kinds = [ErrorKind::UndefinedObject, ErrorKind::Unsupported];
            assert!(kinds.contains(&error.kind), "{column}: {error:?}");
        }
    }
    assert_eq!(world.all_notes().await.len(), 5);
}

/// Functions of the operator's that take a row of a table are called like its columns.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t9_a_column_that_is_none_calls_no_function_though_none_is_hidden() {
    let world = World::postgres().await;
    for sql in [
        "CREATE TABLE called (id integer)",
        "CREATE FUNCTION audit(note) RETURNS text LANGUAGE sql AS \
         $$ INSERT INTO called VALUES ($1.id); SELECT 'a'::text $$",
    ] {
        world.trusted().execute_raw(sql, vec![]).await.unwrap();
    }
    let mut schema = schema();
    let called = Field { column: Some("audit".into()), ..schema.models[0].fields[2].clone() };
    schema.models[0].fields.push(Field { name: "called".into(), ..called });
    let mut upsert = insert("Note", &["title", "secret"]);
    upsert.nodes.push(Node::Field(Path { outer: 0, relations: vec![], field: "called".into() }));
    if let Statement::Insert(insert) = &mut upsert.statement {
        let update = vec![Assignment { field: "secret".into(), value: 0 }];
        let target = vec!["tenant_id".into(), "title".into()];
        insert.conflict = Some(Conflict { target, update, condition: None });
    }
    let own = TableGrant::read_write().filter("tenant_id", 1);
    for grant in [Grant::read_write().table("note", own), Grant::read_write()] {
        let tenant = Tenant::new("one").grant("app", grant);
        let session = session_with(&world, schema.clone(), tenant);
        let new = insert("Note", &["title", "secret"]);
        for (query, values) in [
            (fields("Note", &["called"]), vec![]),
            (compare("Note", "called", "equal"), vec!["a".into()]),
            (returning(delete_all("Note"), "called"), vec![]),
            (returning(new, "called"), vec!["t".into(), "s".into()]),
            (upsert.clone(), vec!["a".into(), "s".into()]),
        ] {
            let rows = match session.fetch(&query, values).await {
                Ok(cursor) => drain(cursor).await,
                Err(error) => Err(error),
            };
            assert_error(rows, ErrorKind::UndefinedObject, "does not exist");
        }
    }
    let called = world.trusted().fetch_raw("SELECT id FROM called", vec![]).await.unwrap();
    assert_eq!(drain(called).await, Ok(vec![]));
}

#[tokio::test]
async fn s3_a_query_is_kept_at_its_size_whatever_it_is_made_of() {
    let cache = Arc::new(PlanCache::new(1024 * 1024));
    let (models, _) = models(&cache);
    for number in 0..20 {
        let mut query = all("Note");
        let name = format!("{number}{}", "x".repeat(500_000));
        query.nodes.push(Node::Call(FunctionCall { name, arguments: vec![] }));
        let _ = models.plan(&query, Dialect::Sqlite, None).await;
    }
    assert!(cache.len() <= 2, "{} plans of half a megabyte", cache.len());
}

/// A model may say of a column of texts that it holds decimals, which are equal whatever their
/// zeros.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t6_a_text_that_is_forced_is_not_compared_as_a_number() {
    let world = World::sqlite().await;
    for title in ["7", "07", "7.0"] {
        let values = vec![Value::from(1), title.into(), "s".into()];
        let insert = insert("Note", &["tenant_id", "title", "secret"]);
        world.trusted().execute(&insert, values).await.unwrap();
    }
    let mut schema = schema();
    schema.models[0].fields[2].kind = serde_json::from_value(json!({ "decimal": null })).unwrap();
    let compiler = Core::default();
    let models = Arc::new(Models::new(&compiler, schema, Arc::default()).unwrap());
    let table = TableGrant::read_only().filter("title", "7");
    let tenant = Tenant::new("seven").grant("app", Grant::read_only().table("note", table));
    let gate = Gate::new(world.databases.clone(), models, Arc::new(tenant));
    let outcome = match gate.open("app") {
        Ok(session) => Ok(rows(&session, &count("Note")).await),
        Err(error) => Err(error),
    };
    assert_error(outcome, ErrorKind::InvalidConfiguration, "does not match");
}
