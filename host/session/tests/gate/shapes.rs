//! Queries of any shape, made of bytes: mostly such as make sense, on teams with notes.
//!
//! Where the bytes end, the simplest of what could come is taken, so fewer bytes are a simpler query.

use ferro_wit::query::{
    Aggregate, AggregateFunction, Assignment, BinaryOperator, CaseBranch, CaseExpression,
    CommonTable, Conflict, Delete, Distinct, Frame, FrameUnit, FunctionCall, Inclusion, Insert,
    Join, Literal, Node, NodeRef, NullsOrder, OrderTerm, Output, Parameter, Path, Projection,
    Quantifier, Query, Related, RowSource, Select, SelectRef, SetOperator, Statement,
    UnaryOperator, Update, Window,
};
use ferro_wit::types::{ScalarType, Scalars, Value};

/// A query with its values.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) query: Query,
    pub(crate) values: Vec<Value>,
    /// Whether the order of the answer is asked for.
    pub(crate) ordered: bool,
    /// Whether it has rows for an answer.
    pub(crate) returns: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Model {
    Note,
    Team,
}

impl Model {
    fn name(self) -> String {
        format!("{self:?}")
    }
}

/// How deep expressions are.
const DEPTH: u32 = 4;

const TEXTS: [&str; 12] = [
    "a",
    "red",
    "%",
    "_",
    "\\",
    "a\\%b",
    "'",
    "' OR '1'='1",
    "\"; DROP TABLE note; --",
    "$.secret",
    "hunter%' ESCAPE 'x",
    "\u{10ffff}",
];
const NUMBERS: [i64; 9] = [0, 1, 2, 5, 7, 101, 102, i64::MAX, i64::MIN];

/// The query that some bytes stand for.
pub(crate) fn question(bytes: &[u8]) -> Question {
    Maker {
        bytes: bytes.iter(),
        nodes: Vec::new(),
        selects: Vec::new(),
        common: Vec::new(),
        values: Vec::new(),
        around: Vec::new(),
    }
    .question()
}

struct Maker<'a> {
    bytes: std::slice::Iter<'a, u8>,
    nodes: Vec<Node>,
    selects: Vec<Select>,
    common: Vec<CommonTable>,
    values: Vec<Value>,
    /// The models of the selects that the present expression stands in.
    around: Vec<Model>,
}

