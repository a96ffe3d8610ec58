//! What the code that the macros write calls, so that it stays short.

use ferro_wit::schema::EnumType;
use ferro_wit::types::{Column as Cells, Elements, Error, ErrorKind, Texts, Value};

use crate::model::Model;
use crate::scalar::{self, Field, Storable, missing, other_kind};

pub use crate::decode::Columns;
pub use crate::host::database;
#[cfg(feature = "raw-sql")]
pub use crate::host::raw_sql;
pub use crate::row::{Layout, Slot};
pub use crate::tree::Steps;
/// The allocator of a plugin, a newer version of the standard library's own: it begins with the
/// memory that the linker has reserved (`--initial-heap`), and grows it only after that.
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
pub use dlmalloc::GlobalDlmalloc as Heap;
pub use {ferro_wit, wit_bindgen};

/// The fields of one row to insert.
pub type RowValues = Result<Vec<(&'static str, Value)>, Error>;

/// The fields of many rows to insert.
pub type RowColumns = Result<Vec<(&'static str, Cells)>, Error>;

/// New values for fields of a row.
pub type Changes<M> = Result<Vec<crate::Assignment<M>>, Error>;

/// What a query selects, by name.
pub type Outputs = Vec<(std::borrow::Cow<'static, str>, crate::tree::Tree)>;

/// The enum type that a field needs.
pub fn enum_type<F: Field>() -> Option<EnumType> {
    F::Base::enum_type()
}

/// The values of a field in many rows.
pub fn column<'a, F: Field>(values: impl Iterator<Item = &'a F>) -> Result<Cells, Error> {
    F::Base::column(values.map(Field::base))
}

/// The same for a field with a default: none if no row gives it a value.
pub fn column_with_default<'a, F: Field>(
    name: &str,
    values: impl ExactSizeIterator<Item = Option<&'a F>>,
) -> Result<Option<Cells>, Error> {
    let rows = values.len();
    let given: Vec<&F> = values.flatten().collect();
    if given.is_empty() {
        return Ok(None);
    }
    if given.len() < rows {
        let message = format!(
            "`{name}` is given in {} of {rows} rows: give it in all of them, or in none for the \
             default",
            given.len(),
        );
        return Err(Error::new(ErrorKind::InvalidQuery, message));
    }
    column(given.into_iter()).map(Some)
}

/// Whether a field has another value than before. A NaN that is still there is no other one.
pub fn differs<F: Field>(before: &F, after: &F) -> Result<bool, Error> {
    let same = |one: &f64, other: &f64| one.to_bits() == other.to_bits();
    Ok(match (before.value()?, after.value()?) {
        (Value::Float(one), Value::Float(other)) => !same(&one, &other),
        (Value::Array(one), Value::Array(other)) => match (&one.elements, &other.elements) {
            (Elements::Float(these), Elements::Float(those)) => {
                one.nulls != other.nulls
                    || these.len() != those.len()
                    || !these.iter().zip(those).all(|(one, other)| same(one, other))
            }
            _ => one != other,
        },
        (one, other) => one != other,
    })
}

/// Compiles if a field of type `F` can hold the key of `M`.
pub fn refers<F: Field<Base: Same<M::Key>>, M: Model>() {}

/// Is the same type as.
#[diagnostic::on_unimplemented(
    message = "a field of type `{Self}` cannot refer to a key of type `{T}`",
    label = "the model referred to has a key of type `{T}`"
)]
pub trait Same<T> {}

impl<T> Same<T> for T {}

/// The texts of an enum.
pub fn stored_texts(elements: &Elements) -> Option<&Texts> {
    match elements {
        Elements::Text(it) => Some(it),
        _ => None,
    }
}

/// The text at an index.
pub fn read_text(stored: &Texts, index: usize) -> Result<&str, String> {
    stored.get(index).ok_or_else(missing)
}

/// Adds a text.
pub fn write_text(to: &mut Elements, text: &str) -> Result<(), Error> {
    match to {
        Elements::Text(it) => scalar::write_text(it, text),
        other => Err(other_kind(other)),
    }
}
