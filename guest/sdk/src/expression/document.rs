//! Operations on JSON documents and arrays.

use ferro_wit::query::BinaryOperator;

use super::{Condition, Expr, Expression, IntoExpr, Operand, binary, expr};
use crate::scalar::{Field, Scalar};
use crate::tree::Tree;
use crate::values::Json;

/// Expressions that are JSON documents.
pub trait JsonExpression: Expression {
    /// The value at a path of keys and array indexes: null if the document has no such path.
    ///
    /// ```
    /// # use ferro::prelude::*;
    /// # use ferro::values::Json;
    /// # #[derive(Model, Debug, Clone)]
    /// # struct Event { #[ferro(key)] id: i64, data: Json }
    /// let adults = Event::data().at::<i64>(["user", "age"]).ge(18);
    /// let _ = Event::query().filter(adults & Event::data().at::<String>(["tags", "0"]).eq("new"));
    /// ```
    fn at<T: Scalar>(
        self,
        steps: impl IntoIterator<Item = impl Into<String>>,
    ) -> Expr<Self::Model, Option<T>>
    where
        Self::Type: Field<Base = Json>,
    {
        let steps = steps.into_iter().map(Into::into).collect();
        expr(Tree::Json { document: Box::new(self.into_tree()), steps, kind: T::KIND })
    }

    /// A part of the document, to be [set](Part::set_to) or [removed](Part::removed).
    ///
    /// An update that sets one part keeps the others, also those that another writer changes at the
    /// same time.
    ///
    /// ```
    /// # use ferro::prelude::*;
    /// # use ferro::values::Json;
    /// # #[derive(Model, Debug, Clone)]
    /// # struct Account { #[ferro(key)] id: i64, settings: Json }
    /// let dark = Account::settings().part(["ui", "theme"]).set_to("dark");
    /// let _ = Account::settings().set(dark.part(["ui", "old"]).removed());
    /// ```
    fn part(self, steps: impl IntoIterator<Item = impl Into<String>>) -> Part<Self>
    where
        Self::Type: Field<Base = Json>,
    {
        Part { document: self, steps: steps.into_iter().map(Into::into).collect() }
    }

    /// Whether the document contains every key and value of another one. PostgreSQL only; on
    /// SQLite, compare its parts with [`at`](Self::at).
    ///
    /// ```
    /// # use ferro::prelude::*;
    /// # use ferro::values::Json;
    /// # #[derive(Model, Debug, Clone)]
    /// # struct Event { #[ferro(key)] id: i64, data: Json }
    /// let admins = Event::data().contains_json(Json::new(r#"{"user": {"role": "admin"}}"#));
    /// let _ = Event::query().filter(admins);
    /// ```
    fn contains_json<V: Operand<Self::Model, Json>>(self, part: V) -> Condition<Self::Model>
    where
        Self::Type: Field<Base = Json>,
    {
        binary(BinaryOperator::JsonContains, self, part)
    }
}

impl<E: Expression> JsonExpression for E {}

/// A part of a document, at a path of keys and array indexes: created by
/// [`part`](JsonExpression::part).
#[derive(Debug, Clone)]
#[must_use = "a part does nothing until it is set or removed"]
pub struct Part<E> {
    document: E,
    steps: Vec<String>,
}

impl<E: Expression> Part<E> {
    /// The document with the part set to a value or an expression over the row; a null becomes the
    /// JSON `null`.
    ///
    /// Missing objects along the path are created, and the index after an array's last element
    /// appends to it. If the path leads through a value without such parts, the document does not
    /// change, nor does a null.
    ///
    /// ```
    /// # use ferro::prelude::*;
    /// # use ferro::values::Json;
    /// # #[derive(Model, Debug, Clone)]
    /// # struct Page { #[ferro(key)] id: i64, data: Json }
    /// let visits = Page::data().at::<i64>(["visits"]).coalesce(0) + 1;
    /// let _ = Page::data().set(Page::data().part(["visits"]).set_to(visits));
    /// let _ = Page::data().part(["tags"]).set_to(Json::new(r#"["new"]"#));
    /// ```
    pub fn set_to<V>(self, value: V) -> Expr<E::Model, E::Type>
    where
        V: IntoExpr<E::Model, Type: Field<Base: PartOfDocument>>,
    {
        self.changed(Some(Box::new(value.into_tree())))
    }

    /// The document without the part; unchanged if it has no such part.
    pub fn removed(self) -> Expr<E::Model, E::Type> {
        self.changed(None)
    }

    fn changed(self, value: Option<Box<Tree>>) -> Expr<E::Model, E::Type> {
        let document = Box::new(self.document.into_tree());
        expr(Tree::JsonChange { document, steps: self.steps, value })
    }
}

/// Types whose values can be parts of a document.
#[diagnostic::on_unimplemented(
    message = "a part of a document cannot be set to a `{Self}`",
    note = "it is set to a `bool`, `i16`, `i32`, `i64`, `f32`, `f64`, `String`, or any `Json`"
)]
pub trait PartOfDocument {}

macro_rules! parts {
    ($($type:ty),*) => {$(
        impl PartOfDocument for $type {}
    )*};
}

parts!(bool, i16, i32, i64, f32, f64, String, Json);

/// Expressions that are arrays.
pub trait ArrayExpression: Expression {
    /// Whether the array has every element of another one, in any order.
    ///
    /// ```
    /// # use ferro::prelude::*;
    /// # #[derive(Model, Debug, Clone)]
    /// # struct Post { #[ferro(key)] id: i64, tags: Vec<String> }
    /// let tags = ["rust", "sql"].map(String::from).to_vec();
    /// let _ = Post::query().filter(Post::tags().contains_all(tags));
    /// ```
    fn contains_all<T, V>(self, elements: V) -> Condition<Self::Model>
    where
        T: Scalar,
        Self::Type: Field<Base = Vec<T>>,
        V: Operand<Self::Model, Vec<T>>,
    {
        binary(BinaryOperator::ArrayContains, self, elements)
    }

    /// Whether the arrays have an element in common.
    ///
    /// ```
    /// # use ferro::prelude::*;
    /// # #[derive(Model, Debug, Clone)]
    /// # struct Post { #[ferro(key)] id: i64, tags: Vec<String> }
    /// let tags = ["rust", "sql"].map(String::from).to_vec();
    /// let _ = Post::query().filter(Post::tags().overlaps(tags));
    /// ```
    fn overlaps<T, V>(self, elements: V) -> Condition<Self::Model>
    where
        T: Scalar,
        Self::Type: Field<Base = Vec<T>>,
        V: Operand<Self::Model, Vec<T>>,
    {
        binary(BinaryOperator::ArrayOverlaps, self, elements)
    }
}

impl<E: Expression> ArrayExpression for E {}
