//! Checks foreign keys and many-to-many relations, and builds join tables.

use std::collections::{BTreeMap, BTreeSet};

use ferro_wit::schema::{ForeignKey, ManyToMany, Model, ReferentialAction, Schema};
use ferro_wit::snake_case;

use super::faults::{comparable, no_field};
use super::{JoinEnd, JoinTable, Table, former_tables, keys, names, table_of};
use crate::error::{shown, suggestion};

/// Adds the faults of all relations.
pub(super) fn find(schema: &Schema, found: &mut Vec<String>) {
    let mut faults = Faults { schema, found };
    faults.names();
    for model in &schema.models {
        for key in &model.foreign_keys {
            let at = format!("model {}, relation {}", shown(&model.name), shown(&key.name));
            faults.foreign_key(model, key, &at);
        }
        for relation in &model.many_to_manys {
            let at = format!("model {}, relation {}", shown(&model.name), shown(&relation.name));
            faults.many_to_many(model, relation, &at);
        }
    }
    faults.join_tables();
}

/// The join table of a relation that names no model for it: `post_tags` for the relation `tags` of
/// the table `post`. Its columns are named after the models and their keys.
pub(super) fn join_table(
    source: &Model,
    relation: &ManyToMany,
    target: &Model,
    models: &BTreeMap<String, usize>,
) -> JoinTable {
    let table = table_of(source);
    let name = |table: &String| names::shorten(format!("{table}_{}", relation.name));
    let (from, to) = match source.name == target.name {
        true => (vec!["from".to_owned()], vec!["to".to_owned()]),
        false => (prefixes(source), prefixes(target)),
    };
    JoinTable {
        former_tables: former_tables(source).iter().map(name).collect(),
        table: Table { name: name(&table.name), ..table },
        source: join_end(source, &from, models),
        target: join_end(target, &to, models),
    }
}

/// Prefixes of columns that are named after a model, including its former name.
fn prefixes(model: &Model) -> Vec<String> {
    let former = model.renamed_from.as_deref().map(snake_case);
    [snake_case(&model.name)].into_iter().chain(former).collect()
}

fn join_end(model: &Model, prefixes: &[String], models: &BTreeMap<String, usize>) -> JoinEnd {
    let keys = model.primary_key.iter();
    let columns = keys.filter_map(|key| model.fields.iter().find(|it| &it.name == key));
    let names = columns.map(|field| {
        let names = [field.column_name()].into_iter().chain(field.renamed_from.as_deref());
        let names: Vec<_> = names.collect();
        let named = |prefix| names.iter().map(move |it| names::shorten(format!("{prefix}_{it}")));
        prefixes.iter().flat_map(named).collect::<Vec<_>>()
    });
    let names: Vec<_> = names.collect();
    JoinEnd {
        model: models.get(&model.name).copied().unwrap_or_default(),
        columns: names.iter().filter_map(|it| it.first().cloned()).collect(),
        former_columns: names.into_iter().map(|it| it.into_iter().skip(1).collect()).collect(),
    }
}

struct Faults<'a> {
    schema: &'a Schema,
    found: &'a mut Vec<String>,
}

