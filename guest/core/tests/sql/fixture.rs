//! Models to query, a builder of queries, and plans as text.

use std::fmt::Write as _;

use ferro_core::Catalog;
use ferro_wit::plan::{Agreement, Bind, Binding, Plan};
use ferro_wit::policy::{FieldSet, ForcedFilter, Scope, TableScope};
use ferro_wit::query::{
    Aggregate, AggregateFunction, BinaryOperator, Conflict, Delete, FunctionCall, Insert,
    JsonChange, JsonPath, Literal, Node, NodeRef, NullsOrder, OrderTerm, Output, Parameter, Path,
    Projection, Query, RowSource, Select, Statement, UnaryOperator, Update,
};
use ferro_wit::schema::{
    ColumnType, Comparison, DefaultValue, EnumType, Field, ForeignKey, Index, IntegerWidth, Model,
    ReferentialAction, Schema,
};
use ferro_wit::types::{Dialect, Error, ScalarType};

pub(crate) const BOTH: [Dialect; 2] = [Dialect::Sqlite, Dialect::Postgres];

pub(crate) fn field(name: &str, kind: ColumnType) -> Field {
    Field::new(name, kind)
}

pub(crate) fn nullable(name: &str, kind: ColumnType) -> Field {
    Field { nullable: true, ..field(name, kind) }
}

pub(crate) fn big(name: &str) -> Field {
    field(name, ColumnType::Integer(IntegerWidth::Big))
}

pub(crate) fn id() -> Field {
    Field { generated_key: true, ..big("id") }
}

pub(crate) fn text(name: &str) -> Field {
    field(name, ColumnType::Text(None))
}

pub(crate) fn model(name: &str, fields: Vec<Field>) -> Model {
    let primary_key = fields.first().map(|it| vec![it.name.clone()]).unwrap_or_default();
    Model { primary_key, ..Model::new(name, fields, &[]) }
}

pub(crate) fn foreign_key(name: &str, field: &str, target: &str) -> ForeignKey {
    ForeignKey {
        name: name.into(),
        target: target.into(),
        fields: vec![(field.into(), "id".into())],
        reverse: None,
        unique: false,
        on_delete: ReferentialAction::Cascade,
        on_update: ReferentialAction::NoAction,
    }
}

/// A user of a tenant with a field of each type, and memberships with a key of two fields.
pub(crate) fn schema() -> Schema {
    let integer = ColumnType::Integer(IntegerWidth::Regular);
    let user = Model {
        indexes: vec![Index {
            name: None,
            fields: vec!["tenant_id".into(), "name".into()],
            unique: true,
            condition: None,
        }],
        ..model(
            "User",
            vec![
                id(),
                Field { unique: true, ..field("email", ColumnType::Text(Some(120))) },
                text("name"),
                nullable("age", integer),
                nullable("score", ColumnType::Double),
                field("balance", ColumnType::Decimal(None)),
                nullable("mood", ColumnType::Enumeration("mood".into())),
                field("tags", ColumnType::Array(ScalarType::Text)),
                nullable("profile", ColumnType::Json),
                field("token", ColumnType::Uuid),
                nullable("avatar", ColumnType::Blob),
                nullable("born", ColumnType::Date),
                Field {
                    column: Some("created".into()),
                    default: Some(DefaultValue::Now),
                    ..field("created_at", ColumnType::Timestamptz)
                },
                field("active", ColumnType::Boolean),
                nullable("break", ColumnType::Interval),
                big("tenant_id"),
            ],
        )
    };
    let membership = Model {
        primary_key: vec!["user_id".into(), "team".into()],
        foreign_keys: vec![foreign_key("user", "user_id", "User")],
        ..model(
            "Membership",
            vec![big("user_id"), text("team"), nullable("note", ColumnType::Text(None))],
        )
    };
    Schema {
        models: vec![user, membership, model("Counter", vec![id()])],
        enums: vec![EnumType {
            name: "mood".into(),
            values: vec!["sad".into(), "so-so".into(), "glad".into()],
        }],
    }
}

pub(crate) fn catalog() -> Catalog {
    Catalog::new(schema()).unwrap()
}

/// A query in the making.
#[derive(Default, Clone)]
pub(crate) struct Nodes(pub(crate) Vec<Node>);