impl Maker<'_> {
    fn question(mut self) -> Question {
        let mut ordered = true;
        let mut returns = true;
        let statement = match self.pick(18) {
            0 => Statement::Select(self.ordered_select()),
            1 => Statement::Count(self.ordered_select()),
            2 => Statement::Exists(self.ordered_select()),
            3 => {
                ordered = false;
                Statement::Select(self.distinct())
            }
            4 => {
                ordered = false;
                Statement::Select(self.groups())
            }
            5 => Statement::Select(self.whole()),
            6 => {
                ordered = false;
                Statement::Select(self.combined())
            }
            7 | 8 => {
                let (update, returning) = self.update();
                (ordered, returns) = (false, returning);
                Statement::Update(update)
            }
            9 => {
                let rows = self.rows(Model::Note);
                let returning = self.returning();
                (ordered, returns) = (false, returning.is_some());
                Statement::Delete(Delete { model: "Note".into(), rows, returning })
            }
            10 => {
                let insert = self.insert_parameters();
                (ordered, returns) = (false, insert.returning.is_some());
                Statement::Insert(insert)
            }
            11 => {
                let insert = self.insert_select();
                (ordered, returns) = (false, insert.returning.is_some());
                Statement::Insert(insert)
            }
            12 => {
                returns = false;
                Statement::Insert(self.upsert())
            }
            13 => Statement::Select(self.windows()),
            14 => Statement::Select(self.first_rows()),
            15 => {
                ordered = false;
                Statement::Select(self.common())
            }
            16 => {
                ordered = false;
                Statement::Select(self.recursive())
            }
            _ => Statement::Select(self.included()),
        };
        let query =
            Query { nodes: self.nodes, selects: self.selects, common: self.common, statement };
        Question { query, values: self.values, ordered, returns }
    }

    fn pick(&mut self, count: usize) -> usize {
        self.bytes.next().map_or(0, |byte| usize::from(*byte) % count)
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.pick(all.len())]
    }

    fn push(&mut self, node: Node) -> NodeRef {
        self.nodes.push(node);
        NodeRef::try_from(self.nodes.len() - 1).unwrap()
    }

    fn push_select(&mut self, select: Select) -> SelectRef {
        self.selects.push(select);
        SelectRef::try_from(self.selects.len() - 1).unwrap()
    }

    fn parameter(&mut self, value: Value, kind: ScalarType, many: bool) -> NodeRef {
        let index = u32::try_from(self.values.len()).unwrap();
        self.values.push(value);
        self.push(Node::Parameter(Parameter { index, kind, many }))
    }

    fn model(&mut self) -> Model {
        self.one_of(&[Model::Note, Model::Team])
    }

    // Selects.

    fn select(&mut self, model: Model, projection: Projection) -> Select {
        Select { projection, ..Select::new(model.name()) }
    }

    /// A filter, most of the time.
    fn filter(&mut self) -> Option<NodeRef> {
        (self.pick(4) != 3).then(|| self.condition(DEPTH))
    }

    /// In an order that leaves nothing open, so that a limit means something.
    fn by_key(&mut self, select: &mut Select) {
        if self.pick(3) == 2 {
            let expression = self.number(2);
            let descending = self.pick(2) == 1;
            select.order_by.push(OrderTerm { expression, descending, nulls: NullsOrder::Last });
        }
        let id = self.own("id");
        select.order_by.push(OrderTerm {
            expression: id,
            descending: false,
            nulls: NullsOrder::First,
        });
        if self.pick(3) == 2 {
            let limit = self.one_of(&[1, 2, 0, 10]);
            select.limit = Some(self.push(Node::Literal(Literal::Integer(limit))));
        }
        if self.pick(4) == 3 {
            select.offset = Some(self.parameter(1.into(), ScalarType::Integer, false));
        }
    }

    fn ordered_select(&mut self) -> SelectRef {
        let model = self.model();
        self.around.push(model);
        let projection = match self.pick(4) {
            0 => Projection::Model,
            1 if model == Model::Note => {
                let hidden = if self.pick(6) == 5 { "secret" } else { "title" };
                Projection::Fields(vec!["id".into(), hidden.into()])
            }
            _ => Projection::Outputs(self.outputs()),
        };
        let mut select = self.select(model, projection);
        select.filter = self.filter();
        self.by_key(&mut select);
        self.around.pop();
        self.push_select(select)
    }

    fn outputs(&mut self) -> Vec<Output> {
        let (number, text, condition) = (self.number(DEPTH), self.text(2), self.condition(2));
        [("n", number), ("t", text), ("c", condition)]
            .map(|(name, expression)| Output { name: name.into(), expression })
            .into()
    }

    fn distinct(&mut self) -> SelectRef {
        let model = self.model();
        self.around.push(model);
        let outputs = self.outputs();
        let mut select = self.select(model, Projection::Outputs(outputs));
        select.distinct = Distinct::Rows;
        select.filter = self.filter();
        self.around.pop();
        self.push_select(select)
    }

    fn aggregate(&mut self) -> NodeRef {
        use AggregateFunction as F;
        let function = self.one_of(&[F::Count, F::Sum, F::Minimum, F::Maximum]);
        let argument = match self.pick(3) {
            0 if function == F::Count => self.push(Node::Literal(Literal::Star)),
            1 => self.own(if self.here() == Model::Note { "stars" } else { "rank" }),
            _ => self.plain_number(2),
        };
        let star = matches!(self.nodes[argument as usize], Node::Literal(Literal::Star));
        let distinct = !star && self.pick(3) == 2;
        let filter = (self.pick(3) == 2).then(|| self.simple_condition());
        self.push(Node::Aggregate(Aggregate {
            distinct,
            filter,
            ..Aggregate::new(function, argument)
        }))
    }

    /// One text, or a list, in an order that leaves nothing open.
    fn joined_texts(&mut self) -> NodeRef {
        use AggregateFunction as F;
        let (argument, expression) = (self.text(1), self.plain_number(1));
        let function = self.one_of(&[F::StringAgg, F::ArrayAgg]);
        let separator = (function == F::StringAgg)
            .then(|| self.parameter(", ".into(), ScalarType::Text, false));
        let order_by = vec![OrderTerm { expression, descending: true, nulls: NullsOrder::Last }];
        let joined = Aggregate::new(function, argument);
        self.push(Node::Aggregate(Aggregate { separator, order_by, ..joined }))
    }

    fn groups(&mut self) -> SelectRef {
        let model = self.model();
        self.around.push(model);
        let key = self.plain_number(1);
        let aggregates = [self.aggregate(), self.aggregate()];
        let texts = self.joined_texts();
        let outputs = [("k", key), ("a", aggregates[0]), ("b", aggregates[1]), ("t", texts)]
            .map(|(name, expression)| Output { name: name.into(), expression });
        let mut select = self.select(model, Projection::Outputs(outputs.into()));
        select.group_by = vec![key];
        select.filter = self.filter();
        if self.pick(3) == 2 {
            let one = self.push(Node::Literal(Literal::Integer(1)));
            let operands = (BinaryOperator::GreaterOrEqual, aggregates[0], one);
            select.having = Some(self.push(Node::Binary(operands)));
        }
        self.around.pop();
        self.push_select(select)
    }

    /// Aggregates over all rows.
    fn whole(&mut self) -> SelectRef {
        let model = self.model();
        self.around.push(model);
        let aggregate = if self.pick(3) == 2 { self.joined_texts() } else { self.aggregate() };
        let outputs = vec![Output { name: "a".into(), expression: aggregate }];
        let mut select = self.select(model, Projection::Outputs(outputs));
        select.filter = self.filter();
        self.around.pop();
        self.push_select(select)
    }

    fn combined(&mut self) -> SelectRef {
        use SetOperator as S;
        let operator = self.one_of(&[S::Union, S::UnionAll, S::Intersect, S::Except]);
        let part = |maker: &mut Self| {
            let model = maker.model();
            maker.around.push(model);
            let number = maker.number(2);
            let outputs = vec![Output { name: "n".into(), expression: number }];
            let mut select = maker.select(model, Projection::Outputs(outputs));
            select.filter = maker.filter();
            maker.around.pop();
            select
        };
        let second = part(self);
        let second = self.push_select(second);
        let mut first = part(self);
        first.combined = vec![(operator, second)];
        self.push_select(first)
    }

    /// What is around a row, in an order that leaves nothing open.
    fn windows(&mut self) -> SelectRef {
        let model = self.model();
        self.around.push(model);
        let (function, takes) = self.one_of(&[
            ("row-number", 0),
            ("rank", 0),
            ("dense-rank", 0),
            ("percent-rank", 0),
            ("cume-dist", 0),
            ("ntile", 0),
            ("lag", 1),
            ("lead", 1),
            ("first-value", 1),
            ("last-value", 1),
            ("nth-value", 1),
            ("sum", 1),
            ("maximum", 1),
        ]);
        let mut arguments: Vec<_> = (0..takes).map(|_| self.plain_number(1)).collect();
        if matches!(function, "ntile" | "nth-value") {
            arguments.push(self.push(Node::Literal(Literal::Integer(2))));
        }
        let partition_by = match self.pick(2) {
            0 => vec![],
            _ => vec![self.plain_number(0)],
        };
        let expression = self.plain_number(1);
        let order_by = vec![OrderTerm { expression, descending: false, nulls: NullsOrder::Last }];
        let function: String = function.into();
        let frame = match self.pick(3) {
            0 if matches!(function.as_str(), "sum" | "maximum" | "first-value" | "nth-value") => {
                Some(Frame { unit: FrameUnit::Rows, start: Some(-1), end: Some(1) })
            }
            _ => None,
        };
        let window =
            self.push(Node::Window(Window { function, arguments, partition_by, order_by, frame }));
        let id = self.own("id");
        let outputs = [("id", id), ("w", window)]
            .map(|(name, expression)| Output { name: name.into(), expression });
        let mut select = self.select(model, Projection::Outputs(outputs.into()));
        select.filter = self.filter();
        self.by_key(&mut select);
        self.around.pop();
        self.push_select(select)
    }

    /// The first row of those that agree in something.
    fn first_rows(&mut self) -> SelectRef {
        let model = self.model();
        self.around.push(model);
        let mut select = self.select(model, Projection::Fields(vec!["id".into()]));
        select.distinct = Distinct::On(vec![self.plain_number(1)]);
        select.filter = self.filter();
        self.by_key(&mut select);
        self.around.pop();
        self.push_select(select)
    }

    /// Rows with those of a relation.
    fn included(&mut self) -> SelectRef {
        let (model, relation, target) = self.one_of(&[
            (Model::Team, "notes", Model::Note),
            (Model::Team, "children", Model::Team),
            (Model::Team, "parent", Model::Team),
            (Model::Note, "team", Model::Team),
        ]);
        self.around.push(target);
        let mut rows = self.select(target, Projection::Model);
        rows.filter = self.filter();
        self.by_key(&mut rows);
        self.around.pop();
        let rows = Some(self.push_select(rows));
        self.around.push(model);
        let mut select = self.select(model, Projection::Model);
        select.filter = self.filter();
        self.by_key(&mut select);
        select.includes = vec![Inclusion { relations: vec![relation.into()], rows }];
        self.around.pop();
        self.push_select(select)
    }

    fn field(&mut self, relations: &[&str], field: &str) -> NodeRef {
        let relations = relations.iter().map(|it| (*it).to_owned()).collect();
        self.push(Node::Field(Path { outer: 0, relations, field: field.into() }))
    }

    /// What is read from a select under a name, with a question that can fail.
    fn common(&mut self) -> SelectRef {
        let model = self.model();
        self.around.push(model);
        let outputs = self.outputs();
        let mut rows = self.select(model, Projection::Outputs(outputs));
        rows.filter = self.filter();
        self.around.pop();
        let rows = self.push_select(rows);
        self.common.push(CommonTable { name: "rows".into(), rows, step: None });
        let joined = self.pick(3) == 2;
        let way: &[&str] = if joined { &["rows"] } else { &[] };
        let number = self.field(way, "n");
        let most = self.one_of(&[i64::MAX, i64::MAX - 7, 0]);
        let most = self.push(Node::Literal(Literal::Integer(most)));
        let sum = self.push(Node::Binary((BinaryOperator::Add, number, most)));
        let asked = self.push(Node::Binary((BinaryOperator::NotEqual, sum, most)));
        if !joined {
            let fields = vec!["n".into(), "t".into(), "c".into()];
            let mut select = self.select(model, Projection::Fields(fields));
            select.model = "rows".into();
            select.filter = Some(asked);
            return self.push_select(select);
        }
        self.around.push(Model::Team);
        let (id, text) = (self.own("id"), self.field(way, "t"));
        let same = self.push(Node::Binary((BinaryOperator::Equal, id, number)));
        let on = match self.pick(2) {
            0 => self.push(Node::AllOf(vec![same, asked])),
            _ => asked,
        };
        let outputs = [("id", id), ("t", text)]
            .map(|(name, expression)| Output { name: name.into(), expression });
        let mut select = self.select(Model::Team, Projection::Outputs(outputs.into()));
        select.joins = vec![Join { table: "rows".into(), on }];
        select.filter = self.filter();
        self.around.pop();
        self.push_select(select)
    }

    /// Teams, and those above or below them.
    fn recursive(&mut self) -> SelectRef {
        self.around.push(Model::Team);
        let fields = || Projection::Fields(vec!["id".into(), "parent_id".into()]);
        let mut rows = self.select(Model::Team, fields());
        rows.filter = self.filter();
        let rows = self.push_select(rows);
        let (own, theirs) = self.one_of(&[("id", "parent_id"), ("parent_id", "id")]);
        let (own, theirs) = (self.own(own), self.field(&["tree"], theirs));
        let on = self.push(Node::Binary((BinaryOperator::Equal, own, theirs)));
        let mut step = self.select(Model::Team, fields());
        step.joins = vec![Join { table: "tree".into(), on }];
        step.filter = self.filter();
        self.around.pop();
        let step = self.push_select(step);
        let step = Some((SetOperator::Union, step));
        self.common.push(CommonTable { name: "tree".into(), rows, step });
        let mut select = self.select(Model::Team, Projection::Model);
        select.model = "tree".into();
        self.push_select(select)
    }

    /// A select of one number.
    fn inner(&mut self, depth: u32, one_row: bool) -> SelectRef {
        let model = self.model();
        self.around.push(model);
        let aggregates = one_row && self.pick(2) == 0;
        let number = if aggregates { self.aggregate() } else { self.number(depth) };
        let outputs = vec![Output { name: "n".into(), expression: number }];
        let mut select = self.select(model, Projection::Outputs(outputs));
        select.filter = Some(self.condition(depth));
        if one_row && !aggregates {
            let id = self.own("id");
            let by_id = OrderTerm { expression: id, descending: true, nulls: NullsOrder::Last };
            select.order_by.push(by_id);
            select.limit = Some(self.push(Node::Literal(Literal::Integer(1))));
        }
        self.around.pop();
        self.push_select(select)
    }

    // Writes, of notes: no foreign key of others leads to them.

    fn rows(&mut self, model: Model) -> SelectRef {
        self.around.push(model);
        let mut select = self.select(model, Projection::Model);
        select.filter = self.filter();
        if self.pick(4) == 3 {
            self.by_key(&mut select);
        }
        self.around.pop();
        self.push_select(select)
    }

    fn returning(&mut self) -> Option<Projection> {
        match self.pick(3) {
            0 => None,
            1 => Some(Projection::Model),
            _ => Some(Projection::Fields(vec!["id".into(), "stars".into()])),
        }
    }

    fn update(&mut self) -> (Update, bool) {
        let rows = self.rows(Model::Note);
        self.around.push(Model::Note);
        let set = match self.pick(5) {
            0 => ("stars", self.number(3)),
            1 => ("team_id", self.team()),
            2 => ("secret", self.text(2)),
            3 => ("tenant_id", self.parameter(1.into(), ScalarType::Integer, false)),
            _ => ("tenant_id", self.parameter(2.into(), ScalarType::Integer, false)),
        };
        self.around.pop();
        let set = vec![Assignment { field: set.0.into(), value: set.1 }];
        let returning = self.returning();
        let returns = returning.is_some();
        (Update { model: "Note".into(), set, rows, batch: None, returning }, returns)
    }

    /// A team that exists in all worlds or in none.
    fn team(&mut self) -> NodeRef {
        let team = self.one_of(&[Some(1), Some(101), None, Some(999)]);
        self.parameter(team.into(), ScalarType::Integer, false)
    }

    fn insert(fields: &[&str], source: RowSource) -> Insert {
        Insert {
            model: "Note".into(),
            fields: fields.iter().map(|it| (*it).into()).collect(),
            source,
            conflict: None,
            returning: None,
        }
    }

    fn insert_parameters(&mut self) -> Insert {
        let title = self.one_of(&TEXTS);
        let team = self.one_of(&[Some(1), Some(101), None, Some(999)]);
        let tenant = self.one_of(&[None, Some(1), Some(2)]);
        let mut fields = vec!["id", "title", "team_id", "secret"];
        self.values = vec![1000.into(), title.into(), team.into(), "s".into()];
        if let Some(tenant) = tenant {
            fields.push("tenant_id");
            self.values.push(tenant.into());
        }
        let returning = self.returning();
        Insert { returning, ..Self::insert(&fields, RowSource::Parameters) }
    }

    fn insert_select(&mut self) -> Insert {
        self.around.push(Model::Note);
        let thousand = self.push(Node::Literal(Literal::Integer(1000)));
        let id = self.own("id");
        let id = self.push(Node::Binary((BinaryOperator::Add, id, thousand)));
        let suffix = self.parameter("!".into(), ScalarType::Text, false);
        let title = self.own("title");
        let title = self.push(Node::Binary((BinaryOperator::Concat, title, suffix)));
        let (stars, secret) = (self.number(2), self.text(1));
        let outputs = [("id", id), ("title", title), ("stars", stars), ("secret", secret)]
            .map(|(name, expression)| Output { name: name.into(), expression });
        let mut select = self.select(Model::Note, Projection::Outputs(outputs.into()));
        select.filter = self.filter();
        self.around.pop();
        let select = self.push_select(select);
        let returning = self.returning();
        let fields = ["id", "title", "stars", "secret"];
        Insert { returning, ..Self::insert(&fields, RowSource::Select(select)) }
    }

    fn upsert(&mut self) -> Insert {
        let title = self.one_of(&["a", "b", "a%b", "new"]);
        self.values = vec![1000.into(), title.into(), 9.into(), "s".into()];
        let update = match self.pick(3) {
            0 => vec![],
            1 => {
                let value = self.push(Node::Excluded("stars".into()));
                vec![Assignment { field: "stars".into(), value }]
            }
            _ => {
                let stars = self.push(field(0, &[], "stars"));
                let excluded = self.push(Node::Excluded("stars".into()));
                let value = self.push(Node::Binary((BinaryOperator::Add, stars, excluded)));
                vec![Assignment { field: "stars".into(), value }]
            }
        };
        let target = vec!["tenant_id".into(), "title".into()];
        let conflict = Some(Conflict { target, update, condition: None });
        Insert {
            conflict,
            ..Self::insert(&["id", "title", "stars", "secret"], RowSource::Parameters)
        }
    }

    // Expressions.

    fn here(&self) -> Model {
        *self.around.last().unwrap_or(&Model::Note)
    }

    /// A field of the model of the select that we are in.
    fn own(&mut self, name: &str) -> NodeRef {
        self.push(field(0, &[], name))
    }

    /// How many selects outwards, the relations to cross, and where they lead.
    fn place(&mut self) -> (u8, Vec<&'static str>, Model) {
        let outer = match self.pick(3) {
            2 => self.pick(self.around.len().max(1)),
            _ => 0,
        };
        let at = self.around.len().saturating_sub(1 + outer);
        let model = self.around.get(at).copied().unwrap_or(Model::Note);
        let outer = u8::try_from(outer).unwrap();
        match (model, self.pick(5)) {
            (Model::Note, 3) => (outer, vec!["team"], Model::Team),
            (Model::Note, 4) => (outer, vec!["team", "parent"], Model::Team),
            (Model::Team, 4) => (outer, vec!["parent"], Model::Team),
            (model, _) => (outer, vec![], model),
        }
    }

    fn number_field(&mut self) -> NodeRef {
        let (outer, relations, model) = self.place();
        let name = match model {
            Model::Note => self.one_of(&["stars", "id", "team_id", "tenant_id"]),
            Model::Team => self.one_of(&["rank", "id", "parent_id", "tenant_id"]),
        };
        self.push(field(outer, &relations, name))
    }

    fn text_field(&mut self) -> NodeRef {
        let (outer, relations, model) = self.place();
        let name = match (model, self.pick(12)) {
            // The tenant cannot name it: an error, the same in each world.
            (Model::Note, 11) => "secret",
            (Model::Note, _) => "title",
            (Model::Team, _) => "name",
        };
        self.push(field(outer, &relations, name))
    }

    /// A number of one row.
    fn plain_number(&mut self, depth: u32) -> NodeRef {
        use BinaryOperator as B;
        match self.pick(if depth == 0 { 2 } else { 8 }) {
            0 => self.number_field(),
            1 => {
                let number = self.one_of(&NUMBERS);
                self.parameter(number.into(), ScalarType::Integer, false)
            }
            2 => {
                let operator =
                    self.one_of(&[B::Add, B::Multiply, B::Subtract, B::Divide, B::Modulo]);
                let operands =
                    (operator, self.plain_number(depth - 1), self.plain_number(depth - 1));
                self.push(Node::Binary(operands))
            }
            3 => {
                let text = self.text(depth - 1);
                self.call("length", vec![text])
            }
            4 => {
                let number = self.plain_number(depth - 1);
                self.call("abs", vec![number])
            }
            5 => {
                let operands = vec![self.plain_number(depth - 1), self.plain_number(depth - 1)];
                self.call("coalesce", operands)
            }
            6 => {
                let number = self.plain_number(depth - 1);
                self.push(Node::Unary((UnaryOperator::Negate, number)))
            }
            _ => {
                let when = self.simple_condition();
                let then = self.plain_number(depth - 1);
                let otherwise = Some(self.plain_number(0));
                let branches = vec![CaseBranch { when, then }];
                self.push(Node::Case(CaseExpression { branches, otherwise }))
            }
        }
    }

    fn number(&mut self, depth: u32) -> NodeRef {
        match self.pick(4) {
            3 if depth > 1 => {
                let select = self.inner(depth - 2, true);
                self.push(Node::Subquery(select))
            }
            _ => self.plain_number(depth),
        }
    }

    fn text(&mut self, depth: u32) -> NodeRef {
        match self.pick(if depth == 0 { 2 } else { 4 }) {
            0 => self.text_field(),
            1 => {
                let text = self.one_of(&TEXTS);
                self.parameter(text.into(), ScalarType::Text, false)
            }
            2 => {
                let function = self.one_of(&["lower", "upper", "trim"]);
                let text = self.text(depth - 1);
                self.call(function, vec![text])
            }
            _ => {
                let operands = (BinaryOperator::Concat, self.text(depth - 1), self.text(depth - 1));
                self.push(Node::Binary(operands))
            }
        }
    }

    fn call(&mut self, name: &str, arguments: Vec<NodeRef>) -> NodeRef {
        self.push(Node::Call(FunctionCall { name: name.into(), arguments }))
    }

    fn comparison(&mut self, depth: u32) -> NodeRef {
        use BinaryOperator as B;
        let operator = self.one_of(&[
            B::Equal,
            B::NotEqual,
            B::Less,
            B::GreaterOrEqual,
            B::IsDistinct,
            B::IsNotDistinct,
        ]);
        let operands = (operator, self.number(depth), self.number(depth));
        self.push(Node::Binary(operands))
    }

    /// A condition on a row and nothing else.
    fn simple_condition(&mut self) -> NodeRef {
        let (number, limit) = (self.plain_number(1), self.plain_number(0));
        self.push(Node::Binary((BinaryOperator::Greater, number, limit)))
    }

    fn condition(&mut self, depth: u32) -> NodeRef {
        use BinaryOperator as B;
        if depth == 0 {
            return self.comparison(0);
        }
        match self.pick(15) {
            0 => self.comparison(depth - 1),
            1 => {
                let operator = self.one_of(&[
                    B::Like,
                    B::Ilike,
                    B::NotLike,
                    B::Contains,
                    B::StartsWith,
                    B::EndsWith,
                    B::Equal,
                ]);
                let operands = (operator, self.text(1), self.text(1));
                self.push(Node::Binary(operands))
            }
            2 => {
                let number = self.number(depth - 1);
                let operator = self.one_of(&[UnaryOperator::IsNull, UnaryOperator::IsNotNull]);
                self.push(Node::Unary((operator, number)))
            }
            3 => {
                let truth = self.pick(2) == 0;
                self.push(Node::Literal(Literal::Boolean(truth)))
            }
            4 => {
                use UnaryOperator as U;
                let condition = self.condition(depth - 1);
                let operator = self.one_of(&[U::Not, U::IsTrue, U::IsFalse]);
                self.push(Node::Unary((operator, condition)))
            }
            5 => {
                let conditions = vec![self.condition(depth - 1), self.condition(depth - 1)];
                self.push(Node::AllOf(conditions))
            }
            6 => {
                let conditions = vec![self.condition(depth - 1), self.condition(depth - 1)];
                self.push(Node::AnyOf(conditions))
            }
            7 | 8 => self.related(depth),
            9 => {
                let select = self.inner(depth - 1, false);
                self.push(Node::Exists(select))
            }
            10 => {
                let number = self.number(depth - 1);
                let select = self.inner(depth - 1, false);
                self.push(Node::InSelect((number, select)))
            }
            11 => {
                let operands = (self.number(1), self.plain_number(0), self.plain_number(0));
                self.push(Node::Between(operands))
            }
            12 => {
                let number = self.number(1);
                let mut list = Scalars::with_kind(ScalarType::Integer);
                for _ in 0..self.pick(4) {
                    let number = self.one_of(&NUMBERS);
                    list.push(number.into()).unwrap();
                }
                let list = self.parameter(Value::Array(list), ScalarType::Integer, true);
                let operator = self.one_of(&[B::InList, B::NotInList]);
                self.push(Node::Binary((operator, number, list)))
            }
            13 => {
                // Few numbers of days stay in the calendar.
                let day = self.parameter(Value::Date(0), ScalarType::Date, false);
                let moved = (self.one_of(&[B::Add, B::Subtract]), day, self.number(1));
                let moved = self.push(Node::Binary(moved));
                self.push(Node::Binary((B::GreaterOrEqual, moved, day)))
            }
            _ => {
                let operands = (B::IsDistinct, self.text(1), self.text(1));
                self.push(Node::Binary(operands))
            }
        }
    }

    fn related(&mut self, depth: u32) -> NodeRef {
        use Quantifier as Q;
        let (relations, target): (&[&str], Model) = match (self.here(), self.pick(3)) {
            (Model::Team, 0) => (&["notes"], Model::Note),
            (Model::Team, 1) => (&["children"], Model::Team),
            (Model::Team, _) => (&["children", "notes"], Model::Note),
            (Model::Note, 0) => (&["team", "notes"], Model::Note),
            (Model::Note, 1) => (&["team", "children"], Model::Team),
            (Model::Note, _) => (&["team", "parent", "notes"], Model::Note),
        };
        let quantifier = self.one_of(&[Q::Any, Q::None, Q::All]);
        self.around.push(target);
        let condition = Some(self.condition(depth - 1));
        self.around.pop();
        let relations = relations.iter().map(|it| (*it).into()).collect();
        self.push(Node::Related(Related { quantifier, relations, condition }))
    }
}

fn field(outer: u8, relations: &[&str], name: &str) -> Node {
    let relations = relations.iter().map(|it| (*it).into()).collect();
    Node::Field(Path { outer, relations, field: name.into() })
}
