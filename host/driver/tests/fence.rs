//! Fences: what the database itself holds a caller to, and connections that are as good as new.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod proxy;
mod rows;
mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use ferro_driver::{Database, Fence, RawSql, TableRights};
use ferro_test_support::postgres;
use ferro_wit::plan::Effect;
use ferro_wit::policy::FieldSet;
use ferro_wit::types::{Error, ErrorKind, ScalarType, TransactionOptions, Value};

use proxy::{Fate, Sender, through};
use rows::{both_with_table, column, count, execution, plan, raw, rows};
use support::{connect, eventually, name_of, no_options, one, options, run, with_user};

/// What `docs/security.md` has the operator run, as far as it is asked for.
const REVOKES: &str = "DO $$ BEGIN EXECUTE (SELECT 'REVOKE EXECUTE ON FUNCTION ' || \
    string_agg(oid::regprocedure::text, ', ') || ' FROM public' FROM pg_proc \
    WHERE pronamespace = 'pg_catalog'::regnamespace AND proname ~ \
    '^(set_config|pg_lock_status|pg_logical_emit_message|pg_(try_)?advisory_(xact_)?lock.*)$'); END $$";

/// A database of PostgreSQL with two tenants' rows, of which policies show a login role its own.
struct World {
    owner: Database,
    url: String,
    role: String,
}

impl World {
    async fn new() -> Self {
        let url = postgres::url();
        let owner = connect(&url).await;
        // Roles belong to the whole server.
        let role = format!("{}_stranger", name_of(&url));
        run(
            &owner,
            &[
                &format!("CREATE ROLE {role} LOGIN PASSWORD 'pw'"),
                "CREATE TABLE note (tenant text, body text)",
                "INSERT INTO note VALUES ('a', 'mine'), ('b', 'theirs')",
                "ALTER TABLE note ENABLE ROW LEVEL SECURITY",
                "CREATE POLICY own ON note USING (tenant = current_setting('app.tenant', true))",
                &format!("GRANT SELECT, INSERT, UPDATE, DELETE ON note TO {role}"),
                REVOKES,
            ],
        )
        .await;
        Self { owner, url, role }
    }

    /// A pool of one connection as the role.
    async fn stranger(&self) -> Database {
        let url = with_user(&self.url, &format!("{}:pw", self.role));
        Database::connect(&url, &options(|it| it.pool.max_connections = 1)).await.unwrap()
    }
}

fn as_tenant(tenant: &str, raw_sql: RawSql) -> Fence {
    let settings = BTreeMap::from([("app.tenant".into(), tenant.into())]);
    Fence { raw_sql, settings, ..Fence::default() }
}

fn texts(values: &[&str]) -> Vec<Vec<Value>> {
    values.iter().map(|it| vec![Value::from(*it)]).collect()
}

async fn refused(database: &Database, sql: &str) -> Error {
    let executed = database.execute_raw(sql, vec![]).await;
    let error = executed.map(|it| panic!("`{sql}` ran: {it}")).unwrap_err();
    assert!(database.fetch_raw(sql, vec![]).await.is_err(), "`{sql}` ran");
    error
}

async fn backend(database: &Database) -> Value {
    one(database, "SELECT pg_backend_pid()").await
}

#[tokio::test]
async fn r2_text_of_a_stranger_sees_what_its_role_and_settings_allow() {
    let world = World::new().await;
    let pool = world.stranger().await;
    let select = "SELECT body FROM note ORDER BY body";
    for (tenant, seen) in [("a", vec!["mine"]), ("b", vec!["theirs"]), ("'; --", vec![])] {
        let stranger = pool.fenced(as_tenant(tenant, RawSql::Fenced)).unwrap();
        assert_eq!(raw(&stranger, select, vec![]).await, texts(&seen));
        let transaction = stranger.begin(TransactionOptions::default()).await.unwrap();
        let cursor = transaction.fetch_raw(select, vec![]).await.unwrap();
        assert_eq!(rows(cursor).await, texts(&seen));
        transaction.rollback().await.unwrap();
    }
    let stranger = pool.fenced(as_tenant("a", RawSql::Fenced)).unwrap();
    assert_eq!(stranger.execute_raw("UPDATE note SET body = 'new'", vec![]).await, Ok(1));
    let moved = stranger.execute_raw("UPDATE note SET tenant = 'b'", vec![]).await;
    assert_eq!(moved.unwrap_err().kind, ErrorKind::Denied);
    let returned = "INSERT INTO note VALUES ('a', 'more') RETURNING body";
    assert_eq!(raw(&stranger, returned, vec![]).await, texts(&["more"]));
    assert_eq!(raw(&world.owner, select, vec![]).await, texts(&["more", "new", "theirs"]));
}

#[tokio::test]
async fn r2_a_fence_is_around_plans_too() {
    let world = World::new().await;
    let sql = format!("GRANT {} TO CURRENT_USER", world.role);
    run(&world.owner, &[&sql, "CREATE SCHEMA own", "CREATE TABLE own.note (body text)"]).await;
    let everyone = format!("GRANT ALL ON SCHEMA own TO {0}", world.role);
    run(&world.owner, &[&everyone, &format!("GRANT ALL ON own.note TO {}", world.role)]).await;
    let role = Some(world.role.clone());
    let select = || {
        let columns = vec![column("body", ScalarType::Text)];
        execution(
            plan(Effect::Read, "SELECT body FROM note ORDER BY body", vec![], columns),
            vec![],
        )
    };
    let fence = Fence { role: role.clone(), ..as_tenant("a", RawSql::Denied) };
    let stranger = world.owner.fenced(fence).unwrap();
    assert_eq!(rows(stranger.fetch(select()).await.unwrap()).await, texts(&["mine"]));
    let fence = Fence { role, search_path: vec!["own".into()], ..Fence::default() };
    let elsewhere = world.owner.fenced(fence).unwrap();
    assert!(rows(elsewhere.fetch(select()).await.unwrap()).await.is_empty());
    let insert = plan(Effect::Write, "INSERT INTO note VALUES ('x')", vec![], vec![]);
    assert_eq!(elsewhere.execute(execution(insert, vec![])).await, Ok(1));
    assert_eq!(count(&world.owner, "own.note").await, 1, "a single statement is committed");
    assert_eq!(rows(world.owner.fetch(select()).await.unwrap()).await, texts(&["mine", "theirs"]));
    let nobody = Fence { role: Some("no such role".into()), ..Fence::default() };
    let nobody = world.owner.fenced(nobody).unwrap();
    assert_eq!(nobody.fetch(select()).await.unwrap_err().kind, ErrorKind::InvalidConfiguration);
    let denied = stranger.execute_raw("SELECT 1", vec![]).await.unwrap_err();
    assert_eq!(denied.kind, ErrorKind::Denied);
}

