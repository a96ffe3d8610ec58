//! Tables as the models want them, piece by piece: what `create-tables` writes down, and what a
//! migration compares with the tables that are there.

use ferro_wit::schema::{ColumnType, DefaultValue, ReferentialAction};
use ferro_wit::types::Dialect;

use super::check;
use super::names::Names;
use crate::catalog::{Catalog, Field, ForeignKey, JoinEnd, JoinTable, Model, Table};
use crate::dialect::{Spelling as _, columns, constants};
use crate::sql::{quoted, quoted_list};

/// A table with all that belongs to it.
#[derive(Debug, Clone)]
pub(crate) struct TableDefinition<'a> {
    pub(crate) table: &'a Table,
    /// What it may have been called before.
    pub(crate) former: &'a [String],
    pub(crate) columns: Vec<ColumnDefinition<'a>>,
    pub(crate) constraints: Vec<Constraint<'a>>,
    pub(crate) indexes: Vec<IndexDefinition<'a>>,
    pub(crate) comment: Option<&'a str>,
}

/// A column of a table.
#[derive(Debug, Clone)]
pub(crate) struct ColumnDefinition<'a> {
    pub(crate) name: &'a str,
    /// What it may have been called before.
    pub(crate) former: &'a [String],
    /// Its type as SQL, and whatever else goes with the type.
    pub(crate) kind: String,
    pub(crate) nullable: bool,
    /// As SQL.
    pub(crate) default: Option<String>,
    /// Its type says that the database numbers the rows.
    pub(crate) generated: bool,
    /// The index of its enum.
    pub(crate) enumeration: Option<usize>,
}

/// A rule under its name in the database.
#[derive(Debug, Clone)]
pub(crate) struct Constraint<'a> {
    pub(crate) name: String,
    pub(crate) rule: Rule<'a>,
    /// The column that a check limits where its type does not.
    pub(crate) limits: Option<&'a str>,
}

/// What a constraint asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Rule<'a> {
    PrimaryKey(Vec<&'a str>),
    Unique(Vec<&'a str>),
    ForeignKey(Reference<'a>),
    /// A condition as SQL.
    Check(String),
}

/// A foreign key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference<'a> {
    pub(crate) columns: Vec<&'a str>,
    pub(crate) target: &'a Table,
    pub(crate) target_columns: Vec<&'a str>,
    pub(crate) on_delete: ReferentialAction,
    pub(crate) on_update: ReferentialAction,
}

/// An index that is not a constraint's.
#[derive(Debug, Clone)]
pub(crate) struct IndexDefinition<'a> {
    pub(crate) name: String,
    pub(crate) columns: Vec<&'a str>,
    pub(crate) unique: bool,
    /// As SQL.
    pub(crate) condition: Option<String>,
}

/// The tables of all models, those first that others refer to, and then those of pairs.
pub(crate) fn tables(catalog: &Catalog, dialect: Dialect) -> Vec<TableDefinition<'_>> {
    let mut definer = Definer { catalog, dialect, names: Names::new(catalog) };
    let order = order(&catalog.models);
    let mut tables: Vec<_> = order.iter().map(|it| definer.table(&catalog.models[*it])).collect();
    tables.extend(catalog.join_tables.iter().map(|it| definer.join_table(it)));
    for (table, model) in tables.iter_mut().zip(order) {
        table.indexes = definer.indexes(&catalog.models[model]);
    }
    tables
}

/// The models, those first that others refer to. Where they refer to each other, the order is that
/// of the schema.
fn order(models: &[Model]) -> Vec<usize> {
    let mut order = Vec::with_capacity(models.len());
    let mut placed = vec![false; models.len()];
    while order.len() < models.len() {
        let ready = |index: usize| {
            let mut keys = models[index].foreign_keys.iter();
            !placed[index] && keys.all(|key| placed[key.target] || key.target == index)
        };
        let unplaced = || (0..models.len()).find(|index| !placed[*index]);
        let Some(next) = (0..models.len()).find(|it| ready(*it)).or_else(unplaced) else {
            break;
        };
        placed[next] = true;
        order.push(next);
    }
    order
}

