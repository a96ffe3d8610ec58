//! The only place where a scope is applied: which parts of a model a caller may use, and which
//! conditions are forced on its rows.
//!
//! The other stages access models and fields only through a [`View`], so anything outside of the
//! scope looks as if it did not exist. [`crossing`] does this for relations; [`rows`] writes the
//! conditions.

mod agreements;
mod crossing;
mod rows;

use std::iter;

use ferro_wit::policy::{FieldSet, Scope, TableScope};
use ferro_wit::schema::Comparison;
use ferro_wit::types::{Error, ErrorKind, ScalarType};

use crate::catalog::{Catalog, Field, Model};
use crate::error::{bad_scope, denied, invalid, shown, suggestion};

pub(crate) use agreements::agreements;
pub(crate) use rows::{conjuncts, fails, forced_too, holds, joined, must_guard, operator, value};

/// A model as visible to a caller.
#[derive(Debug, Clone)]
pub(crate) struct View<'a> {
    pub(crate) model: &'a Model,
    /// `None`: everything is allowed.
    scope: Option<&'a TableScope>,
    pub(crate) forced: Vec<Forced<'a>>,
    /// The number of its common table, if it is one: these contain nothing that the caller may not
    /// see.
    pub(crate) common: Option<usize>,
}

/// A condition on every row that the caller reads, or leaves after a write.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Forced<'a> {
    pub(crate) field: &'a Field,
    pub(crate) test: Comparison,
    pub(crate) many: bool,
    /// Its number among the forced values of the scope.
    pub(crate) value: u32,
}

/// A way to change rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Write {
    Insert,
    Update,
    Delete,
}

impl<'a> View<'a> {
    /// A model of the catalog, if the caller may see it.
    pub(crate) fn open(
        catalog: &'a Catalog,
        scope: Option<&'a Scope>,
        name: &str,
    ) -> Result<Self, Error> {
        Self::open_among(catalog, scope, name, iter::empty())
    }

    /// The same, with further names to suggest if there is no such model.
    pub(crate) fn open_among(
        catalog: &'a Catalog,
        scope: Option<&'a Scope>,
        name: &str,
        others: impl Iterator<Item = &'a str> + Clone,
    ) -> Result<Self, Error> {
        let Some(scope) = scope else {
            let unknown = || {
                let known = catalog.models.iter().map(|it| it.name.as_str());
                invalid(no_model(name, known.chain(others)))
            };
            let (_, model) = catalog.model(name).ok_or_else(unknown)?;
            return Ok(Self { model, scope: None, forced: Vec::new(), common: None });
        };
        let unknown = || {
            let granted = scope.tables.iter().map(|it| it.model.as_str());
            denied(no_model(name, granted.chain(others.clone())))
        };
        let mut listed = scope.tables.iter().enumerate().filter(|(_, it)| it.model == name);
        let (position, table) = listed.next().ok_or_else(unknown)?;
        if listed.next().is_some() {
            return Err(bad_scope(format!("the scope lists model {} twice", shown(name))));
        }
        let (_, model) = catalog.model(name).ok_or_else(unknown)?;
        check_field_sets(model, table)?;
        let before: usize = scope.tables.iter().take(position).map(|it| it.filters.len()).sum();
        let forced = forced(model, table, before)?;
        Ok(Self { model, scope: Some(table), forced, common: None })
    }

    /// A common table. It has no restrictions: it was made by the caller, from what the scope
    /// allows.
    pub(crate) fn of_common(index: usize, model: &'a Model) -> Self {
        Self { model, scope: None, forced: Vec::new(), common: Some(index) }
    }

    /// Its name in messages.
    pub(crate) fn shown(&self) -> String {
        let what = if self.common.is_some() { "common table" } else { "model" };
        format!("{what} {}", shown(&self.model.name))
    }

    /// The fields that may be read, in the order of the model.
    pub(crate) fn readable_fields(&self) -> impl Iterator<Item = &'a Field> + '_ {
        self.model.fields.iter().filter(|it| self.may_read(it))
    }

