//! Models for common tables, so that the other stages read them like tables of the schema.

use std::collections::BTreeMap;

use ferro_wit::schema::{ColumnType, IntegerWidth};
use ferro_wit::types::ScalarType;

use super::{Catalog, Field, Model, Table, Type};

impl Catalog {
    /// A table with columns, without keys and relations.
    pub(crate) fn common_table(&self, name: &str, table: String, fields: Vec<Field>) -> Model {
        let by_name: BTreeMap<_, _> =
            fields.iter().enumerate().map(|(index, it)| (it.name.clone(), index)).collect();
        Model {
            name: name.to_owned(),
            table: Table { namespace: None, name: table },
            former_tables: Vec::new(),
            fields,
            primary_key: Vec::new(),
            keys: Vec::new(),
            foreign_keys: Vec::new(),
            relations: Vec::new(),
            indexes: Vec::new(),
            checks: Vec::new(),
            comment: None,
            by_name,
        }
    }

    /// A column of such a table.
    pub(crate) fn common_field(
        &self,
        name: &str,
        column: String,
        ty: Type,
        nullable: bool,
    ) -> Field {
        Field {
            name: name.to_owned(),
            column,
            kind: self.column_type(ty),
            ty,
            nullable,
            unique: false,
            indexed: false,
            generated_key: false,
            version: false,
            default: None,
            on_update: None,
            renamed_from: None,
        }
    }

    /// The type of a column for such values.
    fn column_type(&self, ty: Type) -> ColumnType {
        if let Some(index) = ty.enumeration {
            return ColumnType::Enumeration(self.enums[index].name.clone());
        }
        if ty.many {
            return ColumnType::Array(ty.kind);
        }
        match ty.kind {
            ScalarType::Boolean => ColumnType::Boolean,
            ScalarType::Integer => ColumnType::Integer(IntegerWidth::Big),
            ScalarType::Float => ColumnType::Double,
            ScalarType::Decimal => ColumnType::Decimal(None),
            ScalarType::Text => ColumnType::Text(None),
            ScalarType::Blob => ColumnType::Blob,
            ScalarType::Uuid => ColumnType::Uuid,
            ScalarType::Date => ColumnType::Date,
            ScalarType::Time => ColumnType::Time,
            ScalarType::Timestamp => ColumnType::Timestamp,
            ScalarType::Timestamptz => ColumnType::Timestamptz,
            ScalarType::Interval => ColumnType::Interval,
            ScalarType::Json => ColumnType::Json,
        }
    }
}
