//! What queries mean, said a third time and without SQL: a plain evaluator over rows in memory. It is
//! slow and simple on purpose, and knows nothing of the compiler.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use ferro_wit::query::{
    Aggregate, AggregateFunction, BinaryOperator as B, CommonTable, Distinct, Frame, FrameUnit,
    FunctionCall, Literal, Node, NodeRef, NullsOrder, OrderTerm, Path, Projection, Quantifier,
    Query, Related, Select, SelectRef, SetOperator, Statement, UnaryOperator as U, Window,
};
use ferro_wit::schema::{Model, Schema};
use ferro_wit::types::{ScalarType, Scalars, Value};

use crate::fixture::{model, text};

/// A row by the names of its fields.
pub(crate) type Row = BTreeMap<String, Value>;

/// The rows of all models, and the pairs of the one relation whose table is made.
#[derive(Clone)]
pub(crate) struct Memory {
    pub(crate) schema: Schema,
    pub(crate) rows: BTreeMap<String, Vec<Row>>,
    pub(crate) pairs: Vec<(Value, Value)>,
}

/// Why there is no result: a number past 64 bits, or something that the evaluator does not know.
pub(crate) type Result<T, E = &'static str> = std::result::Result<T, E>;

/// What the fields of an expression are those of: a row, or a group of rows.
#[derive(Clone)]
struct Place<'a> {
    model: &'a Model,
    row: Option<Joined<'a>>,
    /// The rows of the group; of a row without groups, all rows of its select.
    rows: Vec<Joined<'a>>,
}

/// A row, and the row of a common table beside it.
#[derive(Clone, Copy)]
struct Joined<'a> {
    row: &'a Row,
    beside: Option<(&'a Model, &'a Row)>,
}

impl<'a> Joined<'a> {
    fn alone(row: &'a Row) -> Self {
        Self { row, beside: None }
    }

    fn is(self, other: Self) -> bool {
        let beside = |it: Self| it.beside.map(|(_, row)| std::ptr::from_ref(row));
        std::ptr::eq(self.row, other.row) && beside(self) == beside(other)
    }
}

/// Places, the innermost last.
type Around<'a> = [Place<'a>];

pub(crate) fn evaluate(
    memory: &Memory,
    query: &Query,
    parameters: &[Value],
) -> Result<Vec<Vec<Value>>> {
    let memory = with_common_tables(memory, query, parameters)?;
    let evaluator = Evaluator { memory: &memory, query, parameters };
    let one = |value| Ok(vec![vec![value]]);
    match query.statement {
        Statement::Select(select) => evaluator.select(select, &[]),
        Statement::Count(select) => {
            let rows = evaluator.select(select, &[])?.len();
            one(Value::Integer(i64::try_from(rows).map_err(|_| "too many rows")?))
        }
        Statement::Exists(select) => {
            one(Value::Boolean(!evaluator.select(select, &[])?.is_empty()))
        }
        _ => Err("a write"),
    }
}

/// The common tables of a query as if they were models.
fn with_common_tables(memory: &Memory, query: &Query, parameters: &[Value]) -> Result<Memory> {
    let mut memory = memory.clone();
    for CommonTable { name, rows, step } in &query.common {
        let Projection::Outputs(outputs) = &query.selects[*rows as usize].projection else {
            return Err("a common table of a model's fields");
        };
        let named = |row: Vec<Value>| -> Row {
            outputs.iter().map(|it| it.name.clone()).zip(row).collect()
        };
        let found = |memory: &Memory, select| -> Result<Vec<Row>> {
            let rows = Evaluator { memory, query, parameters }.select(select, &[])?;
            Ok(rows.into_iter().map(named).collect())
        };
        let fields = outputs.iter().map(|it| text(&it.name)).collect();
        memory.schema.models.push(Model { primary_key: vec![], ..model(name, fields) });
        let mut all: Vec<Row> = Vec::new();
        let mut next = found(&memory, *rows)?;
        while !next.is_empty() {
            if matches!(step, Some((SetOperator::Union, _))) {
                next = next.into_iter().fold(Vec::new(), |mut new, row| {
                    if !all.contains(&row) && !new.contains(&row) {
                        new.push(row);
                    }
                    new
                });
            }
            all.extend(next.clone());
            memory.rows.insert(name.clone(), next);
            next = step.map_or(Ok(vec![]), |(_, step)| found(&memory, step))?;
        }
        memory.rows.insert(name.clone(), all);
    }
    Ok(memory)
}

