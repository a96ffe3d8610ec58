//! Queries inside expressions.

use super::{Condition, Expr, expr};
use crate::query::Query;
use crate::row::Selected;
use crate::scalar::Field;
use crate::tree::Tree;

/// Whether another query has a row. It refers to the enclosing row with [`outer`](super::outer).
///
/// ```
/// use ferro::prelude::*;
/// use ferro::{exists, outer};
///
/// # #[derive(Model, Debug, Clone)]
/// # struct Country { #[ferro(key)] iso: String, name: String }
/// # #[derive(Model, Debug, Clone)]
/// # struct City { #[ferro(key)] id: i64, name: String, country: String }
/// let namesakes = City::query().filter(City::name().eq(outer(Country::name())));
/// let _ = Country::query().filter(exists(namesakes));
/// ```
///
/// For the rows of a relation, use [`any`](crate::ToMany::any).
pub fn exists<M, N, O>(query: Query<N, O>) -> Condition<M> {
    expr(Tree::Exists(Box::new(query.into_tree())))
}

/// The value in the first row of another query, which selects one expression; null if it has no
/// row. It can also be used in updates.
///
/// ```
/// use ferro::prelude::*;
/// use ferro::subquery;
///
/// # #[derive(Model, Debug, Clone)]
/// # struct City { #[ferro(key)] id: i64, population: i64 }
/// let average = City::query().select(City::population().average());
/// let _ = City::query().filter(City::population().cast::<f64>().gt(subquery(average)));
/// ```
pub fn subquery<M, N, F: Field>(query: Query<N, Selected<F>>) -> Expr<M, Option<F::Base>> {
    expr(Tree::Subquery(Box::new(query.into_tree())))
}
