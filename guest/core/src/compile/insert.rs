//! Inserts: of one row of parameters, of a batch, or of the rows of a select; and conflicts of
//! keys.

use std::collections::BTreeSet;

use ferro_wit::plan::{Bind, Binding, Bulk, Step};
use ferro_wit::query::{Conflict, Insert, Node, RowSource, SelectRef};
use ferro_wit::schema::ColumnType;
use ferro_wit::types::Error;

use super::Compiler;
use crate::catalog::Field;
use crate::dialect::Spelling as _;
use crate::error::{invalid, mismatch, shown};
use crate::policy::{self, View, Write};
use crate::sql::{quoted, quoted_list};
use crate::typing::Bounds;

/// The maximum rows of one statement: more are not faster.
const MAX_ROWS: usize = 100;
/// The maximum values of a statement with many rows: more would exceed the limits on its length.
const MAX_VALUES: usize = 16_000;

impl<'a> Compiler<'a> {
    pub(super) fn insert(self, insert: &'a Insert) -> Result<Vec<Step>, Error> {
        self.view().allow(Write::Insert)?;
        let fields = fields(self.view(), insert)?;
        match insert.source {
            RowSource::Parameters => {
                self.check_parameters(&fields)?;
                let step = self.insert_rows(insert, &fields, Rows::Parameters)?;
                Ok(vec![step])
            }
            RowSource::Batch => self.insert_batch(insert, &fields),
            RowSource::Select(select) => {
                Ok(vec![self.insert_rows(insert, &fields, Rows::Select(select))?])
            }
        }
    }