#[derive(Clone, Copy)]
struct Evaluator<'a> {
    memory: &'a Memory,
    query: &'a Query,
    parameters: &'a [Value],
}

impl<'a> Evaluator<'a> {
    fn node(self, node: NodeRef) -> &'a Node {
        &self.query.nodes[node as usize]
    }

    fn model(self, name: &str) -> Result<&'a Model> {
        self.memory.schema.models.iter().find(|it| it.name == name).ok_or("no such model")
    }

    fn rows(self, model: &Model) -> &'a [Row] {
        self.memory.rows.get(&model.name).map_or(&[], Vec::as_slice)
    }

    // Rows.

    fn select(self, select: SelectRef, around: &Around<'a>) -> Result<Vec<Vec<Value>>> {
        let select = &self.query.selects[select as usize];
        let mut places = self.places(select, around)?;
        let ordered = !select.order_by.is_empty() || select.limit.is_some();
        let ordered = ordered || select.offset.is_some();
        if ordered || matches!(select.distinct, Distinct::On(_)) {
            if !select.combined.is_empty() || matches!(select.distinct, Distinct::Rows) {
                return Err("an order of more than rows");
            }
            places = self.sorted(places, &select.order_by, true, around)?;
        }
        if let Distinct::On(keys) = &select.distinct {
            places = self.first_of_each(places, keys, around)?;
        }
        let mut rows = Vec::new();
        for place in places {
            rows.push(self.projected(&select.projection, &within(around, place))?);
        }
        if matches!(select.distinct, Distinct::Rows) {
            rows = distinct(rows);
        }
        for (operator, other) in &select.combined {
            rows = combined(rows, *operator, self.select(*other, around)?);
        }
        let offset = self.number(select.offset)?.unwrap_or(0);
        let limit = self.number(select.limit)?.unwrap_or(usize::MAX);
        Ok(rows.into_iter().skip(offset).take(limit).collect())
    }

    /// The rows of a select that its filter lets pass, or groups of them.
    fn places(self, select: &'a Select, around: &Around<'a>) -> Result<Vec<Place<'a>>> {
        let model = self.model(&select.model)?;
        let mut rows = Vec::new();
        for row in self.joined(select, model, around)? {
            let place = Place { model, row: Some(row), rows: vec![] };
            if self.holds(select.filter, &within(around, place))? {
                rows.push(row);
            }
        }
        let outputs = match &select.projection {
            Projection::Outputs(outputs) => outputs.as_slice(),
            _ => &[],
        };
        let aggregates = outputs.iter().any(|it| self.aggregates(it.expression));
        if select.group_by.is_empty() && !aggregates {
            let place = |row: &Joined<'a>| Place { model, row: Some(*row), rows: rows.clone() };
            return Ok(rows.iter().map(place).collect());
        }
        let mut groups: BTreeMap<String, Vec<Joined<'_>>> = BTreeMap::new();
        if select.group_by.is_empty() {
            groups.insert(String::new(), vec![]);
        }
        for row in rows {
            let place = Place { model, row: Some(row), rows: vec![] };
            let key = self.values(&select.group_by, &within(around, place))?;
            let key = if key.is_empty() { String::new() } else { format!("{key:?}") };
            groups.entry(key).or_default().push(row);
        }
        let mut places = Vec::new();
        for rows in groups.into_values() {
            let place = Place { model, row: rows.first().copied(), rows };
            if self.holds(select.having, &within(around, place.clone()))? {
                places.push(place);
            }
        }
        Ok(places)
    }

    /// The rows of a select's model, with those of the common table that it joins.
    fn joined(
        self,
        select: &'a Select,
        model: &'a Model,
        around: &Around<'a>,
    ) -> Result<Vec<Joined<'a>>> {
        let rows = self.rows(model).iter();
        let join = match select.joins.as_slice() {
            [] => return Ok(rows.map(Joined::alone).collect()),
            [join] => join,
            _ => return Err("several joins"),
        };
        let table = self.model(&join.table)?;
        let mut found = Vec::new();
        for row in rows {
            for other in self.rows(table) {
                let row = Joined { row, beside: Some((table, other)) };
                let place = Place { model, row: Some(row), rows: vec![] };
                if self.holds(Some(join.on), &within(around, place))? {
                    found.push(row);
                }
            }
        }
        Ok(found)
    }

    fn aggregates(self, node: NodeRef) -> bool {
        let any = |nodes: &[NodeRef]| nodes.iter().any(|it| self.aggregates(*it));
        match self.node(node) {
            Node::Aggregate(_) => true,
            Node::Unary((_, operand)) => any(&[*operand]),
            Node::Binary((_, left, right)) => any(&[*left, *right]),
            Node::Call(call) => any(&call.arguments),
            _ => false,
        }
    }

    fn projected(self, projection: &Projection, around: &Around<'a>) -> Result<Vec<Value>> {
        match projection {
            Projection::Outputs(outputs) => {
                outputs.iter().map(|it| self.value(it.expression, around)).collect()
            }
            Projection::Fields(names) => {
                let row = around.last().and_then(|it| it.row).ok_or("no row")?.row;
                names.iter().map(|it| row.get(it).cloned().ok_or("no such field")).collect()
            }
            Projection::Model => Err("a whole model"),
        }
    }

    /// In an order; rows that tie by their primary key, where `keys` says so.
    fn sorted(
        self,
        places: Vec<Place<'a>>,
        terms: &[OrderTerm],
        keys: bool,
        around: &Around<'a>,
    ) -> Result<Vec<Place<'a>>> {
        let mut keyed = Vec::new();
        for place in places {
            keyed.push((self.order_key(&place, terms, around)?, place));
        }
        keyed.sort_by(|(left, one), (right, other)| {
            let order = compare_keys(left, right, terms);
            if keys { order.then_with(|| compare_rows(one, other)) } else { order }
        });
        Ok(keyed.into_iter().map(|(_, place)| place).collect())
    }

    fn order_key(
        self,
        place: &Place<'a>,
        terms: &[OrderTerm],
        around: &Around<'a>,
    ) -> Result<Vec<Value>> {
        let inner = within(around, place.clone());
        terms
            .iter()
            .map(|term| {
                let value = self.value(term.expression, &inner)?;
                Ok(match (self.node(term.expression), value) {
                    // An enum, in the order of its declaration.
                    (Node::Field(path), Value::Text(text)) if path.field == "mood" => {
                        let mut values = self.memory.schema.enums[0].values.iter();
                        let place = values.position(|it| *it == text).ok_or("no such value")?;
                        Value::Integer(i64::try_from(place).map_err(|_| "too many values")?)
                    }
                    (_, value) => value,
                })
            })
            .collect()
    }

    fn first_of_each(
        self,
        places: Vec<Place<'a>>,
        keys: &[NodeRef],
        around: &Around<'a>,
    ) -> Result<Vec<Place<'a>>> {
        let mut seen = BTreeSet::new();
        let mut first = Vec::new();
        for place in places {
            let key = self.values(keys, &within(around, place.clone()))?;
            if seen.insert(format!("{key:?}")) {
                first.push(place);
            }
        }
        // Windows look at the rows that are kept.
        let rows: Vec<_> = first.iter().filter_map(|it| it.row).collect();
        first.iter_mut().for_each(|it| it.rows.clone_from(&rows));
        Ok(first)
    }

    fn number(self, node: Option<NodeRef>) -> Result<Option<usize>> {
        let Some(node) = node else { return Ok(None) };
        match self.value(node, &[])? {
            Value::Integer(number) => usize::try_from(number).map(Some).map_err(|_| "negative"),
            _ => Err("no number"),
        }
    }

    // Expressions.

    fn values(self, nodes: &[NodeRef], around: &Around<'a>) -> Result<Vec<Value>> {
        nodes.iter().map(|it| self.value(*it, around)).collect()
    }

    /// Whether a condition holds: null does not.
    fn holds(self, condition: Option<NodeRef>, around: &Around<'a>) -> Result<bool> {
        match condition {
            Some(condition) => Ok(self.value(condition, around)? == Value::Boolean(true)),
            None => Ok(true),
        }
    }

    fn value(self, node: NodeRef, around: &Around<'a>) -> Result<Value> {
        let of = |node: &NodeRef| self.value(*node, around);
        Ok(match self.node(node) {
            Node::Literal(Literal::Null) => Value::Null,
            Node::Literal(Literal::Boolean(truth)) => Value::Boolean(*truth),
            Node::Literal(Literal::Integer(number)) => Value::Integer(*number),
            Node::Literal(Literal::Star) => Value::Boolean(true),
            Node::Parameter(it) => self.parameters[it.index as usize].clone(),
            Node::Field(path) => self.field(path, around)?,
            Node::Unary((operator, operand)) => unary(*operator, of(operand)?)?,
            Node::Binary((operator, left, right)) => binary(*operator, &of(left)?, &of(right)?)?,
            Node::Between((value, lower, upper)) => {
                let value = of(value)?;
                let above = binary(B::GreaterOrEqual, &value, &of(lower)?)?;
                all([above, binary(B::LessOrEqual, &value, &of(upper)?)?])
            }
            Node::AllOf(terms) => all(self.values(terms, around)?),
            Node::AnyOf(terms) => not(&all(self.values(terms, around)?.iter().map(not))),
            Node::Call(call) => self.call(call, around)?,
            Node::Case(case) => {
                for branch in &case.branches {
                    if self.holds(Some(branch.when), around)? {
                        return of(&branch.then);
                    }
                }
                case.otherwise.as_ref().map_or(Ok(Value::Null), of)?
            }
            Node::Aggregate(aggregate) => self.aggregate(aggregate, around)?,
            Node::Window(window) => self.window(window, around)?,
            Node::Related(related) => Value::Boolean(self.related(related, around)?),
            Node::Exists(select) => Value::Boolean(!self.select(*select, around)?.is_empty()),
            Node::Subquery(select) => {
                let rows = self.select(*select, around)?;
                rows.into_iter().flatten().next().unwrap_or(Value::Null)
            }
            Node::InSelect((value, select)) => {
                let value = of(value)?;
                among(&value, self.select(*select, around)?.into_iter().flatten())?
            }
            _ => return Err("an expression that is not known"),
        })
    }

    fn field(self, path: &Path, around: &Around<'a>) -> Result<Value> {
        let inner = around.len().checked_sub(1 + usize::from(path.outer)).ok_or("no row around")?;
        let Place { model, row, .. } = &around[inner];
        let Joined { mut row, beside } = row.ok_or("a field of no row")?;
        let mut model = *model;
        let mut relations = path.relations.iter().peekable();
        if let Some((table, other)) = beside
            && relations.next_if(|it| **it == table.name).is_some()
        {
            (model, row) = (table, other);
        }
        for relation in relations {
            let (target, rows) = self.follow(model, row, relation)?;
            let Some(next) = rows.first() else { return Ok(Value::Null) };
            (model, row) = (target, *next);
        }
        row.get(&path.field).cloned().ok_or("no such field")
    }

    /// The rows that a relation leads to.
    fn follow(
        self,
        model: &'a Model,
        row: &Row,
        relation: &str,
    ) -> Result<(&'a Model, Vec<&'a Row>)> {
        if let Some(key) = model.foreign_keys.iter().find(|it| it.name == relation) {
            let target = self.model(&key.target)?;
            let same = |other: &&Row| {
                key.fields.iter().all(|(own, theirs)| same(row.get(own), other.get(theirs)))
            };
            return Ok((target, self.rows(target).iter().filter(same).collect()));
        }
        for other in &self.memory.schema.models {
            let keys = other.foreign_keys.iter().filter(|it| it.target == model.name);
            let back =
                |it: &&&ferro_wit::schema::ForeignKey| it.reverse.as_deref() == Some(relation);
            if let Some(key) = keys.clone().collect::<Vec<_>>().iter().find(back) {
                let same = |found: &&Row| {
                    key.fields.iter().all(|(own, theirs)| same(row.get(theirs), found.get(own)))
                };
                return Ok((other, self.rows(other).iter().filter(same).collect()));
            }
            for pairs in &other.many_to_manys {
                let back = pairs.target == model.name && pairs.reverse.as_deref() == Some(relation);
                let forth = other.name == model.name && pairs.name == relation;
                if !forth && !back {
                    continue;
                }
                let target = self.model(if forth { &pairs.target } else { &other.name })?;
                let ends = self.pairs(pairs.through.as_deref(), &other.name, &pairs.target)?;
                let ids = ends.into_iter().filter_map(|(one, two)| {
                    let (own, theirs) = if forth { (one, two) } else { (two, one) };
                    same(row.get("id"), Some(&own)).then_some(theirs)
                });
                let ids: Vec<_> = ids.collect();
                let linked = |it: &&Row| it.get("id").is_some_and(|id| ids.contains(id));
                return Ok((target, self.rows(target).iter().filter(linked).collect()));
            }
        }
        Err("no such relation")
    }

    fn pairs(
        self,
        through: Option<&str>,
        source: &str,
        target: &str,
    ) -> Result<Vec<(Value, Value)>> {
        let Some(through) = through else { return Ok(self.memory.pairs.clone()) };
        let model = self.model(through)?;
        let field = |to: &str| {
            let key = model.foreign_keys.iter().find(|it| it.target == to);
            key.map(|it| it.fields[0].0.as_str()).ok_or("no such key")
        };
        let (one, two) = (field(source)?, field(target)?);
        Ok(self.rows(model).iter().map(|it| (it[one].clone(), it[two].clone())).collect())
    }

    fn related(self, related: &Related, around: &Around<'a>) -> Result<bool> {
        let place = around.last().ok_or("no row")?;
        let mut ends = vec![(place.model, place.row.ok_or("no row")?.row)];
        for relation in &related.relations {
            let mut next = Vec::new();
            for (model, row) in ends {
                let (target, rows) = self.follow(model, row, relation)?;
                next.extend(rows.into_iter().map(|row| (target, row)));
            }
            ends = next;
        }
        let (mut hold, all) = (0, ends.len());
        for (model, row) in ends {
            let place = Place { model, row: Some(Joined::alone(row)), rows: vec![] };
            hold += usize::from(self.holds(related.condition, &within(around, place))?);
        }
        Ok(match related.quantifier {
            Quantifier::Any => hold > 0,
            Quantifier::None => hold == 0,
            Quantifier::All => hold == all,
        })
    }

    fn call(self, call: &FunctionCall, around: &Around<'a>) -> Result<Value> {
        let arguments = self.values(&call.arguments, around)?;
        Ok(match (call.name.as_str(), arguments.as_slice()) {
            ("coalesce", values) => {
                values.iter().find(|it| **it != Value::Null).cloned().unwrap_or(Value::Null)
            }
            (_, [Value::Null]) => Value::Null,
            ("length", [Value::Text(text)]) => integer(text.chars().count())?,
            ("lower", [Value::Text(text)]) => text.to_ascii_lowercase().into(),
            ("upper", [Value::Text(text)]) => text.to_ascii_uppercase().into(),
            ("trim", [Value::Text(text)]) => text.trim_matches(' ').into(),
            _ => return Err("a function that is not known"),
        })
    }

    fn aggregate(self, aggregate: &Aggregate, around: &Around<'a>) -> Result<Value> {
        let (place, outer) = around.split_last().ok_or("no group")?;
        let mut rows = Vec::new();
        for row in &place.rows {
            let row = Place { model: place.model, row: Some(*row), rows: vec![] };
            if self.holds(aggregate.filter, &within(outer, row.clone()))? {
                rows.push(row);
            }
        }
        let mut values = Vec::new();
        for row in self.sorted(rows, &aggregate.order_by, true, outer)? {
            values.push(self.value(aggregate.argument, &within(outer, row))?);
        }
        values.retain(|it| *it != Value::Null);
        if aggregate.distinct {
            let mut seen = BTreeSet::new();
            values.retain(|it| seen.insert(format!("{it:?}")));
        }
        if aggregate.function == AggregateFunction::ArrayAgg {
            return listed(values);
        }
        let Some(separator) = aggregate.separator else {
            return aggregated(aggregate.function, values);
        };
        let separator = self.value(separator, around)?;
        let between =
            |one, other: Value| binary(B::Concat, &binary(B::Concat, &one, &separator)?, &other);
        let mut values = values.into_iter();
        let first = values.next().unwrap_or(Value::Null);
        values.try_fold(first, between)
    }

    fn window(self, window: &Window, around: &Around<'a>) -> Result<Value> {
        let (place, outer) = around.split_last().ok_or("no row")?;
        let part = self.values(&window.partition_by, around)?;
        let mut rows = Vec::new();
        for row in &place.rows {
            let row = Place { model: place.model, row: Some(*row), rows: vec![] };
            if self.values(&window.partition_by, &within(outer, row.clone()))? == part {
                rows.push(row);
            }
        }
        let rows = self.sorted(rows, &window.order_by, true, outer)?;
        let is_here =
            |it: &Place<'_>| it.row.zip(place.row).is_some_and(|(one, other)| one.is(other));
        let here = rows.iter().position(is_here).ok_or("a row outside of its window")?;
        let key = self.order_key(place, &window.order_by, outer)?;
        let mut orders = Vec::new();
        for row in &rows {
            let other = self.order_key(row, &window.order_by, outer)?;
            orders.push(compare_keys(&other, &key, &window.order_by));
        }
        let argument = |row: &Place<'a>| match window.arguments.first() {
            Some(argument) => self.value(*argument, &within(outer, row.clone())),
            None => Ok(Value::Null),
        };
        let is_of_row =
            matches!(window.function.as_str(), "first-value" | "last-value" | "nth-value");
        let taken: Vec<_> = match &window.frame {
            Some(frame) => self.framed(frame, &rows, here, &window.order_by, outer)?,
            None if is_of_row => rows.clone(),
            // Up to this row, and those that tie with it.
            None => {
                let up_to_ties = rows.iter().zip(&orders).filter(|(_, order)| order.is_le());
                up_to_ties.map(|(row, _)| row.clone()).collect()
            }
        };
        let values = taken.iter().map(argument).collect::<Result<Vec<_>>>()?;
        let values: Vec<_> = values.into_iter().filter(|it| *it != Value::Null).collect();
        match window.function.as_str() {
            "row-number" => integer(here + 1),
            "rank" => integer(1 + orders.iter().filter(|it| it.is_lt()).count()),
            "dense-rank" => {
                let mut places = Vec::new();
                for (row, _) in rows.iter().zip(&orders).filter(|(_, order)| order.is_lt()) {
                    places.push(self.order_key(row, &window.order_by, outer)?);
                }
                places.dedup();
                integer(1 + places.len())
            }
            #[allow(clippy::cast_precision_loss, reason = "the numbers are small")]
            "percent-rank" => {
                let below = orders.iter().filter(|it| it.is_lt()).count();
                Ok(Value::Float(below as f64 / rows.len().saturating_sub(1).max(1) as f64))
            }
            #[allow(clippy::cast_precision_loss, reason = "the numbers are small")]
            "cume-dist" => {
                let up_to = orders.iter().filter(|it| it.is_le()).count();
                Ok(Value::Float(up_to as f64 / rows.len() as f64))
            }
            "ntile" => {
                let Value::Integer(groups) = argument(&rows[here])? else {
                    return Err("no number");
                };
                let groups = usize::try_from(groups).map_err(|_| "no number")?;
                let (size, larger) = (rows.len() / groups, rows.len() % groups);
                let in_larger = larger * (size + 1);
                integer(match here < in_larger {
                    true => here / (size + 1) + 1,
                    false => larger + (here - in_larger) / size + 1,
                })
            }
            "nth-value" => {
                let number = self.number(window.arguments.get(1).copied())?.unwrap_or(0);
                taken.get(number.wrapping_sub(1)).map_or(Ok(Value::Null), argument)
            }
            "lag" => here.checked_sub(1).map_or(Ok(Value::Null), |it| argument(&rows[it])),
            "lead" => rows.get(here + 1).map_or(Ok(Value::Null), argument),
            "first-value" => taken.first().map_or(Ok(Value::Null), argument),
            "last-value" => taken.last().map_or(Ok(Value::Null), argument),
            "sum" => aggregated(AggregateFunction::Sum, values),
            "average" => aggregated(AggregateFunction::Average, values),
            "minimum" => aggregated(AggregateFunction::Minimum, values),
            "maximum" => aggregated(AggregateFunction::Maximum, values),
            "count" => aggregated(AggregateFunction::Count, values),
            _ => Err("a window function that is not known"),
        }
    }

    /// The rows of a frame, of those of a partition in their order.
    fn framed(
        self,
        frame: &Frame,
        rows: &[Place<'a>],
        here: usize,
        terms: &[OrderTerm],
        outer: &Around<'a>,
    ) -> Result<Vec<Place<'a>>> {
        // What the bounds count: the number of each row, or of the group that it is in.
        let mut numbers = Vec::new();
        let mut former: Option<Vec<Value>> = None;
        for (place, row) in rows.iter().enumerate() {
            let key = self.order_key(row, terms, outer)?;
            let last = numbers.last().copied().unwrap_or(0);
            let ties = former.is_some_and(|it| compare_keys(&it, &key, terms).is_eq());
            numbers.push(match frame.unit {
                FrameUnit::Rows => i64::try_from(place).map_err(|_| "too many rows")?,
                FrameUnit::Groups => last + i64::from(!ties),
            });
            former = Some(key);
        }
        let inside = |number: i64| {
            let distance = number - numbers[here];
            frame.start.is_none_or(|it| distance >= it) && frame.end.is_none_or(|it| distance <= it)
        };
        let taken = rows.iter().zip(&numbers).filter(|(_, number)| inside(**number));
        Ok(taken.map(|(row, _)| row.clone()).collect())
    }
}

