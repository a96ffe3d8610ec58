//! What tenants may see, change and name.

use std::sync::Arc;

use ferro_driver::{ConnectOptions, Database};
use ferro_session::{Grant, Models, TableGrant, Tenant};
use ferro_test_support::Core;
use ferro_test_support::postgres as server;
use ferro_wit::policy::FieldSet;
use ferro_wit::types::{ErrorKind, TransactionOptions, Value};

use crate::on_both_databases;
use crate::queries::{all, count, delete_all, fields, insert, insert_batch, update_all};
use crate::world::{SECRET, World, assert_error, drain, notes, rows, schema, tenant, texts};

on_both_databases! {
    a_trusted_gate_sees_everything,
    k2_unknown_and_ungranted_labels_look_alike,
    r1_sql_text_is_denied_unless_granted,
    r3_sql_text_in_a_fence_reads_and_changes_rows_only,
    t1_a_misspelt_column_is_found_where_a_grant_is_compared_with_models,
    t1_a_table_or_column_outside_the_grant_cannot_be_named,
    t2_each_tenant_sees_its_own_rows,
    t2_a_list_of_values_is_any_of_them,
    t4_inserts_carry_the_forced_value,
    t4_what_a_write_gives_for_a_forced_field_has_to_agree,
    t4_updates_and_deletes_reach_only_rows_in_scope,
    t6_a_grant_without_a_value_opens_nothing,
    t8_a_read_only_grant_changes_nothing,
    t8_a_read_only_grant_makes_sql_text_read_only,
}

async fn a_trusted_gate_sees_everything(world: &World) {
    let session = world.trusted();
    assert_eq!(rows(&session, &all("Note")).await.len(), 5);
    assert_eq!(texts(&session, &fields("Label", &["name"])).await, ["urgent"]);
    let cursor = session.fetch_raw("SELECT title FROM note WHERE tenant_id = ?", vec![2.into()]);
    assert_eq!(drain(cursor.await.unwrap()).await.unwrap().len(), 2);
}

async fn t2_each_tenant_sees_its_own_rows(world: &World) {
    for (id, titles) in [(1, vec!["a", "b", "c"]), (2, vec!["x", "y"]), (3, vec![])] {
        let session = world.tenant(id);
        assert_eq!(texts(&session, &fields("Note", &["title"])).await, titles);
        let number = Value::Integer(titles.len().try_into().unwrap());
        assert_eq!(rows(&session, &count("Note")).await, [[number]]);
    }
}

async fn t2_a_list_of_values_is_any_of_them(world: &World) {
    let mut ids = ferro_wit::types::Scalars::with_kind(ferro_wit::types::ScalarType::Integer);
    ids.push(2.into()).unwrap();
    ids.push(3.into()).unwrap();
    let table = TableGrant::read_only().filter("tenant_id", Value::Array(ids));
    let grant = Grant::read_only().table("note", table);
    let session = world.gate(Tenant::new("group").grant("app", grant)).open("app").unwrap();
    assert_eq!(texts(&session, &fields("Note", &["title"])).await, ["x", "y"]);
}

async fn t1_a_table_or_column_outside_the_grant_cannot_be_named(world: &World) {
    let session = world.tenant(1);
    assert_error(session.fetch(&all("Label"), vec![]).await, ErrorKind::Denied, "");
    let secret = session.fetch(&fields("Note", &["secret"]), vec![]).await;
    assert_error(secret, ErrorKind::Denied, "");
    let shown = format!("{:?}", rows(&session, &all("Note")).await);
    assert!(shown.contains("\"a\"") && !shown.contains(SECRET), "{shown}");
}

