//! The names of constraints and indexes: the same on every run, and no two alike.

use std::collections::HashSet;

use crate::catalog::{Catalog, shorten};

/// The names that are taken.
pub(super) struct Names(HashSet<String>);

impl Names {
    /// Those of tables and those that the models give.
    pub(super) fn new(catalog: &Catalog) -> Self {
        let models = catalog.models.iter();
        let tables = models.clone().map(|it| it.table.name.as_str());
        let joins = catalog.join_tables.iter().map(|it| it.table.name.as_str());
        let indexes = models.clone().flat_map(|it| &it.indexes);
        let indexes = indexes.filter_map(|it| it.name.as_deref());
        let checks = models.flat_map(|it| &it.checks).filter_map(|it| it.name.as_deref());
        let names = tables.chain(joins).chain(indexes).chain(checks);
        Self(names.map(str::to_ascii_lowercase).collect())
    }

    /// A new name: `user_email_key` for the table `user`, the columns `email` and the suffix `key`.
    pub(super) fn make<'a>(
        &mut self,
        table: &str,
        columns: impl Iterator<Item = &'a str>,
        suffix: &'a str,
    ) -> String {
        let mut base = table.to_owned();
        for part in columns.chain([suffix]) {
            base.push('_');
            base.push_str(part);
        }
        let mut name = shorten(base.clone());
        let mut number = 2;
        while !self.0.insert(name.to_ascii_lowercase()) {
            name = shorten(format!("{base}_{number}"));
            number += 1;
        }
        name
    }
}