    /// All fields that a statement may compare.
    fn compared_fields(&self) -> Vec<&'a Field> {
        self.model.fields.iter().filter(|it| self.may_read(it) || self.is_forced(it)).collect()
    }

    /// A field that may be read, and used in filters and orders.
    pub(crate) fn readable(&self, name: &str) -> Result<&'a Field, Error> {
        self.model.field(name).filter(|it| self.may_read(it)).ok_or_else(|| self.no_field(name))
    }

    /// A field that may be assigned. A forced field may be, too, if there is a single value with
    /// which the assigned one must agree.
    pub(crate) fn writable(&self, name: &str) -> Result<&'a Field, Error> {
        let field = self.nameable(name)?;
        let agrees = self.agreed(field).is_some();
        self.written(field, if self.is_forced(field) { agrees } else { self.may_write(field) })
    }

    /// A field that every update sets, such as a version. Plugins declare which fields these are, so
    /// it may be one that they must not write.
    pub(crate) fn set_by_update(&self, name: &str) -> Result<&'a Field, Error> {
        let field = self.nameable(name)?;
        self.written(field, self.may_write(field) && !self.is_forced(field))
    }

    fn written(&self, field: &'a Field, allowed: bool) -> Result<&'a Field, Error> {
        match allowed {
            true => Ok(field),
            false => Err(denied(format!(
                "field {} of {} may not be written",
                shown(&field.name),
                shown(&self.model.name)
            ))),
        }
    }

    /// The only value that the scope allows for a field, by its number.
    pub(crate) fn agreed(&self, field: &Field) -> Option<u32> {
        let mut forced = self.forced.iter().filter(|it| it.field.name == field.name);
        let only = forced.next().filter(|it| it.test == Comparison::Equal && !it.many)?;
        forced.next().is_none().then_some(only.value)
    }

    /// A field that may be read or written.
    pub(crate) fn nameable(&self, name: &str) -> Result<&'a Field, Error> {
        self.model
            .field(name)
            .filter(|it| self.may_read(it) || self.may_write(it))
            .ok_or_else(|| self.no_field(name))
    }

    /// Fails if the caller may not change rows in this way.
    pub(crate) fn allow(&self, write: Write) -> Result<(), Error> {
        let Some(scope) = self.scope else { return Ok(()) };
        let (granted, verb) = match write {
            Write::Insert => (scope.insert, "inserted into"),
            Write::Update => (scope.update, "updated in"),
            Write::Delete => (scope.delete, "deleted from"),
        };
        match granted {
            true => Ok(()),
            false => Err(denied(format!("rows may not be {verb} {}", shown(&self.model.name)))),
        }
    }

    /// The filters that an insert satisfies by setting their fields. Fails if there are others,
    /// since an insert could then add rows outside of the scope.
    pub(crate) fn forced_on_insert(&self) -> Result<&[Forced<'a>], Error> {
        for (index, forced) in self.forced.iter().enumerate() {
            let settable = forced.test == Comparison::Equal && !forced.many;
            let again = self.forced.iter().take(index).any(|it| it.field.name == forced.field.name);
            if !settable || again {
                return Err(denied(format!(
                    "rows may not be inserted into {}: no single value fits its scope",
                    shown(&self.model.name)
                )));
            }
        }
        Ok(&self.forced)
    }

    pub(crate) fn may_read(&self, field: &Field) -> bool {
        self.scope.is_none_or(|it| contains(&it.readable, &field.name))
    }

    fn is_forced(&self, field: &Field) -> bool {
        self.forced.iter().any(|it| it.field.name == field.name)
    }

    fn may_write(&self, field: &Field) -> bool {
        self.scope.is_none_or(|it| contains(&it.writable, &field.name))
    }

    /// The same error for a field that does not exist and for one that is hidden.
    fn no_field(&self, name: &str) -> Error {
        let known = self.readable_fields().map(|it| it.name.as_str());
        let message =
            format!("{} has no field {}{}", self.shown(), shown(name), suggestion(name, known));
        match self.scope {
            Some(_) => denied(message),
            None => invalid(message),
        }
    }
}

/// Fails for any write if the scope is read-only.
pub(crate) fn allow_writes(scope: Option<&Scope>) -> Result<(), Error> {
    match scope {
        Some(scope) if scope.read_only => Err(Error::new(
            ErrorKind::ReadOnly,
            "nothing may be written here: the grant is read-only",
        )),
        _ => Ok(()),
    }
}

fn no_model<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    format!("there is no model {}{}", shown(name), suggestion(name, known))
}

fn contains(set: &FieldSet, name: &str) -> bool {
    match set {
        FieldSet::All => true,
        FieldSet::Only(names) => names.iter().any(|it| it == name),
        FieldSet::Except(names) => names.iter().all(|it| it != name),
    }
}

/// Rejects unknown fields: a misspelled name in `except` would expose a column.
fn check_field_sets(model: &Model, table: &TableScope) -> Result<(), Error> {
    for set in [&table.readable, &table.writable] {
        let (FieldSet::Only(names) | FieldSet::Except(names)) = set else { continue };
        if let Some(name) = names.iter().find(|it| model.field(it).is_none()) {
            return Err(bad_scope(format!(
                "the scope names field {} of {}, which does not exist",
                shown(name),
                shown(&model.name)
            )));
        }
    }
    Ok(())
}

fn forced<'a>(
    model: &'a Model,
    table: &TableScope,
    before: usize,
) -> Result<Vec<Forced<'a>>, Error> {
    let mut forced = Vec::with_capacity(table.filters.len());
    for (position, filter) in table.filters.iter().enumerate() {
        let at = || format!("{}.{}", shown(&model.name), shown(&filter.field));
        let field = model.field(&filter.field).ok_or_else(|| {
            bad_scope(format!("the scope filters by {}, which does not exist", at()))
        })?;
        let by_equality = matches!(filter.test, Comparison::Equal | Comparison::NotEqual);
        let comparable = !field.ty.many
            && !matches!(field.ty.kind, ScalarType::Json | ScalarType::Interval)
            && (by_equality || (field.ty.enumeration.is_none() && !filter.many));
        if !comparable {
            return Err(bad_scope(format!("the scope cannot filter by {} in that way", at())));
        }
        let value = u32::try_from(before + position)
            .map_err(|_| bad_scope("the scope has too many filters"))?;
        forced.push(Forced { field, test: filter.test, many: filter.many, value });
    }
    Ok(forced)
}
