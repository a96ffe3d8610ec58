//! What an error says that it is about: fields, relations and models, in the words of the query.

use ferro_wit::query::{
    AggregateFunction, Assignment, BinaryOperator as B, CommonTable, Node, NodeRef, Path,
    Projection, Quantifier, Query, Select, Statement, UnaryOperator, Update,
};
use ferro_wit::types::{ErrorKind, ScalarType as S};

use crate::blog::{schema, tenant};
use crate::fixture::*;
use ferro_core::Catalog;

fn refused(query: &Query) -> String {
    line(&fault(&Catalog::new(schema()).unwrap(), query, None))
}

/// A filter of posts, or of another model, and what the core says of it.
fn filter(model: &str, build: impl Fn(&mut Nodes) -> NodeRef) -> String {
    let mut nodes = Nodes::default();
    let filter = build(&mut nodes);
    refused(&nodes.select(Select { filter: Some(filter), ..all(model) }))
}

#[test]
fn fields_are_named_from_the_model_whose_rows_they_are_of() {
    insta::assert_snapshot!(filter("Post", |it| it.test("title", B::Equal, 0, S::Integer)), @"type-mismatch: `Post.title`: text cannot be compared with integer");
    insta::assert_snapshot!(filter("Post", |it| {
        let name = it.path("author.boss.name");
        let stars = it.field("stars");
        it.binary(name, B::Equal, stars)
    }), @"type-mismatch: `Post.author.boss.name`, `Post.stars`: text cannot be compared with integer");
    insta::assert_snapshot!(filter("Author", |it| {
        let stars = it.field("stars");
        let name = it.outer_path(1, "name");
        let equal = it.binary(stars, B::Equal, name);
        it.related(Quantifier::Any, &["boss", "posts"], Some(equal))
    }), @"type-mismatch: `Post.stars`, `Author.name`: integer cannot be compared with text");
    insta::assert_snapshot!(filter("Author", |it| {
        let posts = it.related(Quantifier::Any, &["posts"], None);
        it.call("lower", &[posts])
    }), @"type-mismatch: `Author.posts`: `lower` does not take boolean");
    insta::assert_snapshot!(filter("Post", |it| it.path("author.nmae")), @"invalid-query: `Post.author.nmae`: model `Author` has no field `nmae`; did you mean `name`?");
    insta::assert_snapshot!(filter("Post", |it| it.path("comments.body")), @"invalid-query: `Post.comments.body`: relation `comments` of `Post` leads to many rows: ask about them with `related`");
    insta::assert_snapshot!(filter("Post", |it| it.related(Quantifier::Any, &["author", "psots"], None)), @"invalid-query: `Post.author.psots`: model `Author` has no relation `psots`; did you mean `posts`?");
    insta::assert_snapshot!(filter("Post", |it| it.field("titel")), @"invalid-query: model `Post` has no field `titel`; did you mean `title`?");
    insta::assert_snapshot!(filter("Post", |it| it.outer_path(3, "title")), @"invalid-query: there is no select around this one");
    insta::assert_snapshot!(filter("Post", |it| it.add(Node::Excluded("title".into()))), @"invalid-query: `Post.title`: `excluded` stands only in the conflict of an insert and in an update by a batch");
    insta::assert_snapshot!(filter("Post", |it| {
        let names = ["title", "id", "title", "author_id", "editor_id", "stars"];
        let fields = names.map(|name| it.field(name));
        it.call("coalesce", &fields)
    }), @"type-mismatch: `Post.title`, `Post.id`, `Post.author_id`, `Post.editor_id`, …: `coalesce` takes values of one type: text and integer");
}

