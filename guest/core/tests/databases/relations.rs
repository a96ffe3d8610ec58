//! Queries across relations: no parent twice, and nothing of another tenant.

use ferro_wit::policy::Scope;
use ferro_wit::query::{
    AggregateFunction, BinaryOperator as B, Node, NodeRef, Quantifier, Query, Select, Statement,
    UnaryOperator,
};
use ferro_wit::types::{ScalarType as S, Value};

use crate::blog::{self, tenant};
use crate::fixture::*;
use crate::world::{World, integers, shown};

/// Posts, comments, pairs and bosses of both tenants refer to rows of the other.
pub(crate) const ROWS: [&str; 7] = [
    "INSERT INTO author (id, tenant_id, name, secret, boss_id) VALUES (1, 1, 'Ada', 'x', NULL), \
     (4, 2, 'Zoe', 'x', NULL), (2, 1, 'Bob', 'x', 1), (3, 1, 'Cid', 'x', 4), (5, 2, 'Yan', 'x', 1)",
    "INSERT INTO profile (id, author_id, bio) VALUES (1, 1, 'pioneer'), (2, 4, 'hidden')",
    "INSERT INTO post (id, tenant_id, author_id, editor_id, title, stars) VALUES \
     (1, 1, 1, 2, 'one', 5), (2, 1, 1, NULL, 'two', NULL), (3, 1, 2, 4, 'three', 1), \
     (4, 1, 4, 1, 'four', 3), (5, 2, 4, NULL, 'five', 0), (6, 2, 1, NULL, 'six', 9)",
    "INSERT INTO comment (id, tenant_id, post_id, body, stars) VALUES (1, 1, 1, 'by Ada', 4), \
     (2, 1, 1, 'bad', NULL), (3, 1, 3, 'good', 2), (4, 2, 2, 'leak', 9), (5, 2, 5, 'own', 0), (6, 2, 6, 'far', 1), \
     (7, 1, 6, 'cross', 1)",
    "INSERT INTO tag (id, tenant_id, name) VALUES (1, 1, 'rust'), (2, 1, 'wasm'), (3, 2, 'rust')",
    "INSERT INTO post_tags (post_id, tag_id) VALUES (1, 1), (1, 2), (2, 3), (3, 1), (5, 3)",
    "INSERT INTO label (id, name) VALUES (1, 'hot'), (2, 'cold')",
];

pub(crate) const PAIRS: &str = "INSERT INTO post_label (post_id, label_id, tenant_id) VALUES (1, 1, 1), \
                     (2, 1, 2), (3, 2, 1), (4, 1, 1)";

pub(crate) async fn world() -> World {
    let mut rows = ROWS.to_vec();
    rows.push(PAIRS);
    World::new(blog::schema(), &rows).await
}

/// Forced values of the tenant 1, one for each scoped model.
pub(crate) fn first() -> Vec<Value> {
    vec![Value::Integer(1); 5]
}

struct Views<'a> {
    world: &'a World,
    scope: Scope,
}

impl Views<'_> {
    /// The ids of the rows of a model for which a condition holds: of all, and of the tenant 1.
    async fn matching(
        &self,
        model: &str,
        parameters: &[Value],
        build: impl FnOnce(&mut Nodes) -> NodeRef,
    ) -> (Vec<i64>, Vec<i64>) {
        let mut nodes = Nodes::default();
        let id = nodes.field("id");
        let filter = Some(build(&mut nodes));
        let select = Select {
            filter,
            projection: fields(&["id"]),
            order_by: vec![ascending(id)],
            ..all(model)
        };
        let query = nodes.select(select);
        let everything = self.world.rows(&query, parameters).await;
        let own = self.world.scoped(&query, parameters, Some(&self.scope), &first()).await;
        (integers(everything), integers(own))
    }
}

