//! Checked models: every name resolved, every reference an index.
//!
//! [`faults`] checks models as they are given; this module builds what the other stages read, and
//! relies on these checks.

mod common_tables;
mod constant;
mod distinct;
mod faults;
mod links;
mod names;
mod relations;

use std::collections::BTreeMap;

use ferro_wit::schema::{self, ColumnType, DefaultValue, ReferentialAction, Schema, UpdateValue};
use ferro_wit::types::{Dialect, Error, ErrorKind, ScalarType};

use crate::dialect::Spelling as _;

pub(crate) use links::{Link, Relation};
pub(crate) use names::{MAX_NAME_BYTES, fault as name_fault, shorten};

/// Checked models, ready to compile against.
///
/// The default table name of a model is its own name in snake case: `BlogPost` becomes `blog_post`.
/// The default column name of a field is its own name.
///
/// ```
/// use ferro_core::Catalog;
/// use ferro_wit::schema::Schema;
///
/// let catalog = Catalog::new(Schema { models: vec![], enums: vec![] });
/// assert!(catalog.is_ok());
/// ```
#[derive(Debug)]
pub struct Catalog {
    pub(crate) models: Vec<Model>,
    pub(crate) enums: Vec<schema::EnumType>,
    pub(crate) join_tables: Vec<JoinTable>,
    by_name: BTreeMap<String, usize>,
    /// Tables whose names differ only by their PostgreSQL schema.
    same_without_schemas: Vec<String>,
}

/// A model and its table.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) name: String,
    pub(crate) table: Table,
    /// Former names that the table may have.
    pub(crate) former_tables: Vec<String>,
    pub(crate) fields: Vec<Field>,
    pub(crate) primary_key: Vec<usize>,
    /// The sets of fields that identify a row, each sorted; the primary key is the first.
    pub(crate) keys: Vec<Vec<usize>>,
    pub(crate) foreign_keys: Vec<ForeignKey>,
    /// All relations, including reverse sides.
    pub(crate) relations: Vec<Relation>,
    pub(crate) indexes: Vec<schema::Index>,
    pub(crate) checks: Vec<schema::Check>,
    pub(crate) comment: Option<String>,
    by_name: BTreeMap<String, usize>,
}

/// A table's name, in its schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) namespace: Option<String>,
    pub(crate) name: String,
}

impl Table {
    /// The name by which grants refer to it.
    pub(crate) fn full_name(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{namespace}.{}", self.name),
            None => self.name.clone(),
        }
    }
}

/// A field and its column.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) column: String,
    pub(crate) kind: ColumnType,
    pub(crate) ty: Type,
    pub(crate) nullable: bool,
    pub(crate) unique: bool,
    pub(crate) indexed: bool,
    pub(crate) generated_key: bool,
    /// Whether every update increments it.
    pub(crate) version: bool,
    pub(crate) default: Option<DefaultValue>,
    /// What every update sets it to.
    pub(crate) on_update: Option<UpdateValue>,
    pub(crate) renamed_from: Option<String>,
}

/// The type of a value in expressions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Type {
    pub(crate) kind: ScalarType,
    pub(crate) many: bool,
    /// The index of its enum; the values of enums are texts.
    pub(crate) enumeration: Option<usize>,
}

/// A foreign key, as pairs of a field of this model and one of the target.
#[derive(Debug)]
pub(crate) struct ForeignKey {
    pub(crate) target: usize,
    pub(crate) fields: Vec<(usize, usize)>,
    pub(crate) unique: bool,
    pub(crate) on_delete: ReferentialAction,
    pub(crate) on_update: ReferentialAction,
}

/// The join table of a many-to-many relation that names no model for it.
#[derive(Debug)]
pub(crate) struct JoinTable {
    pub(crate) table: Table,
    /// Names that it may have had before a model was renamed.
    pub(crate) former_tables: Vec<String>,
    pub(crate) source: JoinEnd,
    pub(crate) target: JoinEnd,
}

/// One side of a join table.
#[derive(Debug)]
pub(crate) struct JoinEnd {
    pub(crate) model: usize,
    /// One column per field of the model's primary key, in the same order.
    pub(crate) columns: Vec<String>,
    /// Names that each column may have had before the model or its field was renamed.
    pub(crate) former_columns: Vec<Vec<String>>,
}