fn within<'a>(around: &Around<'a>, place: Place<'a>) -> Vec<Place<'a>> {
    around.iter().cloned().chain([place]).collect()
}

fn integer(number: usize) -> Result<Value> {
    i64::try_from(number).map(Value::Integer).map_err(|_| "past 64 bits")
}

/// The same value; null is the same as nothing.
fn same(one: Option<&Value>, other: Option<&Value>) -> bool {
    one == other && one.is_some_and(|it| *it != Value::Null)
}

fn compare(one: &Value, other: &Value) -> Result<Ordering> {
    match (one, other) {
        (Value::Integer(one), Value::Integer(other)) => Ok(one.cmp(other)),
        (Value::Text(one), Value::Text(other)) => Ok(one.as_bytes().cmp(other.as_bytes())),
        (Value::Boolean(one), Value::Boolean(other)) => Ok(one.cmp(other)),
        _ => Err("values of two types"),
    }
}

fn compare_keys(left: &[Value], right: &[Value], terms: &[OrderTerm]) -> Ordering {
    let pairs = left.iter().zip(right).zip(terms);
    let mut orders = pairs.map(|((left, right), term)| {
        let nulls = (*left == Value::Null).cmp(&(*right == Value::Null));
        let nulls = if term.nulls == NullsOrder::First { nulls.reverse() } else { nulls };
        let values = compare(left, right).unwrap_or(Ordering::Equal);
        nulls.then(if term.descending { values.reverse() } else { values })
    });
    orders.find(|it| it.is_ne()).unwrap_or(Ordering::Equal)
}

