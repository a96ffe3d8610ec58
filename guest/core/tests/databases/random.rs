//! Random queries that the core takes: both databases take their statements, and find the same rows.

use ferro_wit::policy::Scope;
use ferro_wit::query::{
    Aggregate, AggregateFunction as A, BinaryOperator as B, CommonTable, Distinct, Frame,
    FrameUnit, Join, Node, NodeRef, Quantifier, Query, Select, SetOperator, Statement,
    UnaryOperator as U,
};
use ferro_wit::schema::Schema;
use ferro_wit::types::{ErrorKind, ScalarType as S, Scalars, Value};

use crate::commons::{join, named};
use crate::fixture::*;
use crate::relations::{PAIRS, ROWS, first};
use crate::world::World;
use crate::{blog, fixture};

const USERS: &str = "INSERT INTO \"user\" (id, email, name, age, score, balance, mood, token, \
                     active, tenant_id, tags, created) VALUES ";

pub(crate) async fn world() -> World {
    let Schema { mut models, enums } = fixture::schema();
    models.extend(blog::schema().models);
    let rows = [ROWS.as_slice(), &[PAIRS]].concat();
    let world = World::new(Schema { models, enums }, &rows).await;
    let user = |id: i64, name: &str, rest: &str, arrays: [&str; 2], stamps: [&str; 2]| {
        [0, 1].map(|database| {
            let bytes =
                ["x'00000000000000000000000000000001'", "'00000000-0000-0000-0000-000000000001'"];
            format!(
                "{USERS} ({id}, '{name}@x', '{name}', {rest}, {}, {}, {}, '{}', '{}')",
                bytes[database],
                ["1", "true"][database],
                id % 2,
                arrays[database],
                stamps[database]
            )
        })
    };
    let stamps = ["2024-05-06 07:08:09.000000+00:00", "2024-05-06 07:08:09+00"];
    for statements in [
        user(1, "ann", "30, 1.5, '10.50', 'glad'", ["[\"a\",\"b\"]", "{a,b}"], stamps),
        user(2, "bob", "NULL, NULL, '9', NULL", ["[]", "{}"], stamps),
        user(3, "cy", "0, -2.0, '-3.25', 'sad'", ["[\"b\"]", "{b}"], stamps),
        user(4, "di", "30, 2.5, '10.5', 'glad'", ["[null,\"b\"]", "{NULL,b}"], stamps),
        user(5, "ed", "NULL, 0.49, '-3.250', NULL", ["[\"a\"]", "{a}"], stamps),
    ] {
        world.run(statements).await;
    }
    world
        .run(["INSERT INTO membership (user_id, team, note) VALUES (1, 'red', 'x'), (1, 'blue', NULL), (3, 'red', 'y')"; 2].map(str::to_owned))
        .await;
    world
}

struct Model {
    name: &'static str,
    integers: &'static [&'static str],
    texts: &'static [&'static str],
    one: &'static [(&'static str, usize)],
    many: &'static [(&'static str, usize)],
}

const AUTHOR: usize = 0;
const POST: usize = 2;
const USER: usize = 7;

const MODELS: [Model; 9] = [
    Model {
        name: "Author",
        integers: &["id", "tenant_id", "boss_id"],
        texts: &["name"],
        one: &[("boss", AUTHOR), ("profile", 1)],
        many: &[("staff", AUTHOR), ("posts", POST), ("edited", POST)],
    },
    Model {
        name: "Profile",
        integers: &["id", "author_id"],
        texts: &["bio"],
        one: &[("author", AUTHOR)],
        many: &[],
    },
    Model {
        name: "Post",
        integers: &["id", "tenant_id", "author_id", "editor_id", "stars"],
        texts: &["title"],
        one: &[("author", AUTHOR), ("editor", AUTHOR)],
        many: &[("comments", 3), ("tags", 4), ("labels", 5)],
    },
    Model {
        name: "Comment",
        integers: &["id", "post_id", "stars"],
        texts: &["body"],
        one: &[("post", POST)],
        many: &[],
    },
    Model {
        name: "Tag",
        integers: &["id", "tenant_id"],
        texts: &["name"],
        one: &[],
        many: &[("posts", POST)],
    },
    Model {
        name: "Label",
        integers: &["id"],
        texts: &["name"],
        one: &[],
        many: &[("posts", POST)],
    },
    Model {
        name: "PostLabel",
        integers: &["post_id", "label_id", "tenant_id"],
        texts: &[],
        one: &[("post", POST), ("label", 5)],
        many: &[],
    },
    Model {
        name: "User",
        integers: &["id", "age", "tenant_id"],
        texts: &["name", "email", "mood"],
        one: &[],
        many: &[],
    },
    Model {
        name: "Membership",
        integers: &["user_id"],
        texts: &["team", "note"],
        one: &[("user", USER)],
        many: &[],
    },
];