#[tokio::test]
async fn r2_roles_that_no_fence_holds_are_refused_for_sql_text() {
    let world = World::new().await;
    let text = |settings: bool| match settings {
        true => as_tenant("a", RawSql::Fenced),
        false => Fence { raw_sql: RawSql::Fenced, ..Fence::default() },
    };
    let role = &world.role;
    let why = async |pool: &Database, fence: Fence| {
        let error = refused(&pool.fenced(fence).unwrap(), "SELECT 1").await;
        assert_eq!(error.kind, ErrorKind::InvalidConfiguration, "{error}");
        error.message
    };
    assert!(why(&world.owner, text(false)).await.contains("superuser"));
    let reached = Fence { role: Some(role.clone()), ..text(false) };
    run(&world.owner, &[&format!("GRANT {role} TO CURRENT_USER")]).await;
    assert!(why(&world.owner, reached).await.contains("`SET ROLE`"));

    let pool = world.stranger().await;
    let other = format!("{role}_other");
    for (change, undo, expected) in [
        (
            format!("ALTER ROLE {role} BYPASSRLS"),
            format!("ALTER ROLE {role} NOBYPASSRLS"),
            "bypasses",
        ),
        (
            format!("ALTER ROLE {role} CREATEROLE"),
            format!("ALTER ROLE {role} NOCREATEROLE"),
            "make roles",
        ),
        (
            format!("ALTER ROLE {role} REPLICATION"),
            format!("ALTER ROLE {role} NOREPLICATION"),
            "replication",
        ),
        (
            format!("GRANT pg_read_server_files TO {role}"),
            format!("REVOKE pg_read_server_files FROM {role}"),
            "files",
        ),
        (
            format!("GRANT pg_signal_backend, pg_read_all_stats TO {role}"),
            format!("REVOKE pg_signal_backend, pg_read_all_stats FROM {role}"),
            "role of the server itself",
        ),
        (
            format!("ALTER TABLE note OWNER TO {role}"),
            "ALTER TABLE note OWNER TO CURRENT_USER".into(),
            "owns tables",
        ),
        (
            format!("CREATE ROLE {other} SUPERUSER; GRANT {other} TO {role}"),
            format!("REVOKE {other} FROM {role}"),
            "superuser",
        ),
        (
            "GRANT EXECUTE ON FUNCTION pg_catalog.set_config(text, text, boolean) TO public".into(),
            "REVOKE EXECUTE ON FUNCTION pg_catalog.set_config(text, text, boolean) FROM public"
                .into(),
            "set_config(text, text, boolean)",
        ),
        (
            "GRANT EXECUTE ON FUNCTION pg_catalog.pg_advisory_lock(bigint) TO public".into(),
            "REVOKE EXECUTE ON FUNCTION pg_catalog.pg_advisory_lock(bigint) FROM public".into(),
            "pg_catalog.pg_advisory_lock(bigint)",
        ),
        (
            format!(
                "GRANT EXECUTE ON FUNCTION pg_catalog.pg_logical_emit_message(bool, text, text) \
                 TO {role}"
            ),
            format!(
                "REVOKE EXECUTE ON FUNCTION pg_catalog.pg_logical_emit_message(bool, text, text) \
                 FROM {role}"
            ),
            "pg_logical_emit_message(boolean, text, text)",
        ),
        (
            "CREATE FUNCTION peek(text) RETURNS bigint LANGUAGE sql SECURITY DEFINER \
             AS 'SELECT count(*) FROM note'"
                .into(),
            "DROP FUNCTION peek(text)".into(),
            "public.peek(text)",
        ),
    ] {
        postgres::execute(&world.url, &change);
        for settings in [true, false] {
            let why = why(&pool, text(settings)).await;
            assert!(why.contains(expected), "{change}: {why}");
        }
        postgres::execute(&world.url, &undo);
    }
    assert_eq!(pool.fenced(text(true)).unwrap().execute_raw("SELECT 1", vec![]).await, Ok(0));
    // The operator may say that this is meant.
    let unfenced = Fence { raw_sql: RawSql::Unfenced, ..Fence::default() };
    assert_eq!(count(&world.owner.fenced(unfenced).unwrap(), "note").await, 2);
}