/// By the primary key.
fn compare_rows(one: &Place<'_>, other: &Place<'_>) -> Ordering {
    let (Some(left), Some(right)) = (one.row, other.row) else { return Ordering::Equal };
    let (left, right) = (left.row, right.row);
    let mut orders = one
        .model
        .primary_key
        .iter()
        .map(|key| compare(&left[key], &right[key]).unwrap_or(Ordering::Equal));
    orders.find(|it| it.is_ne()).unwrap_or(Ordering::Equal)
}

fn not(value: &Value) -> Value {
    match value {
        Value::Boolean(truth) => Value::Boolean(!truth),
        _ => Value::Null,
    }
}

/// False if one is, else null if one is, else true.
fn all(values: impl IntoIterator<Item = Value>) -> Value {
    let values: Vec<_> = values.into_iter().collect();
    match values {
        _ if values.contains(&Value::Boolean(false)) => Value::Boolean(false),
        _ if values.contains(&Value::Null) => Value::Null,
        _ => Value::Boolean(true),
    }
}

fn unary(operator: U, value: Value) -> Result<Value> {
    Ok(match (operator, value) {
        (U::Not, value) => not(&value),
        (U::IsNull, value) => Value::Boolean(value == Value::Null),
        (U::IsNotNull, value) => Value::Boolean(value != Value::Null),
        (U::IsTrue, value) => Value::Boolean(value == Value::Boolean(true)),
        (U::IsFalse, value) => Value::Boolean(value == Value::Boolean(false)),
        (U::Negate, Value::Integer(number)) => {
            Value::Integer(number.checked_neg().ok_or("past 64 bits")?)
        }
        (U::Negate, Value::Null) => Value::Null,
        (U::Negate, _) => return Err("no number"),
    })
}

