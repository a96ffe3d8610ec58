//! Conditions, calculations, orders and assignments over the fields of a model, typed by field and
//! model.

mod aggregate;
mod case;
mod document;
mod moment;
mod number;
mod operand;
mod operators;
mod order;
mod subquery;
mod text;
mod window;

use std::fmt;
use std::marker::PhantomData;

use ferro_wit::query::{BinaryOperator, Literal, UnaryOperator};
use ferro_wit::types::Value;

use crate::query::Query;
use crate::row::Selected;
use crate::scalar::{Field, Scalar, Storable, scalars};
use crate::tree::{Steps, Tree};

pub use self::aggregate::{Aggregate, AggregateExpression, Collected, count};
pub use self::case::{Case, case};
pub use self::document::{ArrayExpression, JsonExpression, Part, PartOfDocument};
pub use self::moment::{Dated, MomentExpression, Timed};
pub use self::number::{Additive, Fractional, NumberExpression, Numeric};
pub use self::operand::{IntoExpr, Listed, Operand, Outer, Settable, outer, value};
pub use self::order::Order;
pub use self::subquery::{exists, subquery};
pub use self::text::TextExpression;
pub use self::window::{
    Window, WindowFunction, cume_dist, dense_rank, first_value, lag, lag_by, lag_or, last_value,
    lead, lead_by, lead_or, nth_value, ntile, partition_by, percent_rank, rank, row_number, window,
};

/// A field of a model `M`, whose Rust type is `T`.
///
/// `#[derive(Model)]` makes a function for each field that returns its column: `City::name()`.
/// What can be done with it is in [`Expression`] and the traits beside it; arithmetic works with
/// `+ - * / %`. A division by zero is null: where it may happen, `case(b().ne(0), a() / b()).or_null()`
/// has a type for that.
pub struct Column<M, T> {
    name: &'static str,
    types: PhantomData<fn() -> (M, T)>,
}

/// An expression over the fields of a model `M`, of type `T`.
#[must_use = "an expression does nothing until a query uses it"]
pub struct Expr<M, T> {
    tree: Tree,
    types: PhantomData<fn() -> (M, T)>,
}

/// What a filter takes: an expression that holds or not. Combine with `&`, `|` and `!`.
///
/// As in SQL, a comparison with a null is neither true nor false, and such a row is not selected,
/// by `!` of it neither.
pub type Condition<M> = Expr<M, bool>;

/// A new value for a field, in an update.
#[must_use = "an assignment does nothing until an update uses it"]
pub struct Assignment<M> {
    pub(crate) field: &'static str,
    pub(crate) tree: Tree,
    model: PhantomData<fn() -> M>,
}

impl<M, T> Column<M, T> {
    /// For the code that `#[derive(Model)]` writes.
    #[doc(hidden)]
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, types: PhantomData }
    }

    /// The field's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// Give the field a value, or the value of an expression, in an update.
    pub fn set<V: Settable<M, T>>(self, value: V) -> Assignment<M> {
        Assignment::new(self.name, value.into_tree())
    }
}

impl<M> Assignment<M> {
    pub(crate) fn new(field: &'static str, tree: Tree) -> Self {
        Self { field, tree, model: PhantomData }
    }
}

impl<M, T> Expr<M, T> {
    /// A field across relations: for the code that `#[derive(Model)]` writes.
    #[doc(hidden)]
    pub fn across(relations: Steps, name: &'static str) -> Self {
        expr(Tree::Field { relations, name })
    }
}

/// What columns and expressions have in common.
///
/// The values that they are compared with have the type of the field, without its `Option`, or are
/// other expressions of that type. A `None` is the null of that type: `eq(None)` means `is null`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an expression over the fields of a model",
    label = "expected a column, or an expression such as `City::name().eq(\"Paris\")`",
    note = "conditions are combined with `&`, `|` and `!`; `&&` and `||` are for `bool`"
)]
#[expect(
    clippy::wrong_self_convention,
    reason = "columns are copied, and expressions are consumed"
)]
pub trait Expression: Sized {
    /// The model whose fields the expression is over.
    type Model;
    /// The Rust type of its values.
    type Type: Field;

    /// For this crate.
    #[doc(hidden)]
    fn into_tree(self) -> Tree;

    /// Equal to. With `None`: is null.
    fn eq<V: Operand<Self::Model, Base<Self>>>(self, value: V) -> Condition<Self::Model> {
        match value.into_tree() {
            tree if tree.is_null() => self.is_null(),
            tree => expr(Tree::binary(BinaryOperator::Equal, self.into_tree(), tree)),
        }
    }

    /// Not equal to. With `None`: is not null. A null is not equal to nothing: see
    /// [`is_distinct_from`](Self::is_distinct_from).
    fn ne<V: Operand<Self::Model, Base<Self>>>(self, value: V) -> Condition<Self::Model> {
        match value.into_tree() {
            tree if tree.is_null() => self.is_not_null(),
            tree => expr(Tree::binary(BinaryOperator::NotEqual, self.into_tree(), tree)),
        }
    }

