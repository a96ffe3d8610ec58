//! Data shared by the stages from `common_tables` on.

use ferro_wit::policy::Scope;
use ferro_wit::query::Query;
use ferro_wit::types::{Dialect, Error};

use crate::catalog::Catalog;
use crate::common_tables::Commons;
use crate::policy::View;

/// A query to compile for a database, under a scope.
#[derive(Clone, Copy)]
pub(crate) struct Task<'a> {
    pub(crate) catalog: &'a Catalog,
    pub(crate) query: &'a Query,
    pub(crate) dialect: Dialect,
    pub(crate) scope: Option<&'a Scope>,
    pub(crate) commons: Commons<'a>,
}

impl<'a> Task<'a> {
    /// The source of a select: a common table, or a model that the caller may see.
    pub(crate) fn open(&self, name: &str) -> Result<View<'a>, Error> {
        if let Some(view) = self.commons.view(name) {
            return Ok(view);
        }
        let others = self.query.common.iter().map(|it| it.name.as_str());
        View::open_among(self.catalog, self.scope, name, others)
    }
}
