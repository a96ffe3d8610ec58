//! The Rust types of fields, and the transfer of their values: single values as parameters, many
//! values as columns.

mod types;

use ferro_wit::schema::{ColumnType, EnumType};
use ferro_wit::types::{
    Arrays, Column as Cells, Elements, Error, ErrorKind, ScalarType, Scalars, Texts, Value,
};

use crate::relation::{Optional, Presence, Required};

pub(crate) use self::types::{fixed, textual};

/// A single value: the type of a field, or of the elements of an array.
///
/// `#[derive(ferro::Enum)]` implements it for enums; the other implementations are the types of
/// [the table](crate#types).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be stored in a column",
    label = "not a type that a field may have",
    note = "fields are `bool`, `i16`, `i32`, `i64`, `f32`, `f64`, `String`, `Vec<u8>`, a type of `ferro::values`, or an enum with `#[derive(ferro::Enum)]`",
    note = "a field that may be null is an `Option` of one of these; an array is a `Vec` of one"
)]
pub trait Scalar: Clone + Send + Sync + Sized + 'static {
    /// Its type in a query.
    const KIND: ScalarType;

    /// The values of a column of this type, as received.
    type Stored<'a>: Copy;

    /// The type of a column that holds it.
    fn column_type() -> ColumnType;

    /// The enum type that such a column needs.
    #[must_use]
    fn enum_type() -> Option<EnumType> {
        None
    }

    /// The value of a parameter.
    fn into_value(self) -> Value;

    /// The values in `elements`; `None` if they have another type.
    fn stored(elements: &Elements) -> Option<Self::Stored<'_>>;

    /// The value at `index`.
    ///
    /// # Errors
    ///
    /// A message about the stored value.
    fn read(stored: Self::Stored<'_>, index: usize) -> Result<Self, String>;

    /// Adds the value to elements of its kind.
    ///
    /// # Errors
    ///
    /// `value-out-of-range` if a column would exceed 4 GiB.
    fn write(&self, to: &mut Elements) -> Result<(), Error>;
}

/// A value that is not null: a scalar, or an array of them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be stored in a column",
    label = "not a type that a field may have",
    note = "fields are `bool`, `i16`, `i32`, `i64`, `f32`, `f64`, `String`, `Vec<u8>`, a type of `ferro::values`, or an enum with `#[derive(ferro::Enum)]`",
    note = "a field that may be null is an `Option` of one of these; an array is a `Vec` of one"
)]
pub trait Storable: Clone + Send + Sync + Sized + 'static {
    /// Its type, or that of its elements, in a query.
    const KIND: ScalarType;
    /// Whether it is an array.
    const MANY: bool;

    /// A column of this type, as received.
    type Stored<'a>: Copy;

    /// The type of a column that holds it.
    fn column_type() -> ColumnType;

    /// The enum type that such a column needs.
    fn enum_type() -> Option<EnumType>;

    /// The value of a parameter.
    ///
    /// # Errors
    ///
    /// `value-out-of-range` for an array of more than 4 GiB.
    fn into_value(self) -> Result<Value, Error>;

    /// The values of a column, and which of them are null; `None` if it has another type.
    fn stored(cells: &Cells) -> Option<(Self::Stored<'_>, Option<&[u8]>)>;

    /// The value at `index`, which is not null.
    ///
    /// # Errors
    ///
    /// A message about the stored value.
    fn read(stored: Self::Stored<'_>, index: usize) -> Result<Self, String>;

    /// A column of these values.
    ///
    /// # Errors
    ///
    /// `value-out-of-range` if the column would exceed 4 GiB.
    fn column<'a>(values: impl Iterator<Item = Option<&'a Self>>) -> Result<Cells, Error>;
}

/// The type of a field: a value, or an `Option` of one if the column is nullable.
#[diagnostic::on_unimplemented(
    message = "a field of a model cannot have the type `{Self}`",
    label = "not a type that a field may have",
    note = "fields are `bool`, `i16`, `i32`, `i64`, `f32`, `f64`, `String`, `Vec<u8>`, a type of `ferro::values`, or an enum with `#[derive(ferro::Enum)]`",
    note = "a field that may be null is an `Option` of one of these; an array is a `Vec` of one"
)]
pub trait Field: Clone + Send + Sync + Sized + 'static {
    /// The type without `Option`.
    type Base: Storable;
    /// Whether the column may be null.
    const NULLABLE: bool;
    /// The same with another base: an `Option` if this is one.
    type With<T: Storable>: Field<Base = T>;
    /// Whether a relation based on the field always leads to a row.
    type Presence: Presence;

    /// The value, if it is not null.
    fn base(&self) -> Option<&Self::Base>;

    /// Converts the column's value to the field's.
    ///
    /// # Errors
    ///
    /// A message, if the column is null and the field cannot be.
    fn from_base(base: Option<Self::Base>) -> Result<Self, String>;

    /// The value of a parameter.
    ///
    /// # Errors
    ///
    /// `value-out-of-range` for an array of more than 4 GiB.
    fn value(&self) -> Result<Value, Error> {
        self.base().cloned().map_or(Ok(Value::Null), Storable::into_value)
    }
}

impl<T: Storable> Field for T {
    type Base = T;
    const NULLABLE: bool = false;
    type With<U: Storable> = U;
    type Presence = Required;

    fn base(&self) -> Option<&T> {
        Some(self)
    }

    fn from_base(base: Option<T>) -> Result<Self, String> {
        base.ok_or_else(|| "it is null, but the field is not an `Option`".into())
    }
}