impl Catalog {
    /// Checks models.
    ///
    /// # Errors
    ///
    /// Every fault of the models, each naming model and field.
    pub fn new(schema: Schema) -> Result<Self, Vec<String>> {
        let faults = faults::find(&schema);
        match faults.is_empty() {
            true => Ok(Self::resolve(schema)),
            false => Err(faults),
        }
    }

    pub(crate) fn model(&self, name: &str) -> Option<(usize, &Model)> {
        let index = *self.by_name.get(name)?;
        Some((index, &self.models[index]))
    }

    /// Fails if tables would have the same name on this database.
    pub(crate) fn check_dialect(&self, dialect: Dialect) -> Result<(), Error> {
        match dialect.features().schemas || self.same_without_schemas.is_empty() {
            true => Ok(()),
            false => {
                Err(Error::new(ErrorKind::InvalidSchema, self.same_without_schemas.join("; ")))
            }
        }
    }

    fn resolve(schema: Schema) -> Self {
        let same_without_schemas = distinct::same_without_schemas(&schema);
        let models = schema.models;
        let by_name: BTreeMap<_, _> =
            models.iter().enumerate().map(|(index, it)| (it.name.clone(), index)).collect();
        let positions: Vec<BTreeMap<String, usize>> = models
            .iter()
            .map(|model| {
                let fields = model.fields.iter().enumerate();
                fields.map(|(index, field)| (field.name.clone(), index)).collect()
            })
            .collect();
        let join_tables = models
            .iter()
            .flat_map(|source| source.many_to_manys.iter().map(move |it| (source, it)))
            .filter(|(_, relation)| relation.through.is_none())
            .map(|(source, relation)| {
                let target = &models[by_name[&relation.target]];
                relations::join_table(source, relation, target, &by_name)
            })
            .collect();
        let resolver = Resolver { by_name: &by_name, positions: &positions, enums: &schema.enums };
        let relations = links::resolve(&models, &by_name, &positions);
        let models = models.into_iter().zip(relations);
        let models = models.map(|(model, relations)| resolver.model(model, relations)).collect();
        Self { models, enums: schema.enums, join_tables, by_name, same_without_schemas }
    }
}

impl Model {
    pub(crate) fn field(&self, name: &str) -> Option<&Field> {
        self.by_name.get(name).map(|index| &self.fields[*index])
    }

    /// Whether a set of fields identifies a row.
    pub(crate) fn is_key(&self, fields: &[&Field]) -> bool {
        let mut positions: Vec<_> =
            fields.iter().filter_map(|it| self.by_name.get(&it.name).copied()).collect();
        positions.sort_unstable();
        self.keys.contains(&positions)
    }
}

impl Type {
    pub(crate) fn scalar(kind: ScalarType) -> Self {
        Self { kind, many: false, enumeration: None }
    }

    pub(crate) fn is(self, kind: ScalarType) -> bool {
        self.kind == kind && !self.many
    }

    /// Whether its values can be assigned to another type. A value `given` by the caller can become
    /// a value of an enum; a text of a row, or a value of another enum, cannot.
    pub(crate) fn fits(self, to: Self, given: bool) -> bool {
        let alike = self.kind == to.kind && self.many == to.many;
        let is_value = to.enumeration.is_none() || self.enumeration == to.enumeration;
        self.widens_to(to) || alike && (is_value || given)
    }

    /// Whether its values can be assigned to another, wider type.
    pub(crate) fn widens_to(self, to: Self) -> bool {
        self.is(ScalarType::Integer)
            && !to.many
            && matches!(to.kind, ScalarType::Float | ScalarType::Decimal)
    }
}