#[test]
fn what_is_misplaced_is_named_and_not_all_around_it() {
    let small = |it: &mut Nodes, value: NodeRef| {
        let two = it.integer(2);
        let small = it.binary(value, B::Less, two);
        let titled = it.test("title", B::Equal, 0, S::Text);
        it.add(Node::AllOf(vec![titled, small]))
    };
    insta::assert_snapshot!(filter("Post", |it| {
        let stars = it.field("stars");
        let sum = it.aggregate(AggregateFunction::Sum, stars);
        small(it, sum)
    }), @"invalid-query: `Post.stars`: `sum` cannot be used in a filter: aggregates go into the outputs, the order and `having` of a select");
    insta::assert_snapshot!(filter("Post", |it| {
        let star = it.star();
        let count = it.aggregate(AggregateFunction::Count, star);
        small(it, count)
    }), @"invalid-query: `count` cannot be used in a filter: aggregates go into the outputs, the order and `having` of a select");
    insta::assert_snapshot!(filter("Post", |it| {
        let stars = it.field("stars");
        let rank = it.window("rank", &[], &[], &[ascending(stars)]);
        small(it, rank)
    }), @"invalid-query: `Post.stars`: `rank` cannot be used in a filter: window functions go into the outputs and the order of a select");
    let mut nodes = Nodes::default();
    let (author, stars) = (nodes.field("author_id"), nodes.path("author.name"));
    let lower = nodes.call("lower", &[stars]);
    let query = nodes.select(Select {
        projection: outputs(&[author, lower]),
        group_by: vec![author],
        ..all("Post")
    });
    insta::assert_snapshot!(refused(&query), @"invalid-query: `Post.author.name`: the field is neither grouped by nor aggregated");
}

#[test]
fn selects_are_named_by_what_they_read() {
    let with = |build: &dyn Fn(&mut Nodes) -> Select, compare: B| {
        let mut nodes = Nodes::default();
        let inner = build(&mut nodes);
        let id = nodes.field("id");
        let value = nodes.add(Node::Subquery(0));
        let filter = nodes.binary(id, compare, value);
        let outer = Select { filter: Some(filter), ..all("Post") };
        refused(&nodes.query(vec![inner, outer], Statement::Select(1)))
    };
    insta::assert_snapshot!(with(&|_| all("Author"), B::Equal), @"invalid-query: a query of `Author`: a select that stands for a value has one column");
    insta::assert_snapshot!(with(&|it| {
        let one = it.integer(1);
        Select { projection: fields(&["name"]), limit: Some(one), ..all("Author") }
    }, B::Equal), @"type-mismatch: `Post.id`, a query of `Author`: integer cannot be compared with text");
    insta::assert_snapshot!(with(&|it| {
        let name = it.field("name");
        Select { projection: fields(&["name"]), group_by: vec![name], ..all("Author") }
    }, B::Equal), @"invalid-query: `Author`: a select with groups or aggregates lists its outputs");
    let mut nodes = Nodes::default();
    let (n, text) = (nodes.field("id"), nodes.parameter(0, S::Text));
    let wrong = nodes.binary(n, B::Equal, text);
    let selects = vec![
        Select { projection: fields(&["id"]), ..all("Tag") },
        Select { filter: Some(wrong), ..all("tags") },
    ];
    let common = vec![CommonTable { name: "tags".into(), rows: 0, step: None }];
    let query = Query { common, ..nodes.query(selects, Statement::Select(1)) };
    insta::assert_snapshot!(refused(&query), @"type-mismatch: `tags.id`: integer cannot be compared with text");
}

#[test]
fn a_value_that_does_not_fit_is_named_by_the_field_that_it_is_for() {
    let set = |build: &dyn Fn(&mut Nodes) -> NodeRef| {
        let mut nodes = Nodes::default();
        let value = build(&mut nodes);
        let set = vec![Assignment { field: "name".into(), value }];
        let update = Update { set, ..update("Author") };
        refused(&nodes.query(vec![all("Author")], Statement::Update(update)))
    };
    insta::assert_snapshot!(set(&|it| it.integer(1)), @"type-mismatch: `Author.name`: integer where text is wanted");
    insta::assert_snapshot!(set(&|it| it.field("tenant_id")), @"type-mismatch: `Author.name`: integer where text is wanted");
    insta::assert_snapshot!(set(&|it| it.path("boss.name")), @"unsupported: `Author.boss.name`: values to write are made of the fields of their own row and of selects: ask for what a relation leads to with `subquery`");
    insta::assert_snapshot!(set(&|it| it.field("nmae")), @"invalid-query: model `Author` has no field `nmae`; did you mean `name`?");
}