#[tokio::test]
async fn r3_text_of_a_stranger_reads_and_changes_rows_and_does_nothing_else() {
    let world = World::new().await;
    let fence = || as_tenant("a", RawSql::Fenced);
    let sqlite = connect("sqlite::memory:").await;
    let sqlite = sqlite.fenced(Fence { raw_sql: RawSql::Fenced, ..Fence::default() }).unwrap();
    let postgres = world.stranger().await.fenced(fence()).unwrap();
    let statements = "RESET ROLE;SET ROLE postgres;SET app.tenant = 'b';SET LOCAL app.tenant = 'b';\
        SET SESSION AUTHORIZATION postgres;SET/**/TRANSACTION READ WRITE;RESET ALL;DISCARD ALL;\
        COPY note TO STDOUT;COPY note FROM STDIN;COPY note TO PROGRAM 'id';COPY note FROM '/etc/passwd';\
        LISTEN x;UNLISTEN *;NOTIFY x;PREPARE p AS SELECT 1;EXECUTE p;DEALLOCATE ALL;\
        DO $$ BEGIN PERFORM 1 END $$;CALL p();LOAD 'x';LOCK note;DECLARE c CURSOR WITH HOLD FOR SELECT 1;\
        FETCH c;CLOSE ALL;BEGIN;START TRANSACTION;COMMIT;COMMIT AND CHAIN;END;ROLLBACK;ABORT;SAVEPOINT s;\
        RELEASE s;ROLLBACK TO s;PREPARE TRANSACTION 'x';COMMIT PREPARED 'x';CREATE TABLE x (n int);\
        CREATE FUNCTION f() RETURNS int LANGUAGE sql RETURN 1;ALTER ROLE CURRENT_USER SET x.y = 1;\
        ALTER SYSTEM SET x = 1;DROP TABLE note;GRANT ALL ON note TO public;VACUUM;ANALYZE note;\
        EXPLAIN ANALYZE SELECT 1;CHECKPOINT;PRAGMA query_only = 0;ATTACH 'x' AS y;DETACH y;REINDEX;\
        -- SELECT\n COMMIT;/* SELECT /* SELECT */ */ RESET ROLE;(((COMMIT";
    for sql in statements.split(';') {
        for database in [&sqlite, &postgres] {
            let error = refused(database, sql).await;
            let kinds = [ErrorKind::Denied, ErrorKind::InvalidQuery];
            assert!(kinds.contains(&error.kind) && error.code.is_none(), "{sql}: {error}");
        }
    }
    // A comment ends for the server where its line does, and that may be a carriage return.
    for sql in ["--\rSET LOCAL app.tenant = 'b' /*\nSELECT 1 */", "--\rCOMMIT /*\nSELECT 1 */"] {
        assert_eq!(refused(&postgres, sql).await.code, None, "{sql}");
    }
    for sql in ["\u{feff}PRAGMA query_only = 0", "\u{feff} \u{feff}COMMIT"] {
        assert_eq!(refused(&sqlite, sql).await.code, None, "{sql}");
    }
    for sql in ["SELECT 1; COMMIT", "SELECT 1; RESET ROLE", "SELECT 1;--\nCOMMIT"] {
        for database in [&sqlite, &postgres] {
            assert!(
                refused(database, sql).await.message.contains("more than one statement"),
                "{sql}"
            );
        }
    }
    // What the first word does not tell, the server refuses.
    for sql in [
        "SELECT set_config('app.tenant', 'b', false)",
        "UPDATE pg_settings SET setting = 'b' WHERE name = 'app.tenant'",
        "SELECT query_to_xml('SELECT set_config(''app.tenant'', ''b'', false)', true, true, '')",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT * FROM pg_authid",
        "SELECT lo_import('/etc/passwd')",
        "SELECT pg_reload_conf()",
    ] {
        let error = match postgres.fetch_raw(sql, vec![]).await {
            Ok(mut cursor) => cursor.next(1).await.unwrap_err(),
            Err(error) => error,
        };
        assert_eq!(error.kind, ErrorKind::Denied, "{sql}: {error}");
    }
    assert_eq!(raw(&postgres, "SELECT body FROM note", vec![]).await, texts(&["mine"]));
    assert_eq!(count(&world.owner, "note").await, 2);
}

#[tokio::test]
async fn r2_what_is_wrong_with_the_rights_of_a_role_is_said_as_the_sql_to_run() {
    let world = World::new().await;
    run(
        &world.owner,
        &[
            "CREATE SCHEMA \"My own\"",
            "CREATE FUNCTION \"My own\".peek(n int, VARIADIC many text[]) RETURNS bigint \
             LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM note'",
            "GRANT EXECUTE ON FUNCTION pg_try_advisory_xact_lock(int, int), pg_lock_status() TO public",
            &format!("GRANT EXECUTE ON FUNCTION set_config TO {}", world.role),
            // Nobody calls these by a statement.
            "CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER \
             AS 'BEGIN RETURN NEW; END'",
            "CREATE FUNCTION mine() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'",
            "REVOKE EXECUTE ON FUNCTION mine() FROM public",
            &format!("GRANT EXECUTE ON FUNCTION mine() TO {}", world.role),
        ],
    )
    .await;
    let stranger = world.stranger().await.fenced(as_tenant("a", RawSql::Fenced)).unwrap();
    let error = refused(&stranger, "SELECT 1").await;
    assert_eq!(error.kind, ErrorKind::InvalidConfiguration);
    let sql = error.message.split('`').nth(1).unwrap();
    for named in ["peek", "pg_try_advisory_xact_lock", "pg_lock_status", "set_config"] {
        assert!(sql.contains(named), "{named}: {error}");
    }
    run(&world.owner, &[sql]).await;
    assert_eq!(one(&stranger, "SELECT mine()").await, Value::Integer(1));
}