impl Nodes {
    pub(crate) fn add(&mut self, node: Node) -> NodeRef {
        self.0.push(node);
        u32::try_from(self.0.len() - 1).unwrap()
    }

    pub(crate) fn field(&mut self, name: &str) -> NodeRef {
        self.add(Node::Field(Path { outer: 0, relations: vec![], field: name.into() }))
    }

    pub(crate) fn parameter(&mut self, index: u32, kind: ScalarType) -> NodeRef {
        self.add(Node::Parameter(Parameter { index, kind, many: false }))
    }

    pub(crate) fn list(&mut self, index: u32, kind: ScalarType) -> NodeRef {
        self.add(Node::Parameter(Parameter { index, kind, many: true }))
    }

    pub(crate) fn integer(&mut self, value: i64) -> NodeRef {
        self.add(Node::Literal(Literal::Integer(value)))
    }

    pub(crate) fn star(&mut self) -> NodeRef {
        self.add(Node::Literal(Literal::Star))
    }

    pub(crate) fn null(&mut self) -> NodeRef {
        self.add(Node::Literal(Literal::Null))
    }

    pub(crate) fn unary(&mut self, operator: UnaryOperator, operand: NodeRef) -> NodeRef {
        self.add(Node::Unary((operator, operand)))
    }

    pub(crate) fn binary(
        &mut self,
        left: NodeRef,
        operator: BinaryOperator,
        right: NodeRef,
    ) -> NodeRef {
        self.add(Node::Binary((operator, left, right)))
    }

    /// `field operator $index`.
    pub(crate) fn test(
        &mut self,
        name: &str,
        operator: BinaryOperator,
        index: u32,
        kind: ScalarType,
    ) -> NodeRef {
        let left = self.field(name);
        let right = self.parameter(index, kind);
        self.binary(left, operator, right)
    }

    pub(crate) fn call(&mut self, name: &str, arguments: &[NodeRef]) -> NodeRef {
        self.add(Node::Call(FunctionCall { name: name.into(), arguments: arguments.into() }))
    }

    pub(crate) fn aggregate(&mut self, function: AggregateFunction, argument: NodeRef) -> NodeRef {
        self.add(Node::Aggregate(Aggregate::new(function, argument)))
    }

    pub(crate) fn part(&mut self, document: NodeRef, steps: &[&str], kind: ScalarType) -> NodeRef {
        let steps = steps.iter().map(|it| (*it).to_owned()).collect();
        self.add(Node::Json(JsonPath { document, steps, kind }))
    }

    pub(crate) fn changed(
        &mut self,
        document: NodeRef,
        steps: &[&str],
        value: Option<NodeRef>,
    ) -> NodeRef {
        let steps = steps.iter().map(|it| (*it).to_owned()).collect();
        self.add(Node::JsonChange(JsonChange { document, steps, value }))
    }

    pub(crate) fn select(self, select: Select) -> Query {
        self.query(vec![select], Statement::Select(0))
    }

    pub(crate) fn query(self, selects: Vec<Select>, statement: Statement) -> Query {
        Query { nodes: self.0, selects, common: vec![], statement }
    }
}

pub(crate) fn all(model: &str) -> Select {
    Select::new(model)
}

/// The ids of users, so that snapshots stay short.
pub(crate) fn ids() -> Select {
    Select { projection: fields(&["id"]), ..all("User") }
}

pub(crate) fn fields(names: &[&str]) -> Projection {
    Projection::Fields(names.iter().map(|it| (*it).to_owned()).collect())
}

pub(crate) fn outputs(expressions: &[NodeRef]) -> Projection {
    let outputs = expressions.iter().enumerate();
    Projection::Outputs(
        outputs
            .map(|(index, expression)| Output {
                name: format!("o{index}"),
                expression: *expression,
            })
            .collect(),
    )
}

pub(crate) fn ascending(expression: NodeRef) -> OrderTerm {
    OrderTerm { expression, descending: false, nulls: NullsOrder::Last }
}

pub(crate) fn descending(expression: NodeRef) -> OrderTerm {
    OrderTerm { descending: true, ..ascending(expression) }
}

pub(crate) fn insert(model: &str, names: &[&str]) -> Insert {
    Insert {
        model: model.into(),
        fields: names.iter().map(|it| (*it).to_owned()).collect(),
        source: RowSource::Parameters,
        conflict: None,
        returning: None,
    }
}

