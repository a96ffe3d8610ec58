//! What JSON documents and arrays can do.

use ferro_wit::query::BinaryOperator;

use super::{Condition, Expr, Expression, Operand, binary, expr};
use crate::scalar::{Field, Scalar};
use crate::tree::Tree;
use crate::values::Json;

/// Expressions that are JSON documents.
pub trait JsonExpression: Expression {
    /// What is under keys and array positions: null where the document has no such path.
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

    /// Has every key and value of another document. PostgreSQL only; elsewhere compare parts of it,
    /// with [`at`](Self::at).
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

/// Expressions that are arrays.
pub trait ArrayExpression: Expression {
    /// Has every element of another array, in any order.
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

    /// Has an element in common with another array.
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
