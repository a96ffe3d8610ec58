//! Relations in filters, orders, groups and outputs.

use ferro::prelude::*;
use ferro::{Error, ErrorKind, count, exists, outer, subquery};

use crate::on_each_database;

#[derive(Model, Debug, Clone, PartialEq)]
pub(crate) struct Author {
    #[ferro(key, generated)]
    pub(crate) id: i64,
    pub(crate) name: String,
    #[ferro(references = Author, reverse = "pupils", on_delete = set_null)]
    pub(crate) mentor_id: Option<i64>,
}

#[derive(Model, Debug, Clone, PartialEq)]
pub(crate) struct Profile {
    #[ferro(key)]
    pub(crate) id: i64,
    #[ferro(references = Author, reverse = "profile", unique, on_delete = cascade)]
    pub(crate) author_id: i64,
    pub(crate) city: String,
}

#[derive(Model, Debug, Clone, PartialEq)]
#[ferro(many_to_many(tags: Tag, through = PostTag, reverse = "posts"))]
pub(crate) struct Post {
    #[ferro(key, generated)]
    pub(crate) id: i64,
    #[ferro(references = Author, reverse = "posts", on_delete = cascade)]
    pub(crate) author_id: i64,
    #[ferro(references = Author, reverse = "edited")]
    pub(crate) editor_id: Option<i64>,
    pub(crate) title: String,
    pub(crate) score: i64,
    pub(crate) published: bool,
}

#[derive(Model, Debug, Clone, PartialEq)]
pub(crate) struct Comment {
    #[ferro(key, generated)]
    pub(crate) id: i64,
    #[ferro(references = Post, reverse = "comments", on_delete = cascade)]
    pub(crate) post_id: i64,
    pub(crate) text: String,
}

#[derive(Model, Debug, Clone, PartialEq)]
pub(crate) struct Tag {
    #[ferro(key)]
    pub(crate) name: String,
}

#[derive(Model, Debug, Clone, PartialEq)]
pub(crate) struct PostTag {
    #[ferro(key, references = Post, relation = "post", on_delete = cascade)]
    pub(crate) post_id: i64,
    #[ferro(key, references = Tag, relation = "label", on_delete = cascade)]
    pub(crate) tag: String,
}

on_each_database! {
    ferro::schema![
        super::Author, super::Profile, super::Post, super::Comment, super::Tag, super::PostTag
    ] =>
    a_related_field_is_filtered_ordered_grouped_and_selected_by,
    a_relation_to_many_asks_for_any_none_or_all_and_repeats_nobody,
    a_path_goes_over_several_relations_and_back,
    pairs_are_crossed_from_both_sides,
    a_subquery_sees_the_row_around_it,
    what_becomes_of_rows_is_what_the_relation_says,
}

/// Ada taught Bob, who taught Cy. Ada and Bob write; Cy edits. Dot does nothing.
pub(crate) async fn with_posts(db: &Session) -> Result<(), Error> {
    let author = |id, name: &str, mentor_id| Author { id, name: name.into(), mentor_id };
    let authors = [
        author(1, "Ada", None),
        author(2, "Bob", Some(1)),
        author(3, "Cy", Some(2)),
        author(4, "Dot", None),
    ];
    Author::bulk_create(db, &authors).await?;
    let profile = |id, city: &str| Profile { id, author_id: id, city: city.into() };
    Profile::bulk_create(db, &[profile(1, "London"), profile(2, "Paris")]).await?;
    let post = |id, author_id, editor_id, title: &str, score, published| Post {
        id,
        author_id,
        editor_id,
        title: title.into(),
        score,
        published,
    };
    let posts = [
        post(1, 1, Some(3), "Engines", 9, true),
        post(2, 1, None, "Looms", 5, false),
        post(3, 2, Some(3), "Trains", 7, true),
        post(4, 2, Some(1), "Boats", 2, true),
    ];
    Post::bulk_create(db, &posts).await?;
    let comment = |id, post_id, text: &str| Comment { id, post_id, text: text.into() };
    let comments = [comment(1, 1, "good"), comment(2, 1, "great"), comment(3, 3, "good")];
    Comment::bulk_create(db, &comments).await?;
    let tags: Vec<_> = ["iron", "steam", "water"].map(|it| Tag { name: it.into() }).into();
    Tag::bulk_create(db, &tags).await?;
    let pair = |post_id, tag: &str| PostTag { post_id, tag: tag.into() };
    let pairs =
        [pair(1, "iron"), pair(1, "steam"), pair(3, "iron"), pair(3, "steam"), pair(4, "water")];
    PostTag::bulk_create(db, &pairs).await?;
    Ok(())
}