#[tokio::test]
async fn s3_text_of_a_stranger_writes_only_rows_that_are_counted() {
    let world = World::new().await;
    let postgres = world.stranger().await.fenced(as_tenant("a", RawSql::Fenced)).unwrap();
    let insert = "INSERT INTO note VALUES ('a', 'new') RETURNING 1";
    for sql in [
        format!("WITH x AS ({insert}) SELECT count(*) FROM x"),
        format!("WITH x AS MATERIALIZED(/**/{insert}) TABLE x"),
        format!("WITH x AS (WITH y AS (SELECT 'a' AS a) {insert}) VALUES (1)"),
        format!("WITH x AS ({insert}) DELETE FROM note WHERE body = 'none'"),
        "WITH x AS (DELETE FROM note RETURNING 1) SELECT 1 FROM x".into(),
        "WITH x AS (WITH y AS (SELECT substring('a' FOR 1)) UPDATE note SET body = 'new' \
         RETURNING 1) SELECT 1 FROM x"
            .into(),
        "WITH x AS (WITH RECURSIVE y AS (SELECT 1 AS no UNION SELECT no FROM y) \
         SEARCH DEPTH FIRST BY no SET key UPDATE note SET body = 'new' RETURNING 1) TABLE x"
            .into(),
        "(WITH x AS (UPDATE note SET body = 'new' RETURNING 1) SELECT 1 FROM x)".into(),
        "WITH x AS (MERGE INTO note USING (SELECT 1) AS s ON true WHEN MATCHED THEN DELETE \
         RETURNING 1) SELECT 1 FROM x"
            .into(),
        "SELECT generate_series(1, 1000) INTO TEMP TABLE kept".into(),
        "(SELECT 1 INTO TEMP TABLE kept)".into(),
        "SELECT 1INTO TEMP TABLE kept".into(),
    ] {
        let error = refused(&postgres, &sql).await;
        assert_eq!(error.kind, ErrorKind::Denied, "{sql}: {error}");
        assert!(error.message.contains("their rows are not counted"), "{sql}: {error}");
    }
    assert_eq!(count(&world.owner, "note").await, 2);
    // What is counted, or writes no rows.
    for (sql, changed) in [
        ("WITH x AS (SELECT 'a' AS a) INSERT INTO note SELECT a, 'new' FROM x", 1),
        ("INSERT INTO note VALUES ('a', 'newer') ON CONFLICT DO NOTHING", 1),
        ("MERGE INTO note USING (SELECT 1) AS s ON false WHEN MATCHED THEN DELETE", 0),
        ("SELECT 'insert', note.body AS \"delete\" FROM note FOR NO KEY UPDATE", 0),
        ("SELECT 1 FROM (SELECT 1 FROM note FOR /* so */ UPDATE) AS locked", 0),
        ("WITH x AS (SELECT 1) DELETE FROM note", 3),
    ] {
        assert_eq!(postgres.execute_raw(sql, vec![]).await, Ok(changed), "{sql}");
    }
}

#[tokio::test]
async fn r3_nothing_runs_where_the_transaction_of_the_host_is_gone() {
    let world = World::new().await;
    let unfenced = Fence { raw_sql: RawSql::Unfenced, ..Fence::default() };
    let stranger = world.owner.fenced(unfenced).unwrap();
    let transaction = stranger.begin(TransactionOptions::default()).await.unwrap();
    let forget = "SELECT set_config('ferro.marker', 'another', true)";
    transaction.execute_raw(forget, vec![]).await.unwrap();
    let write = plan(Effect::Write, "DELETE FROM note", vec![], vec![]);
    let error = transaction.execute(execution(write, vec![])).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Denied);
    assert!(error.message.contains("the session is closed"), "{error}");
    assert_eq!(transaction.execute_raw("SELECT 1", vec![]).await.unwrap_err(), error);
    assert_eq!(transaction.commit().await.unwrap_err(), error);
    // The same where the text was a statement of its own, which is not kept then.
    let both = format!("WITH x AS (DELETE FROM note RETURNING 1) {forget} FROM x");
    assert_eq!(stranger.execute_raw(&both, vec![]).await.unwrap_err(), error);
    assert_eq!(count(&world.owner, "note").await, 2);
}

#[tokio::test]
async fn r4_a_connection_that_ran_a_strangers_text_is_nobody_elses() {
    let world = World::new().await;
    let pool = world.stranger().await;
    let mut seen = vec![backend(&pool).await];
    for raw_sql in [RawSql::Fenced, RawSql::Unfenced] {
        let stranger = pool.fenced(Fence { raw_sql, ..Fence::default() }).unwrap();
        let pid = "SELECT pg_backend_pid()";
        assert_eq!(one(&stranger, pid).await, *seen.last().unwrap());
        seen.push(backend(&pool).await);
        let transaction = stranger.begin(TransactionOptions::default()).await.unwrap();
        transaction.execute_raw("SELECT 1", vec![]).await.unwrap();
        drop(transaction);
        seen.push(backend(&pool).await);
        let refused = stranger.execute_raw("SELECT 1/0", vec![]).await;
        assert_eq!(refused.unwrap_err().code.as_deref(), Some("22012"));
        seen.push(backend(&pool).await);
    }
    let pids: std::collections::BTreeSet<_> = seen.iter().map(|it| format!("{it:?}")).collect();
    assert_eq!(pids.len(), seen.len(), "{seen:?}");

    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}?mode=rwc", folder.path().join("app.db").display());
    let pool = Database::connect(&url, &options(|it| it.pool.max_connections = 1)).await.unwrap();
    let unfenced = Fence { raw_sql: RawSql::Unfenced, ..Fence::default() };
    let stranger = pool.fenced(unfenced).unwrap();
    for left in ["CREATE TEMP TABLE left_behind (n)", "PRAGMA recursive_triggers = ON"] {
        run(&stranger, &[left]).await;
        run(&pool, &[left]).await;
    }
    let temporary = "SELECT count(*) FROM temp.sqlite_schema";
    assert_eq!(one(&pool, temporary).await, Value::Integer(0));
    assert_eq!(one(&pool, "PRAGMA recursive_triggers").await, Value::Integer(0));
}

/// All that a session of PostgreSQL may keep, but for statements that the driver prepared.
const FINGERPRINT: &str = "\
    SELECT jsonb_build_object('settings', (SELECT jsonb_object_agg(name, setting) \
    FROM pg_settings WHERE source NOT IN ('default', 'configuration file')), \
    'user', current_user, 'login', session_user, 'path', current_schemas(false), \
    'listens', (SELECT jsonb_agg(it) FROM pg_listening_channels() AS it), \
    'locks', (SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory'), \
    'cursors', (SELECT jsonb_agg(name) FROM pg_cursors WHERE is_holdable), \
    'prepared', (SELECT count(*) FROM pg_prepared_statements WHERE from_sql), \
    'temporary', (SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema()), \
    'custom', nullif(current_setting('app.tenant', true), ''))::text";