fn binary(operator: B, left: &Value, right: &Value) -> Result<Value> {
    match (operator, right) {
        (B::IsDistinct, _) => return Ok(Value::Boolean(left != right)),
        (B::IsNotDistinct, _) => return Ok(Value::Boolean(left == right)),
        (B::InList | B::NotInList, Value::Array(list)) => {
            let list = (0..list.len()).filter_map(|it| list.get(it));
            let found = among(left, list)?;
            return Ok(if operator == B::InList { found } else { not(&found) });
        }
        _ => {}
    }
    if *left == Value::Null || *right == Value::Null {
        return Ok(Value::Null);
    }
    if let (Value::Integer(one), Value::Integer(other)) = (left, right) {
        let (one, other) = (*one, *other);
        let number = match operator {
            B::Divide | B::Modulo if other == 0 => return Ok(Value::Null),
            B::Add => one.checked_add(other),
            B::Subtract => one.checked_sub(other),
            B::Multiply => one.checked_mul(other),
            B::Divide => one.checked_div(other),
            B::Modulo => one.checked_rem(other),
            _ => return compared(operator, compare(left, right)?),
        };
        return number.map(Value::Integer).ok_or("past 64 bits");
    }
    if let (Value::Text(one), Value::Text(other)) = (left, right) {
        return Ok(Value::Boolean(match operator {
            B::Concat => return Ok(format!("{one}{other}").into()),
            B::Contains => one.contains(other.as_str()),
            B::StartsWith => one.starts_with(other.as_str()),
            B::EndsWith => one.ends_with(other.as_str()),
            B::Like => like(one.as_bytes(), other.as_bytes()),
            B::Ilike => {
                like(one.to_ascii_lowercase().as_bytes(), other.to_ascii_lowercase().as_bytes())
            }
            _ => return compared(operator, compare(left, right)?),
        }));
    }
    compared(operator, compare(left, right)?)
}