async fn titles(query: ferro::Query<Post>, db: &Session) -> Result<String, Error> {
    let rows = query.order_by(Post::id().asc()).select(Post::title()).all(db).await?;
    Ok(rows.join(" "))
}

async fn names(query: ferro::Query<Author>, db: &Session) -> Result<String, Error> {
    let rows = query.order_by(Author::id().asc()).select(Author::name()).all(db).await?;
    Ok(rows.join(" "))
}

async fn a_related_field_is_filtered_ordered_grouped_and_selected_by(
    db: Session,
) -> Result<(), Error> {
    with_posts(&db).await?;
    let by_ada = Post::query().filter(Post::author().name().eq("Ada"));
    assert_eq!(titles(by_ada.clone(), &db).await?, "Engines Looms");
    assert_eq!(by_ada.count(&db).await?, 2);

    let edited = Post::query().filter(Post::editor().name().eq("Cy"));
    assert_eq!(titles(edited, &db).await?, "Engines Trains");
    let unedited = Post::query().filter(Post::editor().name().is_null());
    assert_eq!(titles(unedited, &db).await?, "Looms");
    let unedited = Post::query().filter(Post::editor_id().is_null());
    assert_eq!(titles(unedited, &db).await?, "Looms");

    let rows: Vec<(String, String, Option<String>)> = Post::query()
        .select((Post::title(), Post::author().name(), Post::editor().name()))
        .order_by(Post::author().name().desc())
        .order_by(Post::editor().name().asc())
        .all(&db)
        .await?;
    let rows: Vec<_> = rows.iter().map(|(a, b, c)| (&**a, &**b, c.as_deref())).collect();
    let expected = [
        ("Boats", "Bob", Some("Ada")),
        ("Trains", "Bob", Some("Cy")),
        ("Engines", "Ada", Some("Cy")),
        ("Looms", "Ada", None),
    ];
    assert_eq!(rows, expected);

    let totals = Post::query()
        .group_by(Post::author().name())
        .select((Post::author().name(), count(), Post::score().sum()))
        .order_by(Post::author().name().asc())
        .all(&db)
        .await?;
    assert_eq!(totals, [("Ada".to_owned(), 2, Some(14)), ("Bob".to_owned(), 2, Some(9))]);
    Ok(())
}

async fn a_relation_to_many_asks_for_any_none_or_all_and_repeats_nobody(
    db: Session,
) -> Result<(), Error> {
    with_posts(&db).await?;
    let good = Post::score().gt(4);
    let cases = [
        (Author::posts().any(good.clone()), "Ada Bob"),
        (Author::posts().none(good.clone()), "Cy Dot"),
        (Author::posts().all(good), "Ada Cy Dot"),
        (Author::posts().is_empty(), "Cy Dot"),
        (Author::posts().is_not_empty(), "Ada Bob"),
        (Author::edited().any(Post::author().name().eq("Bob")), "Ada Cy"),
        (!Author::posts().any(Post::published()), "Cy Dot"),
        (Author::posts().any(Post::comments().any(Comment::text().eq("great"))), "Ada"),
        (Author::pupils().is_not_empty() & Author::mentor_id().is_null(), "Ada"),
    ];
    for (condition, expected) in cases {
        let shown = format!("{condition:?}");
        let query = Author::query().filter(condition);
        assert_eq!(names(query.clone(), &db).await?, expected, "{shown}");
        let rows = expected.split(' ').count();
        assert_eq!(query.count(&db).await?, u64::try_from(rows).unwrap(), "{shown}");
    }
    Ok(())
}