pub(crate) fn conflict(target: &[&str]) -> Conflict {
    Conflict {
        target: target.iter().map(|it| (*it).to_owned()).collect(),
        update: vec![],
        condition: None,
    }
}

pub(crate) fn update(model: &str) -> Update {
    Update { model: model.into(), set: vec![], rows: 0, batch: None, returning: None }
}

pub(crate) fn delete(model: &str) -> Delete {
    Delete { model: model.into(), rows: 0, returning: None }
}

/// Everything of a model, on rows of one tenant.
pub(crate) fn tenant_scope() -> TableScope {
    TableScope {
        filters: vec![ForcedFilter {
            field: "tenant_id".into(),
            test: Comparison::Equal,
            many: false,
        }],
        ..open_scope("User")
    }
}

pub(crate) fn open_scope(model: &str) -> TableScope {
    TableScope {
        model: model.into(),
        readable: FieldSet::All,
        writable: FieldSet::All,
        insert: true,
        update: true,
        delete: true,
        filters: vec![],
    }
}

pub(crate) fn scope(tables: Vec<TableScope>) -> Scope {
    Scope { tables, pairs: None, read_only: false }
}

/// The SQL on both databases, and the binds.
pub(crate) fn plan(query: &Query) -> String {
    scoped(query, None)
}

pub(crate) fn scoped(query: &Query, scope: Option<&Scope>) -> String {
    plans(&catalog(), query, scope)
}

/// The SQL over other models.
pub(crate) fn plans(catalog: &Catalog, query: &Query, scope: Option<&Scope>) -> String {
    let plans = BOTH.map(|dialect| catalog.compile(query, dialect, scope));
    let mut out = String::new();
    for (plan, dialect) in plans.iter().zip(BOTH) {
        match plan {
            Ok(plan) => write_plan(&mut out, plan, dialect),
            Err(error) => writeln!(out, "{dialect}: {}: {error}", error.kind).unwrap(),
        }
    }
    out.trim_end().to_owned()
}

fn write_plan(out: &mut String, plan: &Plan, dialect: Dialect) {
    for step in &plan.steps {
        let rows = step.rows_per_statement.map(|it| format!(" ({it} rows)")).unwrap_or_default();
        writeln!(out, "{dialect}{rows}: {}", step.sql).unwrap();
        if let Some(it) = &step.attachment {
            let (name, columns) = (it.relations.join("."), (&it.parent_columns, &it.columns));
            writeln!(out, "  {name} of {}: {:?} = {:?}", it.parents, columns.0, columns.1).unwrap();
        }
        write_binds(out, &step.binds);
        if let Some(bulk) = &step.bulk {
            writeln!(out, "  or {}", bulk.sql).unwrap();
            write_binds(out, &bulk.values);
        }
    }
    for Agreement { given, forced, field } in &plan.agreements {
        writeln!(out, "  {field}: {given:?} agrees with forced {forced}").unwrap();
    }
}

fn write_binds(out: &mut String, binds: &[Bind]) {
    if binds.is_empty() {
        return;
    }
    let binds = binds.iter().map(|bind| {
        let source = match &bind.source {
            Binding::Parameter(index) => format!("parameter {index}"),
            Binding::Forced(index) => format!("forced {index}"),
            Binding::Column(index) => format!("column {index}"),
            Binding::Keys((step, column)) => format!("keys {step}.{column}"),
            other => format!("{other:?}"),
        };
        let many = if bind.many { "[]" } else { "" };
        format!("{source} {:?}{many}", bind.kind)
    });
    writeln!(out, "  {}", binds.collect::<Vec<_>>().join(", ")).unwrap();
}

/// The error of a query, which is the same on both databases.
pub(crate) fn error(query: &Query) -> Error {
    scoped_error(query, None)
}

pub(crate) fn scoped_error(query: &Query, scope: Option<&Scope>) -> Error {
    fault(&catalog(), query, scope)
}

/// The error over other models, which is the same on both databases.
pub(crate) fn fault(catalog: &Catalog, query: &Query, scope: Option<&Scope>) -> Error {
    let [sqlite, postgres] =
        BOTH.map(|dialect| catalog.compile(query, dialect, scope).unwrap_err());
    assert_eq!(sqlite, postgres);
    sqlite
}

/// An error as one line.
pub(crate) fn line(error: &Error) -> String {
    format!("{}: {error}", error.kind)
}