/// What the common tables of a query look like. Their numbers come after those of the models.
const COMMON: [Model; 3] = [
    Model { name: "first", ..TABLE },
    Model { name: "second", ..TABLE },
    Model { name: "third", ..TABLE },
];

const TABLE: Model = Model { name: "", integers: &["n", "m"], texts: &["t"], one: &[], many: &[] };

fn model(index: usize) -> &'static Model {
    MODELS.get(index).unwrap_or_else(|| &COMMON[index - MODELS.len()])
}

/// Numbers that look random, the same for a seed each time.
pub(crate) struct Generator(u64);

impl Generator {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 33) % limit as u64).unwrap()
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// A query in the making, at random.
pub(crate) struct Random {
    generator: Generator,
    nodes: Nodes,
    selects: Vec<Select>,
    parameters: Vec<Value>,
    common: Vec<CommonTable>,
    /// The models of the selects around, the innermost last.
    around: Vec<usize>,
    /// The common tables that they join.
    joined: Vec<Option<usize>>,
}

impl Random {
    pub(crate) fn query(seed: u64) -> (Query, Vec<Value>) {
        let mut random = Self {
            generator: Generator::new(seed),
            nodes: Nodes::default(),
            selects: vec![],
            parameters: vec![],
            common: vec![],
            around: vec![],
            joined: vec![],
        };
        if random.below(2) == 0 {
            for _ in 0..1 + random.below(COMMON.len()) {
                random.common_table();
            }
        }
        let model = random.model();
        let select = random.select(model, 4, None);
        random.read_all(select);
        let statement = match random.below(6) {
            0 => Statement::Count(select),
            1 => Statement::Exists(select),
            _ => Statement::Select(select),
        };
        let query = random.nodes.query(random.selects, statement);
        (Query { common: random.common, ..query }, random.parameters)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.generator.below(limit)
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        self.generator.pick(from)
    }

    fn parameter(&mut self, kind: S, value: Value) -> NodeRef {
        let index = u32::try_from(self.parameters.len()).unwrap();
        self.parameters.push(value);
        self.nodes.parameter(index, kind)
    }

    /// A model, or one of the common tables so far: these as often as all models.
    fn model(&mut self) -> usize {
        match self.common.len() {
            0 => self.below(MODELS.len()),
            common if self.below(2) == 0 => MODELS.len() + self.below(common),
            _ => self.below(MODELS.len()),
        }
    }

    /// Has a select ask about each common table that nothing reads, whose parameters would be none
    /// of the query's; whatever the answer is.
    fn read_all(&mut self, select: u32) {
        if self.common.is_empty() {
            return;
        }
        let mut terms = Vec::from_iter(self.selects[select as usize].filter);
        for CommonTable { name, step, .. } in self.common.clone() {
            let read = (0..).zip(&self.selects).any(|(index, it)| {
                let joins = it.joins.iter().any(|it| it.table == name);
                (it.model == name || joins) && step.is_none_or(|(_, step)| step != index)
            });
            if !read {
                let table = self.push(all(&name));
                let (any, always) =
                    (self.nodes.add(Node::Exists(table)), self.nodes.add(Node::AllOf(vec![])));
                terms.push(self.nodes.add(Node::AnyOf(vec![any, always])));
            }
        }
        let filter = self.nodes.add(Node::AllOf(terms));
        self.selects[select as usize].filter = Some(filter);
    }

