//! One table: its columns, keys and constraints; then its indexes.

use ferro_wit::schema::{ColumnType, DefaultValue, ReferentialAction};

use super::{Ddl, check, constant, list};
use crate::catalog::{Field, ForeignKey, JoinEnd, JoinTable, Model};
use crate::dialect::{Spelling as _, columns};
use crate::error::shown;
use crate::sql::quoted;

impl Ddl<'_> {
    /// Creates a model's table. The foreign keys to tables that come later are given back, where
    /// they cannot be part of it: model and position.
    pub(super) fn table(&mut self, index: usize, created: &[bool]) -> Vec<(usize, usize)> {
        let catalog = self.catalog;
        let model = &catalog.models[index];
        let mut parts: Vec<_> = model.fields.iter().map(|it| self.column(model, it)).collect();
        parts.extend(self.primary_key(model));
        parts.extend(self.uniques(model));
        let mut late = Vec::new();
        for (position, key) in model.foreign_keys.iter().enumerate() {
            // Where it can only be said here, the other table may come later.
            if created[key.target] || !self.dialect.features().added_constraints {
                parts.push(self.foreign_key(model, key));
            } else {
                late.push((index, position));
            }
        }
        parts.extend(self.checks(model));
        let name = self.table_name(&model.table);
        self.push(create(&name, &parts), format!("create table {}", shown(&model.table.name)));
        let comment = model.comment.as_ref().filter(|_| self.dialect.features().comments);
        if let Some(comment) = comment {
            let comment = self.dialect.text(comment);
            self.push(
                format!("COMMENT ON TABLE {name} IS {comment}"),
                format!("comment on table {}", shown(&model.table.name)),
            );
        }
        late
    }

    /// Creates the table of pairs behind a many-to-many relation.
    pub(super) fn join_table(&mut self, join: &JoinTable) {
        let mut parts = Vec::new();
        for end in [&join.source, &join.target] {
            let model = &self.catalog.models[end.model];
            for (index, column) in model.primary_key.iter().zip(&end.columns) {
                let kind = columns::column_type(self.dialect, &model.fields[*index].kind);
                parts.push(format!("{} {kind} NOT NULL", quoted(column)));
            }
        }
        let columns = || join.source.columns.iter().chain(&join.target.columns);
        let name = self.names.make(&join.table.name, std::iter::empty(), "pkey");
        let key = list(columns().map(String::as_str));
        parts.push(format!("CONSTRAINT {} PRIMARY KEY ({key})", quoted(&name)));
        for end in [&join.source, &join.target] {
            parts.push(self.join_key(join, end));
        }
        let table = self.table_name(&join.table);
        self.push(create(&table, &parts), format!("create table {}", shown(&join.table.name)));
        let back = join.target.columns.iter().map(String::as_str);
        let name = self.names.make(&join.table.name, back.clone(), "idx");
        self.push(
            format!("CREATE INDEX IF NOT EXISTS {} ON {table} ({})", quoted(&name), list(back)),
            format!("create index {}", shown(&name)),
        );
    }

    /// Adds a foreign key that could not be part of its table.
    pub(super) fn add_foreign_key(&mut self, model: usize, position: usize) {
        let catalog = self.catalog;
        let model = &catalog.models[model];
        let key = self.foreign_key(model, &model.foreign_keys[position]);
        let table = self.table_name(&model.table);
        let target = &catalog.models[model.foreign_keys[position].target].table.name;
        self.push_guarded(
            &format!("ALTER TABLE {table} ADD {key}"),
            format!("let table {} refer to {}", shown(&model.table.name), shown(target)),
        );
    }

    pub(super) fn indexes(&mut self, model: &Model) {
        for field in model.fields.iter().filter(|it| it.indexed && !it.unique) {
            self.index(model, None, std::iter::once(field), false, None);
        }
        for index in &model.indexes {
            let fields = index.fields.iter().filter_map(|it| model.field(it));
            let condition = index.condition.as_ref().map(|it| check::sql(self.dialect, model, it));
            self.index(model, index.name.as_deref(), fields, index.unique, condition);
        }
    }

    fn index<'f>(
        &mut self,
        model: &Model,
        name: Option<&str>,
        fields: impl Iterator<Item = &'f Field> + Clone,
        unique: bool,
        condition: Option<String>,
    ) {
        let columns = fields.map(|it| it.column.as_str());
        let name = match name {
            Some(name) => name.to_owned(),
            None => {
                let suffix = if unique { "key" } else { "idx" };
                self.names.make(&model.table.name, columns.clone(), suffix)
            }
        };
        let kind = if unique { "UNIQUE INDEX" } else { "INDEX" };
        let table = self.table_name(&model.table);
        let condition = condition.map(|it| format!(" WHERE {it}")).unwrap_or_default();
        self.push(
            format!(
                "CREATE {kind} IF NOT EXISTS {} ON {table} ({}){condition}",
                quoted(&name),
                list(columns)
            ),
            format!("create index {}", shown(&name)),
        );
    }

    fn column(&self, model: &Model, field: &Field) -> String {
        let name = quoted(&field.column);
        let null = if field.nullable { "" } else { " NOT NULL" };
        if field.generated_key {
            let (kind, _) = columns::generated_key(self.dialect, &field.kind);
            return format!("{name} {kind}");
        }
        let key: Vec<_> = model.primary_key.iter().map(|it| &model.fields[*it].name).collect();
        let kind = match key == [&field.name] {
            true => columns::given_key(self.dialect, &field.kind),
            false => columns::column_type(self.dialect, &field.kind),
        };
        let default = self.default(field).map(|it| format!(" DEFAULT {it}")).unwrap_or_default();
        format!("{name} {kind}{null}{default}")
    }

    fn default(&self, field: &Field) -> Option<String> {
        Some(match field.default.as_ref()? {
            DefaultValue::Client => return None,
            DefaultValue::Constant(value) => constant::sql(self.dialect, value, &field.kind),
            DefaultValue::Now => columns::now(self.dialect, field.ty.kind).to_owned(),
            DefaultValue::RandomUuid => columns::random_uuid(self.dialect).to_owned(),
        })
    }

    fn primary_key(&mut self, model: &Model) -> Option<String> {
        let mut fields = model.primary_key.iter().map(|index| &model.fields[*index]);
        let generated = fields.clone().find(|it| it.generated_key);
        if generated.is_some_and(|it| columns::generated_key(self.dialect, &it.kind).1) {
            return None;
        }
        let name = self.names.make(&model.table.name, std::iter::empty(), "pkey");
        let columns = list(fields.by_ref().map(|it| it.column.as_str()));
        Some(format!("CONSTRAINT {} PRIMARY KEY ({columns})", quoted(&name)))
    }

    fn uniques(&mut self, model: &Model) -> Vec<String> {
        let single = model.fields.iter().enumerate().filter(|(_, it)| it.unique);
        let mut keys: Vec<Vec<usize>> = single.map(|(index, _)| vec![index]).collect();
        for key in model.foreign_keys.iter().filter(|it| it.unique) {
            let columns: Vec<_> = key.fields.iter().map(|(index, _)| *index).collect();
            if !keys.contains(&columns) {
                keys.push(columns);
            }
        }
        keys.retain(|it| it != &model.primary_key);
        keys.iter()
            .map(|key| {
                let columns = key.iter().map(|index| model.fields[*index].column.as_str());
                let name = self.names.make(&model.table.name, columns.clone(), "key");
                format!("CONSTRAINT {} UNIQUE ({})", quoted(&name), list(columns))
            })
            .collect()
    }

    fn foreign_key(&mut self, model: &Model, key: &ForeignKey) -> String {
        let target = &self.catalog.models[key.target];
        let own = key.fields.iter().map(|(index, _)| model.fields[*index].column.as_str());
        let other = key.fields.iter().map(|(_, index)| target.fields[*index].column.as_str());
        let name = self.names.make(&model.table.name, own.clone(), "fkey");
        format!(
            "CONSTRAINT {} FOREIGN KEY ({}) REFERENCES {} ({}){}{}",
            quoted(&name),
            list(own),
            self.table_name(&target.table),
            list(other),
            action(" ON DELETE ", key.on_delete),
            action(" ON UPDATE ", key.on_update),
        )
    }

    fn join_key(&mut self, join: &JoinTable, end: &JoinEnd) -> String {
        let target = &self.catalog.models[end.model];
        let own = end.columns.iter().map(String::as_str);
        let other = target.primary_key.iter().map(|it| target.fields[*it].column.as_str());
        let name = self.names.make(&join.table.name, own.clone(), "fkey");
        format!(
            "CONSTRAINT {} FOREIGN KEY ({}) REFERENCES {} ({}) ON DELETE CASCADE ON UPDATE CASCADE",
            quoted(&name),
            list(own),
            self.table_name(&target.table),
            list(other),
        )
    }

    fn checks(&mut self, model: &Model) -> Vec<String> {
        let features = self.dialect.features();
        let mut conditions = Vec::new();
        for field in &model.fields {
            let column = &field.column;
            let condition = match &field.kind {
                ColumnType::Text(Some(length)) if !features.limited_texts => {
                    format!("length({}) <= {length}", quoted(column))
                }
                ColumnType::Enumeration(_) if !features.enums => {
                    let Some(index) = field.ty.enumeration else { continue };
                    check::one_of(self.dialect, column, &self.catalog.enums[index].values)
                }
                _ => continue,
            };
            let columns = std::iter::once(column.as_str());
            conditions.push((self.names.make(&model.table.name, columns, "check"), condition));
        }
        for found in &model.checks {
            let name = match &found.name {
                Some(name) => name.clone(),
                None => self.names.make(&model.table.name, std::iter::empty(), "check"),
            };
            conditions.push((name, check::sql(self.dialect, model, found)));
        }
        conditions
            .into_iter()
            .map(|(name, condition)| format!("CONSTRAINT {} CHECK ({condition})", quoted(&name)))
            .collect()
    }
}

fn create(name: &str, parts: &[String]) -> String {
    format!("CREATE TABLE IF NOT EXISTS {name} (\n  {}\n)", parts.join(",\n  "))
}

fn action(prefix: &str, action: ReferentialAction) -> String {
    let action = match action {
        ReferentialAction::NoAction => return String::new(),
        ReferentialAction::Cascade => "CASCADE",
        ReferentialAction::Restrict => "RESTRICT",
        ReferentialAction::SetNull => "SET NULL",
        ReferentialAction::SetDefault => "SET DEFAULT",
    };
    format!("{prefix}{action}")
}
