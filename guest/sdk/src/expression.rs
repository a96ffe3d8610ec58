//! Conditions, arithmetic and assignments over the fields of a model, typed by field and model.

mod operand;

use std::fmt;
use std::marker::PhantomData;
use std::ops;

use ferro_wit::query::{BinaryOperator, NullsOrder, UnaryOperator};
use ferro_wit::types::Value;

use crate::scalar::{Field, Scalar, Storable, scalars};
use crate::tree::Tree;

pub use self::operand::{Listed, Operand, Settable};

/// A field of a model `M`, whose Rust type is `T`.
///
/// `#[derive(Model)]` makes a function for each field that returns its column: `City::name()`.
/// What can be done with it is in [`Expression`]; arithmetic works with `+ - * / %`.
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

/// A term of an `order_by`.
#[must_use = "an order does nothing until a query uses it"]
pub struct Order<M> {
    pub(crate) tree: Tree,
    pub(crate) descending: bool,
    pub(crate) nulls: NullsOrder,
    model: PhantomData<fn() -> M>,
}

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
        Assignment { field: self.name, tree: value.into_tree(), model: PhantomData }
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
            tree => condition(Tree::binary(BinaryOperator::Equal, self.into_tree(), tree)),
        }
    }

    /// Not equal to. With `None`: is not null. A null is not equal to nothing: see
    /// [`is_distinct_from`](Self::is_distinct_from).
    fn ne<V: Operand<Self::Model, Base<Self>>>(self, value: V) -> Condition<Self::Model> {
        match value.into_tree() {
            tree if tree.is_null() => self.is_not_null(),
            tree => condition(Tree::binary(BinaryOperator::NotEqual, self.into_tree(), tree)),
        }
    }

    /// Not equal to, where null is a value like any other.
    fn is_distinct_from<V: Operand<Self::Model, Base<Self>>>(
        self,
        value: V,
    ) -> Condition<Self::Model> {
        binary(BinaryOperator::IsDistinct, self, value)
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
        condition(Tree::Between(Box::new(parts)))
    }

    /// Is null.
    fn is_null(self) -> Condition<Self::Model> {
        condition(Tree::unary(UnaryOperator::IsNull, self.into_tree()))
    }

    /// Is not null.
    fn is_not_null(self) -> Condition<Self::Model> {
        condition(Tree::unary(UnaryOperator::IsNotNull, self.into_tree()))
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
        condition(match or_null {
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
        condition(match not_null {
            Some(not_null) => Tree::AllOf(vec![listed, not_null]),
            None => listed,
        })
    }

    /// Matches a pattern of `%` and `_`, in which case matters.
    fn like<V: Operand<Self::Model, String>>(self, pattern: V) -> Condition<Self::Model>
    where
        Self::Type: Field<Base = String>,
    {
        binary(BinaryOperator::Like, self, pattern)
    }

    /// Matches a pattern of `%` and `_`, in which case does not matter.
    fn ilike<V: Operand<Self::Model, String>>(self, pattern: V) -> Condition<Self::Model>
    where
        Self::Type: Field<Base = String>,
    {
        binary(BinaryOperator::Ilike, self, pattern)
    }

    /// Contains a text; `%` and `_` in it are only letters.
    fn contains<V: Operand<Self::Model, String>>(self, text: V) -> Condition<Self::Model>
    where
        Self::Type: Field<Base = String>,
    {
        binary(BinaryOperator::Contains, self, text)
    }

    /// Starts with a text; `%` and `_` in it are only letters.
    fn starts_with<V: Operand<Self::Model, String>>(self, text: V) -> Condition<Self::Model>
    where
        Self::Type: Field<Base = String>,
    {
        binary(BinaryOperator::StartsWith, self, text)
    }

    /// Ends with a text; `%` and `_` in it are only letters.
    fn ends_with<V: Operand<Self::Model, String>>(self, text: V) -> Condition<Self::Model>
    where
        Self::Type: Field<Base = String>,
    {
        binary(BinaryOperator::EndsWith, self, text)
    }

    /// From the smallest to the largest, nulls last.
    fn asc(self) -> Order<Self::Model> {
        Order {
            tree: self.into_tree(),
            descending: false,
            nulls: NullsOrder::Last,
            model: PhantomData,
        }
    }

    /// From the largest to the smallest, nulls last.
    fn desc(self) -> Order<Self::Model> {
        Order { descending: true, ..self.asc() }
    }
}

/// The type of an expression's values, without `Option`.
pub type Base<E> = <<E as Expression>::Type as Field>::Base;

impl<M> Order<M> {
    /// From the smallest to the largest value of a field.
    pub(crate) fn by_field(name: &'static str) -> Self {
        Self {
            tree: Tree::Field(name),
            descending: false,
            nulls: NullsOrder::Last,
            model: PhantomData,
        }
    }

    /// Nulls before everything else.
    pub fn nulls_first(self) -> Self {
        Self { nulls: NullsOrder::First, ..self }
    }
}

impl<M, T: Field> Expression for Column<M, T> {
    type Model = M;
    type Type = T;

    fn into_tree(self) -> Tree {
        Tree::Field(self.name)
    }
}

impl<M, T: Field> Expression for Expr<M, T> {
    type Model = M;
    type Type = T;

    fn into_tree(self) -> Tree {
        self.tree
    }
}

/// Types that can be added, subtracted, multiplied and divided.
#[diagnostic::on_unimplemented(
    message = "there is no arithmetic with values of type `{Self}`",
    note = "numbers are `i16`, `i32`, `i64`, `f32`, `f64` and `Decimal`"
)]
pub trait Numeric: Storable {}