    /// A table of two numbers and a text. Those that are recursive go up to a small number, or follow
    /// authors to their bosses.
    fn common_table(&mut self) {
        let number = MODELS.len() + self.common.len();
        let name = model(number).name;
        let bosses = self.below(4) == 0;
        let from = if bosses { AUTHOR } else { self.model() };
        self.enter(from);
        let mut rows = Select { filter: Some(self.condition(2)), ..all(model(from).name) };
        let listed = match self.below(3) {
            _ if bosses => ["id", "boss_id", "name"].map(|it| self.nodes.field(it)),
            0 => [self.field(true), self.field(true), self.field(false)],
            _ => [self.integer(1), self.integer(2), self.text(1)],
        };
        self.leave();
        rows.projection = named(&[("n", listed[0]), ("m", listed[1]), ("t", listed[2])]);
        if self.below(4) == 0 {
            rows.distinct = Distinct::Rows;
        }
        let rows = self.push(rows);
        let step = match self.below(3) {
            _ if bosses => Some((SetOperator::Union, self.step_to_bosses(name))),
            0 => {
                Some((self.pick(&[SetOperator::Union, SetOperator::UnionAll]), self.step_up(name)))
            }
            _ => None,
        };
        self.common.push(CommonTable { name: name.into(), rows, step });
    }

    fn step_to_bosses(&mut self, name: &str) -> u32 {
        let (id, below) = (self.nodes.field("id"), self.nodes.path(&format!("{name}.m")));
        let on = self.nodes.binary(id, B::Equal, below);
        let [n, m, t] = ["id", "boss_id", "name"].map(|it| self.nodes.field(it));
        let projection = named(&[("n", n), ("m", m), ("t", t)]);
        self.push(Select { projection, joins: join(name, on), ..all("Author") })
    }

    fn step_up(&mut self, name: &str) -> u32 {
        let [n, m, t] = ["n", "m", "t"].map(|it| self.nodes.field(it));
        let (most, least, one) =
            (self.nodes.integer(4), self.nodes.integer(-9), self.nodes.integer(1));
        let filter = Some(self.nodes.add(Node::Between((n, least, most))));
        let next = self.nodes.binary(n, B::Add, one);
        let listed = [m, n];
        let projection = named(&[("n", next), ("m", self.pick(&listed)), ("t", t)]);
        self.push(Select { projection, filter, ..all(name) })
    }

    fn push(&mut self, select: Select) -> u32 {
        self.selects.push(select);
        u32::try_from(self.selects.len() - 1).unwrap()
    }

    fn enter(&mut self, model: usize) {
        self.around.push(model);
        self.joined.push(None);
    }

    fn leave(&mut self) {
        self.around.pop();
        self.joined.pop();
    }

    /// Joins a common table to the rows of the select, now and then.
    fn joins(&mut self) -> Vec<Join> {
        if self.common.is_empty() || self.below(3) > 0 {
            return vec![];
        }
        let table = MODELS.len() + self.below(self.common.len());
        let own = self.field(true);
        *self.joined.last_mut().unwrap() = Some(table);
        let name = model(table).name;
        let other = self.nodes.path(&format!("{name}.n"));
        let on = self.nodes.binary(own, B::Equal, other);
        let on = match self.below(3) {
            0 => {
                let further = self.condition(1);
                self.nodes.add(Node::AllOf(vec![on, further]))
            }
            _ => on,
        };
        join(name, on)
    }

