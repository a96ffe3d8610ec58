//! One table: its columns, keys and constraints; then its indexes.

use ferro_wit::schema::{ColumnType, DefaultValue, ReferentialAction};
use ferro_wit::types::{Dialect, ScalarType};

use super::{Ddl, check, constant, list};
use crate::catalog::{Field, ForeignKey, JoinEnd, JoinTable, Model};
use crate::dialect::Spelling as _;
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
            // SQLite looks for the table when it needs it.
            if created[key.target] || self.dialect == Dialect::Sqlite {
                parts.push(self.foreign_key(model, key));
            } else {
                late.push((index, position));
            }
        }
        parts.extend(self.checks(model));
        let name = self.table_name(&model.table);
        self.push(create(&name, &parts), format!("create table {}", shown(&model.table.name)));
        if let (Some(comment), Dialect::Postgres) = (&model.comment, self.dialect) {
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
                let kind = self.dialect.column_type(&model.fields[*index].kind);
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
        let kind = self.dialect.column_type(&field.kind);
        if field.generated_key {
            return match self.dialect {
                // Only under this very name is the column the number of the row.
                Dialect::Sqlite => format!("{name} INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL"),
                Dialect::Postgres => format!("{name} {kind} GENERATED BY DEFAULT AS IDENTITY"),
            };
        }
        // A sole key that is called INTEGER would number its rows by itself on SQLite.
        let alone = model.primary_key.len() == 1
            && std::ptr::eq(&model.fields[model.primary_key[0]], field);
        let kind = match (self.dialect, &field.kind) {
            (Dialect::Sqlite, ColumnType::Integer(_)) if alone && kind == "INTEGER" => {
                "BIGINT".into()
            }
            _ => kind,
        };
        let default = self.default(field).map(|it| format!(" DEFAULT {it}")).unwrap_or_default();
        format!("{name} {kind}{null}{default}")
    }

    fn default(&self, field: &Field) -> Option<String> {
        Some(match field.default.as_ref()? {
            DefaultValue::Client => return None,
            DefaultValue::Constant(value) => constant::sql(self.dialect, value, &field.kind),
            DefaultValue::Now => now(self.dialect, field.ty.kind).to_owned(),
            DefaultValue::RandomUuid => random_uuid(self.dialect).to_owned(),
        })
    }

    fn primary_key(&mut self, model: &Model) -> Option<String> {
        let mut fields = model.primary_key.iter().map(|index| &model.fields[*index]);
        if self.dialect == Dialect::Sqlite && fields.clone().any(|it| it.generated_key) {
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
        let mut conditions = Vec::new();
        for field in &model.fields {
            let column = &field.column;
            let condition = match (self.dialect, &field.kind) {
                (Dialect::Sqlite, ColumnType::Text(Some(length))) => {
                    format!("length({}) <= {length}", quoted(column))
                }
                (Dialect::Sqlite, ColumnType::Enumeration(_)) => {
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

/// The time of the transaction, in UTC; on SQLite, which has no such thing, of the statement.
fn now(dialect: Dialect, kind: ScalarType) -> &'static str {
    use ScalarType as S;
    match (dialect, kind) {
        (Dialect::Sqlite, S::Date) => "(strftime('%Y-%m-%d', 'now'))",
        (Dialect::Sqlite, S::Time) => "(strftime('%H:%M:%f000', 'now'))",
        (Dialect::Sqlite, S::Timestamp) => "(strftime('%Y-%m-%d %H:%M:%f000', 'now'))",
        (Dialect::Sqlite, _) => "(strftime('%Y-%m-%d %H:%M:%f000+00:00', 'now'))",
        (Dialect::Postgres, S::Date) => "CAST(now() AT TIME ZONE 'UTC' AS date)",
        (Dialect::Postgres, S::Time) => "CAST(now() AT TIME ZONE 'UTC' AS time)",
        (Dialect::Postgres, S::Timestamp) => "(now() AT TIME ZONE 'UTC')",
        (Dialect::Postgres, _) => "now()",
    }
}

/// A random UUID of version 4.
fn random_uuid(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => {
            "(unhex(hex(randomblob(6)) || '4' || substr(hex(randomblob(2)), 2) || \
             substr('89AB', 1 + (random() & 3), 1) || substr(hex(randomblob(2)), 2) || \
             hex(randomblob(6))))"
        }
        Dialect::Postgres => "gen_random_uuid()",
    }
}