fn compared(operator: B, order: Ordering) -> Result<Value> {
    Ok(Value::Boolean(match operator {
        B::Equal => order.is_eq(),
        B::NotEqual => order.is_ne(),
        B::Less => order.is_lt(),
        B::LessOrEqual => order.is_le(),
        B::Greater => order.is_gt(),
        B::GreaterOrEqual => order.is_ge(),
        _ => return Err("an operator that is not known"),
    }))
}

/// Patterns without escapes, over ASCII.
fn like(text: &[u8], pattern: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'%', rest)) => (0..=text.len()).any(|it| like(&text[it..], rest)),
        Some((first, rest)) => match text.split_first() {
            Some((other, more)) => (*first == b'_' || first == other) && like(more, rest),
            None => false,
        },
    }
}

/// Whether a value is one of a list: null where only a null in it could make the difference.
fn among(value: &Value, list: impl IntoIterator<Item = Value>) -> Result<Value> {
    let mut found = Vec::new();
    for other in list {
        found.push(not(&binary(B::Equal, value, &other)?));
    }
    Ok(not(&all(found)))
}

/// Of values without nulls.
fn aggregated(function: AggregateFunction, values: Vec<Value>) -> Result<Value> {
    use AggregateFunction as A;
    let count = values.len();
    if function == A::Count {
        return integer(count);
    }
    let mut result: Option<Value> = None;
    for value in values {
        let Some(former) = result else {
            result = Some(value);
            continue;
        };
        result = Some(match function {
            A::Minimum if compare(&value, &former)?.is_lt() => value,
            A::Maximum if compare(&value, &former)?.is_gt() => value,
            A::Sum | A::Average => binary(B::Add, &former, &value)?,
            _ => former,
        });
    }
    match (function, result) {
        (_, None) => Ok(Value::Null),
        #[allow(clippy::cast_precision_loss, reason = "the numbers are small")]
        (A::Average, Some(Value::Integer(sum))) => Ok(Value::Float(sum as f64 / count as f64)),
        (A::Average, _) => Err("no number"),
        (_, Some(value)) => Ok(value),
    }
}

/// A list of integers, none of them null; null for none at all.
fn listed(values: Vec<Value>) -> Result<Value> {
    let mut list = Scalars::with_kind(ScalarType::Integer);
    for value in values {
        list.push(value).map_err(|_| "no integer")?;
    }
    Ok(if list.is_empty() { Value::Null } else { Value::Array(list) })
}

fn distinct(rows: Vec<Vec<Value>>) -> Vec<Vec<Value>> {
    let mut seen = BTreeSet::new();
    rows.into_iter().filter(|it| seen.insert(format!("{it:?}"))).collect()
}

fn combined(
    rows: Vec<Vec<Value>>,
    operator: SetOperator,
    others: Vec<Vec<Value>>,
) -> Vec<Vec<Value>> {
    match operator {
        SetOperator::UnionAll => [rows, others].concat(),
        SetOperator::Union => distinct([rows, others].concat()),
        SetOperator::Intersect => {
            distinct(rows.into_iter().filter(|it| others.contains(it)).collect())
        }
        SetOperator::Except => {
            distinct(rows.into_iter().filter(|it| !others.contains(it)).collect())
        }
    }
}
