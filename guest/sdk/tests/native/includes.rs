//! Relations that are loaded with the rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ferro::prelude::*;
use ferro::{Dialect, Error, ErrorKind};
use ferro_wit::query::Query;
use ferro_wit::types::{Attachment, Batch, ColumnInfo, TransactionOptions, Value};
use ferro_wit::{BoxFuture, Cursor};

use crate::on_each_database;
use crate::relations::{Author, Comment, Post, Profile, Tag, with_posts};

on_each_database! {
    ferro::schema![
        crate::relations::Author, crate::relations::Profile, crate::relations::Post,
        crate::relations::Comment, crate::relations::Tag, crate::relations::PostTag
    ] =>
    one_row_and_many_come_with_the_rows_that_they_belong_to,
    what_is_included_is_filtered_ordered_and_limited_for_each_row,
    includes_are_nested_and_every_level_is_one_statement,
    pairs_and_ways_back_to_one_row_are_included,
    rows_without_relations_and_no_rows_are_no_special_cases,
}

fn titles(posts: &[Post]) -> String {
    posts.iter().map(|it| it.title.as_str()).collect::<Vec<_>>().join(" ")
}

async fn one_row_and_many_come_with_the_rows_that_they_belong_to(db: Session) -> Result<(), Error> {
    with_posts(&db).await?;
    let posts = Post::query()
        .include(Post::author())
        .include(Post::editor())
        .include(Post::comments())
        .order_by(Post::id().asc());
    let rows: Vec<(Post, Author, Option<Author>, Vec<Comment>)> = posts.clone().all(&db).await?;
    let shown: Vec<_> = rows
        .iter()
        .map(|(post, author, editor, comments)| {
            let editor = editor.as_ref().map(|it| it.name.as_str());
            (post.title.as_str(), author.name.as_str(), editor, comments.len())
        })
        .collect();
    let expected = [
        ("Engines", "Ada", Some("Cy"), 2),
        ("Looms", "Ada", None, 0),
        ("Trains", "Bob", Some("Cy"), 1),
        ("Boats", "Bob", Some("Ada"), 0),
    ];
    assert_eq!(shown, expected);

    let (first, author, ..) = posts.clone().first(&db).await?.unwrap();
    assert_eq!((first.title.as_str(), author.name.as_str()), ("Engines", "Ada"));
    let one = posts.clone().filter(Post::editor().name().eq("Ada")).one(&db).await?;
    assert_eq!(one.0.title, "Boats");
    assert_eq!(posts.clone().limit(1).offset(2).all(&db).await?.len(), 1);
    assert_eq!(posts.clone().count(&db).await?, 4);
    assert!(posts.exists(&db).await?);
    Ok(())
}

async fn what_is_included_is_filtered_ordered_and_limited_for_each_row(
    db: Session,
) -> Result<(), Error> {
    with_posts(&db).await?;
    let authors = || Author::query().order_by(Author::id().asc());
    let best = Author::posts().order_by(Post::score().desc()).limit(1);
    let rows = authors().include(best).all(&db).await?;
    let best: Vec<_> = rows.iter().map(|(_, posts)| titles(posts)).collect();
    assert_eq!(best, ["Engines", "Trains", "", ""]);

    let published = Author::posts().filter(Post::published()).order_by(Post::title().asc());
    let rows = authors().limit(2).include(published.clone()).all(&db).await?;
    let shown: Vec<_> = rows.iter().map(|(_, posts)| titles(posts)).collect();
    assert_eq!(shown, ["Engines", "Boats Trains"]);
    let rows = authors().limit(2).include(published.filter(Post::score().lt(9))).all(&db).await?;
    let shown: Vec<_> = rows.iter().map(|(_, posts)| titles(posts)).collect();
    assert_eq!(shown, ["", "Boats Trains"]);
    Ok(())
}

/// Counts the result sets of what a session is asked for: there is a statement for each.
struct Counting<T> {
    inner: T,
    sets: Arc<AtomicUsize>,
}

impl Cursor for Counting<Box<dyn Cursor>> {
    fn columns(&self) -> &[ColumnInfo] {
        self.inner.columns()
    }

    fn attached(&self) -> Option<&Attachment> {
        self.inner.attached()
    }

    fn next(&mut self, max_rows: u32) -> BoxFuture<'_, Result<Option<Batch>, Error>> {
        self.inner.next(max_rows)
    }

    fn next_result(&mut self) -> BoxFuture<'_, Result<bool, Error>> {
        Box::pin(async {
            let more = self.inner.next_result().await?;
            self.sets.fetch_add(usize::from(more), Ordering::Relaxed);
            Ok(more)
        })
    }
}

impl ferro_wit::Session for Counting<Session> {
    fn dialect(&self) -> Dialect {
        self.inner.dialect()
    }