    /// Not equal to, where null is a value like any other.
    fn is_distinct_from<V: Operand<Self::Model, Base<Self>>>(
        self,
        value: V,
    ) -> Condition<Self::Model> {
        binary(BinaryOperator::IsDistinct, self, value)
    }

    /// Equal to, where null is a value like any other.
    ///
    /// ```
    /// # use ferro::prelude::*;
    /// # #[derive(Model, Debug, Clone)]
    /// # struct Visit { #[ferro(key)] id: i64, from: Option<String>, to: Option<String> }
    /// // Also where both are null, which `eq` leaves out.
    /// let _ = Visit::query().filter(Visit::from().is_not_distinct_from(Visit::to()));
    /// ```
    fn is_not_distinct_from<V: Operand<Self::Model, Base<Self>>>(
        self,
        value: V,
    ) -> Condition<Self::Model> {
        binary(BinaryOperator::IsNotDistinct, self, value)
    }

    /// Less than.
    fn lt<V: Operand<Self::Model, Base<Self>>>(self, value: V) -> Condition<Self::Model> {
        binary(BinaryOperator::Less, self, value)
    }

    /// Less than or equal to.
    fn le<V: Operand<Self::Model, Base<Self>>>(self, value: V) -> Condition<Self::Model> {
        binary(BinaryOperator::LessOrEqual, self, value)
    }

    /// Greater than.
    fn gt<V: Operand<Self::Model, Base<Self>>>(self, value: V) -> Condition<Self::Model> {
        binary(BinaryOperator::Greater, self, value)
    }

    /// Greater than or equal to.
    fn ge<V: Operand<Self::Model, Base<Self>>>(self, value: V) -> Condition<Self::Model> {
        binary(BinaryOperator::GreaterOrEqual, self, value)
    }

    /// From `low` to `high`, both included.
    fn between<L, H>(self, low: L, high: H) -> Condition<Self::Model>
    where
        L: Operand<Self::Model, Base<Self>>,
        H: Operand<Self::Model, Base<Self>>,
    {
        let parts = [self.into_tree(), low.into_tree(), high.into_tree()];
        expr(Tree::Between(Box::new(parts)))
    }

    /// Is null.
    fn is_null(self) -> Condition<Self::Model> {
        expr(Tree::unary(UnaryOperator::IsNull, self.into_tree()))
    }

    /// Is not null.
    fn is_not_null(self) -> Condition<Self::Model> {
        expr(Tree::unary(UnaryOperator::IsNotNull, self.into_tree()))
    }

    /// Of a boolean: holds, where a null does not. Never null itself, so its `!` is the rest of
    /// the rows.
    fn is_true(self) -> Condition<Self::Model>
    where
        Self::Type: Field<Base = bool>,
    {
        expr(Tree::unary(UnaryOperator::IsTrue, self.into_tree()))
    }

    /// Of a boolean: is false, which a null is not. Never null itself.
    fn is_false(self) -> Condition<Self::Model>
    where
        Self::Type: Field<Base = bool>,
    {
        expr(Tree::unary(UnaryOperator::IsFalse, self.into_tree()))
    }

    /// One of the values. No values: nothing is. A `None` among them: or is null.
    fn in_<I>(self, values: I) -> Condition<Self::Model>
    where
        I: IntoIterator,
        I::Item: Listed<Base<Self>>,
        Base<Self>: Scalar,
    {
        let (values, null) = list(values);
        let this = self.into_tree();
        let or_null = null.then(|| Tree::unary(UnaryOperator::IsNull, this.clone()));
        let listed = Tree::binary(BinaryOperator::InList, this, values);
        expr(match or_null {
            Some(or_null) => Tree::AnyOf(vec![listed, or_null]),
            None => listed,
        })
    }

    /// None of the values. No values: everything is. A `None` among them: and is not null.
    fn not_in<I>(self, values: I) -> Condition<Self::Model>
    where
        I: IntoIterator,
        I::Item: Listed<Base<Self>>,
        Base<Self>: Scalar,
    {
        let (values, null) = list(values);
        let this = self.into_tree();
        let not_null = null.then(|| Tree::unary(UnaryOperator::IsNotNull, this.clone()));
        let listed = Tree::binary(BinaryOperator::NotInList, this, values);
        expr(match not_null {
            Some(not_null) => Tree::AllOf(vec![listed, not_null]),
            None => listed,
        })
    }

    /// One of the values of another query, which selects one expression.
    ///
    /// ```
    /// # use ferro::prelude::*;
    /// # #[derive(Model, Debug, Clone)]
    /// # struct Country { #[ferro(key)] iso: String, continent: String }
    /// # #[derive(Model, Debug, Clone)]
    /// # struct City { #[ferro(key)] id: i64, country: String }
    /// let african = Country::query().filter(Country::continent().eq("AF")).select(Country::iso());
    /// let _ = City::query().filter(City::country().in_query(african));
    /// ```
    fn in_query<N, F>(self, query: Query<N, Selected<F>>) -> Condition<Self::Model>
    where
        F: Field<Base = Base<Self>>,
    {
        expr(Tree::InSelect(Box::new((self.into_tree(), query.into_tree()))))
    }