impl<'a> Faults<'a> {
    fn model(&self, name: &str) -> Option<&'a Model> {
        self.schema.models.iter().find(|it| it.name == name)
    }

    /// A name must be unique on a model: among fields, relations, and the reverse sides of other
    /// models' relations.
    fn names(&mut self) {
        let mut known: BTreeSet<(&str, &str)> = BTreeSet::new();
        for model in &self.schema.models {
            known.extend(model.fields.iter().map(|it| (model.name.as_str(), it.name.as_str())));
        }
        for model in &self.schema.models {
            let keys = model.foreign_keys.iter().map(|it| (&it.name, &it.target, &it.reverse));
            let pairs = model.many_to_manys.iter().map(|it| (&it.name, &it.target, &it.reverse));
            for (name, target, reverse) in keys.chain(pairs) {
                let at = format!("model {}, relation {}", shown(&model.name), shown(name));
                if let Some(fault) = names::fault(name) {
                    self.found.push(format!("{at}: its name {fault}"));
                }
                if !known.insert((&model.name, name)) {
                    self.found.push(format!(
                        "{at}: the model has another field or relation of that name"
                    ));
                }
                let Some(reverse) = reverse else { continue };
                if let Some(fault) = names::fault(reverse) {
                    self.found.push(format!("{at}: the name of its reverse {fault}"));
                }
                if !known.insert((target, reverse)) {
                    self.found.push(format!(
                        "{at}: model {} has another field or relation {}, the name of its reverse",
                        shown(target),
                        shown(reverse)
                    ));
                }
            }
        }
    }

    fn foreign_key(&mut self, model: &Model, key: &ForeignKey, at: &str) {
        if key.fields.is_empty() {
            self.found.push(format!("{at}: it has no fields"));
        }
        let Some(target) = self.model(&key.target) else {
            self.found.push(self.no_model(&key.target, at));
            return;
        };
        for (from, to) in &key.fields {
            let own = model.fields.iter().find(|it| &it.name == from);
            let other = target.fields.iter().find(|it| &it.name == to);
            if own.is_none() {
                self.found.push(no_field(model, from, at));
            }
            if other.is_none() {
                let at = format!("{at}, target {}", shown(&target.name));
                self.found.push(no_field(target, to, &at));
            }
            let (Some(own), Some(other)) = (own, other) else { continue };
            if !comparable(&own.kind, &other.kind) {
                self.found.push(format!(
                    "{at}: {} and {} of {} have different types",
                    shown(from),
                    shown(to),
                    shown(&target.name)
                ));
            }
            if own.on_update.is_some() {
                self.found.push(format!(
                    "{at}: updates may not set {}, which is part of it, by themselves",
                    shown(from)
                ));
            }
            let actions = [key.on_delete, key.on_update];
            if actions.contains(&ReferentialAction::SetNull) && !own.nullable {
                self.found.push(format!("{at}: set-null needs {} to be nullable", shown(from)));
            }
            if actions.contains(&ReferentialAction::SetDefault)
                && own.default.is_none()
                && !own.nullable
            {
                self.found
                    .push(format!("{at}: set-default needs {} to have a default", shown(from)));
            }
        }
        let mut named: Vec<_> = key.fields.iter().map(|(_, to)| to.as_str()).collect();
        named.sort_unstable();
        let is_key = keys(target).any(|mut it| {
            it.sort_unstable();
            it == named
        });
        if !is_key {
            let fields: Vec<_> = key.fields.iter().map(|(_, to)| shown(to)).collect();
            self.found.push(format!(
                "{at}: {} is no key of {}: make it the primary key or unique",
                fields.join(", "),
                shown(&target.name)
            ));
        }
    }

    fn many_to_many(&mut self, model: &Model, relation: &ManyToMany, at: &str) {
        let Some(target) = self.model(&relation.target) else {
            self.found.push(self.no_model(&relation.target, at));
            return;
        };
        let Some(name) = &relation.through else { return };
        let Some(through) = self.model(name) else {
            self.found.push(self.no_model(name, &format!("{at}, through")));
            return;
        };
        let to = |name: &str| through.foreign_keys.iter().filter(|it| it.target == name).count();
        let needed = if model.name == target.name { 2 } else { 1 };
        if to(&model.name) < needed || to(&target.name) < needed {
            self.found.push(format!(
                "{at}: {} needs a foreign key to {} and one to {}",
                shown(name),
                shown(&model.name),
                shown(&target.name)
            ));
        }
    }

    /// The names of join tables must be unique.
    fn join_tables(&mut self) {
        let fold =
            |table: &Table| (table.namespace.as_deref().map(names::fold), names::fold(&table.name));
        let mut tables: BTreeSet<_> =
            self.schema.models.iter().map(|model| fold(&table_of(model))).collect();
        let none = BTreeMap::new();
        for model in &self.schema.models {
            for relation in model.many_to_manys.iter().filter(|it| it.through.is_none()) {
                let Some(target) = self.model(&relation.target) else { continue };
                let join = join_table(model, relation, target, &none);
                let at =
                    format!("model {}, relation {}", shown(&model.name), shown(&relation.name));
                let table = shown(&join.table.name);
                if !tables.insert(fold(&join.table)) {
                    self.found.push(format!("{at}: its table {table} exists already"));
                }
                // On PostgreSQL, each table is also a type.
                let mut enums = self.schema.enums.iter();
                let name = names::fold(&join.table.name);
                if enums.any(|it| names::fold(&it.name) == name) {
                    self.found.push(format!(
                        "{at}: an enum has the name of its table {table}: give the enum another one"
                    ));
                }
                let mut all = join.former_tables.iter().chain([&join.table.name]);
                if let Some(table) = all.find(|it| names::is_system_table(it)) {
                    let table = shown(table);
                    self.found.push(format!("{at}: its table {table} belongs to the database"));
                }
                let mut columns = BTreeSet::new();
                for column in join.source.columns.iter().chain(&join.target.columns) {
                    if !columns.insert(names::fold(column)) {
                        let column = shown(column);
                        self.found.push(format!("{at}: its table would have two columns {column}"));
                    }
                }
            }
        }
    }

    fn no_model(&self, name: &str, at: &str) -> String {
        let known = self.schema.models.iter().map(|it| it.name.as_str());
        format!("{at}: there is no model {}{}", shown(name), suggestion(name, known))
    }
}
