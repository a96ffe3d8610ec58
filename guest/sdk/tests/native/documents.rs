//! What is found by what a document or an array contains.

use ferro::prelude::*;
use ferro::values::Json;
use ferro::{Dialect, Error, ErrorKind};

use crate::on_each_database;

on_each_database! {
    ferro::schema![super::Post] =>
    arrays_are_found_by_their_elements,
    documents_are_found_by_parts_of_them_on_postgres_and_refused_on_sqlite,
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
