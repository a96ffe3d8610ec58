//! Common tables, on both databases.

use ferro_wit::policy::{ForcedFilter, TableScope};
use ferro_wit::query::{
    AggregateFunction as A, BinaryOperator as B, Delete, Distinct, Insert, Query, RowSource,
    Select, SetOperator, Statement, UnaryOperator as U,
};
use ferro_wit::schema::Comparison;
use ferro_wit::types::{ErrorKind, ScalarType as S, Scalars, Value};

use crate::blog::tenant;
use crate::commons::{self, join, named, recursive, table};
use crate::fixture::*;
use crate::random;
use crate::relations::{first, world};
use crate::world::{integers, shown};

#[tokio::test]
async fn a_query_reads_a_select_under_a_name() {
    let world = world().await;
    let three = [Value::Integer(3)];
    insta::assert_snapshot!(shown(&world.rows(&commons::best(), &three).await), @r##"
1 | 3 | 14
4 | 2 | 3
"##);
    insta::assert_snapshot!(shown(&world.rows(&commons::beside(), &[]).await), @r##"
Ada | 3 | -
Bob | 1 | Ada
Zoe | 2 | -
"##);
    let one = [Value::Integer(1)];
    insta::assert_snapshot!(shown(&world.rows(&commons::inside(), &one).await), @r##"
1 | 14
4 | 14
"##);
    let mut count = commons::inside();
    count.statement = Statement::Count(4);
    assert_eq!(integers(world.rows(&count, &one).await), [2]);
}

#[tokio::test]
async fn t2_common_tables_hold_rows_of_the_scope_only() {
    let world = world().await;
    let zero = [Value::Integer(0)];
    let own = world.scoped(&commons::best(), &zero, Some(&tenant()), &first()).await;
    insta::assert_snapshot!(shown(&own), @r##"
1 | 2 | 5
4 | 1 | 3
2 | 1 | 1
"##);
    let own = world.scoped(&commons::beside(), &[], Some(&tenant()), &first()).await;
    insta::assert_snapshot!(shown(&own), @r##"
Ada | 2 | -
Bob | 1 | Ada
"##);
    let own = world.scoped(&commons::chart(), &[], Some(&tenant()), &first()).await;
    insta::assert_snapshot!(shown(&own), @r##"
1 | Ada | 0
2 | Bob | 1
"##);
}

#[tokio::test]
async fn a_recursive_table_walks_a_tree() {
    let world = world().await;
    insta::assert_snapshot!(shown(&world.rows(&commons::chart(), &[]).await), @r##"
1 | Ada | 0
4 | Zoe | 0
2 | Bob | 1
3 | Cid | 1
5 | Yan | 1
"##);
    let two = [Value::Integer(2)];
    assert_eq!(integers(world.rows(&commons::bosses(), &two).await), [1, 2]);
    let four = [Value::Integer(4)];
    assert_eq!(integers(world.rows(&commons::numbers(), &four).await), [4, 3, 2, 1, 0]);
}

#[tokio::test]
async fn a_union_of_a_recursive_table_ends_where_rows_lead_to_each_other() {
    let world = world().await;
    world.run(["UPDATE author SET boss_id = 2 WHERE id = 1"; 2].map(str::to_owned)).await;
    let two = [Value::Integer(2)];
    assert_eq!(integers(world.rows(&commons::bosses(), &two).await), [1, 2]);
}

/// PostgreSQL asks first what costs least: a list of tenants costs more than a sum, so the rows of
/// others would go past 64 bits, if it were to take the table apart.
#[tokio::test]
async fn t3_what_is_asked_of_a_common_table_is_asked_of_its_rows_only() {
    let world = world().await;
    let mut nodes = Nodes::default();
    let (id, stars) = (nodes.field("id"), nodes.field("stars"));
    let posts = Select { projection: named(&[("id", id), ("stars", stars)]), ..all("Post") };
    let (most, zero) = (nodes.integer(i64::MAX - 5), nodes.integer(0));
    let sum = nodes.binary(stars, B::Add, most);
    let filter = Some(nodes.binary(sum, B::Greater, zero));
    let order_by = vec![ascending(id)];
    let rows = Select { projection: outputs(&[id]), filter, order_by, ..all("rated") };
    let query = nodes.with(vec![posts, rows], vec![table("rated", 0)]);
    let [_, postgres] = world.outcomes(&query, &[], None, &[]).await;
    assert_eq!(postgres.unwrap_err().kind, ErrorKind::ValueOutOfRange);

    let any = ForcedFilter { field: "tenant_id".into(), test: Comparison::Equal, many: true };
    let scope = scope(vec![TableScope { filters: vec![any], ..open_scope("Post") }]);
    let mut tenants = Scalars::with_kind(S::Integer);
    for tenant in [1].into_iter().chain(1000..1007) {
        tenants.push(Value::Integer(tenant)).unwrap();
    }
    let own = world.scoped(&query, &[], Some(&scope), &[Value::Array(tenants)]).await;
    assert_eq!(integers(own), [1, 3, 4]);
}

#[tokio::test]
async fn writes_read_common_tables() {
    let world = world().await;
    let mut query = commons::inside();
    query.statement = Statement::Delete(Delete { rows: 4, ..delete("Author") });
    let one = [Value::Integer(1)];
    let [sqlite, postgres] = world.outcomes(&query, &one, None, &[]).await;
    // Posts refer to them, and go with them.
    assert_eq!(integers(sqlite.unwrap()), [2]);
    assert_eq!(integers(postgres.unwrap()), [2]);

    let mut nodes = Nodes::default();
    let tags = Select { projection: fields(&["id", "name"]), ..all("Tag") };
    let (on, other) = (nodes.test("id", B::Equal, 0, S::Integer), nodes.path("tags.name"));
    let (label, id, hundred) = (nodes.field("name"), nodes.path("tags.id"), nodes.integer(100));
    let (id, both) = (nodes.binary(id, B::Add, hundred), nodes.binary(label, B::Concat, other));
    let labels =
        Select { projection: outputs(&[id, both]), joins: join("tags", on), ..all("Label") };
    let mut query = nodes.with(vec![tags, labels], vec![table("tags", 0)]);
    let copied = Insert { source: RowSource::Select(1), ..insert("Label", &["id", "name"]) };
    query.statement = Statement::Insert(copied);
    let [sqlite, postgres] = world.outcomes(&query, &one, None, &[]).await;
    assert_eq!(integers(sqlite.unwrap()), [3]);
    assert_eq!(integers(postgres.unwrap()), [3]);
}

/// Enums go in the order of their declaration, decimals compare as numbers, integers have 64 bits.
#[tokio::test]
async fn the_columns_of_a_common_table_are_of_the_types_of_its_select() {
    let world = random::world().await;
    let query = |step: bool| {
        let mut nodes = Nodes::default();
        let names = ["id", "mood", "balance", "age", "tags", "created_at", "token", "active"];
        let users = Select { projection: fields(&names), ..all("User") };
        let mut listed: Vec<_> = names.iter().map(|it| (*it, nodes.field(it))).collect();
        let balance = listed[2].1;
        listed[2].1 = nodes.call("coalesce", &[balance, balance]);
        let (age, one) = (listed[3].1, nodes.integer(1));
        listed[3].1 = nodes.binary(age, B::Add, one);
        let further = Select {
            projection: named(&listed),
            filter: Some(nodes.test("age", B::Less, 0, S::Integer)),
            ..all("users")
        };
        let filter = nodes.test("balance", B::Greater, 1, S::Decimal);
        let (id, mood, balance) = (nodes.field("id"), nodes.field("mood"), nodes.field("balance"));
        let age = nodes.field("age");
        let rows = Select {
            projection: outputs(&[id, mood, balance, age]),
            filter: Some(filter),
            order_by: [mood, balance, age, id].map(ascending).into(),
            ..all("users")
        };
        let table = match step {
            true => recursive("users", 0, SetOperator::UnionAll, 1),
            false => table("users", 0),
        };
        match step {
            true => nodes.with(vec![users, further, rows], vec![table]),
            false => nodes.with(vec![users, further, rows], vec![table, commons::table("more", 1)]),
        }
    };
    let values = [Value::Integer(2), Value::Decimal("-4".into())];
    insta::assert_snapshot!(shown(&world.rows(&query(true), &values).await), @r##"
3 | sad | -3.25 | 0
3 | sad | -3.25 | 1
3 | sad | -3.25 | 2
1 | glad | 10.50 | 30
4 | glad | 10.5 | 30
5 | - | -3.250 | -
2 | - | 9 | -
"##);
    let mut more = query(false);
    more.selects[2].model = "more".into();
    insta::assert_snapshot!(shown(&world.rows(&more, &values).await), @r##"
3 | sad | -3.25 | 1
"##);
}

/// What SQLite makes a float of is an error on both databases before anybody reads it.
#[tokio::test]
async fn integers_of_common_tables_have_64_bits() {
    let world = world().await;
    let mut nodes = Nodes::default();
    let (id, most) = (nodes.field("id"), nodes.integer(i64::MAX));
    let sum = nodes.binary(id, B::Add, most);
    let posts = Select { projection: named(&[("sum", sum)]), ..all("Post") };
    let sum = nodes.field("sum");
    let rows = Select { filter: Some(nodes.unary(U::IsNotNull, sum)), ..all("sums") };
    let query = nodes.with(vec![posts, rows], vec![table("sums", 0)]);
    for outcome in world.outcomes(&query, &[], None, &[]).await {
        assert_eq!(outcome.unwrap_err().kind, ErrorKind::ValueOutOfRange);
    }
}

/// Databases want the columns of what is added to be of the types of the first rows to the letter.
#[tokio::test]
async fn steps_go_on_from_rows_of_every_shape() {
    let world = world().await;
    let numbers = |build: &dyn Fn(&mut Nodes) -> Vec<Select>| {
        let mut nodes = Nodes::default();
        let mut selects = build(&mut nodes);
        let first = u32::try_from(selects.len() - 1).unwrap();
        let (n, one) = (nodes.field("n"), nodes.integer(1));
        let filter = Some(nodes.test("n", B::Less, 0, S::Integer));
        let next = nodes.binary(n, B::Add, one);
        selects.push(Select { projection: named(&[("n", next)]), filter, ..all("numbers") });
        selects.push(Select { order_by: vec![ascending(n)], ..all("numbers") });
        nodes.with(selects, vec![recursive("numbers", first, SetOperator::Union, first + 1)])
    };
    let four = [Value::Integer(4)];
    let stars = |it: &mut Nodes| named(&[("n", it.field("stars"))]);
    let filter = |it: &mut Nodes| {
        let field = it.field("stars");
        Some(it.unary(U::IsNotNull, field))
    };
    let plain =
        |it: &mut Nodes| Select { projection: stars(it), filter: filter(it), ..all("Post") };
    let cases: [(Query, &[i64]); 5] = [
        (numbers(&|it| vec![plain(it)]), &[0, 1, 2, 3, 4, 5, 9]),
        (
            numbers(&|it| {
                let others = vec![(SetOperator::Except, 0)];
                vec![plain(it), Select { combined: others, ..plain(it) }]
            }),
            &[],
        ),
        (
            numbers(&|it| vec![Select { distinct: Distinct::Rows, ..plain(it) }]),
            &[0, 1, 2, 3, 4, 5, 9],
        ),
        (
            numbers(&|it| {
                let (stars, one) = (it.field("stars"), it.integer(1));
                vec![Select { order_by: vec![ascending(stars)], offset: Some(one), ..plain(it) }]
            }),
            &[1, 2, 3, 4, 5, 9],
        ),
        (
            numbers(&|it| {
                let (stars, star) = (it.field("stars"), it.star());
                let count = it.aggregate(A::Count, star);
                let projection = named(&[("n", count)]);
                vec![Select { projection, group_by: vec![stars], ..plain(it) }]
            }),
            &[1, 2, 3, 4],
        ),
    ];
    for (query, found) in cases {
        assert_eq!(integers(world.rows(&query, &four).await), found);
    }
    let literal = numbers(&|it| {
        let zero = it.integer(0);
        vec![Select { projection: named(&[("n", zero)]), ..all("Label") }]
    });
    assert_eq!(integers(world.rows(&literal, &four).await), [0, 1, 2, 3, 4]);
}

/// A step that doubles a text, and tables that each double that of the one before, would fill the
/// memory in no time. These here would end by themselves.
#[tokio::test]
async fn t9_a_text_does_not_grow_from_table_to_table() {
    let world = world().await;
    let doubled = |it: &mut Nodes| {
        let word = it.field("word");
        let both = it.binary(word, B::Concat, word);
        named(&[("word", both)])
    };
    let first = |it: &mut Nodes| {
        let word = it.parameter(0, S::Text);
        Select { projection: named(&[("word", word)]), ..all("Tag") }
    };
    let length = |it: &mut Nodes| {
        let word = it.field("word");
        it.call("length", &[word])
    };
    let longest = |it: &mut Nodes| {
        let length = length(it);
        outputs(&[it.aggregate(A::Maximum, length)])
    };

    let mut nodes = Nodes::default();
    let (most, length) = (nodes.integer(2_000_000), length(&mut nodes));
    let filter = Some(nodes.binary(length, B::Less, most));
    let step = Select { projection: doubled(&mut nodes), filter, ..all("words") };
    let rows = Select { projection: longest(&mut nodes), ..all("words") };
    let selects = vec![first(&mut nodes), step, rows];
    let recursion = nodes.with(selects, vec![recursive("words", 0, SetOperator::Union, 1)]);

    let mut nodes = Nodes::default();
    let twice = Select { projection: doubled(&mut nodes), ..all("once") };
    let rows = Select { projection: longest(&mut nodes), ..all("twice") };
    let selects = vec![first(&mut nodes), twice, rows];
    let chain = nodes.with(selects, vec![table("once", 0), table("twice", 1)]);

    let word = [Value::Text("a".repeat(500_001))];
    for query in [recursion, chain] {
        for outcome in world.outcomes(&query, &word, None, &[]).await {
            assert_eq!(outcome.unwrap_err().kind, ErrorKind::ValueOutOfRange);
        }
    }
}

#[tokio::test]
async fn t9_a_document_does_not_grow_from_table_to_table() {
    let world = world().await;
    let first = |it: &mut Nodes| {
        let data = it.parameter(0, S::Json);
        Select { projection: named(&[("data", data)]), ..all("Tag") }
    };
    let doubled = |it: &mut Nodes| {
        let data = it.field("data");
        let both = it.changed(data, &["a"], Some(data));
        named(&[("data", both)])
    };

    let mut nodes = Nodes::default();
    let data = nodes.field("data");
    let third = nodes.part(data, &["a", "a", "a"], S::Json);
    let filter = Some(nodes.unary(U::IsNull, third));
    let step = Select { projection: doubled(&mut nodes), filter, ..all("data") };
    let selects = vec![first(&mut nodes), step, all("data")];
    let recursion = nodes.with(selects, vec![recursive("data", 0, SetOperator::UnionAll, 1)]);

    let mut nodes = Nodes::default();
    let twice = Select { projection: doubled(&mut nodes), ..all("once") };
    let selects = vec![first(&mut nodes), twice, all("twice")];
    let chain = nodes.with(selects, vec![table("once", 0), table("twice", 1)]);

    for (length, fits) in [(100, true), (500_001, false)] {
        let document = Value::Json(format!(r#"{{"text": "{}"}}"#, "a".repeat(length)));
        for query in [&recursion, &chain] {
            for outcome in world.outcomes(query, std::slice::from_ref(&document), None, &[]).await {
                match fits {
                    true => assert!(outcome.is_ok(), "{outcome:?}"),
                    false => assert_eq!(outcome.unwrap_err().kind, ErrorKind::ValueOutOfRange),
                }
            }
        }
    }
}

/// Databases that took the tables apart would write each column where it is read: 2^31 times.
#[tokio::test]
async fn s7_tables_that_read_each_other_do_not_become_a_statement_without_bound() {
    let world = world().await;
    let mut nodes = Nodes::default();
    let one = nodes.integer(1);
    let mut selects = vec![Select { projection: named(&[("n", one)]), ..all("Label") }];
    let mut tables = vec![table("t0", 0)];
    let n = nodes.field("n");
    let sum = nodes.binary(n, B::Add, n);
    for index in 1..=31_u32 {
        let before = format!("t{}", index - 1);
        selects.push(Select { projection: named(&[("n", sum)]), ..all(&before) });
        tables.push(table(&format!("t{index}"), index));
    }
    selects.push(all("t31"));
    let query = nodes.with(selects, tables);
    let scope = scope(vec![open_scope("Label")]);
    for scope in [Some(&scope), None] {
        let rows = world.scoped(&query, &[], scope, &[]).await;
        assert_eq!(integers(rows), [1 << 31; 2]);
    }
}