impl Numeric for i16 {}
impl Numeric for i32 {}
impl Numeric for i64 {}
impl Numeric for f32 {}
impl Numeric for f64 {}

macro_rules! arithmetic {
    ($($trait:ident, $method:ident, $operator:ident;)*) => {$(
        impl<M, T, V> ops::$trait<V> for Column<M, T>
        where
            T: Field<Base: Numeric>,
            V: Operand<M, T::Base>,
        {
            type Output = Expr<M, T>;

            fn $method(self, value: V) -> Expr<M, T> {
                let left = Expression::into_tree(self);
                expr(Tree::binary(BinaryOperator::$operator, left, value.into_tree()))
            }
        }

        impl<M, T, V> ops::$trait<V> for Expr<M, T>
        where
            T: Field<Base: Numeric>,
            V: Operand<M, T::Base>,
        {
            type Output = Self;

            fn $method(self, value: V) -> Self {
                expr(Tree::binary(BinaryOperator::$operator, self.tree, value.into_tree()))
            }
        }
    )*};
}

arithmetic! {
    Add, add, Add;
    Sub, sub, Subtract;
    Mul, mul, Multiply;
    Div, div, Divide;
    Rem, rem, Modulo;
}

macro_rules! logic {
    ($($type:ident),*) => {$(
        impl<M, E: Expression<Model = M, Type = bool>> ops::BitAnd<E> for $type<M, bool> {
            type Output = Condition<M>;

            fn bitand(self, other: E) -> Condition<M> {
                condition(Expression::into_tree(self).and(other.into_tree()))
            }
        }

        impl<M, E: Expression<Model = M, Type = bool>> ops::BitOr<E> for $type<M, bool> {
            type Output = Condition<M>;

            fn bitor(self, other: E) -> Condition<M> {
                condition(Expression::into_tree(self).or(other.into_tree()))
            }
        }

        impl<M> ops::Not for $type<M, bool> {
            type Output = Condition<M>;

            fn not(self) -> Condition<M> {
                condition(Tree::unary(UnaryOperator::Not, Expression::into_tree(self)))
            }
        }
    )*};
}

logic!(Column, Expr);

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
        Self { tree: self.tree.clone(), types: PhantomData }
    }
}

impl<M, T> fmt::Debug for Expr<M, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tree.fmt(f)
    }
}

impl<M> Clone for Order<M> {
    fn clone(&self) -> Self {
        Self { tree: self.tree.clone(), model: PhantomData, ..*self }
    }
}

impl<M> fmt::Debug for Order<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Order")
            .field("by", &self.tree)
            .field("descending", &self.descending)
            .field("nulls", &self.nulls)
            .finish()
    }
}

impl<M> Clone for Assignment<M> {
    fn clone(&self) -> Self {
        Self { field: self.field, tree: self.tree.clone(), model: PhantomData }
    }
}

impl<M> fmt::Debug for Assignment<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Assignment").field("field", &self.field).field("to", &self.tree).finish()
    }
}

fn expr<M, T>(tree: Tree) -> Expr<M, T> {
    Expr { tree, types: PhantomData }
}

fn condition<M>(tree: Tree) -> Condition<M> {
    expr(tree)
}

fn binary<E: Expression, V: Operand<E::Model, T>, T>(
    operator: BinaryOperator,
    left: E,
    right: V,
) -> Condition<E::Model> {
    condition(Tree::binary(operator, left.into_tree(), right.into_tree()))
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
    (Tree::Value { value, kind: T::KIND, many: true }, null)
}
