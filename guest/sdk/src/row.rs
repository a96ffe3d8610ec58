//! What the rows of a query become: models, tuples, structs with `#[derive(Row)]`.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;

use ferro_wit::Cursor;
use ferro_wit::types::{Batch, Error, ScalarType};

use crate::decode::Columns;
use crate::expression::{Aggregate, Collected, Column, Expr, Expression};
use crate::model::Model;
use crate::rows;
use crate::scalar::{Field, Storable as _};
use crate::tree::Tree;

/// What a row can become: a model, a tuple of what fields may be, one such value, or a struct
/// with [`derive(Row)`](macro@crate::Row).
#[diagnostic::on_unimplemented(
    message = "a row of a query cannot become a `{Self}`",
    note = "add `#[derive(ferro::Row)]` to it, or select a tuple of expressions"
)]
pub trait Row: Sized + Send + 'static {
    /// The rows of a batch whose columns come in order.
    ///
    /// # Errors
    ///
    /// `decode-failed`, naming the column, and the key of the row where it is known, if a value
    /// does not fit.
    fn decode(batch: &Batch) -> Result<Vec<Self>, Error>;

    /// Its columns, for those who have to bring them into this order: SQL text.
    #[doc(hidden)]
    fn layout() -> Layout;
}

/// The columns that a row is made of.
#[doc(hidden)]
#[derive(Debug, Clone)]
#[cfg_attr(not(feature = "raw-sql"), allow(dead_code, reason = "only SQL text is arranged"))]
pub struct Layout {
    /// By which they are found; none where it is by position.
    pub(crate) names: Option<Vec<&'static str>>,
    pub(crate) slots: Vec<Slot>,
}

/// What a column of a row holds.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(feature = "raw-sql"), allow(dead_code, reason = "only SQL text is arranged"))]
pub struct Slot {
    pub(crate) kind: ScalarType,
    pub(crate) many: bool,
}

impl Layout {
    /// Columns with names: for the code that the macros write.
    #[must_use]
    pub fn named(columns: Vec<(&'static str, Slot)>) -> Self {
        let (names, slots) = columns.into_iter().unzip();
        Self { names: Some(names), slots }
    }
}

impl Slot {
    /// For a field of this type.
    #[must_use]
    pub fn of<F: Field>() -> Self {
        Self { kind: F::Base::KIND, many: F::Base::MANY }
    }
}

/// What a [`select`](crate::Query::select) takes: an expression, a tuple of them, or the
/// `Select…` struct that [`derive(Row)`](macro@crate::Row) makes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be selected from `{M}`",
    label = "expected an expression over `{M}`, or a tuple of at most 12 of them",
    note = "make an expression of a value with `ferro::value`"
)]
pub trait Selection<M> {
    /// What a row becomes.
    type Row: Row;

    /// For this crate.
    #[doc(hidden)]
    fn outputs(self) -> Vec<(Cow<'static, str>, Tree)>;
}

/// Says what the rows of a query of `M` become.
pub trait Output<M>: Clone + Send + Sync + 'static {
    /// What a row becomes.
    type Row: Send + 'static;

    /// For this crate.
    #[doc(hidden)]
    fn read(
        self,
        cursor: Box<dyn Cursor>,
    ) -> impl Future<Output = Result<Vec<Self::Row>, Error>> + Send;
}

/// An [`Output`] whose rows stand on their own, so that they can be read bit by bit.
#[diagnostic::on_unimplemented(
    message = "the rows of this query come with related rows, by an `include`",
    note = "read them with `all`, a page at a time: `stream` and `select` are for rows that stand on their own"
)]
pub trait Streamed<M>: Output<M> {
    /// For this crate.
    #[doc(hidden)]
    fn decode(batch: &Batch) -> Result<Vec<Self::Row>, Error>;
}

/// Rows become the model itself.
#[derive(Debug, Clone, Copy)]
pub struct Whole;

/// Rows become what was selected: a `T`.
pub struct Selected<T>(PhantomData<fn() -> T>);

impl<T> Selected<T> {
    pub(crate) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<M: Model> Output<M> for Whole {
    type Row = M;

    async fn read(self, cursor: Box<dyn Cursor>) -> Result<Vec<M>, Error> {
        rows::read_all(cursor, M::decode).await
    }
}

impl<M: Model> Streamed<M> for Whole {
    fn decode(batch: &Batch) -> Result<Vec<M>, Error> {
        M::decode(batch)
    }
}

impl<M, T: Row> Output<M> for Selected<T> {
    type Row = T;

    async fn read(self, cursor: Box<dyn Cursor>) -> Result<Vec<T>, Error> {
        rows::read_all(cursor, T::decode).await
    }
}

impl<M, T: Row> Streamed<M> for Selected<T> {
    fn decode(batch: &Batch) -> Result<Vec<T>, Error> {
        T::decode(batch)
    }
}

impl<T> Clone for Selected<T> {
    fn clone(&self) -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Selected<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Selected")
    }
}

/// What the columns of rows without a struct are called.
const NAMES: [&str; 12] = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"];

impl<F: Field> Row for F {
    fn decode(batch: &Batch) -> Result<Vec<Self>, Error> {
        let columns = Columns::unnamed(batch, &NAMES[..1])?;
        let values = columns.reader::<F>(0)?;
        (0..columns.rows()).map(|row| values.read(row)).collect()
    }

    fn layout() -> Layout {
        Layout { names: None, slots: vec![Slot::of::<F>()] }
    }
}

macro_rules! selections {
    ($($type:ident),*) => {$(
        impl<M, F: Field> Selection<M> for $type<M, F> {
            type Row = F;

            fn outputs(self) -> Vec<(Cow<'static, str>, Tree)> {
                vec![(Cow::Borrowed(NAMES[0]), Expression::into_tree(self))]
            }
        }
    )*};
}

selections!(Column, Expr, Aggregate, Collected);

macro_rules! tuples {
    ($(($($field:ident $position:tt),*);)*) => {$(
        impl<$($field: Field),*> Row for ($($field,)*) {
            fn decode(batch: &Batch) -> Result<Vec<Self>, Error> {
                let columns = Columns::unnamed(batch, &NAMES[..[$($position),*].len()])?;
                let readers = ($(columns.reader::<$field>($position)?,)*);
                (0..columns.rows()).map(|row| Ok(($(readers.$position.read(row)?,)*))).collect()
            }

            fn layout() -> Layout {
                Layout { names: None, slots: vec![$(Slot::of::<$field>()),*] }
            }
        }

        impl<M, $($field: Expression<Model = M>),*> Selection<M> for ($($field,)*) {
            type Row = ($($field::Type,)*);

            fn outputs(self) -> Vec<(Cow<'static, str>, Tree)> {
                vec![$((Cow::Borrowed(NAMES[$position]), self.$position.into_tree())),*]
            }
        }
    )*};
}

tuples! {
    (A 0);
    (A 0, B 1);
    (A 0, B 1, C 2);
    (A 0, B 1, C 2, D 3);
    (A 0, B 1, C 2, D 3, E 4);
    (A 0, B 1, C 2, D 3, E 4, F 5);
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6);
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8);
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9);
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10);
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11);
}