async fn t4_inserts_carry_the_forced_value(world: &World) {
    let session = world.tenant(2);
    let one = insert("Note", &["title", "secret"]);
    assert_eq!(session.execute(&one, vec!["z".into(), "s".into()]).await.unwrap(), 1);
    let texts = |values: &[&str]| {
        let mut column = ferro_wit::types::Scalars::with_kind(ferro_wit::types::ScalarType::Text);
        for value in values {
            column.push((*value).into()).unwrap();
        }
        ferro_wit::types::Column::Scalars(column)
    };
    let batch = ferro_wit::types::Batch::new(vec![texts(&["p", "q"]), texts(&["s", "s"])]);
    let many = insert_batch("Note", &["title", "secret"]);
    assert_eq!(session.write(&many, vec![], batch.unwrap()).await.unwrap(), 2);
    let made = world.all_notes().await.split_off(5);
    assert_eq!(made, [(2, "z".into()), (2, "p".into()), (2, "q".into())]);
}

async fn t4_what_a_write_gives_for_a_forced_field_has_to_agree(world: &World) {
    let session = world.tenant(2);
    let one = insert("Note", &["tenant_id", "title", "secret"]);
    for (tenant, title) in [(Value::Integer(2), "given"), (Value::Null, "left out")] {
        let values = vec![tenant, title.into(), "s".into()];
        assert_eq!(session.execute(&one, values).await.unwrap(), 1);
    }
    let other = session.execute(&one, vec![1.into(), "z".into(), "s".into()]).await;
    let error = assert_error(other, ErrorKind::Denied, "`tenant_id` may only be given");
    assert_eq!(error.column.as_deref(), Some("tenant_id"));

    let many = insert_batch("Note", &["tenant_id", "title", "secret"]);
    let batch = |tenants: [Option<i64>; 2]| {
        let column = |kind, values: [Value; 2]| {
            let mut column = ferro_wit::types::Scalars::with_kind(kind);
            values.into_iter().for_each(|it| column.push(it).unwrap());
            ferro_wit::types::Column::Scalars(column)
        };
        let texts = |it: [&str; 2]| column(ferro_wit::types::ScalarType::Text, it.map(Value::from));
        let tenants = column(ferro_wit::types::ScalarType::Integer, tenants.map(Value::from));
        let columns = vec![tenants, texts(["p", "q"]), texts(["s", "s"])];
        ferro_wit::types::Batch::new(columns).unwrap()
    };
    assert_eq!(session.write(&many, vec![], batch([Some(2), None])).await.unwrap(), 2);
    let mixed = session.write(&many, vec![], batch([Some(2), Some(1)])).await;
    assert_error(mixed, ErrorKind::Denied, "`tenant_id`");

    let update = update_all("Note", "tenant_id", "integer");
    assert_error(session.execute(&update, vec![1.into()]).await, ErrorKind::Denied, "`tenant_id`");
    assert_eq!(session.execute(&update, vec![2.into()]).await.unwrap(), 6);
    let tenants: Vec<_> = world.all_notes().await.into_iter().map(|(tenant, _)| tenant).collect();
    assert_eq!(tenants.iter().filter(|it| **it == 2).count(), 6);
}

async fn t4_updates_and_deletes_reach_only_rows_in_scope(world: &World) {
    let session = world.tenant(1);
    let update = update_all("Note", "secret", "text");
    assert_eq!(session.execute(&update, vec!["new".into()]).await.unwrap(), 3);
    assert_eq!(session.execute(&delete_all("Note"), vec![]).await.unwrap(), 3);
    assert_eq!(world.all_notes().await, [(2, "x".into()), (2, "y".into())]);
    let secrets = texts(&world.trusted(), &fields("Note", &["secret"])).await;
    assert_eq!(secrets, [SECRET, SECRET]);
}

async fn t6_a_grant_without_a_value_opens_nothing(world: &World) {
    // A text could be empty: only the guard against that refuses it.
    for (column, value) in
        [("tenant_id", Value::Null), ("tenant_id", "".into()), ("title", "".into())]
    {
        let table = TableGrant::read_only().filter(column, value);
        let tenant = Tenant::new("nobody").grant("app", Grant::read_only().table("note", table));
        let told = assert_error(
            world.gate(tenant.clone()).open("app"),
            ErrorKind::InvalidConfiguration,
            "does not match",
        );
        assert!(!told.message.contains(column), "{told}");
        let named = format!("`{column}`");
        assert_error(tenant.check(&world.models), ErrorKind::InvalidConfiguration, &named);
    }
    assert!(tenant(1).check(&world.models).is_ok());
}

