//! A grant, applied to the models of a plugin: the scope that the core compiles under, and the
//! forced values that the driver binds.

use std::collections::BTreeMap;
use std::sync::Arc;

use ferro_wit::policy::{FieldSet, ForcedFilter, Scope, TableScope};
use ferro_wit::schema::{Field, Model, Schema};
use ferro_wit::types::{Error, ErrorKind, Value};

use crate::filter::Filter;
use crate::grant::{Access, Grant, TableGrant};
use crate::names::{column_of, default_table, may_be_same, table_of};

/// What a caller may do in one database.
#[derive(Debug)]
pub(crate) struct Policy {
    /// The shape of the rights, without values; none: every model, to read and to write.
    pub(crate) scope: Option<Arc<Scope>>,
    /// The values of the scope's filters: its tables in order, their filters in order.
    pub(crate) forced: Vec<Value>,
    pub(crate) read_only: bool,
    pub(crate) raw_sql: bool,
}

impl Policy {
    /// Everything.
    pub(crate) fn trusted() -> Self {
        Self { scope: None, forced: Vec::new(), read_only: false, raw_sql: true }
    }

    /// What a grant allows on the models of a plugin.
    ///
    /// The scope lists the models in the order of the schema, and filters by field, so that grants
    /// of one shape give equal scopes, and their tenants share plans.
    pub(crate) fn new(grant: &Grant, schema: &Schema) -> Result<Self, Error> {
        let read_only = grant.access == Access::ReadOnly;
        let mut forced = Vec::new();
        let mut tables = Vec::new();
        for model in &schema.models {
            let Some(granted) = granted(grant.tables.as_ref(), model)? else { continue };
            tables.push(table_scope(&granted, model, schema, &mut forced)?);
        }
        let unrestricted = grant.tables.is_none() && !read_only;
        Ok(Self {
            scope: (!unrestricted).then(|| Arc::new(Scope { tables, read_only })),
            forced,
            read_only,
            raw_sql: grant.raw_sql,
        })
    }

    /// Whether a model exists for the caller.
    pub(crate) fn sees_model(&self, model: &Model) -> bool {
        self.table(model).is_none_or(|it| it.is_some())
    }

    /// Whether a field exists for the caller.
    pub(crate) fn sees_field(&self, model: &Model, field: &Field) -> bool {
        self.table(model).is_none_or(|table| {
            table.is_some_and(|it| {
                has(&it.readable, &field.name)
                    || ((it.insert || it.update) && has(&it.writable, &field.name))
            })
        })
    }

    /// What the scope says of a model, where there is a scope.
    fn table(&self, model: &Model) -> Option<Option<&TableScope>> {
        let scope = self.scope.as_ref()?;
        Some(scope.tables.iter().find(|table| table.model == model.name))
    }
}

/// What a grant says of the table behind a model; none: it does not exist for the tenant.
fn granted(
    tables: Option<&BTreeMap<String, TableGrant>>,
    model: &Model,
) -> Result<Option<TableGrant>, Error> {
    let Some(tables) = tables else { return Ok(Some(TableGrant::read_write())) };
    let table = table_of(model);
    let mut named =
        tables.iter().filter(|(name, _)| **name == table || default_table(name) == table);
    match (named.next(), named.next()) {
        (Some((one, _)), Some((other, _))) => {
            Err(invalid(format!("`{one}` and `{other}` are the same table: name it once")))
        }
        (found, _) => Ok(found.map(|(_, grant)| grant.clone())),
    }
}

fn table_scope(
    grant: &TableGrant,
    model: &Model,
    schema: &Schema,
    forced: &mut Vec<Value>,
) -> Result<TableScope, Error> {
    let mut filters = Vec::with_capacity(grant.filters.len());
    for filter in &grant.filters {
        let field = field_of(filter, model)?;
        let value = filter.value_for(&field.kind, &schema.enums);
        let value =
            value.map_err(|fault| invalid(format!("table `{}`: {fault}", table_of(model))))?;
        let shape =
            ForcedFilter { field: field.name.clone(), test: filter.test, many: filter.many() };
        filters.push((shape, value));
    }
    filters.sort_by(|(one, _), (other, _)| {
        (&one.field, one.test, one.many).cmp(&(&other.field, other.test, other.many))
    });
    let (filters, values): (Vec<_>, Vec<_>) = filters.into_iter().unzip();
    forced.extend(values);
    Ok(TableScope {
        model: model.name.clone(),
        readable: fields(&grant.read, model),
        writable: fields(&grant.write, model),
        insert: grant.insert,
        update: grant.update,
        delete: grant.delete,
        filters,
    })
}

/// The field behind the column of a filter. A model without it cannot be filtered, so nothing of
/// it may be seen.
fn field_of<'a>(filter: &Filter, model: &'a Model) -> Result<&'a Field, Error> {
    model.fields.iter().find(|field| column_of(field) == filter.column).ok_or_else(|| {
        invalid(format!(
            "table `{}` is filtered by column `{}`, which the model `{}` does not have",
            table_of(model),
            filter.column,
            model.name
        ))
    })
}

/// A set of columns as a set of the model's fields. What is excepted is compared as loosely as a
/// database compares names: a model could spell the column in another way.
fn fields(columns: &FieldSet, model: &Model) -> FieldSet {
    let chosen = |choose: &dyn Fn(&str) -> bool| {
        let fields = model.fields.iter().filter(|field| choose(column_of(field)));
        FieldSet::Only(fields.map(|field| field.name.clone()).collect())
    };
    match columns {
        FieldSet::All => FieldSet::All,
        FieldSet::Only(names) => chosen(&|column| names.iter().any(|name| name == column)),
        FieldSet::Except(names) => {
            chosen(&|column| !names.iter().any(|name| may_be_same(name, column)))
        }
    }
}

fn has(set: &FieldSet, field: &str) -> bool {
    match set {
        FieldSet::All => true,
        FieldSet::Only(names) => names.iter().any(|name| name == field),
        FieldSet::Except(names) => !names.iter().any(|name| name == field),
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidConfiguration, message)
}