/// The type of a column's values in queries and results, and whether they are arrays.
pub(crate) fn scalar_of(kind: &ColumnType) -> (ScalarType, bool) {
    let kind = match kind {
        ColumnType::Boolean => ScalarType::Boolean,
        ColumnType::Integer(_) => ScalarType::Integer,
        ColumnType::Real | ColumnType::Double => ScalarType::Float,
        ColumnType::Decimal(_) => ScalarType::Decimal,
        ColumnType::Text(_) | ColumnType::Enumeration(_) => ScalarType::Text,
        ColumnType::Blob => ScalarType::Blob,
        ColumnType::Uuid => ScalarType::Uuid,
        ColumnType::Date => ScalarType::Date,
        ColumnType::Time => ScalarType::Time,
        ColumnType::Timestamp => ScalarType::Timestamp,
        ColumnType::Timestamptz => ScalarType::Timestamptz,
        ColumnType::Interval => ScalarType::Interval,
        ColumnType::Json => ScalarType::Json,
        ColumnType::Array(kind) => return (*kind, true),
    };
    (kind, false)
}

/// The table of a model.
fn table_of(model: &schema::Model) -> Table {
    Table { namespace: model.namespace.clone(), name: model.table_name().into_owned() }
}

/// The former name may be that of the table, or that of a model with a default table name.
fn former_tables(model: &schema::Model) -> Vec<String> {
    let Some(former) = &model.renamed_from else { return Vec::new() };
    // The current table name cannot also be a former one.
    let table = Some(ferro_wit::snake_case(former)).filter(|it| *it != model.table_name());
    [former.clone()].into_iter().chain(table).collect()
}

/// The sets of fields of a model that identify a row, by name.
fn keys(model: &schema::Model) -> impl Iterator<Item = Vec<&str>> {
    let primary = [model.primary_key.iter().map(String::as_str).collect()].into_iter();
    let single = model.fields.iter().filter(|it| it.unique).map(|it| vec![it.name.as_str()]);
    let indexes = model.indexes.iter().filter(|it| it.unique && it.condition.is_none());
    let foreign = model.foreign_keys.iter().filter(|it| it.unique);
    primary
        .chain(single)
        .chain(indexes.map(|it| it.fields.iter().map(String::as_str).collect()))
        .chain(foreign.map(|it| it.fields.iter().map(|(field, _)| field.as_str()).collect()))
}

struct Resolver<'a> {
    by_name: &'a BTreeMap<String, usize>,
    /// The fields of each model, by name.
    positions: &'a [BTreeMap<String, usize>],
    enums: &'a [schema::EnumType],
}

impl Resolver<'_> {
    fn model(&self, model: schema::Model, relations: Vec<Relation>) -> Model {
        let by_name = self.positions[self.by_name[&model.name]].clone();
        let keys = keys(&model)
            .map(|key| {
                let mut key: Vec<_> = key.into_iter().map(|it| by_name[it]).collect();
                key.sort_unstable();
                key
            })
            .collect();
        let foreign_keys = model.foreign_keys.iter().map(|it| self.foreign_key(&by_name, it));
        Model {
            table: table_of(&model),
            former_tables: former_tables(&model),
            primary_key: model.primary_key.iter().map(|it| by_name[it]).collect(),
            keys,
            foreign_keys: foreign_keys.collect(),
            relations,
            name: model.name,
            fields: model.fields.into_iter().map(|it| self.field(it)).collect(),
            indexes: model.indexes,
            checks: model.checks,
            comment: model.comment,
            by_name,
        }
    }

    fn field(&self, field: schema::Field) -> Field {
        let (kind, many) = scalar_of(&field.kind);
        let enumeration = match &field.kind {
            ColumnType::Enumeration(name) => self.enums.iter().position(|it| &it.name == name),
            _ => None,
        };
        Field {
            column: field.column_name().to_owned(),
            name: field.name,
            kind: field.kind,
            ty: Type { kind, many, enumeration },
            nullable: field.nullable,
            unique: field.unique,
            indexed: field.indexed,
            generated_key: field.generated_key,
            version: field.version,
            default: field.default,
            on_update: field.on_update,
            renamed_from: field.renamed_from,
        }
    }

    fn foreign_key(&self, own: &BTreeMap<String, usize>, key: &schema::ForeignKey) -> ForeignKey {
        let target = self.by_name[&key.target];
        let fields = key.fields.iter();
        ForeignKey {
            target,
            fields: fields.map(|(from, to)| (own[from], self.positions[target][to])).collect(),
            unique: key.unique,
            on_delete: key.on_delete,
            on_update: key.on_update,
        }
    }
}
