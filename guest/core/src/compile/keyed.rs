//! Updates by a batch: each row of the batch updates the row with its key, many in one statement.

use ferro_wit::plan::Step;
use ferro_wit::query::{KeyedBatch, Update};
use ferro_wit::types::Error;

use super::Compiler;
use super::insert::{batch_sizes, each_once};
use crate::catalog::Field;
use crate::dialect::Spelling as _;
use crate::error::{invalid, shown};
use crate::policy::{self, View};
use crate::sql::quoted;

/// The name of the batch in the statement.
pub(super) const BATCH: &str = "batch.rows";

impl<'a> Compiler<'a> {
    /// One step for the whole batch if the database has arrays; else steps for many rows and for
    /// one.
    pub(super) fn update_batch(
        self,
        update: &'a Update,
        batch: &'a KeyedBatch,
    ) -> Result<Vec<Step>, Error> {
        let fields = fields(self.view(), batch)?;
        if self.dialect.features().arrays && !fields.iter().any(|it| it.ty.many) {
            return Ok(vec![self.update_keyed(update, batch, &fields, None)?]);
        }
        batch_sizes(fields.len())
            .into_iter()
            .map(|rows| {
                let compiler = Self::new(self.typing.task, self.view().clone())?;
                compiler.update_keyed(update, batch, &fields, Some(rows))
            })
            .collect()
    }

    fn update_keyed(
        mut self,
        update: &'a Update,
        batch: &'a KeyedBatch,
        fields: &[&'a Field],
        rows: Option<usize>,
    ) -> Result<Step, Error> {
        let chosen = self.check_rows_of_batch(update.rows)?;
        self.typing.batch = Some(batch.fields.iter().map(String::as_str).collect());
        self.typing.check_clauses(chosen)?;
        self.given(fields, rows);
        self.sql.push("UPDATE ");
        self.table();
        self.sql.push(" SET ");
        self.assignments(&update.set)?;
        self.sql.push(&format!(" FROM \"{BATCH}\""));
        let before = policy::conjuncts(&mut self, chosen.filter)?;
        self.sql.push(before);
        self.try_separated(" AND ", &batch.key, |it, name| {
            let field = it.view().readable(name)?;
            it.column(field);
            it.sql.push(" = ");
            it.of_batch(field);
            Ok::<_, Error>(())
        })?;
        let columns = self.returning(update.returning.as_ref())?;
        let mut step = self.into_step(&columns)?;
        step.rows_per_statement = rows.and_then(|it| u32::try_from(it).ok());
        Ok(step)
    }

    /// Writes the rows of the batch before the statement.
    fn given(&mut self, fields: &[&'a Field], rows: Option<usize>) {
        match rows {
            None => {
                self.sql.push("SELECT ");
                self.arrays(fields);
            }
            Some(rows) => {
                self.sql.push("VALUES ");
                self.separated(", ", 0..rows, |it, _| {
                    it.sql.push("(");
                    it.separated(", ", (0..).zip(fields), |it, (position, field)| {
                        it.sql.column(position, field.ty.kind, field.ty.many);
                    });
                    it.sql.push(")");
                });
            }
        }
        let names: Vec<_> = (0..fields.len()).map(|it| quoted(&given_name(it))).collect();
        self.sql.move_ahead(BATCH, &names);
    }

    /// Writes a field of the current row of the batch.
    pub(super) fn of_batch(&mut self, field: &Field) {
        let batch = self.typing.batch.as_ref();
        let position = batch.and_then(|it| it.iter().position(|name| *name == field.name));
        let name = given_name(position.unwrap_or_default());
        self.as_enum(field, |it| it.sql.qualified(BATCH, &name));
    }
}

/// A name that no column of a model has, so that names in `RETURNING` only refer to the table.
fn given_name(position: usize) -> String {
    format!("given.{position}")
}

/// The fields of the rows, without duplicates, which must include a key.
fn fields<'a>(view: &View<'a>, batch: &KeyedBatch) -> Result<Vec<&'a Field>, Error> {
    let twice = |name: &str| format!("the batch has field {name} twice");
    let fields = each_once(&batch.fields, |name| view.nameable(name), twice)?;
    let mut key = Vec::with_capacity(batch.key.len());
    for name in &batch.key {
        key.push(view.readable(name)?);
        if !batch.fields.contains(name) {
            return Err(invalid(format!("the batch has no field {}, its key", shown(name))));
        }
    }
    match view.model.is_key(&key) {
        true => Ok(fields),
        false => Err(invalid(format!(
            "the fields of the batch's key are no key of {}: name the primary key or a unique one",
            shown(&view.model.name)
        ))),
    }
}