    fn fetch(
        &self,
        query: Query,
        parameters: Vec<Value>,
    ) -> BoxFuture<'_, Result<Box<dyn Cursor>, Error>> {
        Box::pin(async {
            let inner = self.inner.fetch(ferro::Request { query, parameters }).await?;
            let sets = Arc::clone(&self.sets);
            sets.fetch_add(1, Ordering::Relaxed);
            Ok(Box::new(Counting { inner, sets }) as Box<dyn Cursor>)
        })
    }

    fn execute(&self, _: Query, _: Vec<Value>) -> BoxFuture<'_, Result<u64, Error>> {
        unreachable!("the test only reads")
    }

    fn write(&self, _: Query, _: Vec<Value>, _: Batch) -> BoxFuture<'_, Result<u64, Error>> {
        unreachable!("the test only reads")
    }

    fn write_returning(
        &self,
        _: Query,
        _: Vec<Value>,
        _: Batch,
    ) -> BoxFuture<'_, Result<Box<dyn Cursor>, Error>> {
        unreachable!("the test only reads")
    }

    fn begin(
        &self,
        _: TransactionOptions,
    ) -> BoxFuture<'_, Result<Box<dyn ferro_wit::Session>, Error>> {
        unreachable!("the test only reads")
    }

    fn commit(self: Box<Self>) -> BoxFuture<'static, Result<(), Error>> {
        unreachable!("the test only reads")
    }

    fn rollback(self: Box<Self>) -> BoxFuture<'static, Result<(), Error>> {
        unreachable!("the test only reads")
    }
}

async fn includes_are_nested_and_every_level_is_one_statement(db: Session) -> Result<(), Error> {
    with_posts(&db).await?;
    let sets = Arc::new(AtomicUsize::new(0));
    let db = Session::new(Counting { inner: db, sets: Arc::clone(&sets) });
    let posts = Author::posts()
        .order_by(Post::id().asc())
        .include(Post::comments().order_by(Comment::id().desc()))
        .include(Post::editor().include(Author::profile()).include(Author::mentor()));
    let authors = Author::query().include(posts).include(Author::mentor());
    let rows = authors.order_by(Author::id().asc()).all(&db).await?;
    // Four authors, and six relations.
    assert_eq!((rows.len(), sets.load(Ordering::Relaxed)), (4, 7));

    let (ada, posts, mentor) = &rows[0];
    assert_eq!((ada.name.as_str(), mentor), ("Ada", &None));
    let (engines, comments, editor) = &posts[0];
    let texts: Vec<_> = comments.iter().map(|it| it.text.as_str()).collect();
    assert_eq!((engines.title.as_str(), &texts[..]), ("Engines", &["great", "good"][..]));
    let (cy, profile, mentor) = editor.as_ref().unwrap();
    let mentor = mentor.as_ref().map(|it| it.name.as_str());
    assert_eq!((cy.name.as_str(), profile, mentor), ("Cy", &None, Some("Bob")));

    let (_, posts, mentor) = &rows[1];
    assert_eq!(mentor.as_ref().map(|it| it.name.as_str()), Some("Ada"));
    let (boats, comments, editor) = &posts[1];
    assert_eq!((boats.title.as_str(), comments.len()), ("Boats", 0));
    let (ada, profile, mentor) = editor.as_ref().unwrap();
    let city = profile.as_ref().map(|it| it.city.as_str());
    assert_eq!((ada.name.as_str(), city, mentor), ("Ada", Some("London"), &None));
    Ok(())
}

async fn pairs_and_ways_back_to_one_row_are_included(db: Session) -> Result<(), Error> {
    with_posts(&db).await?;
    let names = |tags: &[Tag]| tags.iter().map(|it| it.name.clone()).collect::<Vec<_>>().join(" ");
    let posts = Post::query().order_by(Post::id().asc());
    let rows = posts.include(Post::tags().order_by(Tag::name().desc())).all(&db).await?;
    let tags: Vec<_> = rows.iter().map(|(_, tags)| names(tags)).collect();
    assert_eq!(tags, ["steam iron", "", "steam iron", "water"]);

    let tagged = Tag::posts().order_by(Post::id().asc()).include(Post::author());
    let rows = Tag::query().order_by(Tag::name().asc()).include(tagged).all(&db).await?;
    let authors: Vec<_> = rows
        .iter()
        .map(|(tag, posts)| {
            let authors: Vec<_> = posts.iter().map(|(_, author)| author.name.as_str()).collect();
            (tag.name.as_str(), authors.join(" "))
        })
        .collect();
    let expected = [("iron", "Ada Bob"), ("steam", "Ada Bob"), ("water", "Bob")];
    assert_eq!(authors, expected.map(|(tag, authors)| (tag, authors.to_owned())));

    let rows = Author::query().order_by(Author::id().asc()).include(Author::profile());
    let cities: Vec<Option<Profile>> = rows.all(&db).await?.into_iter().map(|it| it.1).collect();
    let cities: Vec<_> = cities.iter().map(|it| it.as_ref().map(|it| it.city.as_str())).collect();
    assert_eq!(cities, [Some("London"), Some("Paris"), None, None]);
    Ok(())
}

async fn rows_without_relations_and_no_rows_are_no_special_cases(db: Session) -> Result<(), Error> {
    let all = || Author::query().include(Author::posts().include(Post::comments()));
    assert_eq!(all().all(&db).await?, []);
    assert_eq!(all().first(&db).await?, None);
    assert_eq!(all().one(&db).await.unwrap_err().kind, ErrorKind::NotFound);
    with_posts(&db).await?;
    let dot = all().filter(Author::name().eq("Dot")).one(&db).await?;
    assert_eq!((dot.0.name.as_str(), dot.1.len()), ("Dot", 0));
    Ok(())
}