async fn t1_a_misspelt_column_is_found_where_a_grant_is_compared_with_models(world: &World) {
    let names = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    let except = |it: &[&str]| FieldSet::Except(names(it));
    let only = |it: &[&str]| FieldSet::Only(names(it));
    let with = |table: TableGrant, name: &str| {
        Tenant::new("t").grant("app", Grant::read_write().table(name, table))
    };
    let table = TableGrant::read_write;
    for table in [
        table().read(except(&["secrett"])),
        table().read(except(&["secret", "secrett"])),
        table().read(only(&["title", "secrett"])),
        table().write(except(&["secrett"])),
        table().write(only(&["secrett"])),
    ] {
        let tenant = with(table.clone(), "note");
        let kind = ErrorKind::InvalidConfiguration;
        let error = assert_error(tenant.check(&world.models), kind, "column `secrett`");
        assert!(error.message.contains("table `note`"), "{error}");
        // A plugin may have no such column.
        world.gate(tenant).open("app").unwrap();
        assert!(with(table, "of_other_plugins").check(&world.models).is_ok());
    }
    for table in [
        table().read(except(&["secret"])).write(only(&["title", "tenant_id"])),
        table().read(except(&["SECRET"])).write(only(&[])),
    ] {
        assert_eq!(with(table, "note").check(&world.models), Ok(()));
    }
}

async fn k2_unknown_and_ungranted_labels_look_alike(world: &World) {
    let says = |asked: &str, open: &str| {
        format!("{asked} is not granted to this tenant, or not connected: it can open {open}")
    };
    let nothing = Tenant::new("t").grant("not-connected", Grant::read_only());
    let gate = world.gate(nothing.clone());
    for label in ["app", "unknown", "not-connected", ""] {
        let error = assert_error(gate.open(label), ErrorKind::Denied, "");
        assert_eq!(error.message, says(&format!("the database `{label}`"), "nothing"));
    }
    let error = assert_error(gate.open("a`\n"), ErrorKind::Denied, "`a`\\n`");
    assert!(!error.message.contains('\n'), "{error}");
    assert!(gate.open(&"x".repeat(100_000)).unwrap_err().message.len() < 2_000);
    // A tenant knows its own grants. The host's default label may be another's.
    let error = gate.open_default().unwrap_err();
    assert_eq!(error.message, says("the default database", "nothing"));
    let error = gate.open_as_default("app").unwrap_err();
    assert_eq!(error.message, says("the default database", "nothing"));
    let granted = world.gate(nothing.grant("app", Grant::read_only()));
    let error = granted.open("ap").unwrap_err();
    assert_eq!(error.message, says("the database `ap`", "`app`"));
}

async fn r1_sql_text_is_denied_unless_granted(world: &World) {
    let session = world.tenant(1);
    let sql = "SELECT title FROM note";
    assert_error(session.fetch_raw(sql, vec![]).await, ErrorKind::Denied, "`raw-sql`");
    assert_error(session.execute_raw(sql, vec![]).await, ErrorKind::Denied, "`raw-sql`");
    let grant = Grant::read_write().table("note", notes(1)).with_unfenced_raw_sql();
    let gate = world.gate(Tenant::new("raw").grant("app", grant));
    let cursor = gate.open("app").unwrap().fetch_raw(sql, vec![]).await.unwrap();
    assert_eq!(drain(cursor).await.unwrap().len(), 5);
}

async fn t8_a_read_only_grant_changes_nothing(world: &World) {
    let grant = Grant::read_only().table("note", notes(1));
    let gate = world.gate(Tenant::new("reader").grant("app", grant));
    let session = gate.open("app").unwrap();
    let transaction = gate.open("app").unwrap().begin(TransactionOptions::default()).await.unwrap();
    for session in [&session, &transaction] {
        let values = vec!["z".into(), "s".into()];
        let insert = session.execute(&insert("Note", &["title", "secret"]), values).await;
        assert_error(insert, ErrorKind::ReadOnly, "read-only");
        let delete = session.execute(&delete_all("Note"), vec![]).await;
        assert_error(delete, ErrorKind::ReadOnly, "read-only");
        assert_eq!(texts(session, &fields("Note", &["title"])).await, ["a", "b", "c"]);
    }
    drop(transaction);
    assert_eq!(world.all_notes().await.len(), 5);
}

