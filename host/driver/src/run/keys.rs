//! Collects the keys that later steps of a plan bind from the rows of earlier steps.

use std::collections::HashSet;

use ferro_wit::plan::{Binding, Plan, Step};
use ferro_wit::types::{Batch, Column, ScalarType, Scalars, Value};

use crate::value::{Cell, Operand};

/// The keys for all steps of a plan; empty if the plan has only one step.
///
/// They take memory for each distinct key, not for whole rows, and only for rows that the caller
/// has received.
#[derive(Default)]
pub(crate) struct Keys {
    found: Vec<Found>,
}

/// Distinct values of some columns of a step.
struct Found {
    step: u32,
    columns: Vec<u32>,
    seen: HashSet<Vec<u8>>,
    /// One entry per column, all of the same length.
    values: Vec<Scalars>,
}

impl Keys {
    /// No keys yet, but entries for everything that the steps of a plan bind.
    pub(super) fn of(plan: &Plan) -> Self {
        let mut keys = Self::default();
        for step in &plan.steps {
            for source in sources(step) {
                let columns = columns(step, source);
                if keys.position(source, &columns).is_some() {
                    continue;
                }
                let infos = plan.steps.get(source as usize).map_or(&[][..], |it| &it.columns);
                let kind = |it: &u32| infos.get(*it as usize).map(|it| it.kind);
                let kinds = columns.iter().map(|it| kind(it).unwrap_or(ScalarType::Integer));
                let values = kinds.map(Scalars::with_kind).collect();
                keys.found.push(Found { step: source, columns, seen: HashSet::new(), values });
            }
        }
        keys
    }

    /// Adds the new keys in the rows of a step.
    pub(super) fn add(&mut self, step: usize, batch: &Batch) {
        for found in self.found.iter_mut().filter(|it| it.step as usize == step) {
            found.add(batch);
        }
    }

    /// Whether a step binds keys, and there are none: then it has no rows.
    pub(super) fn lack(&self, step: &Step) -> bool {
        sources(step).into_iter().any(|source| {
            let found = self.position(source, &columns(step, source));
            found.is_none_or(|it| self.found[it].seen.is_empty())
        })
    }

    /// The values that a step binds from a column of an earlier step.
    pub(super) fn bound(&self, step: &Step, source: u32, column: u32) -> Option<Operand<'_>> {
        let columns = columns(step, source);
        let found = &self.found[self.position(source, &columns)?];
        let values = &found.values[columns.iter().position(|it| *it == column)?];
        Some(Operand::Array(values, 0, values.len()))
    }

    fn position(&self, step: u32, columns: &[u32]) -> Option<usize> {
        self.found.iter().position(|it| it.step == step && it.columns == columns)
    }
}

impl Found {
    fn add(&mut self, batch: &Batch) {
        let scalars = |it: &u32| match batch.columns.get(*it as usize) {
            Some(Column::Scalars(items)) => Some(items),
            _ => None,
        };
        let Some(columns) = self.columns.iter().map(scalars).collect::<Option<Vec<_>>>() else {
            return;
        };
        let mut key = Vec::new();
        for row in 0..batch.rows as usize {
            key.clear();
            let whole = columns.iter().all(|it| match Cell::of(it, row) {
                None | Some(Cell::Null) => false,
                Some(cell) => {
                    append(cell, &mut key);
                    true
                }
            });
            if !whole || self.seen.contains(&key) {
                continue;
            }
            self.seen.insert(key.clone());
            for (to, from) in self.values.iter_mut().zip(&columns) {
                // Both have the type that the plan declares.
                if to.push(from.get(row).unwrap_or(Value::Null)).is_err() {
                    to.push_null();
                }
            }
        }
    }
}

/// The earlier steps whose columns a step binds.
fn sources(step: &Step) -> Vec<u32> {
    let mut sources: Vec<_> = keys(step).map(|(source, _)| source).collect();
    sources.sort_unstable();
    sources.dedup();
    sources
}

/// The columns of an earlier step that a step binds together, as one key.
fn columns(step: &Step, source: u32) -> Vec<u32> {
    let of_source = keys(step).filter(|(it, _)| *it == source);
    let mut columns: Vec<_> = of_source.map(|(_, column)| column).collect();
    columns.sort_unstable();
    columns.dedup();
    columns
}

fn keys(step: &Step) -> impl Iterator<Item = (u32, u32)> {
    step.binds.iter().filter_map(|bind| match bind.source {
        Binding::Keys(it) => Some(it),
        _ => None,
    })
}

/// Appends bytes that are unique among values of the same type, with the length first, so that
/// composite keys are equal only if all their columns are.
fn append(cell: Cell<'_>, key: &mut Vec<u8>) {
    let mut bytes = |it: &[u8]| {
        key.extend(it.len().to_ne_bytes());
        key.extend(it);
    };
    match cell {
        Cell::Null => {}
        Cell::Boolean(it) => key.push(u8::from(it)),
        Cell::Integer(it) | Cell::Time(it) | Cell::Timestamp(it) | Cell::Timestamptz(it) => {
            key.extend(it.to_ne_bytes());
        }
        Cell::Float(it) => key.extend(it.to_bits().to_ne_bytes()),
        Cell::Decimal(it) | Cell::Text(it) | Cell::Json(it) => bytes(it.as_bytes()),
        Cell::Blob(it) => bytes(it),
        Cell::Uuid((high, low)) => {
            key.extend(high.to_ne_bytes());
            key.extend(low.to_ne_bytes());
        }
        Cell::Date(it) => key.extend(it.to_ne_bytes()),
        Cell::Interval(it) => {
            key.extend(it.months.to_ne_bytes());
            key.extend(it.days.to_ne_bytes());
            key.extend(it.microseconds.to_ne_bytes());
        }
    }
}
