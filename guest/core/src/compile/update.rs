//! Updates: they touch exactly the rows that their select chooses.

use std::collections::HashSet;

use ferro_wit::plan::Step;
use ferro_wit::query::{Assignment, Select, Update};
use ferro_wit::types::Error;

use super::{CHOSEN, Compiler};
use crate::error::{at, invalid, shown};
use crate::policy::{self, Write};

impl<'a> Compiler<'a> {
    pub(super) fn update(mut self, update: &'a Update) -> Result<Step, Error> {
        self.view().allow(Write::Update)?;
        let rows = self.select_at(update.rows);
        self.check_rows(rows)?;
        self.sql.push("UPDATE ");
        self.target();
        self.sql.push(" SET ");
        self.assignments(&update.set)?;
        self.chosen(rows)?;
        let columns = self.returning(update.returning.as_ref())?;
        self.into_step(columns)
    }

    /// Writes the table whose rows are changed. Columns that have to be proven are not qualified
    /// from here on.
    pub(super) fn target(&mut self) {
        self.table();
        if self.must_prove_columns() {
            self.alias = None;
        }
    }

    /// Writes which column gets which value.
    pub(super) fn assignments(&mut self, set: &'a [Assignment]) -> Result<(), Error> {
        if set.is_empty() {
            return Err(invalid("an update sets at least one field"));
        }
        let mut known = HashSet::with_capacity(set.len());
        for (position, assignment) in set.iter().enumerate() {
            let field = self.view().writable(&assignment.field)?;
            if !known.insert(field.name.as_str()) {
                return Err(invalid(format!("field {} is set twice", shown(&field.name))));
            }
            self.typing.check_assignable(assignment.value, field.ty)?;
            if position > 0 {
                self.sql.push(", ");
            }
            self.sql.name(&field.column);
            self.sql.push(" = ");
            match self.view().agreed(field) {
                Some(value) => self.as_enum(field, |it| it.sql.forced(value, field.ty.kind, false)),
                None => self.assigned(assignment.value, field.ty)?,
            }
        }
        Ok(())
    }

    /// Writes the condition on the rows to change. A limit or an offset counts the rows of the
    /// select, so they are chosen by their keys in one.
    pub(super) fn chosen(&mut self, rows: &'a Select) -> Result<(), Error> {
        if rows.limit.is_none() && rows.offset.is_none() {
            // Without a limit an order chooses nothing.
            for term in &rows.order_by {
                if self.fact(term.expression)?.parameter {
                    return Err(at(term.expression)(invalid(
                        "an order without a limit takes no parameters here",
                    )));
                }
            }
            return policy::conjuncts(self, rows.filter);
        }
        let composite = self.view().model.primary_key.len() > 1;
        policy::conjuncts(self, None)?;
        self.sql.push(if self.view().forced.is_empty() { " WHERE " } else { " AND " });
        self.sql.push(if composite { "(" } else { "" });
        self.keys();
        self.sql.push(if composite { ") IN (" } else { " IN (" });
        let outer = self.alias.replace(CHOSEN);
        self.chosen_keys(rows)?;
        self.alias = outer;
        self.sql.push(")");
        Ok(())
    }
}
