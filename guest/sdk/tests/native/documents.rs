//! What is found by what a document or an array contains, and how parts of documents are changed.

use ferro::prelude::*;
use ferro::values::Json;
use ferro::{Dialect, Error, ErrorKind, OnConflict, excluded};

use crate::on_each_database;

on_each_database! {
    ferro::schema![super::Post] =>
    arrays_are_found_by_their_elements,
    documents_are_found_by_parts_of_them_on_postgres_and_refused_on_sqlite,
    parts_of_documents_are_set_and_removed,
    a_changed_document_stands_where_a_document_can,
}

#[derive(Model, Debug, Clone, PartialEq)]
struct Post {
    #[ferro(key)]
    id: i64,
    tags: Vec<String>,
    data: Json,
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().copied().map(String::from).collect()
}

async fn with_posts(db: &Session) -> Result<(), Error> {
    let post = |id, tags, data| Post { id, tags: texts(tags), data: Json::new(data) };
    let posts = [
        post(1, &["rust", "sql"], r#"{"user": {"name": "Ada", "admin": true}}"#),
        post(2, &["sql"], r#"{"user": {"name": "Bob", "admin": false}}"#),
        post(3, &[], "[1, 2]"),
    ];
    Post::bulk_create(db, &posts).await.map(drop)
}

async fn found(db: &Session, filter: ferro::Condition<Post>) -> Result<Vec<i64>, Error> {
    let posts = Post::query().filter(filter).order_by(Post::id().asc());
    posts.select(Post::id()).all(db).await
}

async fn arrays_are_found_by_their_elements(db: Session) -> Result<(), Error> {
    with_posts(&db).await?;
    for (elements, with_all, with_any) in [
        (&["sql", "rust"][..], &[1][..], &[1, 2][..]),
        (&["sql"], &[1, 2], &[1, 2]),
        (&["sql", "wasm"], &[], &[1, 2]),
        (&["wasm"], &[], &[]),
        (&[], &[1, 2, 3], &[]),
    ] {
        let all = found(&db, Post::tags().contains_all(texts(elements))).await?;
        let any = found(&db, Post::tags().overlaps(texts(elements))).await?;
        assert_eq!((&all[..], &any[..]), (with_all, with_any), "{elements:?}");
    }
    Ok(())
}

async fn documents_are_found_by_parts_of_them_on_postgres_and_refused_on_sqlite(
    db: Session,
) -> Result<(), Error> {
    with_posts(&db).await?;
    for (part, expected) in [
        (r#"{"user": {"admin": true}}"#, &[1][..]),
        (r#"{"user": {}}"#, &[1, 2]),
        ("[2]", &[3]),
        (r#"{"user": {"admin": null}}"#, &[]),
    ] {
        let posts = found(&db, Post::data().contains_json(Json::new(part))).await;
        match db.dialect() {
            Dialect::Postgres => assert_eq!(posts?, expected, "{part}"),
            Dialect::Sqlite => {
                let error = posts.unwrap_err();
                assert_eq!(error.kind, ErrorKind::Unsupported);
                assert!(error.message.contains("compare their parts, by paths"), "{error}");
            }
        }
    }
    let admins = Post::data().at::<bool>(["user", "admin"]).eq(true);
    assert_eq!(found(&db, admins).await?, [1], "a path works on both");
    Ok(())
}

async fn data_of(db: &Session, id: i64) -> Result<serde_json::Value, Error> {
    let post = Post::query().filter(Post::id().eq(id)).one(db).await?;
    Ok(serde_json::from_str(post.data.as_str()).expect("a document"))
}

async fn parts_of_documents_are_set_and_removed(db: Session) -> Result<(), Error> {
    with_posts(&db).await?;
    let first = Post::query().filter(Post::id().eq(1));
    let set = async |data| first.clone().update(&db, [Post::data().set(data)]).await;

    // Two writers that read the same document.
    set(Post::data().part(["user", "name"]).set_to("Eve")).await?;
    assert_eq!(set(Post::data().part(["user", "age"]).set_to(36)).await?, 1);
    let user = serde_json::json!({"name": "Eve", "admin": true, "age": 36});
    assert_eq!(data_of(&db, 1).await?, serde_json::json!({ "user": user }));

    let age = Post::data().at::<i64>(["user", "age"]).coalesce(0) + 1;
    let changed = Post::data().part(["user", "age"]).set_to(age);
    let changed = changed.part(["user", "admin"]).removed();
    let changed = changed.part(["tags", "0"]).set_to(Json::new(r#"["new", 1.5]"#));
    set(changed.part(["user", "name"]).set_to(None::<String>)).await?;
    let expected = serde_json::json!({
        "user": {"name": null, "age": 37},
        "tags": [["new", 1.5]],
    });
    assert_eq!(data_of(&db, 1).await?, expected);

    let third = Post::query().filter(Post::id().eq(3));
    let no_object = Post::data().part(["user"]).set_to(Post::id());
    assert_eq!(third.clone().update(&db, [Post::data().set(no_object)]).await?, 1);
    let appended = Post::data().part(["2"]).set_to(Post::id());
    third.update(&db, [Post::data().set(appended)]).await?;
    assert_eq!(data_of(&db, 3).await?, serde_json::json!([1, 2, 3]));

    let quoted = set(Post::data().part(["a\"b"]).set_to(true)).await.unwrap_err();
    assert_eq!(quoted.kind, ErrorKind::Unsupported);
    assert_eq!(data_of(&db, 1).await?, expected, "nothing was changed");
    Ok(())
}

async fn a_changed_document_stands_where_a_document_can(db: Session) -> Result<(), Error> {
    with_posts(&db).await?;
    let demoted = Post::data().part(["user", "admin"]).set_to(false);
    let admins = demoted.clone().at::<bool>(["user", "admin"]).eq(true);
    assert!(found(&db, admins).await?.is_empty());
    let posts = Post::query().filter(Post::id().eq(1)).select((Post::id(), demoted));
    let [(_, data)] = posts.all(&db).await?.try_into().expect("one row");
    let data: serde_json::Value = serde_json::from_str(data.as_str()).expect("a document");
    assert_eq!(data, serde_json::json!({"user": {"name": "Ada", "admin": false}}));
    assert_eq!(data_of(&db, 1).await?["user"]["admin"], true, "it was only read");

    let post = Post { id: 1, tags: vec![], data: Json::new(r#"{"user": {"name": "Bo"}}"#) };
    let name = excluded(Post::data()).at::<String>(["user", "name"]);
    let renamed = Post::data().part(["user", "name"]).set_to(name);
    let conflict = OnConflict::on(Post::id()).set(Post::data().set(renamed));
    Post::upsert(&db, post, conflict).await?;
    let user = serde_json::json!({"name": "Bo", "admin": true});
    assert_eq!(data_of(&db, 1).await?, serde_json::json!({ "user": user }));
    Ok(())
}