#[test]
fn a_hostile_query_is_named_on_one_short_line() {
    let long =
        filter("Post", |it| it.path(&format!("{}{}", "a\nb.".repeat(1_000), "x".repeat(100_000))));
    insta::assert_snapshot!(long, @r"invalid-query: `Post.a\nb.a\nb.a\nb.a\nb.a\nb.a\nb.a\nb.…`: model `Post` has no relation `a\nb`");
    let many = filter("Post", |it| {
        let fields: Vec<_> = (0..4_000).map(|at| it.field(&format!("f{at}"))).collect();
        it.window("rank", &fields, &[], &[])
    });
    insta::assert_snapshot!(many, @"invalid-query: `Post.f0`, `Post.f1`, `Post.f2`, `Post.f3`, …: wrong number of arguments for `rank`");
    let deep = filter("Post", |it| {
        let mut node = it.field("title");
        for _ in 0..64 {
            let other = it.field("stars");
            let both = it.add(Node::AllOf(vec![node, other]));
            node = it.unary(UnaryOperator::Not, both);
        }
        node
    });
    insta::assert_snapshot!(deep, @"limit-exceeded: `title`, `stars`: the expression is more than 64 nodes deep");
}

#[test]
fn t1_an_error_before_a_hidden_name_is_looked_up_is_that_of_a_name_that_does_not_exist() {
    let catalog = Catalog::new(schema()).unwrap();
    let said = |model: &str, node: Node| {
        let mut nodes = Nodes::default();
        let hidden = nodes.add(node);
        let ranked = nodes.window("rank", &[hidden], &[], &[]);
        let projection = outputs(&[ranked]);
        let inner = all(model);
        let outer = Select { projection, ..all("Post") };
        let query = nodes.query(vec![inner, outer], Statement::Select(1));
        let error = fault(&catalog, &query, Some(&tenant()));
        assert_eq!(error.kind, ErrorKind::InvalidQuery);
        error.message
    };
    let field = |relation: &str, field: &str| {
        let relations = vec!["author".to_owned(), relation.to_owned()];
        said("Post", Node::Field(Path { outer: 0, relations, field: field.into() }))
    };
    for (name, hidden, unknown) in [
        ("secret", field("boss", "secret"), field("boss", "nothing")),
        ("profile", field("profile", "bio"), field("nothing", "bio")),
        ("Profile", said("Profile", Node::Exists(0)), said("nothing", Node::Exists(0))),
    ] {
        let blamed = hidden.starts_with('`') || hidden.starts_with("a query of `");
        assert!(blamed && hidden.contains(name), "{hidden}");
        assert_eq!(hidden, unknown.replace("nothing", name));
    }
}

#[test]
fn what_a_select_lists_is_named_with_its_model() {
    let mut nodes = Nodes::default();
    let (title, sum) = (nodes.field("title"), nodes.field("stars"));
    let sum = nodes.aggregate(AggregateFunction::Sum, sum);
    let refused = |select: Select| refused(&nodes.clone().select(select));
    insta::assert_snapshot!(refused(Select { group_by: vec![title], ..all("Post") }), @"invalid-query: `Post`: a select with groups or aggregates lists its outputs");
    insta::assert_snapshot!(refused(Select { projection: fields(&["id", "id"]), ..all("Post") }), @"invalid-query: `Post`: a projection has two columns `id`");
    let ordered =
        Select { projection: outputs(&[title]), order_by: vec![ascending(sum)], ..all("Post") };
    insta::assert_snapshot!(refused(ordered), @"invalid-query: `Post`: a select with aggregates and without groups lists an aggregate");
    insta::assert_snapshot!(refused(Select { projection: Projection::Outputs(vec![]), ..all("Post") }), @"invalid-query: `Post`: a projection names at least one column");
}