    /// A select of one integer column, if it is to be looked into.
    fn select(&mut self, number: usize, depth: usize, one_column: Option<bool>) -> u32 {
        self.enter(number);
        let Model { name, integers, .. } = *model(number);
        let joins = self.joins();
        let filter = (self.below(4) > 0).then(|| self.condition(depth - 1));
        // What has no key has no order to count off by.
        let keyed = number < MODELS.len() && joins.is_empty();
        let mut select = Select { filter, joins, ..all(name) };
        match (one_column, self.below(6)) {
            // A value: an aggregate.
            (Some(true), _) => {
                let number = self.integer(0);
                let function = self.pick(&[A::Count, A::Minimum, A::Maximum]);
                let inner = self.pick(integers);
                let own = self.nodes.field(inner);
                let argument = if self.around.len() > 1 { own } else { number };
                let value = self.nodes.aggregate(function, argument);
                select.projection = outputs(&[value]);
            }
            (Some(false), _) => {
                let value = self.integer(1);
                select.projection = outputs(&[value]);
            }
            (None, 0) => self.grouped(&mut select, integers, keyed),
            (None, 1) => {
                let listed = [self.text(1), self.integer(1)];
                select.projection = outputs(&listed);
                select.distinct = Distinct::Rows;
            }
            (None, 2) => {
                let field = self.pick(integers);
                select.projection = fields(&[field]);
                let operators = [
                    SetOperator::Union,
                    SetOperator::UnionAll,
                    SetOperator::Intersect,
                    SetOperator::Except,
                ];
                for _ in 0..1 + self.below(2) {
                    let other = self.model();
                    let (around, joined) = (self.around.pop(), self.joined.pop());
                    let other = self.select(other, depth.min(2), Some(false));
                    self.around.extend(around);
                    self.joined.extend(joined);
                    select.combined.push((self.pick(&operators), other));
                }
            }
            (None, rest) => {
                let window = self.window(keyed);
                let listed = [self.integer(2), self.text(2), self.condition(depth.min(2)), window];
                select.projection = outputs(&listed);
                if rest == 3 && keyed {
                    select.distinct = Distinct::On(vec![self.integer(1)]);
                }
                for _ in 0..self.below(3) {
                    let key = match self.below(2) {
                        0 => self.field(true),
                        _ => self.field(false),
                    };
                    let term = self.pick(&[true, false]);
                    select.order_by.push(if term { ascending(key) } else { descending(key) });
                }
                if keyed && self.below(3) == 0 {
                    select.limit = Some(self.parameter(S::Integer, Value::Integer(3)));
                }
                if keyed && self.below(4) == 0 {
                    select.offset = Some(self.nodes.integer(1));
                }
            }
        }
        self.leave();
        self.push(select)
    }