struct Definer<'a> {
    catalog: &'a Catalog,
    dialect: Dialect,
    names: Names,
}

impl<'a> Definer<'a> {
    fn table(&mut self, model: &'a Model) -> TableDefinition<'a> {
        let mut constraints: Vec<_> = self.primary_key(model).into_iter().collect();
        constraints.extend(self.uniques(model));
        constraints.extend(model.foreign_keys.iter().map(|it| self.foreign_key(model, it)));
        constraints.extend(self.checks(model));
        TableDefinition {
            table: &model.table,
            former: &model.former_tables,
            columns: model.fields.iter().map(|it| self.column(model, it)).collect(),
            constraints,
            indexes: Vec::new(),
            comment: model.comment.as_deref().filter(|_| self.dialect.features().comments),
        }
    }

    /// The table of pairs behind a many-to-many relation.
    fn join_table(&mut self, join: &'a JoinTable) -> TableDefinition<'a> {
        let table = &join.table.name;
        let mut columns = Vec::new();
        for end in [&join.source, &join.target] {
            let model = &self.catalog.models[end.model];
            let ends = end.columns.iter().zip(&end.former_columns);
            for (index, (name, former)) in model.primary_key.iter().zip(ends) {
                let field = &model.fields[*index];
                columns.push(ColumnDefinition {
                    name,
                    former,
                    kind: columns::column_type(self.dialect, &field.kind),
                    nullable: false,
                    default: None,
                    generated: false,
                    enumeration: field.ty.enumeration,
                });
            }
        }
        let key = columns.iter().map(|it| it.name).collect();
        let mut constraints = vec![Constraint {
            name: self.names.make(table, std::iter::empty(), "pkey"),
            rule: Rule::PrimaryKey(key),
            limits: None,
        }];
        constraints.extend([&join.source, &join.target].map(|it| self.join_key(join, it)));
        let back: Vec<_> = join.target.columns.iter().map(String::as_str).collect();
        let name = self.names.make(table, back.iter().copied(), "idx");
        let index = IndexDefinition { name, columns: back, unique: false, condition: None };
        let table = &join.table;
        let former = &join.former_tables;
        TableDefinition { table, former, columns, constraints, indexes: vec![index], comment: None }
    }

    fn column(&self, model: &Model, field: &'a Field) -> ColumnDefinition<'a> {
        let key: Vec<_> = model.primary_key.iter().map(|it| &model.fields[*it].name).collect();
        let kind = if field.generated_key {
            columns::generated_key(self.dialect, &field.kind).0
        } else if key == [&field.name] {
            columns::given_key(self.dialect, &field.kind)
        } else {
            columns::column_type(self.dialect, &field.kind)
        };
        ColumnDefinition {
            name: &field.column,
            former: field.renamed_from.as_slice(),
            kind,
            nullable: field.nullable,
            default: self.default(field),
            generated: field.generated_key,
            enumeration: field.ty.enumeration,
        }
    }

    fn default(&self, field: &Field) -> Option<String> {
        Some(match field.default.as_ref()? {
            DefaultValue::Client => return None,
            DefaultValue::Constant(value) => constants::sql(self.dialect, value, &field.kind),
            DefaultValue::Now => columns::now(self.dialect, field.ty.kind).to_owned(),
            DefaultValue::RandomUuid => columns::random_uuid(self.dialect).to_owned(),
        })
    }

    fn primary_key(&mut self, model: &'a Model) -> Option<Constraint<'a>> {
        let fields = model.primary_key.iter().map(|index| &model.fields[*index]);
        let generated = fields.clone().find(|it| it.generated_key);
        if generated.is_some_and(|it| columns::generated_key(self.dialect, &it.kind).1) {
            return None;
        }
        Some(Constraint {
            name: self.names.make(&model.table.name, std::iter::empty(), "pkey"),
            rule: Rule::PrimaryKey(fields.map(|it| it.column.as_str()).collect()),
            limits: None,
        })
    }

    fn uniques(&mut self, model: &'a Model) -> Vec<Constraint<'a>> {
        let single = model.fields.iter().enumerate().filter(|(_, it)| it.unique);
        let mut keys: Vec<Vec<usize>> = single.map(|(index, _)| vec![index]).collect();
        for key in model.foreign_keys.iter().filter(|it| it.unique) {
            let columns: Vec<_> = key.fields.iter().map(|(index, _)| *index).collect();
            if !keys.contains(&columns) {
                keys.push(columns);
            }
        }
        keys.retain(|it| it != &model.primary_key);
        let keys = keys.iter().map(|key| {
            let columns: Vec<_> = key.iter().map(|it| model.fields[*it].column.as_str()).collect();
            let name = self.names.make(&model.table.name, columns.iter().copied(), "key");
            Constraint { name, rule: Rule::Unique(columns), limits: None }
        });
        keys.collect()
    }

    fn foreign_key(&mut self, model: &'a Model, key: &'a ForeignKey) -> Constraint<'a> {
        let target = &self.catalog.models[key.target];
        let own = key.fields.iter().map(|(index, _)| model.fields[*index].column.as_str());
        let other = key.fields.iter().map(|(_, index)| target.fields[*index].column.as_str());
        Constraint {
            name: self.names.make(&model.table.name, own.clone(), "fkey"),
            rule: Rule::ForeignKey(Reference {
                columns: own.collect(),
                target: &target.table,
                target_columns: other.collect(),
                on_delete: key.on_delete,
                on_update: key.on_update,
            }),
            limits: None,
        }
    }

    fn join_key(&mut self, join: &'a JoinTable, end: &'a JoinEnd) -> Constraint<'a> {
        let target = &self.catalog.models[end.model];
        let own = end.columns.iter().map(String::as_str);
        let other = target.primary_key.iter().map(|it| target.fields[*it].column.as_str());
        Constraint {
            name: self.names.make(&join.table.name, own.clone(), "fkey"),
            rule: Rule::ForeignKey(Reference {
                columns: own.collect(),
                target: &target.table,
                target_columns: other.collect(),
                on_delete: ReferentialAction::Cascade,
                on_update: ReferentialAction::Cascade,
            }),
            limits: None,
        }
    }

    fn checks(&mut self, model: &'a Model) -> Vec<Constraint<'a>> {
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
            let name = self.names.make(&model.table.name, columns, "check");
            conditions.push((name, condition, Some(column.as_str())));
        }
        for found in &model.checks {
            let name = match &found.name {
                Some(name) => name.clone(),
                None => self.names.make(&model.table.name, std::iter::empty(), "check"),
            };
            conditions.push((name, check::sql(self.dialect, model, found), None));
        }
        let checks = conditions.into_iter().map(|(name, condition, limits)| Constraint {
            name,
            rule: Rule::Check(condition),
            limits,
        });
        checks.collect()
    }

    fn indexes(&mut self, model: &'a Model) -> Vec<IndexDefinition<'a>> {
        let single = model.fields.iter().filter(|it| it.indexed && !it.unique);
        let mut indexes: Vec<_> = single
            .map(|field| {
                let columns = vec![field.column.as_str()];
                let name = self.names.make(&model.table.name, columns.iter().copied(), "idx");
                IndexDefinition { name, columns, unique: false, condition: None }
            })
            .collect();
        for index in &model.indexes {
            let fields = index.fields.iter().filter_map(|it| model.field(it));
            let columns: Vec<_> = fields.map(|it| it.column.as_str()).collect();
            let suffix = if index.unique { "key" } else { "idx" };
            let name = index.name.clone().unwrap_or_else(|| {
                self.names.make(&model.table.name, columns.iter().copied(), suffix)
            });
            let condition = index.condition.as_ref().map(|it| check::sql(self.dialect, model, it));
            indexes.push(IndexDefinition { name, columns, unique: index.unique, condition });
        }
        indexes
    }
}

impl Rule<'_> {
    /// Whether it makes a key of some columns, in whatever order.
    pub(crate) fn is_key(&self, columns: &[&str]) -> bool {
        match self {
            Self::PrimaryKey(key) | Self::Unique(key) => same_set(columns, key),
            Self::ForeignKey(_) | Self::Check(_) => false,
        }
    }
}

impl ColumnDefinition<'_> {
    /// Its type without what goes with that: the collation, or what numbers the rows.
    pub(crate) fn plain_kind(&self) -> &str {
        let ends = [" COLLATE ", " GENERATED ", " PRIMARY "].map(|it| self.kind.find(it));
        let end = ends.into_iter().flatten().min();
        &self.kind[..end.unwrap_or(self.kind.len())]
    }

    /// The column as a part of a table.
    pub(crate) fn sql(&self) -> String {
        let Self { kind, .. } = self;
        let name = quoted(self.name);
        if self.generated {
            return format!("{name} {kind}");
        }
        let null = if self.nullable { "" } else { " NOT NULL" };
        let default = self.default.as_ref().map(|it| format!(" DEFAULT {it}")).unwrap_or_default();
        format!("{name} {kind}{null}{default}")
    }

    /// Whether rows that are there get its value for nothing.
    pub(crate) fn is_easily_added(&self) -> bool {
        !self.generated && (self.nullable || self.default.is_some())
    }
}

impl Constraint<'_> {
    /// The constraint as a part of a table.
    pub(crate) fn sql(&self, dialect: Dialect) -> String {
        let rule = match &self.rule {
            Rule::PrimaryKey(columns) => format!("PRIMARY KEY ({})", quoted_list(columns)),
            Rule::Unique(columns) => format!("UNIQUE ({})", quoted_list(columns)),
            Rule::Check(condition) => format!("CHECK ({condition})"),
            Rule::ForeignKey(it) => format!(
                "FOREIGN KEY ({}) REFERENCES {} ({}){}{}",
                quoted_list(&it.columns),
                it.target.sql(dialect),
                quoted_list(&it.target_columns),
                action(" ON DELETE ", it.on_delete),
                action(" ON UPDATE ", it.on_update),
            ),
        };
        format!("CONSTRAINT {} {rule}", quoted(&self.name))
    }
}

impl IndexDefinition<'_> {
    /// Whether it makes a key of some columns, in whatever order.
    pub(crate) fn is_key(&self, columns: &[&str]) -> bool {
        self.unique && self.condition.is_none() && same_set(columns, &self.columns)
    }

    /// The statement that creates the index. It may begin with `IF NOT EXISTS`.
    pub(crate) fn sql(&self, unless_there: &str, table: &str) -> String {
        let kind = if self.unique { "UNIQUE INDEX" } else { "INDEX" };
        let condition = self.condition.as_ref().map(|it| format!(" WHERE {it}"));
        format!(
            "CREATE {kind}{unless_there} {} ON {table} ({}){}",
            quoted(&self.name),
            quoted_list(&self.columns),
            condition.unwrap_or_default()
        )
    }
}

impl Table {
    /// Its name in quotes, with its schema where there are schemas.
    pub(crate) fn sql(&self, dialect: Dialect) -> String {
        match &self.namespace {
            Some(namespace) if dialect.features().schemas => {
                format!("{}.{}", quoted(namespace), quoted(&self.name))
            }
            _ => quoted(&self.name),
        }
    }
}

/// Whether columns are the same, in whatever order.
pub(crate) fn same_set(one: &[&str], other: &[impl AsRef<str>]) -> bool {
    one.len() == other.len() && one.iter().all(|it| other.iter().any(|other| other.as_ref() == *it))
}

/// A referential action as SQL; nothing for what goes without saying.
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