    /// One step for the whole batch if the database has arrays; else steps for many rows and for
    /// one.
    fn insert_batch(self, insert: &'a Insert, fields: &[&'a Field]) -> Result<Vec<Step>, Error> {
        let arrays = fields.iter().any(|it| it.ty.many);
        if self.dialect.features().arrays && !arrays && !fields.is_empty() {
            return Ok(vec![self.insert_rows(insert, fields, Rows::Unnest)?]);
        }
        let values =
            if fields.is_empty() { MAX_VALUES } else { fields.len() + self.view().forced.len() };
        batch_sizes(values)
            .into_iter()
            .map(|rows| {
                let compiler = Self::new(self.typing.task, self.view().clone())?;
                compiler.insert_rows(insert, fields, Rows::Batch(rows))
            })
            .collect()
    }

    fn insert_rows(
        mut self,
        insert: &'a Insert,
        fields: &[&'a Field],
        rows: Rows,
    ) -> Result<Step, Error> {
        self.view().forced_on_insert()?;
        let selected = match rows {
            Rows::Select(select) => self.selected_rows(fields, select)?,
            _ => Vec::new(),
        };
        self.typing.confine(Bounds::Row);
        self.sql.push("INSERT INTO ");
        self.table();
        let any = !fields.is_empty() || !self.view().forced.is_empty();
        match any {
            true if matches!(rows, Rows::Select(_)) => {
                self.insert_columns(fields);
                self.sql.push(" SELECT ");
                self.sql.push(&selected.join(", "));
                self.added_values(fields);
                self.source_rows(insert);
            }
            true => {
                self.insert_columns(fields);
                self.insert_values(fields, rows);
            }
            false if insert.conflict.is_some() => {
                return Err(invalid("an insert without fields has no key that could be taken"));
            }
            false => self.sql.push(" DEFAULT VALUES"),
        }
        if let Some(conflict) = &insert.conflict {
            self.conflict(conflict, fields)?;
        }
        let columns = self.returning(insert.returning.as_ref())?;
        let bulk = self.bulk(insert, fields).filter(|_| matches!(rows, Rows::Unnest));
        let mut step = self.into_step(&columns)?;
        step.bulk = bulk;
        if let Rows::Batch(rows) = rows {
            step.rows_per_statement = u32::try_from(rows).ok();
        }
        Ok(step)
    }

    fn insert_columns(&mut self, fields: &[&'a Field]) {
        let added = self.added(fields).into_iter().map(|(field, _)| field);
        self.sql.push(" (");
        self.column_names(fields.iter().copied().chain(added));
        self.sql.push(")");
    }

    fn insert_values(&mut self, fields: &[&'a Field], rows: Rows) {
        if matches!(rows, Rows::Unnest) {
            return self.insert_unnested(fields);
        }
        let count = if let Rows::Batch(count) = rows { count } else { 1 };
        self.sql.push(" VALUES ");
        self.separated(", ", 0..count, |it, _| {
            it.sql.push("(");
            it.separated(", ", (0..).zip(fields), |it, (position, field)| {
                match it.view().agreed(field) {
                    Some(value) => it.forced_value(field, value),
                    None => it.as_stored(field, |it| match rows {
                        Rows::Parameters => {
                            it.sql.parameter(position, field.ty.kind, field.ty.many);
                        }
                        _ => it.sql.column(position, field.ty.kind, field.ty.many),
                    }),
                }
            });
            it.added_values(fields);
            it.sql.push(")");
        });
    }

    /// `SELECT … FROM (SELECT unnest(…), …)`: each column of the batch is one array. PostgreSQL
    /// iterates over all of them in parallel; `FROM unnest(…, …)` would first write them to a
    /// temporary table, which takes as long as the insert.
    fn insert_unnested(&mut self, fields: &[&'a Field]) {
        let names: Vec<_> = (0..fields.len()).map(|it| quoted(&format!("c{it}"))).collect();
        self.sql.push(" SELECT ");
        self.separated(", ", fields.iter().zip(&names), |it, (field, name)| {
            match it.view().agreed(field) {
                Some(value) => it.forced_value(field, value),
                None => it.as_enum(field, |it| {
                    it.sql.push("\"r\".");
                    it.sql.push(name);
                }),
            }
        });
        self.added_values(fields);
        self.sql.push(" FROM (SELECT ");
        self.arrays(fields);
        self.sql.push(&format!(") AS \"r\" ({})", names.join(", ")));
    }

    /// Writes each column of the batch as an unnested array.
    pub(super) fn arrays(&mut self, fields: &[&Field]) {
        self.separated(", ", (0..).zip(fields), |it, (position, field)| {
            it.sql.push("unnest(");
            it.sql.column(position, field.ty.kind, true);
            it.sql.push(")");
        });
    }

    /// Writes the names of columns, unqualified.
    fn column_names<'f>(&mut self, fields: impl IntoIterator<Item = &'f Field>) {
        self.separated(", ", fields, |it, field| it.sql.name(&field.column));
    }

    /// The same rows as a stream, which supports neither conflicts nor `RETURNING`.
    fn bulk(&self, insert: &Insert, fields: &[&'a Field]) -> Option<Bulk> {
        if insert.conflict.is_some() || insert.returning.is_some() {
            return None;
        }
        let (mut columns, mut values) = (Vec::new(), Vec::new());
        let mut add = |field: &Field, source| {
            columns.push(field.column.clone());
            values.push(Bind { source, kind: field.ty.kind, many: false });
        };
        for (position, field) in (0..).zip(fields) {
            let agreed = self.view().agreed(field).map(Binding::Forced);
            add(field, agreed.unwrap_or(Binding::Column(position)));
        }
        for (field, value) in self.added(fields) {
            add(field, Binding::Forced(value));
        }
        let table = self.table_name(self.typing.frame().row);
        let sql = self.dialect.bulk(&table, &quoted_list(&columns))?;
        Some(Bulk { sql, table, columns, values })
    }

    /// The forced fields that the insert does not list, each with its value.
    fn added(&self, fields: &[&Field]) -> Vec<(&'a Field, u32)> {
        let named = |field: &Field| fields.iter().any(|it| it.name == field.name);
        let forced = self.view().forced.iter().filter(|it| !named(it.field));
        forced.map(|it| (it.field, it.value)).collect()
    }

    fn added_values(&mut self, fields: &[&Field]) {
        for (position, (field, value)) in self.added(fields).into_iter().enumerate() {
            if position > 0 || !fields.is_empty() {
                self.sql.push(", ");
            }
            self.forced_value(field, value);
        }
    }

    /// Writes a forced value exactly as it is in the grant, whatever the model declares for its
    /// column: with its own digits, and as an enum only if that has the same text. Otherwise the
    /// statement fails, with two rows where only one is allowed.
    fn forced_value(&mut self, field: &Field, value: u32) {
        let is_enum = field.ty.enumeration.is_some() && self.dialect.features().enums;
        let write = |it: &mut Self| it.sql.forced(value, field.ty.kind, false);
        if !is_enum {
            return write(self);
        }
        self.sql.push("(SELECT ");
        self.as_enum(field, write);
        self.sql.push(" UNION ALL SELECT ");
        self.as_enum(field, write);
        self.sql.push(" WHERE CAST(");
        self.as_enum(field, write);
        let (text, exact) =
            (self.dialect.cast_type(field.ty.kind), self.dialect.exact(field.ty.kind));
        self.sql.push(&format!(" AS {text}){exact} <> "));
        write(self);
        self.sql.push(")");
    }

    /// Writes a value as its column stores it: as the enum, or with the declared digits.
    pub(super) fn as_stored(&mut self, field: &Field, write: impl FnOnce(&mut Self)) {
        let (before, after) = self.sized(field);
        self.sql.push(before);
        self.as_enum(field, write);
        self.sql.push(&after);
    }

    /// What to write before and after a value for a decimal field of a declared size.
    pub(super) fn sized(&self, field: &Field) -> (&'static str, String) {
        let size = match &field.kind {
            ColumnType::Decimal(Some(size)) => self.dialect.sized(size),
            _ => None,
        };
        size.unwrap_or_default()
    }

    /// Writes a value, cast to the enum of its column if it has one.
    pub(super) fn as_enum(&mut self, field: &Field, write: impl FnOnce(&mut Self)) {
        match field.ty.enumeration {
            Some(index) if self.dialect.features().enums => {
                let name = quoted(&self.catalog.enums[index].name);
                self.sql.push("CAST(");
                write(self);
                self.sql.push(&format!(" AS {name})"));
            }
            _ => write(self),
        }
    }

    fn conflict(&mut self, conflict: &'a Conflict, fields: &[&'a Field]) -> Result<(), Error> {
        let target = conflict.target.iter();
        let target: Vec<_> =
            target.map(|name| self.view().nameable(name)).collect::<Result<_, _>>()?;
        if !self.view().model.is_key(&target) {
            return Err(invalid(format!(
                "the fields of the conflict are no key of {}: name the primary key or a unique one",
                shown(&self.view().model.name)
            )));
        }
        self.sql.push(" ON CONFLICT (");
        self.column_names(target);
        self.sql.push(")");
        if conflict.update.is_empty() {
            self.sql.push(" DO NOTHING");
            return match conflict.condition {
                Some(node) => {
                    let fault = invalid("the condition of a conflict needs fields to update");
                    Err(self.typing.at(node, fault))
                }
                None => Ok(()),
            };
        }
        self.view().allow(Write::Update)?;
        self.typing.inserted = Some(fields.iter().map(|it| it.name.as_str()).collect());
        self.sql.push(" DO UPDATE SET ");
        self.assignments(&conflict.update)?;
        if let Some(condition) = conflict.condition {
            self.typing.check_condition(condition)?;
            self.typing.check_rowwise(condition, "the condition of a conflict")?;
        }
        policy::conjuncts(self, conflict.condition)?;
        self.typing.inserted = None;
        Ok(())
    }

    /// A parameter that is the value of a field must have the field's type everywhere else.
    fn check_parameters(&self, fields: &[&Field]) -> Result<(), Error> {
        for node in &self.query.nodes {
            let Node::Parameter(it) = node else { continue };
            let Some(field) = fields.get(it.index as usize) else { continue };
            if (it.kind, it.many) != (field.ty.kind, field.ty.many) {
                let fault = mismatch(format!(
                    "parameter {} is its value, and has another type elsewhere in the query",
                    it.index
                ));
                return Err(self.typing.of_field(field, fault));
            }
        }
        Ok(())
    }
}

/// How a statement gets the values of an insert.
#[derive(Debug, Clone, Copy)]
enum Rows {
    Parameters,
    Unnest,
    Batch(usize),
    Select(SelectRef),
}

/// The numbers of rows of the statements for a batch, for rows of this many values.
pub(super) fn batch_sizes(values: usize) -> Vec<usize> {
    let mut sizes = vec![(MAX_VALUES / values.max(1)).clamp(1, MAX_ROWS), 1];
    sizes.dedup();
    sizes
}

/// The fields of the rows, without duplicates.
fn fields<'a>(view: &View<'a>, insert: &Insert) -> Result<Vec<&'a Field>, Error> {
    let twice = |name: &str| format!("field {name} is inserted twice");
    each_once(&insert.fields, |name| view.writable(name), twice)
}

/// Finds fields by name, without duplicates.
pub(super) fn each_once<'a>(
    names: &[String],
    find: impl Fn(&str) -> Result<&'a Field, Error>,
    twice: impl Fn(&str) -> String,
) -> Result<Vec<&'a Field>, Error> {
    let mut known = BTreeSet::new();
    let found = names.iter().map(|name| {
        let field = find(name)?;
        match known.insert(&field.name) {
            true => Ok(field),
            false => Err(invalid(twice(&shown(name)))),
        }
    });
    found.collect()
}