async fn a_path_goes_over_several_relations_and_back(db: Session) -> Result<(), Error> {
    with_posts(&db).await?;
    let taught = Post::query().filter(Post::author().mentor().name().eq("Ada"));
    assert_eq!(titles(taught, &db).await?, "Trains Boats");
    let chain = Author::mentor().mentor().name();
    let of_all = Author::query().select((Author::name(), chain)).order_by(Author::id().asc());
    let rows: Vec<_> = of_all.all(&db).await?.into_iter().map(|it| it.1).collect();
    assert_eq!(rows, [None, None, Some("Ada".to_owned()), None]);

    let londoners = Author::query().filter(Author::profile().city().eq("London"));
    assert_eq!(names(londoners, &db).await?, "Ada");
    let homeless = Author::query().filter(Author::profile().id().is_null());
    assert_eq!(names(homeless, &db).await?, "Cy Dot");

    let beside_unpublished = Post::author().then(Author::posts()).any(!Post::published());
    assert_eq!(titles(Post::query().filter(beside_unpublished), &db).await?, "Engines Looms");
    let in_paris = Post::author().then(Author::profile()).city().eq("Paris");
    assert_eq!(titles(Post::query().filter(in_paris), &db).await?, "Trains Boats");
    Ok(())
}

async fn pairs_are_crossed_from_both_sides(db: Session) -> Result<(), Error> {
    with_posts(&db).await?;
    let iron = Post::query().filter(Post::tags().any(Tag::name().eq("iron")));
    assert_eq!(titles(iron, &db).await?, "Engines Trains");
    assert_eq!(titles(Post::query().filter(Post::tags().is_empty()), &db).await?, "Looms");
    let of_ada = Tag::query().filter(Tag::posts().any(Post::author().name().eq("Ada")));
    let of_ada = of_ada.order_by(Tag::name().asc()).select(Tag::name());
    assert_eq!(of_ada.all(&db).await?, ["iron", "steam"]);
    let on_water = Comment::query().filter(Comment::post().tags().any(Tag::name().eq("steam")));
    assert_eq!(on_water.count(&db).await?, 3);
    Ok(())
}

async fn a_subquery_sees_the_row_around_it(db: Session) -> Result<(), Error> {
    with_posts(&db).await?;
    let own = Post::query().filter(Post::author_id().eq(outer(Author::id())));
    let writes = Author::query().filter(exists(own.clone().filter(Post::score().gt(8))));
    assert_eq!(names(writes, &db).await?, "Ada");

    let best = own.clone().select(Post::score().max());
    let best = Author::query().select((Author::name(), subquery(best)));
    let rows: Vec<_> = best.order_by(Author::id().asc()).all(&db).await?;
    let scores: Vec<_> = rows.into_iter().map(|it| it.1).collect();
    assert_eq!(scores, [Some(9), Some(7), None, None]);

    let newest = own.order_by(Post::id().desc()).select(Post::title());
    let newest = Author::query().select(subquery(newest)).order_by(Author::id().asc()).limit(2);
    assert_eq!(newest.all(&db).await?, [Some("Looms".to_owned()), Some("Boats".to_owned())]);

    let editors = Post::query().filter(Post::editor_id().is_not_null()).select(Post::editor_id());
    let edits = Author::query().filter(Author::id().in_query(editors));
    assert_eq!(names(edits, &db).await?, "Ada Cy");
    let above = Post::query().select(Post::score().average());
    let above = Post::query().filter(Post::score().cast::<f64>().gt(subquery(above)));
    assert_eq!(titles(above, &db).await?, "Engines Trains");
    let less_than_taught =
        Author::posts().any(Post::score().gt(6) & Post::id().gt(outer(Author::id())));
    assert_eq!(names(Author::query().filter(less_than_taught), &db).await?, "Bob");
    Ok(())
}

async fn what_becomes_of_rows_is_what_the_relation_says(db: Session) -> Result<(), Error> {
    with_posts(&db).await?;
    Post::query().filter(Post::editor_id().eq(1)).delete(&db).await?;
    Author::get(&db, 1).await?.delete(&db).await?;
    assert_eq!(Author::get(&db, 2).await?.mentor_id, None);
    assert_eq!(titles(Post::query(), &db).await?, "Trains");
    assert_eq!(Comment::query().count(&db).await?, 1);
    assert_eq!(Profile::query().count(&db).await?, 1);
    let editor = Author::get(&db, 3).await?.delete(&db).await.unwrap_err();
    assert_eq!(editor.kind, ErrorKind::ForeignKeyViolation);
    Ok(())
}
