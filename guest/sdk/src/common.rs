//! Common tables: named queries, which other queries read and join.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use ferro_wit::query::SetOperator;

use crate::expression::{Column, Expr};
use crate::model::Model;
use crate::query::Query;
use crate::row::{Output, Row, Selected};
use crate::tree::{CommonTree, SelectTree, Steps};

/// A struct whose fields are columns: with `derive(Row)`, which makes a function for each field that
/// returns its column, or a model.
#[diagnostic::on_unimplemented(
    message = "the fields of a `{Self}` are not columns of a table",
    note = "a common table is made of a struct with `#[derive(ferro::Row)]`, or of a model"
)]
pub trait Record: Row {
    /// The names of its fields, in order.
    const FIELDS: &'static [&'static str];
}

impl<M: Model> Record for M {
    const FIELDS: &'static [&'static str] = <M as Model>::FIELDS;
}

/// A common table, whose rows are of type `R`: created by [`common`] and [`recursive`].
///
/// It can be queried, joined and used in subqueries, any number of times.
#[must_use = "a common table does nothing until a query reads it"]
pub struct Common<R> {
    tree: Arc<CommonTree>,
    rows: PhantomData<fn() -> R>,
}

/// A named query (common table expression), which other queries read like a table.
///
/// ```
/// use ferro::prelude::*;
/// use ferro::Row;
///
/// # #[derive(Model, Debug, Clone)]
/// # struct Country { #[ferro(key)] iso: String, name: String }
/// #[derive(Model, Debug, Clone)]
/// struct City {
///     #[ferro(key)]
///     id: i64,
///     country: String,
///     population: i64,
/// }
///
/// #[derive(Row, Debug)]
/// struct Total {
///     country: String,
///     people: Option<i64>,
/// }
///
/// async fn print(db: &ferro::Session) -> Result<(), ferro::Error> {
///     let totals = City::query()
///         .group_by(City::country())
///         .select(SelectTotal { country: City::country(), people: City::population().sum() });
///     let totals = ferro::common("totals", totals);
///
///     let large = totals.query().filter(Total::people().gt(1_000_000));
///     for total in large.clone().order_by(Total::people().desc()).all(db).await? {
///         println!("{}: {:?}", total.country, total.people);
///     }
///     // Inside another query, and beside the rows of one.
///     let named = Country::query().filter(Country::iso().in_query(large.select(Total::country())));
///     let beside = named.join(&totals, Country::iso().eq(totals.get(Total::country())));
///     for (name, people) in beside.select((Country::name(), totals.get(Total::people()))).all(db).await? {
///         println!("{name}: {people:?}");
///     }
///     Ok(())
/// }
/// # let _ = print;
/// ```
///
/// # Errors
///
/// When a query that reads it runs: `invalid-query` if a model, or another table in the same query,
/// has the same name.
pub fn common<M, O: Output<M, Row: Record>>(
    name: &'static str,
    rows: Query<M, O>,
) -> Common<O::Row> {
    Common::new(CommonTree { name, rows: Some(rows.into_tree()), step: None })
}

/// A recursive common table. It begins with the rows of a query; then the step finds further rows
/// from those found last, until it finds no new ones.
///
/// The step reads the table once, with [`query`](Common::query) or in a [`join`](Query::join). It
/// can have joins, filters and a selection, but no aggregates or window functions.
///
/// ```
/// use ferro::prelude::*;
/// use ferro::{Row, value};
///
/// #[derive(Model, Debug, Clone)]
/// struct Category {
///     #[ferro(key)]
///     id: i64,
///     #[ferro(references = Category)]
///     parent_id: Option<i64>,
///     name: String,
/// }
///
/// #[derive(Row, Debug)]
/// struct Branch {
///     id: i64,
///     name: String,
///     depth: i64,
/// }
///
/// /// A category and all below it, level by level.
/// async fn below(db: &ferro::Session, id: i64) -> Result<Vec<Branch>, ferro::Error> {
///     let root = Category::query().filter(Category::id().eq(id)).select(SelectBranch {
///         id: Category::id(),
///         name: Category::name(),
///         depth: value(0_i64),
///     });
///     let tree = ferro::recursive("tree", root, |tree| {
///         let children = Category::parent_id().eq(tree.get(Branch::id()));
///         Category::query().join(tree, children).select(SelectBranch {
///             id: Category::id(),
///             name: Category::name(),
///             depth: tree.get(Branch::depth()) + 1,
///         })
///     });
///     tree.query().order_by(Branch::depth().asc()).order_by(Branch::name().asc()).all(db).await
/// }
/// # let _ = below;
/// ```
///
/// A cycle ends the recursion if the same rows come again. A column that counts the depth makes
/// them differ, and then the step needs a filter. An endless recursion is stopped at the deadline
/// of its statement.
///
/// # Errors
///
/// As [`common`]; `invalid-query` for an invalid step.
pub fn recursive<M, O, N, P>(
    name: &'static str,
    rows: Query<M, O>,
    step: impl FnOnce(&Common<O::Row>) -> Query<N, P>,
) -> Common<O::Row>
where
    O: Output<M, Row: Record>,
    P: Output<N, Row = O::Row>,
{
    recursion(name, rows, SetOperator::Union, step)
}

/// As [`recursive`], but keeps duplicate rows: for steps that find no row twice, which avoids
/// comparing each row with all others.
///
/// # Errors
///
/// As [`recursive`].
pub fn recursive_all<M, O, N, P>(
    name: &'static str,
    rows: Query<M, O>,
    step: impl FnOnce(&Common<O::Row>) -> Query<N, P>,
) -> Common<O::Row>
where
    O: Output<M, Row: Record>,
    P: Output<N, Row = O::Row>,
{
    recursion(name, rows, SetOperator::UnionAll, step)
}

fn recursion<M, O, N, P>(
    name: &'static str,
    rows: Query<M, O>,
    operator: SetOperator,
    step: impl FnOnce(&Common<O::Row>) -> Query<N, P>,
) -> Common<O::Row>
where
    O: Output<M, Row: Record>,
    P: Output<N, Row = O::Row>,
{
    let itself = Common::new(CommonTree { name, rows: None, step: None });
    let step = step(&itself).into_tree();
    Common::new(CommonTree { name, rows: Some(rows.into_tree()), step: Some((operator, step)) })
}

impl<R: Record> Common<R> {
    fn new(tree: CommonTree) -> Self {
        Self { tree: Arc::new(tree), rows: PhantomData }
    }

    /// Queries all rows of the table.
    pub fn query(&self) -> Query<R, Selected<R>> {
        Query::of(SelectTree::of_common(self.tree.clone(), R::FIELDS))
    }

    /// A column of the table in a query that [`join`](Query::join)s it.
    pub fn get<M, T>(&self, column: Column<R, T>) -> Expr<M, T> {
        Expr::across(Steps::from([self.tree.name]), column.name())
    }

    pub(crate) fn tree(&self) -> Arc<CommonTree> {
        self.tree.clone()
    }
}

impl<R> Clone for Common<R> {
    fn clone(&self) -> Self {
        Self { tree: self.tree.clone(), rows: PhantomData }
    }
}

impl<R> fmt::Debug for Common<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tree.fmt(f)
    }
}
