//! How steps are applied: in turns, and without harm to rows of other tables.

use super::*;
use ferro_driver::ConnectOptions;
use ferro_test_support::postgres;

/// A URL with a setting for each connection.
pub(super) fn with_setting(url: &str, name: &str, value: &str) -> String {
    let mark = if url.contains('?') { '&' } else { '?' };
    format!("{url}{mark}options=-c%20{name}%3D{value}")
}

#[tokio::test]
async fn who_waits_for_another_migration_sees_what_it_did_whatever_the_isolation() {
    let url = with_setting(&postgres::url(), "default_transaction_isolation", "serializable");
    let database = Database::connect(&url, &ConnectOptions::default()).await.unwrap();
    let isolation = rows(&database, "SHOW default_transaction_isolation").await;
    assert_eq!(isolation, [[Value::from("serializable")]]);
    let schema = models(vec![author()]);
    let other = database.begin(Default::default()).await.unwrap();
    let turn = "SELECT pg_advisory_xact_lock(439788663407)::text";
    other.fetch_raw(turn, vec![]).await.unwrap().next(1).await.unwrap();
    for step in Catalog::new(schema.clone()).unwrap().create_tables(Dialect::Postgres, &[]).unwrap()
    {
        other.execute_raw(&step.sql, vec![]).await.unwrap();
    }
    let waiting = migrate(&database, &schema, Some(Risk::Blocking));
    let ending = async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        other.commit().await.unwrap();
    };
    let (migration, ()) = tokio::join!(waiting, ending);
    assert!(migration.applied.is_empty(), "{}", sql(&migration.applied));
}

#[tokio::test]
async fn rows_of_a_renamed_table_that_refer_to_none_are_no_concern() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}?mode=rwc", folder.path().join("app.db").display());
    let mut options = ConnectOptions::default();
    options.sqlite.foreign_keys = false;
    let lax = Database::connect(&url, &options).await.unwrap();
    let book = |name: &str, renamed_from: Option<&str>| Model {
        renamed_from: renamed_from.map(Into::into),
        foreign_keys: vec![foreign_key("author", "author_id", "Author")],
        ..model(name, vec![id(), big("author_id")])
    };
    let before = models(vec![author(), book("Book", None)]);
    migrate(&lax, &before, Some(Risk::Safe)).await;
    takes(&lax, "INSERT INTO book (author_id) VALUES (9)").await;
    let mut volume = book("Volume", Some("Book"));
    volume.fields.push(Field { unique: true, ..nullable("code", number()) });
    let writer = Model { renamed_from: Some("Author".into()), ..model("Writer", author().fields) };
    volume.foreign_keys[0].target = "Writer".into();
    let after = models(vec![writer, volume]);
    let enforced = Database::connect(&url, &ConnectOptions::default()).await.unwrap();
    migrate(&enforced, &after, Some(Risk::Blocking)).await;
    assert_settled(&enforced, &after).await;
    assert_eq!(rows(&enforced, "SELECT id FROM volume").await.len(), 1);
    // A key that is new is not excused by that.
    takes(&lax, "CREATE TABLE loose (id INTEGER PRIMARY KEY, author_id BIGINT NOT NULL)").await;
    takes(&lax, "INSERT INTO loose VALUES (1, 9)").await;
    let mut loose = book("Loose", None);
    loose.foreign_keys[0].target = "Writer".into();
    let mut bound = after.clone();
    bound.models.push(loose);
    let error = attempt(&enforced, &bound, Risk::Blocking).await.unwrap_err();
    assert_eq!(
        (error.kind, error.table.as_deref()),
        (ErrorKind::ForeignKeyViolation, Some("loose"))
    );
}

#[tokio::test]
async fn steps_that_are_applied_by_hand_leave_other_tables_alone() {
    let book = Model {
        foreign_keys: vec![foreign_key("author", "author_id", "Author")],
        ..model("Book", vec![id(), big("author_id")])
    };
    let world = World::new(
        models(vec![author(), book.clone()]),
        &[
            "INSERT INTO author (name) VALUES ('Ann')",
            "INSERT INTO book (author_id) VALUES (1)",
            "CREATE VIEW names AS SELECT name FROM author",
        ],
    )
    .await;
    let stricter = Model {
        checks: vec![check("named", vec![compare("name", Comparison::NotEqual, "".into())])],
        ..author()
    };
    let after = models(vec![stricter, book]);
    for database in world.databases() {
        let Migration { left, .. } = migrate(database, &after, None).await;
        database.apply(&left).await.unwrap();
        assert_settled(database, &after).await;
        assert_eq!(rows(database, "SELECT id FROM book").await.len(), 1);
        refuses(
            database,
            "INSERT INTO book (author_id) VALUES (9)",
            ErrorKind::ForeignKeyViolation,
        )
        .await;
    }
    let [sqlite, _] = world.databases();
    assert_eq!(rows(sqlite, "PRAGMA legacy_alter_table").await, [[Value::Integer(0)]]);
}

#[tokio::test]
async fn who_may_not_compare_a_database_with_the_models_is_told_why() {
    let owner = postgres::url();
    let name = owner.rsplit('/').next().unwrap();
    postgres::execute(
        &owner,
        &format!(
            "CREATE ROLE {name}_migrator LOGIN PASSWORD 'pw'; \
             REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC"
        ),
    );
    let (_, server) = owner.split_once('@').unwrap();
    let migrator = format!("postgresql://{name}_migrator:pw@{server}");
    let reader = with_setting(&owner, "default_transaction_read_only", "on");
    for (url, kind, advice) in [
        (migrator, ErrorKind::Denied, "`GRANT TEMPORARY ON DATABASE` to the role"),
        (reader, ErrorKind::ReadOnly, "migrate on a server that takes writes"),
    ] {
        let database = Database::connect(&url, &ConnectOptions::default()).await.unwrap();
        let error = attempt(&database, &models(vec![author()]), Risk::Safe).await.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.message.starts_with("the models are compared with temporary tables"));
        assert!(error.message.contains(advice), "{error}");
    }
}
