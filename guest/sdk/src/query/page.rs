//! Pages by key (keyset pagination): each begins after a row, not after a number of rows.

use ferro_wit::position;
use ferro_wit::query::{BinaryOperator, NullsOrder, SetOperator, Statement, UnaryOperator};
use ferro_wit::schema::ColumnType;
use ferro_wit::types::{Batch, Error, ErrorKind, Value};

use super::run::by_key;
use super::{Position, Query};
use crate::model::Model;
use crate::rows;
use crate::session::{Request, Session};
use crate::tree::{Arena, ColumnsTree, DistinctTree, SelectTree, Term, Tree, Unordered};

/// Some rows of a query, and their place among all of its rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<M> {
    /// The rows, in the order of the query.
    pub rows: Vec<M>,
    /// The position of the first row; `None` if there is no row.
    pub start: Option<Position>,
    /// The position of the last row; `None` if there is no row.
    pub end: Option<Position>,
    /// Whether there are further rows in the direction of the page.
    pub more: bool,
}

/// The direction in which a page is read.
#[derive(Clone, Copy, PartialEq)]
enum Direction {
    Forward,
    Backward,
}

impl<M: Model> Query<M> {
    /// Returns the first page, of [`limit`](Self::limit) rows.
    ///
    /// The key is always the last term of the order, so that ties, and nulls, have a defined order.
    /// Each page costs the same, however far it is from the start, and no row is missed or repeated
    /// if others are inserted or deleted meanwhile.
    ///
    /// ```
    /// use ferro::prelude::*;
    ///
    /// # #[derive(Model, Debug, Clone)]
    /// # struct City { #[ferro(key)] id: i64, population: i64 }
    /// async fn every(db: &ferro::Session) -> Result<usize, ferro::Error> {
    ///     let cities = City::query().order_by(City::population().desc()).limit(100);
    ///     let mut page = cities.clone().page(db).await?;
    ///     let mut read = page.rows.len();
    ///     while let Some(end) = page.end.filter(|_| page.more) {
    ///         page = cities.clone().page_after(db, &end).await?;
    ///         read += page.rows.len();
    ///     }
    ///     Ok(read)
    /// }
    /// # let _ = every;
    /// ```
    ///
    /// # Errors
    ///
    /// `invalid-query` for a query with an offset, groups, `distinct` or `distinct_on`, for one
    /// that joins a common table or is combined with another, and for one that is ordered by a
    /// window function: a page reads only the rows after a position. `unsupported` for an order by
    /// an enum, a list or a document, which conditions cannot compare by order; as
    /// [`all`](Self::all).
    pub async fn page(self, db: &Session) -> Result<Page<M>, Error> {
        self.read_page(db, None, Direction::Forward).await
    }

    /// Returns the page after a row of the same query in the same order. A position identifies an
    /// order by the names of its fields, and does not distinguish computed terms.
    ///
    /// # Errors
    ///
    /// `invalid-query` if the position belongs to another order; as [`all`](Self::all).
    pub async fn page_after(self, db: &Session, position: &Position) -> Result<Page<M>, Error> {
        self.read_page(db, Some(position), Direction::Forward).await
    }

    /// Returns the page that ends before a row of the same query in the same order.
    ///
    /// # Errors
    ///
    /// As [`page_after`](Self::page_after).
    pub async fn page_before(self, db: &Session, position: &Position) -> Result<Page<M>, Error> {
        self.read_page(db, Some(position), Direction::Backward).await
    }