#[tokio::test]
async fn c1_a_connection_is_handed_over_as_good_as_new() {
    let url = postgres::url();
    let role = format!("{}_other", name_of(&url));
    postgres::execute(&url, &format!("CREATE ROLE {role}; CREATE TABLE t (n int)"));
    // What the URL asks for is what a session goes back to.
    let url = format!("{url}?options=-c%20search_path%3Dpublic%20-c%20statement_timeout%3D33s");
    let pool = Database::connect(&url, &options(|it| it.pool.max_connections = 1)).await.unwrap();
    let new = one(&pool, FINGERPRINT).await;
    let pid = backend(&pool).await;
    let to_role = format!("SELECT set_config('role', '{role}', false)");
    for sql in [
        "SELECT set_config('search_path', 'pg_temp', false)",
        "SELECT set_config('TimeZone', 'Asia/Tokyo', false)",
        "SELECT set_config('app.tenant', 'b', false)",
        "SELECT set_config('client_connection_check_interval', '0', false)",
        "SELECT set_config('default_transaction_read_only', 'on', false)",
        "UPDATE pg_settings SET setting = '1' WHERE name = 'statement_timeout' AND false",
        &to_role,
        "SELECT pg_advisory_lock(1)",
        "CREATE TEMP TABLE t (secret text)",
        "DO $$ BEGIN LISTEN x; END $$",
        "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
        "DO $$ BEGIN EXECUTE 'PREPARE p AS SELECT 1'; EXECUTE 'DEALLOCATE p'; END $$",
    ] {
        pool.execute_raw(sql, vec![]).await.unwrap_or_else(|it| panic!("{sql}: {it}"));
        assert_eq!(one(&pool, FINGERPRINT).await, new, "{sql}");
    }
    assert_eq!(backend(&pool).await, pid, "it is reset, not replaced");
    // Nothing but SQL text costs a round trip more, and none of it is lost in a transaction.
    let transaction = pool.begin(TransactionOptions::default()).await.unwrap();
    transaction.execute_raw("SET LOCAL app.tenant = 'c'", vec![]).await.unwrap();
    let setting = "SELECT current_setting('app.tenant', true)";
    let cursor = transaction.fetch_raw(setting, vec![]).await.unwrap();
    assert_eq!(rows(cursor).await, texts(&["c"]));
    transaction.commit().await.unwrap();
    assert_eq!(one(&pool, FINGERPRINT).await, new);
}

#[tokio::test]
async fn c2_a_connection_that_is_not_reset_in_time_is_closed_and_its_permit_free() {
    let server = postgres::url();
    let url = through(&server, |sender, bytes| {
        match sender == Sender::Client && bytes.windows(9).any(|it| it == b"CLOSE ALL") {
            true => Fate::Lose,
            false => Fate::Pass,
        }
    });
    let url = url.await;
    let options = options(|it| it.pool.max_connections = 1);
    let pool = Database::connect(&url, &options).await.unwrap();
    let started = Instant::now();
    pool.execute_raw("SELECT set_config('app.mark', 'left', false)", vec![]).await.unwrap();
    assert!(started.elapsed() > Duration::from_millis(1900), "it was reset");
    // Reading, too, ends in a reset that does not come.
    let mut cursor = pool.fetch_raw("SELECT current_setting('app.mark', true)", vec![]).await;
    let batch = cursor.as_mut().unwrap().next(1).await.unwrap().unwrap();
    assert_eq!(batch.columns[0].get(0), Some(Value::Null), "another connection");
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    drop(cursor);
    eventually("the permit is free", || pool.stats().acquired == 0).await;
    assert!(pool.check().await.is_ok());
}

#[tokio::test]
async fn the_reset_after_sql_text_takes_one_round_trip() {
    let asked = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&asked);
    let server = postgres::url();
    let url = through(&server, move |sender, _| {
        counted.fetch_add(u32::from(sender == Sender::Client), Ordering::SeqCst);
        Fate::Pass
    });
    let pool = Database::connect(&url.await, &options(|it| it.pool.max_connections = 1)).await;
    let pool = pool.unwrap();
    let statement = async || {
        pool.execute_raw("SELECT 1", vec![]).await.unwrap();
        asked.swap(0, Ordering::SeqCst)
    };
    statement().await;
    assert_eq!(statement().await, 3, "a sign of life, the statement, and the reset");
}

#[tokio::test]
async fn t8_the_database_refuses_writes_of_a_read_only_caller() {
    for database in both_with_table().await {
        let fence = Fence { read_only: true, raw_sql: RawSql::Unfenced, ..Fence::default() };
        let reader = database.fenced(fence).unwrap();
        let insert = || {
            execution(plan(Effect::Read, "INSERT INTO t VALUES (1, 'a')", vec![], vec![]), vec![])
        };
        let transaction =
            reader.begin(TransactionOptions { immediate: true, ..Default::default() });
        let transaction = transaction.await.unwrap();
        assert_eq!(transaction.execute(insert()).await.unwrap_err().kind, ErrorKind::ReadOnly);
        drop(transaction);
        for sql in [
            "INSERT INTO t VALUES (1, 'a')",
            "SET LOCAL transaction_read_only = off",
            "PRAGMA query_only = OFF",
            "WITH x AS (SELECT 1) DELETE FROM t",
        ] {
            assert_eq!(refused(&reader, sql).await.kind, ErrorKind::ReadOnly, "{sql}");
        }
        assert_eq!(count(&reader, "t").await, 0);
        run(&database, &["INSERT INTO t VALUES (1, 'a')"]).await;
    }
    let database = connect(&postgres::url()).await;
    run(&database, &["CREATE TABLE t (n int)"]).await;
    let fence = Fence { read_only: true, raw_sql: RawSql::Unfenced, ..Fence::default() };
    let reader = database.fenced(fence).unwrap();
    // A plan that says it reads.
    let insert = execution(plan(Effect::Read, "INSERT INTO t VALUES (1)", vec![], vec![]), vec![]);
    assert_eq!(reader.execute(insert).await.unwrap_err().kind, ErrorKind::ReadOnly);
    for sql in [
        "WITH x AS (INSERT INTO t VALUES (1) RETURNING n) SELECT n FROM x",
        "SELECT set_config('transaction_read_only', 'off', true)",
        "SELECT set_config('transaction_read_only', 'off', false)",
        "SELECT n FROM t FOR UPDATE",
        "EXPLAIN ANALYZE INSERT INTO t VALUES (1)",
    ] {
        let error = match reader.fetch_raw(sql, vec![]).await {
            Ok(mut cursor) => cursor.next(1).await.unwrap_err(),
            Err(error) => error,
        };
        let refused = [Some("25006"), Some("25001")].contains(&error.code.as_deref());
        assert!(refused, "{sql}: {error:?}");
    }
    assert_eq!(count(&database, "t").await, 0);
}