#[tokio::test]
async fn t2_paths_read_rows_of_the_scope_and_null_for_others() {
    let world = world().await;
    let mut nodes = Nodes::default();
    let id = nodes.field("id");
    let listed = ["author.name", "author.boss.name", "editor.name"].map(|it| nodes.path(it));
    let query = nodes.select(Select {
        projection: outputs(&[id, listed[0], listed[1], listed[2]]),
        order_by: vec![descending(listed[2]), ascending(id)],
        ..all("Post")
    });
    insta::assert_snapshot!(shown(&world.rows(&query, &[]).await), @r##"
3 | Bob | Ada | Zoe
1 | Ada | - | Bob
4 | Zoe | - | Ada
2 | Ada | - | -
5 | Zoe | - | -
6 | Ada | - | -
"##);
    let own = world.scoped(&query, &[], Some(&tenant()), &first()).await;
    insta::assert_snapshot!(shown(&own), @r##"
1 | Ada | - | Bob
4 | - | - | Ada
2 | Ada | - | -
3 | Bob | Ada | -
"##);
}

#[tokio::test]
async fn t2_conditions_on_joined_rows_see_the_scope_only() {
    let world = world().await;
    let views = Views { world: &world, scope: tenant() };
    let by = |name: &'static str, path: &'static str| {
        let name = vec![Value::from(name)];
        let build = move |it: &mut Nodes| {
            let (path, name) = (it.path(path), it.parameter(0, S::Text));
            it.binary(path, B::Equal, name)
        };
        (name, build)
    };
    let (name, build) = by("Zoe", "author.name");
    assert_eq!(views.matching("Post", &name, build).await, (vec![4, 5], vec![]));
    let (name, build) = by("Ada", "author.name");
    assert_eq!(views.matching("Post", &name, build).await, (vec![1, 2, 6], vec![1, 2]));
    let (name, build) = by("Ada", "post.author.name");
    assert_eq!(views.matching("Comment", &name, build).await, (vec![1, 2, 4, 6, 7], vec![1, 2]));
    let no_boss = |it: &mut Nodes| {
        let boss = it.path("boss.name");
        it.unary(UnaryOperator::IsNull, boss)
    };
    assert_eq!(views.matching("Author", &[], no_boss).await, (vec![1, 4], vec![1, 3]));
}

#[tokio::test]
async fn t2_related_rows_are_counted_in_scope_and_no_parent_comes_twice() {
    let world = world().await;
    let views = Views { world: &world, scope: tenant() };
    let two = [Value::Integer(2)];
    let posts = |quantifier| {
        move |it: &mut Nodes| {
            let stars = it.test("stars", B::GreaterOrEqual, 0, S::Integer);
            it.related(quantifier, &["posts"], Some(stars))
        }
    };
    let any = views.matching("Author", &two, posts(Quantifier::Any)).await;
    assert_eq!(any, (vec![1, 4], vec![1]));
    let none = views.matching("Author", &two, posts(Quantifier::None)).await;
    assert_eq!(none, (vec![2, 3, 5], vec![2, 3]));
    // A post without stars does not satisfy the condition; an author without posts does.
    let all = views.matching("Author", &two, posts(Quantifier::All)).await;
    assert_eq!(all, (vec![3, 5], vec![3]));
    let exists = |it: &mut Nodes| it.related(Quantifier::Any, &["posts", "comments"], None);
    assert_eq!(views.matching("Author", &[], exists).await, (vec![1, 2, 4], vec![1, 2]));
    let three = [Value::Integer(3)];
    let deep = |quantifier| {
        move |it: &mut Nodes| {
            let stars = it.test("stars", B::Less, 0, S::Integer);
            it.related(quantifier, &["posts", "comments"], Some(stars))
        }
    };
    assert_eq!(
        views.matching("Author", &three, deep(Quantifier::Any)).await,
        (vec![1, 2, 4], vec![2])
    );
    assert_eq!(
        views.matching("Author", &three, deep(Quantifier::All)).await,
        (vec![2, 3, 4, 5], vec![2, 3])
    );
    let siblings = |it: &mut Nodes| {
        let stars = it.test("stars", B::GreaterOrEqual, 0, S::Integer);
        it.related(Quantifier::Any, &["post", "author", "posts"], Some(stars))
    };
    assert_eq!(
        views.matching("Comment", &two, siblings).await,
        (vec![1, 2, 4, 5, 6, 7], vec![1, 2])
    );
}

#[tokio::test]
async fn t2_pairs_of_a_many_to_many_relation_are_in_scope_with_both_ends() {
    let world = world().await;
    let views = Views { world: &world, scope: tenant() };
    let rust = [Value::from("rust")];
    let named = |relation: &'static str| {
        move |it: &mut Nodes| {
            let name = it.test("name", B::Equal, 0, S::Text);
            it.related(Quantifier::Any, &[relation], Some(name))
        }
    };
    assert_eq!(views.matching("Post", &rust, named("tags")).await, (vec![1, 2, 3, 5], vec![1, 3]));
    let hot = [Value::from("hot")];
    assert_eq!(views.matching("Post", &hot, named("labels")).await, (vec![1, 2, 4], vec![1, 4]));
    let used = |it: &mut Nodes| it.related(Quantifier::Any, &["posts"], None);
    assert_eq!(views.matching("Tag", &[], used).await, (vec![1, 2, 3], vec![1, 2]));
    let titled = |it: &mut Nodes| {
        let title = it.test("title", B::Equal, 0, S::Text);
        it.related(Quantifier::Any, &["posts"], Some(title))
    };
    let two = [Value::from("two")];
    assert_eq!(views.matching("Label", &two, titled).await, (vec![1], vec![]));
}

#[tokio::test]
async fn conditions_look_at_rows_around_them() {
    let world = world().await;
    let views = Views { world: &world, scope: tenant() };
    let build = |it: &mut Nodes| {
        let (body, name) = (it.field("body"), it.outer_path(2, "name"));
        let named = it.binary(body, B::Contains, name);
        let comments = it.related(Quantifier::Any, &["comments"], Some(named));
        it.related(Quantifier::Any, &["posts"], Some(comments))
    };
    assert_eq!(views.matching("Author", &[], build).await, (vec![1], vec![1]));
}

/// How many posts an author has, whether one has stars, and whether the tenant has tags.
fn selects_inside(nodes: &mut Nodes) -> Vec<Select> {
    let star = nodes.star();
    let count = nodes.aggregate(AggregateFunction::Count, star);
    let (author, id) = (nodes.field("author_id"), nodes.outer_path(1, "id"));
    let same = nodes.binary(author, B::Equal, id);
    let posts = Select { projection: outputs(&[count]), filter: Some(same), ..all("Post") };
    let number = nodes.add(Node::Subquery(0));
    let starred = nodes.test("stars", B::Greater, 0, S::Integer);
    let both = nodes.add(Node::AllOf(vec![same, starred]));
    let found = Select { filter: Some(both), ..all("Post") };
    let exists = nodes.add(Node::Exists(1));
    let rust = nodes.test("name", B::Equal, 1, S::Text);
    let tenants = Select { projection: fields(&["tenant_id"]), filter: Some(rust), ..all("Tag") };
    let own = nodes.field("tenant_id");
    let tagged = nodes.add(Node::InSelect((own, 2)));
    let id = nodes.field("id");
    let authors = Select {
        projection: outputs(&[id, number, exists, tagged]),
        order_by: vec![descending(number), ascending(id)],
        ..all("Author")
    };
    vec![posts, found, tenants, authors]
}

#[tokio::test]
async fn t2_selects_inside_of_expressions_read_the_scope_only() {
    let world = world().await;
    let mut nodes = Nodes::default();
    let selects = selects_inside(&mut nodes);
    let query = nodes.query(selects, Statement::Select(3));
    let values = [Value::Integer(2), Value::from("rust")];
    insta::assert_snapshot!(shown(&world.rows(&query, &values).await), @r##"
1 | 3 | true | true
4 | 2 | true | true
2 | 1 | false | true
3 | 0 | false | true
5 | 0 | false | true
"##);
    let own = world.scoped(&query, &values, Some(&tenant()), &first()).await;
    insta::assert_snapshot!(shown(&own), @r##"
1 | 2 | true | true
2 | 1 | false | true
3 | 0 | false | true
"##);
}

#[tokio::test]
async fn groups_are_made_by_fields_of_other_models() {
    let world = world().await;
    let mut nodes = Nodes::default();
    let (name, star) = (nodes.path("author.name"), nodes.star());
    let count = nodes.aggregate(AggregateFunction::Count, star);
    let query = nodes.select(Select {
        projection: outputs(&[name, count]),
        group_by: vec![name],
        order_by: vec![ascending(name)],
        ..all("Post")
    });
    insta::assert_snapshot!(shown(&world.rows(&query, &[]).await), @r##"
Ada | 3
Bob | 1
Zoe | 2
"##);
    let own = world.scoped(&query, &[], Some(&tenant()), &first()).await;
    insta::assert_snapshot!(shown(&own), @r##"
Ada | 2
Bob | 1
- | 1
"##);
}

/// `9223372036854775807 + stars` overflows on the row with 9 stars only, which is tenant 2's.
fn overflows(it: &mut Nodes, stars: NodeRef) -> NodeRef {
    let most = it.integer(i64::MAX - 5);
    let sum = it.binary(stars, B::Add, most);
    let zero = it.integer(0);
    it.binary(sum, B::Greater, zero)
}

#[tokio::test]
async fn t3_an_expression_never_meets_a_row_outside_of_the_scope() {
    let world = world().await;
    let scope = tenant();
    let select = |model: &str, build: &dyn Fn(&mut Nodes) -> NodeRef| -> Query {
        let mut nodes = Nodes::default();
        let filter = Some(build(&mut nodes));
        nodes.select(Select { filter, ..all(model) })
    };
    let posts = |quantifier| {
        select("Author", &move |it| {
            let stars = it.field("stars");
            let sum = overflows(it, stars);
            it.related(quantifier, &["posts"], Some(sum))
        })
    };
    let joined = select("Comment", &|it| {
        let stars = it.path("post.stars");
        overflows(it, stars)
    });
    let outer = select("Post", &|it| {
        let stars = it.outer_path(1, "stars");
        let sum = overflows(it, stars);
        it.related(Quantifier::None, &["comments"], Some(sum))
    });
    let among = {
        let mut nodes = Nodes::default();
        let (id, stars) = (nodes.field("id"), nodes.field("stars"));
        let most = nodes.integer(i64::MAX - 5);
        let sum = nodes.binary(stars, B::Add, most);
        let inner = Select { projection: outputs(&[sum]), ..all("Post") };
        let filter = Some(nodes.add(Node::InSelect((id, 0))));
        nodes.query(vec![inner, Select { filter, ..all("Author") }], Statement::Select(1))
    };
    for query in [posts(Quantifier::Any), posts(Quantifier::All), joined, outer, among] {
        let [_, postgres] = world.outcomes(&query, &[], None, &[]).await;
        assert!(postgres.is_err(), "the row outside of the scope makes no difference");
        let [sqlite, postgres] = world.outcomes(&query, &[], Some(&scope), &first()).await;
        assert_eq!(sqlite.unwrap(), postgres.unwrap());
    }
}

#[tokio::test]
async fn writes_reach_the_rows_that_relations_choose_and_no_others() {
    let world = world().await;
    let mut nodes = Nodes::default();
    let (name, ada) = (nodes.path("post.author.name"), nodes.parameter(0, S::Text));
    let filter = Some(nodes.binary(name, B::Equal, ada));
    let rows = Select { filter, ..all("Comment") };
    let query = nodes.query(vec![rows], Statement::Delete(delete("Comment")));
    let gone = world.scoped(&query, &["Ada".into()], Some(&tenant()), &first()).await;
    assert_eq!(integers(gone), [2]);
    let count = Nodes::default().query(vec![all("Comment")], Statement::Count(0));
    assert_eq!(integers(world.rows(&count, &[]).await), [5]);
}

#[tokio::test]
async fn t2_a_select_in_a_value_to_write_reads_the_scope_only() {
    let world = world().await;
    let mut nodes = Nodes::default();
    let (id, stars) = (nodes.field("id"), nodes.field("stars"));
    let posts =
        Select { projection: outputs(&[id, stars]), order_by: vec![ascending(id)], ..all("Post") };
    let posts = nodes.select(posts);
    let by_comments = blog::updated("Post", "stars", ["Comment", "stars"], Some("post_id"));
    let changed = world.scoped(&by_comments, &[], Some(&tenant()), &first()).await;
    assert_eq!(integers(changed), [4]);
    insta::assert_snapshot!(shown(&world.rows(&posts, &[]).await), @r##"
1 | 4
2 | -
3 | 2
4 | -
5 | 0
6 | 9
"##);
    assert_eq!(integers(world.rows(&by_comments, &[]).await), [6]);
    insta::assert_snapshot!(shown(&world.rows(&posts, &[]).await), @r##"
1 | 4
2 | 9
3 | 2
4 | -
5 | 0
6 | 1
"##);
    let all_alike = blog::updated("Post", "stars", ["Post", "stars"], None);
    assert_eq!(integers(world.rows(&all_alike, &[]).await), [6]);
    insta::assert_snapshot!(shown(&world.rows(&posts, &[]).await), @r##"
1 | 9
2 | 9
3 | 9
4 | 9
5 | 9
6 | 9
"##);
}
