//! Models with relations of every kind, and queries across them.

use ferro_wit::policy::{FieldSet, ForcedFilter, Scope, TableScope};
use ferro_wit::query::{
    AggregateFunction, Assignment, BinaryOperator, Inclusion, Node, NodeRef, Path, Quantifier,
    Query, Related, Select, Statement, Update,
};
use ferro_wit::schema::{
    ColumnType, Comparison, Field, ForeignKey, IntegerWidth, ManyToMany, Model, Schema,
};

use crate::fixture::*;

fn integer(name: &str) -> Field {
    nullable(name, ColumnType::Integer(IntegerWidth::Regular))
}

fn refers(name: &str, field: &str, target: &str, reverse: &str) -> ForeignKey {
    ForeignKey { reverse: Some(reverse.into()), ..foreign_key(name, field, target) }
}

fn tagged(name: &str, target: &str, through: Option<&str>) -> ManyToMany {
    ManyToMany {
        name: name.into(),
        target: target.into(),
        through: through.map(str::to_owned),
        reverse: Some("posts".into()),
    }
}

/// Authors with bosses and profiles, their posts with comments, tags (a table of pairs is made) and
/// labels (a model holds the pairs). Most have a tenant.
pub(crate) fn schema() -> Schema {
    let author = Model {
        foreign_keys: vec![refers("boss", "boss_id", "Author", "staff")],
        ..model(
            "Author",
            vec![
                id(),
                big("tenant_id"),
                text("name"),
                text("secret"),
                nullable("boss_id", ColumnType::Integer(IntegerWidth::Big)),
            ],
        )
    };
    let profile = Model {
        foreign_keys: vec![ForeignKey {
            unique: true,
            ..refers("author", "author_id", "Author", "profile")
        }],
        ..model("Profile", vec![id(), big("author_id"), text("bio")])
    };
    let post = Model {
        foreign_keys: vec![
            refers("author", "author_id", "Author", "posts"),
            refers("editor", "editor_id", "Author", "edited"),
        ],
        many_to_manys: vec![
            tagged("tags", "Tag", None),
            tagged("labels", "Label", Some("PostLabel")),
        ],
        ..model(
            "Post",
            vec![
                id(),
                big("tenant_id"),
                big("author_id"),
                nullable("editor_id", ColumnType::Integer(IntegerWidth::Big)),
                text("title"),
                integer("stars"),
            ],
        )
    };
    let comment = Model {
        foreign_keys: vec![refers("post", "post_id", "Post", "comments")],
        ..model(
            "Comment",
            vec![id(), big("tenant_id"), big("post_id"), text("body"), integer("stars")],
        )
    };
    let pair = Model {
        primary_key: vec!["post_id".into(), "label_id".into()],
        foreign_keys: vec![
            foreign_key("post", "post_id", "Post"),
            foreign_key("label", "label_id", "Label"),
        ],
        ..model("PostLabel", vec![big("post_id"), big("label_id"), big("tenant_id")])
    };
    Schema {
        models: vec![
            author,
            profile,
            post,
            comment,
            model("Tag", vec![id(), big("tenant_id"), text("name")]),
            model("Label", vec![id(), text("name")]),
            pair,
        ],
        enums: vec![],
    }
}

/// One tenant's rows of the models that have tenants; the secrets of authors are hidden.
pub(crate) fn tenant() -> Scope {
    let own = |name: &str| TableScope {
        filters: vec![ForcedFilter {
            field: "tenant_id".into(),
            test: Comparison::Equal,
            many: false,
        }],
        ..open_scope(name)
    };
    let author = TableScope { readable: FieldSet::Except(vec!["secret".into()]), ..own("Author") };
    scope(vec![
        author,
        own("Post"),
        own("Comment"),
        own("Tag"),
        own("PostLabel"),
        open_scope("Label"),
    ])
}

impl Nodes {
    /// `author.name`: the field of a row that relations lead to.
    pub(crate) fn path(&mut self, path: &str) -> NodeRef {
        self.outer_path(0, path)
    }

    /// As seen from a row of a select around this one.
    pub(crate) fn outer_path(&mut self, outer: u8, path: &str) -> NodeRef {
        let mut names: Vec<_> = path.split('.').map(str::to_owned).collect();
        let field = names.pop().unwrap_or_default();
        self.add(Node::Field(Path { outer, relations: names, field }))
    }

    pub(crate) fn related(
        &mut self,
        quantifier: Quantifier,
        relations: &[&str],
        condition: Option<NodeRef>,
    ) -> NodeRef {
        let relations = relations.iter().map(|it| (*it).to_owned()).collect();
        self.add(Node::Related(Related { quantifier, relations, condition }))
    }
}

/// A relation to load, and which of its rows.
pub(crate) fn included(path: &str, rows: Option<u32>) -> Inclusion {
    Inclusion { relations: path.split('.').map(str::to_owned).collect(), rows }
}

/// All of a model, with relations.
pub(crate) fn with(model: &str, paths: &[&str]) -> Query {
    let includes = paths.iter().map(|it| included(it, None)).collect();
    Nodes::default().select(Select { includes, ..all(model) })
}

/// An update whose value is an aggregate of what a model has of a field, for each row if its other field is
/// the row's key.
pub(crate) fn updated(model: &str, field: &str, of: [&str; 2], same: Option<&str>) -> Query {
    let mut nodes = Nodes::default();
    let [of, value] = of;
    let value = nodes.field(value);
    let largest = nodes.aggregate(AggregateFunction::Maximum, value);
    let filter = same.map(|same| {
        let (other, own) = (nodes.field(same), nodes.outer_path(1, "id"));
        nodes.binary(other, BinaryOperator::Equal, own)
    });
    let inner = Select { projection: outputs(&[largest]), filter, ..all(of) };
    let value = nodes.add(Node::Subquery(1));
    let set = vec![Assignment { field: field.into(), value }];
    let update = Update { set, ..update(model) };
    nodes.query(vec![all(model), inner], Statement::Update(update))
}