    fn grouped(&mut self, select: &mut Select, integers: &[&'static str], keyed: bool) {
        let key = self.field(true);
        let (number, other) = (self.pick(integers), self.pick(integers));
        let (number, other) = (self.nodes.field(number), self.nodes.field(other));
        let filter = Some(self.condition(1));
        let star = self.nodes.star();
        let count = self.nodes.aggregate(A::Count, star);
        let function = self.pick(&[A::Sum, A::Minimum, A::Maximum, A::Average]);
        let distinct = self.below(2) == 0;
        let sum = self.nodes.add(Node::Aggregate(Aggregate {
            distinct,
            filter,
            ..Aggregate::new(function, number)
        }));
        let (text, first) = (self.field(false), self.field(true));
        let mut order_by = vec![descending(first)];
        // What has no key leaves the order open.
        order_by.extend((!keyed).then(|| ascending(text)));
        let separator = Some(self.parameter(S::Text, "; ".into()));
        let names = self.nodes.add(Node::Aggregate(Aggregate {
            separator,
            order_by,
            ..Aggregate::new(A::StringAgg, text)
        }));
        let distinct = self.below(2) == 0;
        let all = self.nodes.add(Node::Aggregate(Aggregate {
            distinct,
            order_by: vec![if distinct { descending(number) } else { ascending(number) }],
            ..Aggregate::new(A::ArrayAgg, number)
        }));
        let product = self.nodes.binary(other, B::Multiply, number);
        let most = self.nodes.aggregate(A::Maximum, product);
        let one = self.nodes.integer(1);
        select.having = Some(self.nodes.binary(count, B::GreaterOrEqual, one));
        select.projection = outputs(&[key, count, sum, most, names, all]);
        select.group_by = vec![key];
    }

    /// A function over the rows around; one of those that tell rows apart, where they have a key.
    fn window(&mut self, keyed: bool) -> NodeRef {
        let (part, key, value) = (self.field(true), self.field(true), self.field(true));
        let star = self.nodes.star();
        let by = [ascending(key)];
        let three = self.nodes.integer(3);
        match self.below(12) {
            9 | 10 if keyed => {
                let functions =
                    ["sum", "minimum", "maximum", "average", "first-value", "last-value"];
                let name = self.pick(&functions);
                let window = self.nodes.window(name, &[value], &[part], &by);
                let frame = self.frame(FrameUnit::Rows);
                self.nodes.framed(window, frame)
            }
            11 => {
                let window = self.nodes.window("sum", &[value], &[part], &by);
                let frame = self.frame(FrameUnit::Groups);
                self.nodes.framed(window, frame)
            }
            7 if keyed => self.nodes.window("ntile", &[three], &[part], &by),
            8 if keyed => self.nodes.window("nth-value", &[value, three], &[part], &by),
            0 if keyed => self.nodes.window("row-number", &[], &[part], &by),
            1 | 2 if keyed => {
                let name = self.pick(&["lag", "lead", "first-value", "last-value"]);
                self.nodes.window(name, &[value], &[part], &by)
            }
            3 => {
                let name = self.pick(&["rank", "dense-rank", "percent-rank", "cume-dist"]);
                self.nodes.window(name, &[], &[part], &by)
            }
            4 | 5 => {
                let name = self.pick(&["sum", "minimum", "maximum", "average"]);
                self.nodes.window(name, &[value], &[part], &by)
            }
            _ => self.nodes.window("count", &[star], &[part], &[]),
        }
    }

    fn frame(&mut self, unit: FrameUnit) -> Frame {
        let mut bounds = [self.pick(&[-2, -1, 0, 1, 2]), self.pick(&[-2, -1, 0, 1, 2])];
        bounds.sort_unstable();
        let [start, end] = bounds.map(|it| (self.below(4) > 0).then_some(it));
        Frame { unit, start, end }
    }

    /// A field of the row, of one around it, or of one that it refers to.
    fn field(&mut self, number: bool) -> NodeRef {
        let outer = if self.below(4) == 0 { self.below(self.around.len()) } else { 0 };
        let here = self.around.len() - 1 - outer;
        let mut at = self.around[here];
        let mut path = String::new();
        if let Some(table) = self.joined[here].filter(|_| self.below(3) == 0) {
            at = table;
            path = format!("{}.", model(at).name);
        }
        while self.below(3) == 0 && !model(at).one.is_empty() {
            let (name, target) = self.pick(model(at).one);
            path.push_str(name);
            path.push('.');
            at = target;
        }
        let names = if number { model(at).integers } else { model(at).texts };
        if names.is_empty() {
            return self.literal(number);
        }
        path.push_str(self.pick(names));
        self.nodes.outer_path(u8::try_from(outer).unwrap(), &path)
    }

    fn literal(&mut self, number: bool) -> NodeRef {
        let small = i64::try_from(self.below(6)).unwrap();
        match number {
            true => self.parameter(S::Integer, Value::Integer(small)),
            false => {
                let text = self.pick(&["Ada", "one", "red", "rust", "x", ""]);
                self.parameter(S::Text, text.into())
            }
        }
    }

    fn integer(&mut self, depth: usize) -> NodeRef {
        if depth == 0 {
            return self.field(true);
        }
        match self.below(8) {
            0 => self.literal(true),
            1 => {
                let (left, right) = (self.integer(depth - 1), self.integer(depth - 1));
                let operator = self.pick(&[B::Add, B::Subtract, B::Multiply, B::Divide, B::Modulo]);
                self.nodes.binary(left, operator, right)
            }
            2 => {
                let text = self.text(depth - 1);
                self.nodes.call("length", &[text])
            }
            3 => {
                let (one, other) = (self.integer(depth - 1), self.literal(true));
                self.nodes.call("coalesce", &[one, other])
            }
            4 => {
                let when = self.condition(depth - 1);
                let (then, otherwise) = (self.integer(depth - 1), self.integer(depth - 1));
                self.nodes.case(&[(when, then)], Some(otherwise))
            }
            5 if depth > 1 => {
                let model = self.model();
                let select = self.select(model, depth, Some(true));
                self.nodes.add(Node::Subquery(select))
            }
            _ => self.field(true),
        }
    }

    fn text(&mut self, depth: usize) -> NodeRef {
        if depth == 0 {
            return self.field(false);
        }
        match self.below(6) {
            0 => self.literal(false),
            1 => {
                let (left, right) = (self.text(depth - 1), self.text(depth - 1));
                self.nodes.binary(left, B::Concat, right)
            }
            2 => {
                let text = self.text(depth - 1);
                let name = self.pick(&["lower", "upper", "trim"]);
                self.nodes.call(name, &[text])
            }
            3 => {
                let when = self.condition(depth - 1);
                let then = self.text(depth - 1);
                self.nodes.case(&[(when, then)], None)
            }
            _ => self.field(false),
        }
    }

    fn condition(&mut self, depth: usize) -> NodeRef {
        let compare = [
            B::Equal,
            B::NotEqual,
            B::Less,
            B::LessOrEqual,
            B::Greater,
            B::IsDistinct,
            B::IsNotDistinct,
        ];
        if depth == 0 {
            let (left, right) = (self.integer(0), self.literal(true));
            let operator = self.pick(&compare);
            return self.nodes.binary(left, operator, right);
        }
        if self.around.last() == Some(&USER) && self.below(2) == 0 {
            return self.of_user(depth);
        }
        match self.below(12) {
            0 => {
                let (left, right) = (self.text(depth - 1), self.text(depth - 1));
                let operator = self.pick(&[
                    B::Equal,
                    B::IsDistinct,
                    B::Contains,
                    B::StartsWith,
                    B::EndsWith,
                    B::Like,
                    B::Ilike,
                ]);
                self.nodes.binary(left, operator, right)
            }
            1 => {
                let operand = self.condition(depth - 1);
                let operator = self.pick(&[U::Not, U::IsTrue, U::IsFalse, U::IsNull]);
                self.nodes.unary(operator, operand)
            }
            2 | 3 => {
                let terms = (0..1 + self.below(3)).map(|_| self.condition(depth - 1)).collect();
                let every = self.below(2) == 0;
                self.nodes.add(if every { Node::AllOf(terms) } else { Node::AnyOf(terms) })
            }
            4 => {
                let operand = self.text(depth - 1);
                self.nodes.unary(U::IsNull, operand)
            }
            5 => {
                let value = self.integer(depth - 1);
                let (lower, upper) = (self.literal(true), self.integer(depth - 1));
                self.nodes.add(Node::Between((value, lower, upper)))
            }
            6 => {
                let value = self.integer(depth - 1);
                let index = u32::try_from(self.parameters.len()).unwrap();
                let mut list = Scalars::with_kind(S::Integer);
                for value in [1, 3, 4] {
                    list.push(Value::Integer(value)).unwrap();
                }
                self.parameters.push(Value::Array(list));
                let list = self.nodes.list(index, S::Integer);
                let operator = self.pick(&[B::InList, B::NotInList]);
                self.nodes.binary(value, operator, list)
            }
            7 => {
                let model = self.model();
                let select = self.select(model, depth, Some(false));
                self.nodes.add(Node::Exists(select))
            }
            8 => {
                let value = self.integer(depth - 1);
                let model = self.model();
                let select = self.select(model, depth, Some(false));
                self.nodes.add(Node::InSelect((value, select)))
            }
            _ => self.related(depth),
        }
    }

    fn decimal(&mut self, depth: usize) -> NodeRef {
        let value = self.pick(&["10.5", "-3.250", "9.00", "0", "30"]);
        if depth == 0 {
            return self.parameter(S::Decimal, Value::Decimal(value.into()));
        }
        let own = self.nodes.field("balance");
        match self.below(8) {
            6 => {
                let (left, right) = (self.decimal(depth - 1), self.decimal(depth - 1));
                let operator = self.pick(&[B::Add, B::Subtract, B::Multiply, B::Divide]);
                self.nodes.binary(left, operator, right)
            }
            7 => {
                let (value, age) = (self.decimal(depth - 1), self.nodes.field("age"));
                let negated = self.nodes.unary(U::Negate, value);
                let name = self.pick(&["abs", "round", "floor", "ceiling"]);
                let whole = self.nodes.call(name, &[negated]);
                self.nodes.binary(whole, B::Subtract, age)
            }
            0 => {
                let other = self.decimal(depth - 1);
                let name = self.pick(&["null-if", "coalesce"]);
                self.nodes.call(name, &[own, other])
            }
            1 => {
                let age = self.nodes.field("age");
                self.nodes.add(Node::Cast((age, S::Decimal)))
            }
            2 => {
                let when = self.condition(depth - 1);
                self.nodes.case(&[(when, own)], None)
            }
            3 => {
                let function = self.pick(&[A::Maximum, A::Sum, A::Average]);
                let most = self.nodes.aggregate(function, own);
                let select = self.push(Select { projection: outputs(&[most]), ..all("User") });
                self.nodes.add(Node::Subquery(select))
            }
            _ => own,
        }
    }

    fn float(&mut self, depth: usize) -> NodeRef {
        let value = self.pick(&[1.5, -2.0, 0.0, 2.5]);
        if depth == 0 {
            return self.parameter(S::Float, Value::Float(value));
        }
        match self.below(4) {
            0 => {
                let (left, right) = (self.float(depth - 1), self.float(depth - 1));
                let operator = self.pick(&[B::Add, B::Subtract, B::Multiply, B::Divide]);
                self.nodes.binary(left, operator, right)
            }
            1 => {
                let number = self.float(depth - 1);
                let name = self.pick(&["abs", "round", "floor", "ceiling"]);
                self.nodes.call(name, &[number])
            }
            _ => self.nodes.field("score"),
        }
    }

    /// A condition on what only users have.
    fn of_user(&mut self, depth: usize) -> NodeRef {
        let compare =
            [B::Equal, B::NotEqual, B::Less, B::GreaterOrEqual, B::IsDistinct, B::IsNotDistinct];
        let operator = self.pick(&compare);
        match self.below(7) {
            0 => {
                let (left, right) = (self.decimal(depth), self.decimal(depth - 1));
                self.nodes.binary(left, operator, right)
            }
            1 => {
                let (left, right) = (self.decimal(depth), self.integer(depth - 1));
                let sides = self.pick(&[(left, right), (right, left)]);
                self.nodes.binary(sides.0, operator, sides.1)
            }
            2 => {
                let (left, right) = (self.float(depth), self.float(depth - 1));
                self.nodes.binary(left, operator, right)
            }
            3 => {
                let limits = (self.decimal(depth), self.decimal(depth), self.decimal(depth - 1));
                self.nodes.add(Node::Between(limits))
            }
            4 => {
                let (wish, tags) = (self.text(depth - 1), self.nodes.field("tags"));
                let operator = self.pick(&[B::InList, B::NotInList]);
                self.nodes.binary(wish, operator, tags)
            }
            5 => {
                let (active, other) = (self.nodes.field("active"), self.condition(depth - 1));
                self.nodes.binary(active, operator, other)
            }
            _ => {
                let value = self.decimal(depth);
                self.enter(USER);
                let (listed, filter) = (self.decimal(depth), Some(self.condition(depth - 1)));
                self.leave();
                let rows = Select { projection: outputs(&[listed]), filter, ..all("User") };
                let select = self.push(rows);
                self.nodes.add(Node::InSelect((value, select)))
            }
        }
    }

    fn related(&mut self, depth: usize) -> NodeRef {
        let mut at = self.around[self.around.len() - 1];
        let mut relations = vec![];
        for _ in 0..1 + self.below(2) {
            let ways = [model(at).one, model(at).many].concat();
            if ways.is_empty() {
                break;
            }
            let (name, target) = self.pick(&ways);
            relations.push(name);
            at = target;
        }
        if relations.is_empty() {
            return self.condition(depth - 1);
        }
        self.enter(at);
        let condition = self.condition(depth - 1);
        self.leave();
        let quantifier = self.pick(&[Quantifier::Any, Quantifier::None, Quantifier::All]);
        self.nodes.related(quantifier, &relations, Some(condition))
    }
}

/// Rows, without their order unless a query asks for one; floats are near enough.
pub(crate) fn comparable(query: &Query, rows: Vec<Vec<Value>>) -> Vec<String> {
    let cell = |value: &Value| match value {
        Value::Float(number) => format!("{number:.6}"),
        other => format!("{other:?}"),
    };
    let line = |row: &Vec<Value>| row.iter().map(cell).collect::<Vec<_>>().join(" ");
    let mut lines: Vec<_> = rows.iter().map(line).collect();
    if !is_ordered(query) {
        lines.sort_unstable();
    }
    lines
}

/// Whether each row has its place: by the key of a model at last.
fn is_ordered(query: &Query) -> bool {
    let Statement::Select(select) = query.statement else { return false };
    let Select { model, joins, order_by, limit, offset, .. } = &query.selects[select as usize];
    let ordered = !order_by.is_empty() || limit.is_some() || offset.is_some();
    ordered && joins.is_empty() && MODELS.iter().any(|it| it.name == *model)
}

/// What the first tenant may see, and the values that are forced on it.
pub(crate) fn first_tenant() -> (Scope, Vec<Value>) {
    let mut scope = blog::tenant();
    scope.tables.extend([tenant_scope(), open_scope("Membership"), open_scope("Profile")]);
    (scope, [first(), vec![1.into()]].concat())
}

/// What the core is to refuse by itself never reaches a database. What depends on rows may fail.
fn is_of_rows(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ValueOutOfRange)
}

