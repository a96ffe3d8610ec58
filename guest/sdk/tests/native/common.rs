//! Common tables: queries under names.

use ferro::prelude::*;
use ferro::{Error, ErrorKind, Row, Session, count, exists, outer, subquery, value};

use crate::models::{Everything, Mood};
use crate::on_each_database;
use crate::relations::{Author, Comment, Post, with_posts};

on_each_database! {
    ferro::schema![
        crate::relations::Author, crate::relations::Profile, crate::relations::Post,
        crate::relations::Comment, crate::relations::Tag, crate::relations::PostTag
    ] =>
    a_query_is_read_under_a_name,
    a_common_table_stands_inside_of_other_queries_and_beside_their_rows,
    a_tree_is_walked_level_by_level,
    a_step_reads_nothing_but_the_table_itself,
    what_cannot_be_is_an_error,
}

#[derive(Row, Debug, Clone, PartialEq)]
struct Total {
    author_id: i64,
    posts: i64,
    score: Option<i64>,
}

fn total(author_id: i64, posts: i64, score: i64) -> Total {
    Total { author_id, posts, score: Some(score) }
}

/// Of posts with some score at least.
fn totals(least: i64) -> ferro::Common<Total> {
    let posts = Post::query().filter(Post::score().ge(least));
    let totals = posts.group_by(Post::author_id()).select(SelectTotal {
        author_id: Post::author_id(),
        posts: count(),
        score: Post::score().sum(),
    });
    ferro::common("totals", totals)
}

async fn a_query_is_read_under_a_name(db: Session) -> Result<(), Error> {
    with_posts(&db).await?;
    let totals = totals(0);
    let best = totals.query().order_by(Total::score().desc());
    assert_eq!(best.clone().all(&db).await?, [total(1, 2, 14), total(2, 2, 9)]);
    assert_eq!(best.clone().first(&db).await?, Some(total(1, 2, 14)));
    let second = totals.query().filter(Total::author_id().eq(2));
    assert_eq!(second.clone().one(&db).await?, total(2, 2, 9));
    assert_eq!(totals.query().count(&db).await?, 2);
    assert!(!totals.query().filter(Total::posts().gt(2)).exists(&db).await?);
    let none = second.clone().filter(Total::posts().gt(2)).one(&db).await.unwrap_err();
    assert_eq!(none.message, "no `totals` matches the query");

    let mut streamed = best.clone().stream(&db, 1).await?;
    assert_eq!(streamed.next().await?, Some(total(1, 2, 14)));
    drop(streamed);
    let sums = totals.query().select((Total::posts().sum(), Total::score().max()));
    assert_eq!(sums.one(&db).await?, (Some(4), Some(14)));
    let both = second.union_all(best.limit(1)).all(&db).await?;
    assert_eq!(both, [total(2, 2, 9), total(1, 2, 14)]);

    // Of a table that is made of another one, and of rows that are a model.
    let few = ferro::common("few", totals.query().filter(Total::score().lt(10)));
    assert_eq!(few.query().select(Total::author_id()).all(&db).await?, [2]);
    let drafts = ferro::common("drafts", Post::query().filter(!Post::published()));
    let drafts = drafts.query().filter(Post::score().gt(1)).all(&db).await?;
    assert_eq!(drafts.iter().map(|it| it.title.as_str()).collect::<Vec<_>>(), ["Looms"]);
    Ok(())
}

async fn a_common_table_stands_inside_of_other_queries_and_beside_their_rows(
    db: Session,
) -> Result<(), Error> {
    with_posts(&db).await?;
    let totals = totals(0);
    let good = totals.query().filter(Total::score().gt(10)).select(Total::author_id());
    let names = Author::query().order_by(Author::id().asc()).select(Author::name());
    let found = names.clone().filter(Author::id().in_query(good.clone()));
    assert_eq!(found.clone().all(&db).await?, ["Ada"]);
    assert_eq!(found.count(&db).await?, 1);
    let own = totals.query().filter(Total::author_id().eq(outer(Author::id())));
    assert_eq!(names.clone().filter(exists(own.clone())).all(&db).await?, ["Ada", "Bob"]);
    let scores = Author::query()
        .order_by(Author::id().asc())
        .select((Author::name(), subquery(own.select(Total::score()))));
    let score = |name: &str, score| (name.to_owned(), score);
    let expected =
        [score("Ada", Some(14)), score("Bob", Some(9)), score("Cy", None), score("Dot", None)];
    assert_eq!(scores.all(&db).await?, expected);

    let beside = Author::query()
        .join(&totals, Author::id().eq(totals.get(Total::author_id())))
        .filter(totals.get(Total::score()).gt(value(5_i64)))
        .order_by(totals.get(Total::score()).asc());
    let named = beside.clone().select((Author::name(), totals.get(Total::posts()) * 10));
    assert_eq!(named.all(&db).await?, [("Bob".to_owned(), 20), ("Ada".to_owned(), 20)]);
    assert_eq!(beside.clone().count(&db).await?, 2);
    let authors = beside.clone().include(Author::posts().limit(1)).all(&db).await?;
    let titles: Vec<_> = authors.iter().map(|(_, posts)| posts[0].title.as_str()).collect();
    assert_eq!(titles, ["Trains", "Engines"]);
    let refused = beside.page(&db).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::InvalidQuery);
    assert!(refused.message.ends_with("leave out `join`"), "{refused}");

    // What is changed is chosen by it.
    let theirs = Post::query().filter(Post::author_id().in_query(good));
    assert_eq!(theirs.clone().update(&db, [Post::score().set(Post::score() + 1)]).await?, 2);
    let comments = Comment::query().filter(
        Comment::post()
            .author_id()
            .in_query(totals.query().filter(Total::score().gt(10)).select(Total::author_id())),
    );
    assert_eq!(comments.delete(&db).await?, 2);
    Ok(())
}