    async fn read_page(
        self,
        db: &Session,
        from: Option<&Position>,
        direction: Direction,
    ) -> Result<Page<M>, Error> {
        let mut select = self.into_tree();
        refuse_others(&select)?;
        let limit = select.limit;
        // One more row shows whether there are more.
        select.limit = limit.map(|it| it.saturating_add(1));
        order_by_key::<M>(&mut select);
        refuse_unordered::<M>(&select.order_by)?;
        let order = name_of(&select.order_by);
        if direction == Direction::Backward {
            turn_round(&mut select);
        }
        if let Some(position) = from {
            let values = position.values_in(&order, select.order_by.len())?;
            let beyond = beyond(&select.order_by, values);
            select.filter = Some(beyond.and_former(select.filter.take()));
        }
        select_order::<M>(&mut select);

        let mut arena = Arena::default();
        let select = arena.add_select(select)?;
        let request = Request::new(arena, Statement::Select(select));
        let mut rows = rows::read_all(db.fetch(request).await?, decode::<M>).await?;
        let limit = limit.map_or(usize::MAX, |it| usize::try_from(it).unwrap_or(usize::MAX));
        let more = rows.len() > limit;
        rows.truncate(limit);
        if direction == Direction::Backward {
            rows.reverse();
        }
        let position = |(_, values): &(M, Vec<Value>)| Position::new(&order, values.clone());
        Ok(Page {
            start: rows.first().map(position),
            end: rows.last().map(position),
            more,
            rows: rows.into_iter().map(|(row, _)| row).collect(),
        })
    }
}

/// Rejects queries whose rows a condition on the position would change: groups and distinct rows,
/// offsets, and orders by windows. Python rejects the same.
fn refuse_others(select: &SelectTree) -> Result<(), Error> {
    let joined = (!select.joins.is_empty()).then_some("join");
    let combined = select.combined.iter().map(|(operator, _)| match operator {
        SetOperator::Union => "union",
        SetOperator::UnionAll => "union_all",
        SetOperator::Intersect => "intersect",
        SetOperator::Except => "except",
    });
    let grouped = (!select.group_by.is_empty()).then_some("group_by");
    let having = select.having.as_ref().map(|_| "having");
    let distinct = match select.distinct {
        DistinctTree::No => None,
        DistinctTree::Rows => Some("distinct"),
        DistinctTree::On(_) => Some("distinct_on"),
    };
    let offset = select.offset.map(|_| "offset");
    let others = joined.into_iter().chain(combined).chain(grouped).chain(having);
    let mut asked: Vec<_> = others.chain(distinct).chain(offset).collect();
    asked.dedup();
    let message = if !asked.is_empty() {
        let asked = asked.join("`, `");
        format!("`page` has whole rows, and begins at a row: leave out `{asked}`")
    } else if select.order_by.iter().any(|it| it.tree.has_window()) {
        "a page begins after a row, but a window function depends on all rows: leave it out of \
         `order_by`, or use `ferro::subquery` of a common table, `ferro::common`; `limit` goes with \
         it"
            .to_owned()
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::InvalidQuery, message))
}

