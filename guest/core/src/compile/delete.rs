//! Deletes: they touch exactly the rows that their select chooses.

use ferro_wit::plan::Step;
use ferro_wit::query::Delete;
use ferro_wit::types::Error;

use super::Compiler;
use crate::policy::Write;

impl<'a> Compiler<'a> {
    pub(super) fn delete(mut self, delete: &'a Delete) -> Result<Step, Error> {
        self.view().allow(Write::Delete)?;
        let chosen = self.check_rows(delete.rows)?;
        self.sql.push("DELETE FROM ");
        self.table();
        self.chosen(&chosen)?;
        let columns = self.returning(delete.returning.as_ref())?;
        self.into_step(&columns)
    }
}