#[tokio::test]
async fn random_queries_run_on_both_databases_and_find_the_same_rows() {
    let world = world().await;
    let (scope, forced) = first_tenant();
    let (mut compiled, mut ran) = (0, 0);
    for seed in 1..=QUERIES {
        let (query, parameters) = Random::query(seed);
        for (scope, forced) in [(None, &[][..]), (Some(&scope), &forced)] {
            let outcomes = world.outcomes(&query, &parameters, scope, forced).await;
            compiled += usize::from(world.catalog.compile(&query, BOTH[0], scope).is_ok());
            let sql = || {
                BOTH.map(|it| {
                    world.catalog.compile(&query, it, scope).map(|it| it.steps[0].sql.clone())
                })
            };
            match outcomes {
                [Ok(sqlite), Ok(postgres)] => {
                    ran += 1;
                    assert_eq!(
                        comparable(&query, sqlite),
                        comparable(&query, postgres),
                        "seed {seed}: {:#?} {parameters:?}",
                        sql()
                    );
                }
                [sqlite, postgres] => {
                    for error in [sqlite.err(), postgres.err()].into_iter().flatten() {
                        let refused = world.catalog.compile(&query, BOTH[0], scope).is_err();
                        assert!(
                            refused || is_of_rows(error.kind),
                            "seed {seed}: {error:?} {:#?} {parameters:?}",
                            sql()
                        );
                    }
                }
            }
        }
    }
    // Else the test would show nothing.
    let few = usize::try_from(QUERIES).unwrap();
    assert!(compiled > few && ran > few, "{compiled} compiled, {ran} ran");
}

/// Each is one statement on either database, with a scope and without.
const QUERIES: u64 = 300;