    /// The value, or the other one where it is null. It is nullable only if the other one is.
    ///
    /// ```
    /// # use ferro::prelude::*;
    /// # #[derive(Model, Debug, Clone)]
    /// # struct City { #[ferro(key)] id: i64, name: String, slug: Option<String> }
    /// let _ = City::query().order_by(City::slug().coalesce(City::name()).asc());
    /// ```
    fn coalesce<V>(self, other: V) -> Expr<Self::Model, V::Type>
    where
        V: IntoExpr<Self::Model, Type: Field<Base = Base<Self>>>,
    {
        expr(Tree::Call("coalesce", vec![self.into_tree(), other.into_tree()]))
    }

    /// The value, or null where it is equal to another one.
    fn null_if<V: Operand<Self::Model, Base<Self>>>(
        self,
        other: V,
    ) -> Expr<Self::Model, Option<Base<Self>>> {
        expr(Tree::Call("null-if", vec![self.into_tree(), other.into_tree()]))
    }

    /// The value as another type. From integers to floats, decimals and texts, from booleans to
    /// integers, from decimals to floats and texts, from floats to integers, towards zero, and null
    /// where they are too large; from dates to timestamps, and from those to dates, times and each
    /// other, in UTC. A query with another cast is refused.
    fn cast<T: Scalar>(self) -> Expr<Self::Model, <Self::Type as Field>::With<T>> {
        expr(Tree::Cast(Box::new(self.into_tree()), T::KIND))
    }

    /// From the smallest to the largest, nulls last.
    fn asc(self) -> Order<Self::Model> {
        Order::ascending(self.into_tree(), Self::Type::NULLABLE)
    }

    /// From the largest to the smallest, nulls last.
    fn desc(self) -> Order<Self::Model> {
        Order::ascending(self.into_tree(), Self::Type::NULLABLE).reversed()
    }
}

/// The type of an expression's values, without `Option`.
pub type Base<E> = <<E as Expression>::Type as Field>::Base;

/// An expression whose type is `T`, and null where `E` is null.
pub type Like<E, T> = Expr<<E as Expression>::Model, <<E as Expression>::Type as Field>::With<T>>;

impl<M, T: Field> Expression for Column<M, T> {
    type Model = M;
    type Type = T;

    fn into_tree(self) -> Tree {
        Tree::field(self.name)
    }
}

impl<M, T: Field> Expression for Expr<M, T> {
    type Model = M;
    type Type = T;

    fn into_tree(self) -> Tree {
        self.tree
    }
}

impl<M, T> Clone for Column<M, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M, T> Copy for Column<M, T> {}

impl<M, T> fmt::Debug for Column<M, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Column").field(&self.name).finish()
    }
}

impl<M, T> Clone for Expr<M, T> {
    fn clone(&self) -> Self {
        expr(self.tree.clone())
    }
}

impl<M, T> fmt::Debug for Expr<M, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tree.fmt(f)
    }
}

impl<M> Clone for Assignment<M> {
    fn clone(&self) -> Self {
        Self::new(self.field, self.tree.clone())
    }
}

impl<M> fmt::Debug for Assignment<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Assignment").field("field", &self.field).field("to", &self.tree).finish()
    }
}

pub(crate) fn expr<M, T>(tree: Tree) -> Expr<M, T> {
    Expr { tree, types: PhantomData }
}

fn binary<E: Expression, V: Operand<E::Model, T>, T>(
    operator: BinaryOperator,
    left: E,
    right: V,
) -> Condition<E::Model> {
    expr(Tree::binary(operator, left.into_tree(), right.into_tree()))
}

/// The values as one array parameter, and whether there was a `None` among them.
fn list<T: Scalar, I: IntoIterator<Item: Listed<T>>>(values: I) -> (Tree, bool) {
    let mut null = false;
    let values: Vec<T> = values
        .into_iter()
        .filter_map(|value| {
            let value = value.into_option();
            null |= value.is_none();
            value
        })
        .collect();
    let value = scalars(values.iter().map(Some)).map(Value::Array);
    (Tree::Value { value, kind: <T as Storable>::KIND, many: true }, null)
}

/// A function of the closed list, null where its first argument is.
fn call<E: Expression, T: Storable, const OTHERS: usize>(
    name: &'static str,
    argument: E,
    others: [Tree; OTHERS],
) -> Like<E, T> {
    expr(Tree::Call(name, std::iter::once(argument.into_tree()).chain(others).collect()))
}

/// A number that is part of a query's shape.
fn literal(number: u32) -> Tree {
    Tree::Literal(Literal::Integer(number.into()))
}