/// A file with two tables and a view, and a stranger's way to it, who may read some of one.
async fn with_tables(tables: Option<BTreeMap<String, TableRights>>) -> (Database, Database) {
    let database = connect("sqlite::memory:").await;
    run(
        &database,
        &[
            "CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT, secret TEXT)",
            "CREATE TABLE salary (id INTEGER PRIMARY KEY, amount INTEGER)",
            "CREATE VIEW both_of_them AS SELECT note.text, amount FROM note JOIN salary USING (id)",
            "INSERT INTO note VALUES (1, 'a', 's')",
            "INSERT INTO salary VALUES (1, 7)",
        ],
    )
    .await;
    let fence = Fence { raw_sql: RawSql::Fenced, tables, ..Fence::default() };
    let stranger = database.fenced(fence).unwrap();
    (database, stranger)
}

#[tokio::test]
async fn t4_the_key_of_a_table_of_sqlite_has_no_other_name() {
    let database = connect("sqlite::memory:").await;
    run(&database, &["CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT)"]).await;
    run(&database, &["INSERT INTO note VALUES (1, 'a')"]).await;
    let with = |update: FieldSet| {
        let rights =
            TableRights { read: FieldSet::All, insert: false, update: Some(update), delete: false };
        let tables = Some([("note".to_owned(), rights)].into());
        let fence = Fence { raw_sql: RawSql::Fenced, tables, ..Fence::default() };
        database.fenced(fence).unwrap()
    };
    let stranger = with(FieldSet::Except(vec!["id".into()]));
    for name in ["id", "rowid", "oid", "_rowid_", "ROWID"] {
        let sql = format!("UPDATE note SET {name} = 2");
        let error = stranger.execute_raw(&sql, vec![]).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Denied, "{name}: {error}");
    }
    assert_eq!(stranger.execute_raw("UPDATE note SET text = 'b'", vec![]).await, Ok(1));
    let free = with(FieldSet::All);
    assert_eq!(free.execute_raw("UPDATE note SET rowid = 2", vec![]).await, Ok(1));
}

fn rights(read: &[&str], update: Option<&[&str]>) -> TableRights {
    let only = |names: &[&str]| FieldSet::Only(names.iter().map(|it| (*it).to_owned()).collect());
    TableRights { read: only(read), insert: false, update: update.map(only), delete: false }
}

#[tokio::test]
async fn r3_text_of_a_stranger_is_no_deeper_than_the_stack() {
    let (_database, stranger) = with_tables(None).await;
    let nested = |depth: usize| {
        let open = "SELECT 1 UNION SELECT * FROM (".repeat(depth);
        format!("{open}SELECT 2{}", ")".repeat(depth))
    };
    assert!(stranger.fetch_raw(&nested(20), vec![]).await.is_ok());
    let rows = format!("SELECT {}1{}", "(".repeat(40_000), ", 1)".repeat(40_000));
    for sql in [nested(3_000), rows] {
        let error = stranger.fetch_raw(&sql, vec![]).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::LimitExceeded, "{error}");
    }
    let text = format!("SELECT '{}'", "(".repeat(300));
    assert!(stranger.fetch_raw(&text, vec![]).await.is_ok());
}

