//! Inserts: the types that can be inserted, and conflicts on keys.

use std::fmt;

use ferro_wit::query::{Conflict, Insert, Projection, RowSource, Statement};
use ferro_wit::types::{Batch, Column as Cells, Error, ErrorKind, Value};

use crate::expression::{Assignment, Column, Expr, Expression, expr};
use crate::model::Model;
use crate::query::assignments;
use crate::scalar::Field;
use crate::session::Request;
use crate::tree::{Arena, SelectTree, Tree, owned};

/// A row to insert: a model, or the `New…` struct that `#[derive(Model)]` generates for a model
/// with a generated key or defaults.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be inserted",
    note = "insert a model, or its `New…` struct if it has a generated key or defaults"
)]
pub trait Insertable: Send + Sync + Sized {
    /// The model of its table.
    type Model: Model;

    /// The fields that it sets, with their values.
    ///
    /// # Errors
    ///
    /// `value-out-of-range` for an array of more than 4 GiB.
    fn values(&self) -> Result<Vec<(&'static str, Value)>, Error>;

    /// The same for many rows, as columns.
    ///
    /// # Errors
    ///
    /// `invalid-query` if a field with a default is set in only some of the rows;
    /// `value-out-of-range` for a column of more than 4 GiB.
    fn columns(rows: &[Self]) -> Result<Vec<(&'static str, Cells)>, Error>;
}

/// One field of a model, or a tuple of at most twelve: a key, or fields to update.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a field of `{M}`",
    label = "expected a column such as `City::name()`, or a tuple of at most twelve"
)]
pub trait Fields<M> {
    /// Internal to this crate.
    #[doc(hidden)]
    fn names(self) -> Vec<&'static str>;
}

/// Fields that accept the values of the rows `R` of a query, in order: a field of type `T` accepts
/// a `T`, and an `Option<T>` also a `T`.
#[diagnostic::on_unimplemented(
    message = "the fields `{Self}` do not take rows of `{R}`",
    label = "expected as many columns of `{M}` as are selected, of the same types"
)]
pub trait FieldsOf<M, R>: Fields<M> {}

/// What an insert does if a key is taken: see [`upsert`](crate::Model::upsert).
///
/// The key is the primary key or a unique one. By default, the row that has it does not change.
#[must_use = "it does nothing until an insert uses it"]
pub struct OnConflict<M> {
    target: Vec<&'static str>,
    update: Vec<Assignment<M>>,
    condition: Option<Tree>,
}

/// In an [`OnConflict`], the value of the row that was not inserted.
pub fn excluded<M, T: Field>(column: Column<M, T>) -> Expr<M, T> {
    expr(Tree::Excluded(column.name()))
}

impl<M: Model> OnConflict<M> {
    /// Acts if another row has the same key.
    pub fn on(key: impl Fields<M>) -> Self {
        Self { target: key.names(), update: Vec::new(), condition: None }
    }

    /// Sets these fields of that row to the new row's values. Others keep theirs.
    pub fn update(mut self, fields: impl Fields<M>) -> Self {
        let taken = fields.names().into_iter();
        self.update.extend(taken.map(|it| Assignment::new(it, Tree::Excluded(it))));
        self
    }

    /// Sets a field of that row to a value, or to an expression over it; [`excluded`] is the new
    /// row's value.
    pub fn set(mut self, assignment: Assignment<M>) -> Self {
        self.update.push(assignment);
        self
    }

    /// Updates that row only if it satisfies this condition and those of earlier calls.
    pub fn only_if<E>(mut self, condition: E) -> Self
    where
        E: Expression<Model = M, Type: Field<Base = bool>>,
    {
        self.condition = Some(condition.into_tree().and_former(self.condition.take()));
        self
    }

    fn add_to(self, arena: &mut Arena) -> Result<Conflict, Error> {
        Ok(Conflict {
            target: owned(&self.target),
            update: assignments(arena, self.update)?,
            condition: self.condition.map(|it| arena.add(it)).transpose()?,
        })
    }
}

/// The request that inserts one row.
pub(crate) fn one<R: Insertable>(
    row: &R,
    conflict: Option<OnConflict<R::Model>>,
    returning: Option<Projection>,
) -> Result<Request, Error> {
    let (fields, parameters) =
        row.values()?.into_iter().map(|(name, value)| (name.to_owned(), value)).unzip();
    let mut arena = Arena::with_parameters(parameters);
    let conflict = conflict.map(|it| it.add_to(&mut arena)).transpose()?;
    let model = R::Model::NAME.to_owned();
    let insert = Insert { model, fields, source: RowSource::Parameters, conflict, returning };
    Ok(Request::new(arena, Statement::Insert(insert)))
}

/// The request that inserts many rows; `None` if there are none.
pub(crate) fn many<R: Insertable>(
    rows: &[R],
    conflict: Option<OnConflict<R::Model>>,
    returning: Option<Projection>,
) -> Result<Option<(Request, Batch)>, Error> {
    if rows.is_empty() {
        return Ok(None);
    }
    let (fields, columns): (Vec<_>, Vec<_>) =
        R::columns(rows)?.into_iter().map(|(name, cells)| (name.to_owned(), cells)).unzip();
    let rows = number_of_rows(rows)?;
    let mut arena = Arena::default();
    let conflict = conflict.map(|it| it.add_to(&mut arena)).transpose()?;
    let model = R::Model::NAME.to_owned();
    let insert = Insert { model, fields, source: RowSource::Batch, conflict, returning };
    let request = Request::new(arena, Statement::Insert(insert));
    Ok(Some((request, Batch { rows, columns })))
}