async fn t8_a_read_only_grant_makes_sql_text_read_only(world: &World) {
    let grant = Grant::read_only().with_unfenced_raw_sql();
    let gate = world.gate(Tenant::new("raw").grant("app", grant));
    let session = gate.open("app").unwrap();
    let writes = [
        "DELETE FROM note",
        "WITH one AS (SELECT 1) DELETE FROM note",
        "SET TRANSACTION READ WRITE",
        "PRAGMA query_only = OFF",
        "-- SELECT\nDELETE FROM note",
    ];
    for sql in writes {
        let outcome = session.execute_raw(sql, vec![]).await;
        assert_error(outcome, ErrorKind::ReadOnly, "read-only");
        let outcome = match session.fetch_raw(sql, vec![]).await {
            Ok(cursor) => drain(cursor).await,
            Err(error) => Err(error),
        };
        assert_error(outcome, ErrorKind::ReadOnly, "read-only");
    }
    let cursor = session.fetch_raw(" select title FROM note", vec![]).await.unwrap();
    assert_eq!(drain(cursor).await.unwrap().len(), 5);
    let options = TransactionOptions { immediate: true, ..TransactionOptions::default() };
    for sql in writes {
        let transaction = session.begin(options.clone()).await.unwrap();
        let outcome = transaction.execute_raw(sql, vec![]).await;
        assert_error(outcome, ErrorKind::ReadOnly, "read-only");
    }
    assert_eq!(world.all_notes().await.len(), 5);
}

async fn r3_sql_text_in_a_fence_reads_and_changes_rows_only(world: &World) {
    let gate = world.gate(Tenant::new("raw").grant("app", Grant::read_write().with_raw_sql()));
    let session = gate.open("app").unwrap();
    for sql in ["DROP TABLE note", "PRAGMA query_only = 0", "COPY note TO STDOUT"] {
        let error = session.execute_raw(sql, vec![]).await.unwrap_err();
        assert!(
            [ErrorKind::Denied, ErrorKind::InvalidQuery].contains(&error.kind),
            "{sql}: {error}"
        );
        assert!(error.message.starts_with('`'), "it says what is wrong: {error}");
    }
    for sql in ["COMMIT", "SAVEPOINT x", "SELECT 1; COMMIT"] {
        let outcome = session.execute_raw(sql, vec![]).await;
        assert_error(outcome, ErrorKind::InvalidQuery, "");
    }
    assert_eq!(world.all_notes().await.len(), 5);
}

