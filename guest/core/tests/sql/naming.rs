//! What plans tell of their columns and values, for the messages of errors.

use ferro_core::Catalog;
use ferro_wit::plan::{Given, Plan, Recipient};
use ferro_wit::query::{
    AggregateFunction, Assignment, BinaryOperator as B, KeyedBatch, Node, Query, RowSource, Select,
    SetOperator, Statement,
};
use ferro_wit::types::{Dialect, ScalarType as S};

use crate::blog::{self, included};
use crate::fixture::*;

fn compiled(query: &Query) -> Plan {
    let catalog = Catalog::new(blog::schema()).unwrap();
    catalog.compile(query, Dialect::Postgres, None).unwrap()
}

/// The columns of each step: those of the key with a star, those of no table as a dash.
fn origins(query: &Query) -> Vec<String> {
    let steps = compiled(query).steps.into_iter().map(|step| {
        assert_eq!(step.origins.len(), step.columns.len());
        let columns = step.origins.into_iter().map(|origin| match origin {
            Some(it) => format!("{}.{}{}", it.table, it.column, if it.key { "*" } else { "" }),
            None => "-".to_owned(),
        });
        columns.collect::<Vec<_>>().join(" ")
    });
    steps.collect()
}

fn recipients(query: &Query) -> String {
    let recipients = compiled(query).recipients.into_iter().map(|Recipient { given, field }| {
        let (kind, number) = match given {
            Given::Parameter(it) => ("", it),
            Given::Column(it) => ("column ", it),
        };
        format!("{kind}{number}: {field}")
    });
    recipients.collect::<Vec<_>>().join(", ")
}

#[test]
fn columns_of_a_table_are_told_and_the_key_if_all_of_it_comes_back() {
    let select = |projection| Nodes::default().select(Select { projection, ..all("PostLabel") });
    let whole = select(fields(&["label_id", "tenant_id", "post_id"]));
    assert_eq!(origins(&whole), ["post_label.label_id* post_label.tenant_id post_label.post_id*"]);
    let part = select(fields(&["label_id", "tenant_id"]));
    assert_eq!(origins(&part), ["post_label.label_id post_label.tenant_id"]);

    let mut nodes = Nodes::default();
    let (title, author) = (nodes.field("title"), nodes.path("author.id"));
    let (id, three) = (nodes.field("id"), nodes.integer(3));
    let projection = outputs(&[title, author, id, three]);
    let query = nodes.select(Select { projection, ..all("Post") });
    assert_eq!(origins(&query), ["post.title author.id post.id* -"]);

    let query = Nodes::default().query(
        vec![Select {
            projection: fields(&["title"]),
            includes: vec![included("tags", None)],
            ..all("Post")
        }],
        Statement::Select(0),
    );
    assert_eq!(origins(&query), ["post.title post.id*", "tag.id* tag.tenant_id tag.name -"]);

    let insert = insert("Tag", &["name"]);
    let returning = Some(fields(&["id", "name"]));
    let statement = Statement::Insert(ferro_wit::query::Insert { returning, ..insert });
    assert_eq!(origins(&Nodes::default().query(vec![], statement)), ["tag.id* tag.name"]);
}

#[test]
fn rows_that_are_none_of_a_table_have_no_key() {
    let mut nodes = Nodes::default();
    let (stars, count) = (nodes.field("stars"), nodes.star());
    let count = nodes.aggregate(AggregateFunction::Count, count);
    let projection = outputs(&[stars, count]);
    let grouped = nodes.select(Select { projection, group_by: vec![stars], ..all("Post") });
    assert_eq!(origins(&grouped), ["post.stars -"]);

    let tags = || Select { projection: fields(&["id", "name"]), ..all("Tag") };
    let labels = Select { projection: fields(&["id", "name"]), ..all("Label") };
    let both = Select { combined: vec![(SetOperator::Union, 0)], ..tags() };
    let combined = Nodes::default().query(vec![labels, both], Statement::Select(1));
    assert_eq!(origins(&combined), ["- -"]);

    let mut common = Nodes::default().query(vec![tags(), all("few")], Statement::Select(1));
    common.common.push(ferro_wit::query::CommonTable { name: "few".into(), rows: 0, step: None });
    assert_eq!(origins(&common), ["- -"]);

    let count = Nodes::default().query(vec![all("Post")], Statement::Count(0));
    assert_eq!(origins(&count), ["-"]);
}

#[test]
fn values_are_told_with_the_fields_that_they_are_for() {
    let statement = Statement::Insert(insert("Tag", &["tenant_id", "name"]));
    let one = Nodes::default().query(vec![], statement);
    assert_eq!(recipients(&one), "0: tenant_id, 1: name");
    let statement = Statement::Insert(ferro_wit::query::Insert {
        source: RowSource::Batch,
        ..insert("Tag", &["tenant_id", "name"])
    });
    let batch = Nodes::default().query(vec![], statement);
    assert_eq!(recipients(&batch), "column 0: tenant_id, column 1: name");

    let mut nodes = Nodes::default();
    let title = nodes.parameter(0, S::Text);
    let (three, stars) = (nodes.parameter(1, S::Integer), nodes.field("stars"));
    let less = nodes.binary(three, B::Less, stars);
    let author = nodes.path("author.name");
    let names = nodes.list(2, S::Text);
    let among = nodes.binary(author, B::InList, names);
    let (low, high) = (nodes.parameter(3, S::Integer), nodes.parameter(4, S::Integer));
    let between = nodes.add(Node::Between((stars, low, high)));
    let filter = Some(nodes.add(Node::AllOf(vec![less, among, between])));
    let set = vec![Assignment { field: "title".into(), value: title }];
    let statement = Statement::Update(ferro_wit::query::Update { set, ..update("Post") });
    let query = nodes.query(vec![Select { filter, ..all("Post") }], statement);
    assert_eq!(recipients(&query), "0: title, 1: stars, 2: author.name, 3: stars, 4: stars");

    let mut nodes = Nodes::default();
    let value = nodes.add(Node::Excluded("name".into()));
    let keyed = KeyedBatch { fields: vec!["id".into(), "name".into()], key: vec!["id".into()] };
    let statement = Statement::Update(ferro_wit::query::Update {
        set: vec![Assignment { field: "name".into(), value }],
        batch: Some(keyed),
        ..update("Tag")
    });
    let query = nodes.query(vec![all("Tag")], statement);
    assert_eq!(recipients(&query), "column 0: id, column 1: name");
}