#[tokio::test]
async fn r2_sqlite_holds_text_to_the_tables_and_columns_of_the_fence() {
    let note = rights(&["id", "text"], Some(&["text"]));
    let (database, stranger) = with_tables(Some(BTreeMap::from([("note".into(), note)]))).await;
    for sql in [
        "SELECT id, text FROM note",
        "SELECT count(*) FROM NOTE",
        "WITH c AS (SELECT text FROM note) SELECT * FROM c",
        "SELECT upper(text) FROM note ORDER BY id",
    ] {
        assert!(stranger.fetch_raw(sql, vec![]).await.is_ok(), "{sql}");
    }
    stranger.execute_raw("UPDATE note SET text = 'b' WHERE id = 1", vec![]).await.unwrap();
    for sql in [
        "SELECT secret FROM note",
        "SELECT * FROM note",
        "SELECT id FROM note WHERE secret > ''",
        "SELECT id FROM note ORDER BY secret",
        "SELECT count(*) FROM salary",
        "SELECT amount FROM salary",
        "SELECT id FROM note WHERE id IN (SELECT id FROM salary)",
        // A subquery may be called as one likes.
        "WITH note AS (SELECT amount FROM main.salary) SELECT * FROM note",
        "SELECT * FROM (SELECT amount FROM salary) AS note",
        "SELECT text FROM both_of_them",
        "SELECT name FROM sqlite_schema",
        "SELECT name FROM sqlite_master",
        "SELECT name FROM pragma_table_list",
        "SELECT name FROM PRAGMA_TABLE_INFO('salary')",
        "SELECT name FROM dbstat",
        "SELECT sqlite_version()",
        "SELECT fts5_source_id()",
        "SELECT sqlite_log(1, 'forged')",
        "SELECT load_extension('x')",
        "SELECT ferro_converted(1, 'BIGINT', 'TEXT')",
        "SELECT value FROM json_each('[1]')",
        "SELECT 1 FROM JSON_TREE('[1]')",
        "SELECT json_set('{}', '$.a', 1)",
        "SELECT text -> '$' FROM note",
        "SELECT text ->> '$.a' FROM note",
        "SELECT json(x'cb')",
        "SELECT json_group_array(text) FROM note",
        // Of columns that are joined by name SQLite asks nothing.
        "SELECT note.id FROM note JOIN (SELECT 's' AS secret) USING (secret)",
        "SELECT note.id FROM note NATURAL JOIN (SELECT 1 AS id, 's' AS secret)",
        "SELECT note.id FROM (SELECT 's' AS secret) LEFT JOIN note USING (secret)",
        "SELECT note.id FROM note FULL JOIN (SELECT 's' AS secret) USING (secret)",
        "SELECT a.id FROM note AS a NATURAL JOIN note AS b",
        "SELECT id FROM note WHERE (id, secret) > (1, 'a')",
        "SELECT id FROM note WHERE id IN (SELECT id FROM note GROUP BY id HAVING max(secret) > '')",
        "SELECT max(id) FILTER (WHERE secret > 'a') FROM note",
        "SELECT row_number() OVER (ORDER BY secret) FROM note",
        "SELECT note.id FROM note JOIN/**/salary using(id)",
        "SELECT 1 FROM (SELECT 'salary' AS name) NATURAL JOIN sqlite_schema",
        "SELECT id FROM note WHERE (id, 7) IN salary",
        "SELECT id FROM note WHERE EXISTS (SELECT 1 FROM salary)",
        "SELECT 1 FROM salary",
        "SELECT 1 FROM note, salary",
        "SELECT count(*) FROM note GROUP BY secret",
        "SELECT text FROM note UNION SELECT secret FROM note",
        "SELECT group_concat(text, secret) FROM note",
        "SELECT group_concat(text ORDER BY secret) FROM note",
        "SELECT first_value(text) OVER (PARTITION BY secret) FROM note",
        "SELECT id FROM note WHERE note.secret IS NOT NULL",
        "SELECT (SELECT o.secret FROM (SELECT 1) AS i) FROM note AS o",
        "SELECT rowid FROM salary",
        "INSERT INTO note SELECT id, amount, amount FROM salary",
        "UPDATE note SET text = (SELECT max(secret) FROM note)",
        "UPDATE note SET (text) = (SELECT secret)",
        "UPDATE note SET text = 'x' WHERE secret = 's'",
        "UPDATE note SET text = 'x' RETURNING *",
        "UPDATE note SET text = 'x' RETURNING (SELECT max(amount) FROM salary)",
        "UPDATE note SET text = 'x' FROM salary",
        "UPDATE note SET text = 'x' FROM (SELECT 's' AS secret) AS o WHERE o.secret = note.secret",
        "UPDATE note SET secret = 'x'",
        "UPDATE note SET text = secret",
        "UPDATE note SET text = 'c' RETURNING secret",
        "DELETE FROM note",
        "INSERT INTO note (text) VALUES ('c')",
        "INSERT INTO salary VALUES (2, 8)",
        "REPLACE INTO note (id, text) VALUES (1, 'c')",
    ] {
        let refused = stranger.fetch_raw(sql, vec![]).await.map(drop).unwrap_err();
        let kinds = [ErrorKind::Denied, ErrorKind::Syntax, ErrorKind::UndefinedObject];
        assert!(kinds.contains(&refused.kind), "{sql}: {refused}");
    }
    // In a transaction, what comes after the text is not held to what the text may do.
    let transaction = stranger.begin(no_options()).await.unwrap();
    transaction.fetch_raw("SELECT text FROM note", vec![]).await.unwrap();
    assert!(transaction.fetch_raw("SELECT amount FROM salary", vec![]).await.is_err());
    transaction.commit().await.unwrap();
    assert_eq!(one(&database, "SELECT text || secret FROM note").await, Value::Text("bs".into()));
    assert_eq!(one(&database, "SELECT count(*) FROM sqlite_schema").await, Value::Integer(3));
}

#[tokio::test]
async fn r2_rows_in_the_way_are_replaced_by_those_only_who_may_delete_them() {
    let rights = |delete| TableRights {
        insert: true,
        update: Some(FieldSet::All),
        delete,
        ..rights(&["id", "text", "secret"], None)
    };
    let tables = |delete| Some(BTreeMap::from([("note".into(), rights(delete))]));
    let replacing = [
        "REPLACE INTO note VALUES (1, 'b', 't')",
        "INSERT /* */ or replace into note VALUES (1, 'b', 't')",
        "WITH merge AS (SELECT 1 AS n) REPLACE INTO note SELECT n, 'b', 't' FROM merge",
        "UPDATE OR REPLACE note SET id = 1 WHERE id = 2",
    ];
    let (database, stranger) = with_tables(tables(false)).await;
    run(&stranger, &["INSERT INTO note VALUES (2, 'c', 'u')"]).await;
    for sql in replacing {
        assert_eq!(refused(&stranger, sql).await.kind, ErrorKind::Denied, "{sql}");
    }
    let update = "UPDATE note SET text = 'd' WHERE id = 3 OR replace(text, 'c', '') = ''";
    assert_eq!(stranger.execute_raw(update, vec![]).await, Ok(1));
    assert_eq!(count(&database, "note").await, 2);
    let (_database, stranger) = with_tables(tables(true)).await;
    run(&stranger, &["INSERT INTO note VALUES (2, 'c', 'u')"]).await;
    run(&stranger, &replacing).await;
    assert_eq!(count(&stranger, "note").await, 1);
}

/// Behind a name of a parameter SQLite takes what is in parentheses for a part of it.
#[tokio::test]
async fn r2_no_name_of_a_parameter_hides_what_a_text_does() {
    let rights = TableRights {
        insert: true,
        update: Some(FieldSet::All),
        ..rights(&["id", "text", "secret"], None)
    };
    let (database, stranger) = with_tables(Some(BTreeMap::from([("note".into(), rights)]))).await;
    for name in
        [":1", "@1", "#1", ":a", "@é", "#a", ":$1", "@$1", "#$a", "$1", "$$1", "$::1", ":::1"]
    {
        for (opens, closes) in [("'", "'"), ("\"", "\""), ("`", "`"), ("[", "]"), ("/*", "*/")] {
            let rows = format!("WITH x AS (SELECT {name}({opens}) AS n)");
            for sql in [
                format!(
                    "{rows} REPLACE INTO note SELECT coalesce(n, 1), 'b', 't' FROM x --{closes}"
                ),
                format!("{rows} UPDATE note SET text = 'b' --{closes}"),
            ] {
                for values in [vec![], vec![Value::Null]] {
                    assert!(stranger.execute_raw(&sql, values).await.is_err(), "{sql}");
                }
            }
        }
    }
    assert_eq!(one(&database, "SELECT text || secret FROM note").await, Value::Text("as".into()));
}