#[derive(Row, Debug, Clone, PartialEq)]
struct Level {
    id: i64,
    name: String,
    depth: i64,
}

/// An author, and all who learnt from them.
fn school(of: &str) -> ferro::Common<Level> {
    let head = Author::query().filter(Author::name().eq(of)).select(SelectLevel {
        id: Author::id(),
        name: Author::name(),
        depth: value(0_i64),
    });
    ferro::recursive_all("school", head, |school| {
        Author::query().join(school, Author::mentor_id().eq(school.get(Level::id()))).select(
            SelectLevel {
                id: Author::id(),
                name: Author::name(),
                depth: school.get(Level::depth()) + 1,
            },
        )
    })
}

async fn a_tree_is_walked_level_by_level(db: Session) -> Result<(), Error> {
    with_posts(&db).await?;
    let levels = school("Ada").query().order_by(Level::depth().asc()).all(&db).await?;
    let level = |id, name: &str, depth| Level { id, name: name.into(), depth };
    assert_eq!(levels, [level(1, "Ada", 0), level(2, "Bob", 1), level(3, "Cy", 2)]);
    let school = school("Bob");
    let pupils = school.query().select(Level::id());
    let edited = Post::query().filter(Post::editor_id().in_query(pupils));
    assert_eq!(edited.count(&db).await?, 2);

    // Ada learns from Cy: a union ends where everybody was seen.
    Author::query()
        .filter(Author::name().eq("Ada"))
        .update(&db, [Author::mentor_id().set(3)])
        .await?;
    let circle =
        ferro::recursive("circle", Author::query().filter(Author::name().eq("Bob")), |circle| {
            Author::query().join(circle, Author::mentor_id().eq(circle.get(Author::id())))
        });
    let names = circle.query().order_by(Author::id().asc()).select(Author::name());
    assert_eq!(names.all(&db).await?, ["Ada", "Bob", "Cy"]);
    Ok(())
}

#[derive(Row, Debug, Clone, PartialEq)]
struct Number {
    n: i64,
    word: Option<String>,
}

async fn a_step_reads_nothing_but_the_table_itself(db: Session) -> Result<(), Error> {
    with_posts(&db).await?;
    let first = Author::query()
        .limit(1)
        .select(SelectNumber { n: value(1_i64), word: value(None::<String>) });
    let numbers = ferro::recursive("numbers", first, |numbers| {
        numbers
            .query()
            .filter(Number::n().lt(5))
            .select(SelectNumber { n: Number::n() + 1, word: Number::word() })
    });
    let rows = numbers.query().order_by(Number::n().desc()).select(Number::n()).all(&db).await?;
    assert_eq!(rows, [5, 4, 3, 2, 1]);
    Ok(())
}

async fn what_cannot_be_is_an_error(db: Session) -> Result<(), Error> {
    let clash = ferro::common("Post", Post::query());
    let error = clash.query().all(&db).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidQuery);
    assert_eq!(error.message, "common table `Post`: there is a model of that name");

    let (one, other) = (totals(0), totals(9));
    let both =
        one.query().filter(Total::author_id().in_query(other.query().select(Total::author_id())));
    let error = both.all(&db).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidQuery);
    assert_eq!(error.message, "two common tables of a query are called `totals`");
    let same = one
        .query()
        .filter(Total::author_id().in_query(totals(0).query().select(Total::author_id())));
    assert_eq!(same.all(&db).await?, []);

    let unjoined = Author::query().filter(one.get(Total::posts()).gt(value(1_i64)));
    let error = unjoined.all(&db).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidQuery);
    Ok(())
}

/// The rows of a model through tables of their own, one of which goes on from them.
pub(crate) async fn every_type_comes_through(
    db: &Session,
    rows: [&Everything; 2],
) -> Result<(), Error> {
    for row in rows {
        let own = Everything::query().filter(Everything::id().eq(row.id));
        let table = ferro::common("everything", own.clone());
        assert_eq!(table.query().all(db).await?, std::slice::from_ref(row));
        let table = ferro::recursive_all("everything", own, |it| {
            it.query()
                .filter(Everything::big().eq(value(0_i64)) & Everything::big().gt(value(0_i64)))
        });
        let same = table.query().filter(Everything::mood().eq(row.mood));
        assert_eq!(same.all(db).await?, std::slice::from_ref(row));
    }
    let table = ferro::common("everything", Everything::query());
    let by_mood = table.query().order_by(Everything::maybe_mood().asc()).limit(1);
    let first = by_mood.select(Everything::maybe_mood()).all(db).await?;
    assert_eq!(first, [Some(Mood::VerySad)]);
    Ok(())
}