/// The number of rows in a batch.
pub(crate) fn number_of_rows<R>(rows: &[R]) -> Result<u32, Error> {
    u32::try_from(rows.len()).map_err(|_| {
        let message = "more than 2^32 rows: pass them in several calls";
        Error::new(ErrorKind::ValueOutOfRange, message)
    })
}

/// The request that inserts the rows of a select, whose columns are these fields.
pub(crate) fn of_select<M: Model>(
    fields: Vec<&'static str>,
    select: SelectTree,
) -> Result<Request, Error> {
    let mut arena = Arena::default();
    let source = RowSource::Select(arena.add_select(select)?);
    let (model, fields) = (M::NAME.to_owned(), owned(&fields));
    let insert = Insert { model, fields, source, conflict: None, returning: None };
    Ok(Request::new(arena, Statement::Insert(insert)))
}

/// The request that inserts one row if no other has its key.
pub(crate) fn unless_taken<R: Insertable>(
    row: &R,
    target: Vec<&'static str>,
    returning: Option<Projection>,
) -> Result<Request, Error> {
    let conflict = OnConflict { target, update: Vec::new(), condition: None };
    one(row, Some(conflict), returning)
}

/// The request that inserts one row, or updates the row that has its key with all other values,
/// except the version, which counts the changes of the existing row and would be reset by the new
/// row's, and what updates set by themselves.
pub(crate) fn or_replace<R: Insertable>(
    row: &R,
    target: Vec<&'static str>,
    returning: Option<Projection>,
) -> Result<Request, Error> {
    let given = row.values()?.into_iter().map(|(name, _)| name);
    let is_kept =
        |name| Some(name) == R::Model::VERSION || R::Model::SET_BY_UPDATES.contains(&name);
    let others = given.filter(|it| !target.contains(it) && !is_kept(*it));
    let update: Vec<_> = others.map(|it| Assignment::new(it, Tree::Excluded(it))).collect();
    if update.is_empty() {
        let message = "the row has nothing but its key to update: use `get_or_create`";
        return Err(Error::new(ErrorKind::InvalidQuery, message));
    }
    one(row, Some(OnConflict { target, update, condition: None }), returning)
}

/// The condition that a row has the same key as one to insert.
pub(crate) fn same_key<R: Insertable>(row: &R, key: &[&'static str]) -> Result<Tree, Error> {
    let values = row.values()?;
    let terms = key.iter().map(|name| {
        let value = values.iter().find(|(given, _)| given == name).map(|(_, value)| value);
        match value.and_then(|value| Some((value, value.kind()?))) {
            Some((value, kind)) => Ok(Tree::binary(
                ferro_wit::query::BinaryOperator::Equal,
                Tree::field(name),
                Tree::Value { value: Ok(value.clone()), kind, many: false },
            )),
            None => Err(Error::new(
                ErrorKind::InvalidQuery,
                format!("the row lacks `{name}`, the key by which it is found"),
            )),
        }
    });
    terms.collect::<Result<_, _>>().map(Tree::AllOf)
}

impl<M, T> Fields<M> for Column<M, T> {
    fn names(self) -> Vec<&'static str> {
        vec![self.name()]
    }
}

impl<M, T: From<R>, R: Field> FieldsOf<M, R> for Column<M, T> {}

macro_rules! fields {
    ($(($($type:ident $given:ident $position:tt),*);)*) => {$(
        impl<M, $($type),*> Fields<M> for ($(Column<M, $type>,)*) {
            fn names(self) -> Vec<&'static str> {
                vec![$(self.$position.name()),*]
            }
        }

        impl<M, $($type: From<$given>, $given),*> FieldsOf<M, ($($given,)*)>
            for ($(Column<M, $type>,)*) {}
    )*};
}

fields! {
    (A N 0);
    (A N 0, B O 1);
    (A N 0, B O 1, C P 2);
    (A N 0, B O 1, C P 2, D Q 3);
    (A N 0, B O 1, C P 2, D Q 3, E R 4);
    (A N 0, B O 1, C P 2, D Q 3, E R 4, F S 5);
    (A N 0, B O 1, C P 2, D Q 3, E R 4, F S 5, G T 6);
    (A N 0, B O 1, C P 2, D Q 3, E R 4, F S 5, G T 6, H U 7);
    (A N 0, B O 1, C P 2, D Q 3, E R 4, F S 5, G T 6, H U 7, I V 8);
    (A N 0, B O 1, C P 2, D Q 3, E R 4, F S 5, G T 6, H U 7, I V 8, J W 9);
    (A N 0, B O 1, C P 2, D Q 3, E R 4, F S 5, G T 6, H U 7, I V 8, J W 9, K X 10);
    (A N 0, B O 1, C P 2, D Q 3, E R 4, F S 5, G T 6, H U 7, I V 8, J W 9, K X 10, L Y 11);
}

impl<M> Clone for OnConflict<M> {
    fn clone(&self) -> Self {
        let Self { target, update, condition } = self;
        Self { target: target.clone(), update: update.clone(), condition: condition.clone() }
    }
}

impl<M> fmt::Debug for OnConflict<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnConflict")
            .field("target", &self.target)
            .field("update", &self.update)
            .field("condition", &self.condition)
            .finish()
    }
}