#[tokio::test]
async fn r2_text_of_a_stranger_never_sees_what_sqlite_keeps_for_itself() {
    let (_database, stranger) = with_tables(None).await;
    assert!(stranger.fetch_raw("SELECT amount FROM salary", vec![]).await.is_ok());
    for sql in ["SELECT sql FROM sqlite_schema", "SELECT name FROM pragma_database_list"] {
        let refused = stranger.fetch_raw(sql, vec![]).await.map(drop).unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Denied, "{sql}: {refused}");
    }
}

#[tokio::test]
async fn s3_a_row_of_a_stranger_is_no_larger_than_the_host_could_bear() {
    /// What is wrong with a statement, or with the first of its rows.
    async fn fault(database: &Database, sql: &str) -> Error {
        match database.fetch_raw(sql, vec![]).await {
            Ok(mut cursor) => cursor.next(1).await.map(drop).expect_err(sql),
            Err(error) => error,
        }
    }
    let world = World::new().await;
    let fence = Fence { raw_sql: RawSql::Fenced, ..Fence::default() };
    let postgres = world.stranger().await.fenced(fence).unwrap();
    let wide = format!("SELECT {}", vec!["repeat('a', 10000000)"; 14].join(", "));
    assert_eq!(fault(&postgres, &wide).await.kind, ErrorKind::LimitExceeded);

    let (database, stranger) = with_tables(None).await;
    run(&database, &["UPDATE note SET text = hex(zeroblob(5000000))"]).await;
    let many = |it: &str| vec![it; 100].join(", ");
    for sql in [
        format!("SELECT {} FROM note", many("text")),
        format!("SELECT {} FROM note", many("text || 'b'")),
        format!("SELECT {}", many("zeroblob(10000000)")),
        format!("SELECT {} FROM note", many("group_concat(text || random())")),
        format!("SELECT max({}) FROM note", many("text || random()")),
        format!("INSERT INTO note SELECT 2, max({0}), '' FROM note", many("text || random()")),
    ] {
        let error = fault(&stranger, &sql).await;
        assert_eq!(error.kind, ErrorKind::LimitExceeded, "{error}");
    }
    let one = "SELECT length(text || 'b') FROM note";
    assert_eq!(raw(&stranger, one, vec![]).await, [[Value::Integer(10_000_001)]]);
    // A database in memory grows twofold.
    let insert = |id| format!("INSERT INTO note SELECT {id}, text, '' FROM note WHERE id = 1");
    for id in 2..10 {
        assert_eq!(stranger.execute_raw(&insert(id), vec![]).await, Ok(1));
    }
    for id in 10..40 {
        match stranger.execute_raw(&insert(id), vec![]).await {
            Ok(written) => assert_eq!(written, 1),
            Err(error) => {
                assert_eq!(error.kind, ErrorKind::LimitExceeded, "{error}");
                return run(&database, &[&insert(id)]).await;
            }
        }
    }
    panic!("a stranger fills the memory");
}

/// SQLite takes a transaction back whose statement it cannot serve, also where nobody waits for it.
#[tokio::test]
async fn nothing_is_written_outside_of_a_transaction_that_sqlite_took_back_unseen() {
    let (database, stranger) = with_tables(None).await;
    let transaction = stranger.begin(TransactionOptions::default()).await.unwrap();
    let insert = |id: i64| format!("INSERT INTO note VALUES ({id}, 'a', 'b')");
    transaction.execute_raw(&insert(7), vec![]).await.unwrap();
    let large = format!("length(max({}))", vec!["hex(zeroblob(1000000)) || i"; 100].join(", "));
    let notes = "EXISTS (SELECT 1 FROM note)";
    let sql = format!(
        "WITH n(i) AS (VALUES (1), (2)) SELECT CASE i WHEN 1 THEN 1 ELSE {large} END FROM n WHERE {notes}"
    );
    let mut cursor = transaction.fetch_raw(&sql, vec![]).await.unwrap();
    assert_eq!(cursor.next(1).await.unwrap().map(|it| it.rows), Some(1));
    let cancelled = tokio::time::timeout(Duration::from_millis(1), cursor.next(1)).await;
    assert!(cancelled.is_err(), "{cancelled:?}");
    drop(cursor);
    let error = transaction.execute_raw(&insert(8), vec![]).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Cancelled, "{error}");
    assert!(transaction.commit().await.is_err());
    let written = raw(&database, "SELECT id FROM note WHERE id > 6", vec![]).await;
    assert!(written.is_empty(), "{written:?}");
}

#[tokio::test]
async fn s3_text_of_a_stranger_is_no_longer_than_what_the_core_writes() {
    let world = World::new().await;
    let sqlite = connect("sqlite::memory:").await;
    for database in [world.stranger().await, sqlite] {
        let text = |length| format!("SELECT 1 -- {}", "x".repeat(length));
        let fence = Fence { raw_sql: RawSql::Fenced, ..Fence::default() };
        let stranger = database.fenced(fence).unwrap();
        assert!(stranger.fetch_raw(&text(200_000), vec![]).await.is_ok());
        assert_eq!(refused(&stranger, &text(300_000)).await.kind, ErrorKind::LimitExceeded);
        run(&database, &[&text(300_000)]).await;
    }
}

#[tokio::test]
async fn s3_a_stranger_cannot_make_a_text_longer_than_the_host_could_bear() {
    let (database, stranger) = with_tables(None).await;
    run(&database, &["UPDATE note SET text = zeroblob(20000000)"]).await;
    let doubled = "UPDATE note SET text = text || text";
    let refused = stranger.execute_raw(doubled, vec![]).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::ValueOutOfRange, "{refused}");
    run(&database, &[doubled]).await;
}