/// Rejects values by whose order conditions cannot compare: the next page would be an error. Python
/// rejects the same. Whether an enum across relations is stored as a text is not known here.
fn refuse_unordered<M: Model>(order: &[Term]) -> Result<(), Error> {
    let mut fields = if M::enums().is_empty() { vec![] } else { M::schema().fields };
    fields.retain(|it| matches!(it.kind, ColumnType::Enumeration(_)));
    let is_enum = |tree: &Tree| match tree {
        Tree::Field { relations, name } if relations.is_empty() => {
            fields.iter().any(|it| it.name == *name)
        }
        _ => false,
    };
    for term in order {
        let what = match term.unordered {
            Some(Unordered::List) => "a list",
            Some(Unordered::Document) => "a document",
            Some(Unordered::Enum) if term.tree.any(&is_enum) => "an enum",
            None if is_enum(&term.tree) => "an enum",
            Some(Unordered::Enum) | None => continue,
        };
        let name = match path(&term.tree) {
            Some(path) => format!("`{}.{path}`", M::NAME),
            None => "a computed value".to_owned(),
        };
        let message = format!(
            "{name} is {what}, and a page cannot begin after one in this order: order by other \
             fields, or use `limit` and `offset`"
        );
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    Ok(())
}

/// The path of a field; `None` for other expressions.
fn path(tree: &Tree) -> Option<String> {
    match tree {
        Tree::Field { relations, name } => {
            Some(relations.iter().chain([name]).map(|it| &**it).collect::<Vec<_>>().join("."))
        }
        _ => None,
    }
}

/// Appends the fields of the key to the order, unless they are in it already.
fn order_by_key<M: Model>(select: &mut SelectTree) {
    let ordered = |term: &Term, key: &str| matches!(&term.tree, Tree::Field { relations, name } if relations.is_empty() && *name == key);
    for (name, term) in M::KEY.iter().zip(by_key(M::KEY)) {
        if !select.order_by.iter().any(|it| ordered(it, name)) {
            select.order_by.push(term);
        }
    }
}

/// The name of an order in positions.
fn name_of(order: &[Term]) -> String {
    let name = |term: &Term| {
        let path = path(&term.tree).unwrap_or_else(|| "?".to_owned());
        position::term(&path, term.descending, term.nulls == NullsOrder::First)
    };
    order.iter().map(name).collect::<Vec<_>>().join(",")
}

/// Reverses the order, of nulls as well.
fn turn_round(select: &mut SelectTree) {
    for term in &mut select.order_by {
        term.descending = !term.descending;
        term.nulls = match term.nulls {
            NullsOrder::First => NullsOrder::Last,
            NullsOrder::Last => NullsOrder::First,
        };
    }
}

/// Selects the fields of the model, followed by the terms of the order.
fn select_order<M: Model>(select: &mut SelectTree) {
    let fields = M::FIELDS.iter().map(|&name| (name.into(), Tree::field(name)));
    let terms = select.order_by.iter().enumerate();
    let terms = terms.map(|(number, term)| (format!("order {number}").into(), term.tree.clone()));
    select.columns = ColumnsTree::Outputs(fields.chain(terms).collect());
}

/// Each row, with the values that it is ordered by.
fn decode<M: Model>(batch: &Batch) -> Result<Vec<(M, Vec<Value>)>, Error> {
    let rows = M::decode(batch)?;
    let order = batch.columns.get(M::FIELDS.len()..).unwrap_or_default();
    let values = (0..rows.len())
        .map(|row| order.iter().map(|it| it.get(row).unwrap_or(Value::Null)).collect());
    Ok(rows.into_iter().zip(values).collect())
}

/// The condition that a row comes after one with these values: the first term in which they differ
/// decides.
fn beyond(order: &[Term], values: &[Value]) -> Tree {
    let mut same: Vec<Tree> = Vec::new();
    let mut beyond = Vec::new();
    for (term, value) in order.iter().zip(values) {
        if let Some(later) = later(term, value) {
            beyond.push(Tree::AllOf(same.iter().cloned().chain([later]).collect()));
        }
        same.push(match parameter(value) {
            Some(value) => Tree::binary(BinaryOperator::Equal, term.tree.clone(), value),
            None => Tree::unary(UnaryOperator::IsNull, term.tree.clone()),
        });
    }
    Tree::AnyOf(beyond)
}

/// The condition that a row comes after a value in one term; `None` if no row does.
fn later(term: &Term, value: &Value) -> Option<Tree> {
    let tree = || term.tree.clone();
    match (parameter(value), term.nulls) {
        (None, NullsOrder::Last) => None,
        (None, NullsOrder::First) => Some(Tree::unary(UnaryOperator::IsNotNull, tree())),
        (Some(value), nulls) => {
            let operator = match term.descending {
                true => BinaryOperator::Less,
                false => BinaryOperator::Greater,
            };
            let later = Tree::binary(operator, tree(), value);
            Some(match nulls == NullsOrder::Last && term.nullable {
                true => later.or(Tree::unary(UnaryOperator::IsNull, tree())),
                false => later,
            })
        }
    }
}

fn parameter(value: &Value) -> Option<Tree> {
    let kind = value.kind()?;
    Some(Tree::Value { value: Ok(value.clone()), kind, many: false })
}