impl<T: Storable> Field for Option<T> {
    type Base = T;
    const NULLABLE: bool = true;
    type With<U: Storable> = Option<U>;
    type Presence = Optional;

    fn base(&self) -> Option<&T> {
        self.as_ref()
    }

    fn from_base(base: Option<T>) -> Result<Self, String> {
        Ok(base)
    }
}

impl<T: Scalar> Storable for T {
    const KIND: ScalarType = T::KIND;
    const MANY: bool = false;
    type Stored<'a> = T::Stored<'a>;

    fn column_type() -> ColumnType {
        T::column_type()
    }

    fn enum_type() -> Option<EnumType> {
        T::enum_type()
    }

    fn into_value(self) -> Result<Value, Error> {
        Ok(Scalar::into_value(self))
    }

    fn stored(cells: &Cells) -> Option<(Self::Stored<'_>, Option<&[u8]>)> {
        match cells {
            Cells::Scalars(it) => Some((T::stored(&it.elements)?, it.nulls.as_deref())),
            Cells::Arrays(_) => None,
        }
    }

    fn read(stored: Self::Stored<'_>, index: usize) -> Result<Self, String> {
        T::read(stored, index)
    }

    fn column<'a>(values: impl Iterator<Item = Option<&'a Self>>) -> Result<Cells, Error> {
        Ok(Cells::Scalars(scalars(values)?))
    }
}

impl<T: Scalar> Storable for Vec<T> {
    const KIND: ScalarType = T::KIND;
    const MANY: bool = true;
    type Stored<'a> = (T::Stored<'a>, Option<&'a [u8]>, &'a [u32]);

    fn column_type() -> ColumnType {
        ColumnType::Array(T::KIND)
    }

    fn enum_type() -> Option<EnumType> {
        None
    }

    fn into_value(self) -> Result<Value, Error> {
        scalars(self.iter().map(Some)).map(Value::Array)
    }

    fn stored(cells: &Cells) -> Option<(Self::Stored<'_>, Option<&[u8]>)> {
        match cells {
            Cells::Scalars(_) => None,
            Cells::Arrays(it) => {
                let items = T::stored(&it.items.elements)?;
                Some(((items, it.items.nulls.as_deref(), &it.ends), it.nulls.as_deref()))
            }
        }
    }

    fn read((items, nulls, ends): Self::Stored<'_>, index: usize) -> Result<Self, String> {
        let end = *ends.get(index).ok_or_else(missing)?;
        let start = index.checked_sub(1).and_then(|before| ends.get(before)).map_or(0, |it| *it);
        (start as usize..end as usize)
            .map(|item| match is_null(nulls, item) {
                true => Err("an element of the array is null".into()),
                false => T::read(items, item),
            })
            .collect()
    }

    fn column<'a>(values: impl Iterator<Item = Option<&'a Self>>) -> Result<Cells, Error> {
        let mut items = Scalars::with_kind(T::KIND);
        let mut ends = Vec::new();
        let mut nulls = Nulls::default();
        for value in values {
            nulls.push(value.is_none());
            for item in value.into_iter().flatten() {
                item.write(&mut items.elements)?;
            }
            ends.push(end(items.elements.len())?);
        }
        Ok(Cells::Arrays(Arrays { items, ends, nulls: nulls.bits }))
    }
}

/// Whether the value at `index` is null in the bitmap.
pub(crate) fn is_null(nulls: Option<&[u8]>, index: usize) -> bool {
    nulls.and_then(|bits| bits.get(index / 8)).is_some_and(|byte| byte & (1 << (index % 8)) != 0)
}

/// A list of values as one parameter.
pub(crate) fn scalars<'a, T: Scalar>(
    values: impl Iterator<Item = Option<&'a T>>,
) -> Result<Scalars, Error> {
    let mut scalars = Scalars::with_kind(T::KIND);
    let mut nulls = Nulls::default();
    for value in values {
        match value {
            Some(value) => value.write(&mut scalars.elements)?,
            None => scalars.push_null(),
        }
        nulls.push(value.is_none());
    }
    scalars.nulls = nulls.bits;
    Ok(scalars)
}

/// A null bitmap under construction; `None` while no value is null.
#[derive(Default)]
struct Nulls {
    length: usize,
    bits: Option<Vec<u8>>,
}

impl Nulls {
    fn push(&mut self, null: bool) {
        if null || self.bits.is_some() {
            let bits = self.bits.get_or_insert_default();
            bits.resize(self.length / 8 + 1, 0);
            if let Some(byte) = bits.get_mut(self.length / 8)
                && null
            {
                *byte |= 1 << (self.length % 8);
            }
        }
        self.length += 1;
    }
}

/// Adds a text to a column of texts.
pub(crate) fn write_text(to: &mut Texts, text: &str) -> Result<(), Error> {
    to.ends.push(end(to.data.len() + text.len())?);
    to.data.push_str(text);
    Ok(())
}

/// The error for a column that is shorter than its batch.
pub(crate) fn missing() -> String {
    "the column is shorter than its batch".into()
}

/// The error for a value and elements of different kinds.
pub(crate) fn other_kind(elements: &Elements) -> Error {
    let kind = elements.kind();
    Error::new(ErrorKind::TypeMismatch, format!("a value of another type in a column of {kind:?}"))
}

fn end(length: usize) -> Result<u32, Error> {
    u32::try_from(length).map_err(|_| {
        Error::new(
            ErrorKind::ValueOutOfRange,
            "a column of more than 4 GiB: write the rows in several batches",
        )
    })
}