/// The user of the test's connection is superuser.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r2_k2_a_fence_that_does_not_hold_is_for_the_operator_to_mend() {
    let world = World::postgres().await;
    let gate = world.gate(Tenant::new("raw").grant("app", Grant::read_write().with_raw_sql()));
    let session = gate.open("app").unwrap();
    for outcome in [
        session.execute_raw("SELECT 1", vec![]).await.map(drop),
        session.fetch_raw("SELECT 1", vec![]).await.map(drop),
    ] {
        let error = assert_error(outcome, ErrorKind::InvalidConfiguration, "not set up correctly");
        assert!(!error.message.contains("role") && !error.message.contains("superuser"), "{error}");
    }
    // Nothing on SQLite would hold the text to the filter.
    let world = World::sqlite().await;
    let grant = Grant::read_write().table("note", notes(1)).with_raw_sql();
    let gate = world.gate(Tenant::new("raw").grant("app", grant));
    assert_error(gate.open("app"), ErrorKind::InvalidConfiguration, "does not match");
    // The grant says what SQLite does not have.
    let gate = world.gate(Tenant::new("raw").grant("app", Grant::read_write().role("acme")));
    assert_error(gate.open("app"), ErrorKind::InvalidConfiguration, "does not match");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r2_text_on_sqlite_reaches_what_the_grant_names_and_nothing_else() {
    let world = World::sqlite().await;
    let hidden = FieldSet::Except(vec!["title".into()]);
    let notes = TableGrant { read: hidden, update: false, ..TableGrant::read_write() };
    let grant = Grant::read_write().table("Note", notes).with_raw_sql();
    let session = world.gate(Tenant::new("raw").grant("app", grant)).open("app").unwrap();
    assert!(session.fetch_raw("SELECT count(*) FROM note", vec![]).await.is_ok());
    for sql in [
        "SELECT title FROM note",
        "SELECT count(*) FROM sqlite_schema",
        "UPDATE note SET tenant_id = 2",
    ] {
        assert_error(session.execute_raw(sql, vec![]).await, ErrorKind::Denied, "");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t2_row_level_security_under_a_role_agrees_with_the_forced_filter() {
    let world = World::postgres().await;
    let trusted = world.trusted();
    // Roles belong to the whole server.
    let role = format!("ferro_tenant_{}", std::process::id());
    for sql in [
        &format!("CREATE ROLE {role}"),
        &format!("GRANT ALL ON note TO {role}"),
        "ALTER TABLE note ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY own ON note USING (tenant_id::text = current_setting('app.tenant', true))",
    ] {
        trusted.execute_raw(sql, vec![]).await.unwrap();
    }
    let titles = fields("Note", &["title"]);
    for (tenant, seen) in [(1, vec!["a", "b", "c"]), (2, vec!["x", "y"]), (3, vec![])] {
        let guarded = |grant: Grant| grant.role(&role).setting("app.tenant", tenant.to_string());
        // The policy alone, then both.
        let all = Grant::read_write().table("note", TableGrant::read_write());
        let own = Grant::read_write().table("note", notes(tenant));
        for grant in [guarded(all), guarded(own)] {
            let gate = world.gate(Tenant::new("guarded").grant("app", grant));
            let session = gate.open("app").unwrap();
            assert_eq!(texts(&session, &titles).await, seen);
            let options = TransactionOptions::default();
            let transaction = session.begin(options).await.unwrap();
            assert_eq!(texts(&transaction, &titles).await, seen);
            let update = update_all("Note", "title", "text");
            let changed = transaction.execute(&delete_all("Note"), vec![]).await.unwrap();
            assert_eq!(changed, seen.len() as u64);
            assert_eq!(transaction.execute(&update, vec!["z".into()]).await.unwrap(), 0);
            transaction.rollback().await.unwrap();
        }
    }
    trusted.execute_raw(&format!("DROP OWNED BY {role}"), vec![]).await.unwrap();
    trusted.execute_raw(&format!("DROP ROLE {role}"), vec![]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_create_nothing_gets_by_where_all_tables_are_there() {
    let url = server::url();
    let owner = Database::connect(&url, &ConnectOptions::default()).await.unwrap();
    let core = Core::default();
    let models = Models::new(&core, schema(), Arc::default()).unwrap();
    models.create_tables(&owner).await.unwrap();
    let (_, address) = url.split_once('@').unwrap();
    // Roles belong to the whole server, and names of databases are never used again.
    let role = format!("{}_reader", url.rsplit('/').next().unwrap());
    server::execute(&url, &format!("CREATE ROLE {role} LOGIN PASSWORD 'pw'"));
    let url = format!("postgresql://{role}:pw@{address}");
    let reader = Database::connect(&url, &ConnectOptions::default()).await.unwrap();
    models.create_tables(&reader).await.unwrap();

    owner.execute_raw("DROP INDEX note_title", vec![]).await.unwrap();
    models.create_tables(&reader).await.unwrap();
    owner.execute_raw("DROP TABLE label CASCADE", vec![]).await.unwrap();
    assert_error(models.create_tables(&reader).await, ErrorKind::Denied, "create ");
}
