//! Batches of columns become models, one typed reader for each field.

use ferro_wit::schema;
use ferro_wit::types::{Batch, Column as Cells, Error, ErrorKind, Value};

use crate::model::Model;
use crate::scalar::{Field, Storable, is_null};

/// The columns of a batch, as those of a model: for the code that `#[derive(Model)]` writes.
#[derive(Debug, Clone, Copy)]
pub struct Columns<'b> {
    batch: &'b Batch,
    /// The struct that rows become; none for tuples.
    name: Option<&'static str>,
    schema: Option<fn() -> schema::Model>,
    fields: &'static [&'static str],
    key: &'static [&'static str],
}

/// The values of one field in a batch.
pub struct Reader<'b, F: Field> {
    columns: Columns<'b>,
    name: &'static str,
    stored: <F::Base as Storable>::Stored<'b>,
    nulls: Option<&'b [u8]>,
}

impl<'b> Columns<'b> {
    /// The columns of a batch that has one for each field of the model, in order.
    ///
    /// # Errors
    ///
    /// `decode-failed` if it has not, or if it contradicts itself.
    pub fn new<M: Model>(batch: &'b Batch) -> Result<Self, Error> {
        Self { batch, name: Some(M::NAME), schema: Some(M::schema), fields: M::FIELDS, key: M::KEY }
            .check()
    }

    /// The columns of a batch that has one for each field of a struct that is no model.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn named(
        batch: &'b Batch,
        name: &'static str,
        fields: &'static [&'static str],
    ) -> Result<Self, Error> {
        Self { batch, name: Some(name), schema: None, fields, key: &[] }.check()
    }

    /// The columns of a batch whose rows have no struct.
    pub(crate) fn unnamed(
        batch: &'b Batch,
        fields: &'static [&'static str],
    ) -> Result<Self, Error> {
        Self { batch, name: None, schema: None, fields, key: &[] }.check()
    }

    /// There may be more columns: those by which related rows find their parents come last.
    fn check(self) -> Result<Self, Error> {
        let (got, expected) = (self.batch.columns.len(), self.fields.len());
        if got < expected {
            return Err(self.fault(format!("got {got} columns for {expected} fields")));
        }
        self.batch.validate().map_err(|fault| self.fault(fault))?;
        Ok(self)
    }

    /// How many rows there are.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.batch.rows as usize
    }

    /// The values of the field at `index`.
    ///
    /// # Errors
    ///
    /// `decode-failed` if the column has another type.
    pub fn reader<F: Field>(&self, index: usize) -> Result<Reader<'b, F>, Error> {
        let name = self.fields.get(index).copied().unwrap_or_default();
        let cells = self.batch.columns.get(index);
        match cells.and_then(F::Base::stored) {
            Some((stored, nulls)) => Ok(Reader { columns: *self, name, stored, nulls }),
            None => {
                let got = cells.map_or_else(String::new, describe);
                let expected = type_name(F::Base::KIND, F::Base::MANY);
                let fault = format!("field `{name}` is {expected}, and the column is {got}");
                Err(self.fault_of(name, fault))
            }
        }
    }

    fn fault(&self, message: String) -> Error {
        let name = self.name.map_or_else(|| "a row".to_owned(), |name| format!("`{name}`"));
        Error {
            table: self.schema.map(|schema| schema().table_name().into_owned()),
            ..Error::new(ErrorKind::DecodeFailed, format!("cannot read {name}: {message}"))
        }
    }

    fn fault_of(&self, name: &str, message: String) -> Error {
        let fields = self.schema.map_or_else(Vec::new, |schema| schema().fields);
        let field = fields.iter().find(|field| field.name == name);
        Error { column: field.map(|field| field.column_name().to_owned()), ..self.fault(message) }
    }

    /// Which row it is, for a message: ` where id = 7`.
    fn key_of(&self, row: usize) -> String {
        let parts: Vec<_> = self
            .key
            .iter()
            .filter_map(|name| {
                let index = self.fields.iter().position(|field| field == name)?;
                let value = self.batch.columns.get(index)?.get(row)?;
                Some(format!("{name} = {}", display(&value)))
            })
            .collect();
        match parts.is_empty() {
            true => String::new(),
            false => format!(" where {}", parts.join(", ")),
        }
    }
}

impl<F: Field> Reader<'_, F> {
    /// The field's value in a row.
    ///
    /// # Errors
    ///
    /// `decode-failed`, naming model, field and the key of the row.
    pub fn read(&self, row: usize) -> Result<F, Error> {
        let base = match is_null(self.nulls, row) {
            true => None,
            false => Some(F::Base::read(self.stored, row).map_err(|it| self.fault(row, &it))?),
        };
        F::from_base(base).map_err(|it| self.fault(row, &it))
    }

    #[cold]
    fn fault(&self, row: usize, message: &str) -> Error {
        let Self { columns, name, .. } = self;
        let key = columns.key_of(row);
        columns.fault_of(name, format!("field `{name}`{key}: {message}"))
    }
}

pub(crate) fn describe(cells: &Cells) -> String {
    match cells {
        Cells::Scalars(it) => type_name(it.elements.kind(), false),
        Cells::Arrays(it) => type_name(it.items.elements.kind(), true),
    }
}

pub(crate) fn type_name(kind: ferro_wit::types::ScalarType, many: bool) -> String {
    let kind = format!("{kind:?}").to_lowercase();
    if many { format!("`array of {kind}`") } else { format!("`{kind}`") }
}

fn display(value: &Value) -> String {
    match value {
        Value::Integer(it) => format!("`{it}`"),
        Value::Text(it) => format!("`{it}`"),
        Value::Uuid((high, low)) => {
            format!("`{}`", crate::values::Uuid::from_u64_pair(*high, *low))
        }
        other => format!("`{other:?}`"),
    }
}
