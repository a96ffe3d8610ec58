//! Minimal records, to be extended with `..`.

use crate::query::{
    Aggregate, AggregateFunction, Distinct, Node, NodeRef, Projection, Query, Select, Statement,
};
use crate::schema::{ColumnType, Field, Model};

impl Model {
    /// A model with only fields and a key, whose table has the default name.
    ///
    /// ```
    /// use ferro_wit::schema::{ColumnType, Field, IntegerWidth, Model};
    ///
    /// let id = Field::new("id", ColumnType::Integer(IntegerWidth::Big));
    /// let name = Field { unique: true, ..Field::new("name", ColumnType::Text(None)) };
    /// let city = Model::new("City", vec![id, name], &["id"]);
    /// assert_eq!(city.table_name(), "city");
    /// ```
    #[must_use]
    pub fn new(name: impl Into<String>, fields: Vec<Field>, primary_key: &[&str]) -> Self {
        Self {
            name: name.into(),
            table: None,
            namespace: None,
            fields,
            primary_key: primary_key.iter().map(|&field| field.to_owned()).collect(),
            foreign_keys: Vec::new(),
            many_to_manys: Vec::new(),
            indexes: Vec::new(),
            checks: Vec::new(),
            comment: None,
            renamed_from: None,
        }
    }
}

impl Field {
    /// A non-nullable field without a default, whose column has its name.
    #[must_use]
    pub fn new(name: impl Into<String>, kind: ColumnType) -> Self {
        Self {
            name: name.into(),
            column: None,
            kind,
            nullable: false,
            unique: false,
            indexed: false,
            generated_key: false,
            version: false,
            default: None,
            on_update: None,
            renamed_from: None,
        }
    }
}

impl Select {
    /// A select of all rows of a model, with all of its fields, without an order.
    #[must_use]
    pub fn new(model: impl Into<String>) -> Self {
        Self {
            model: model.into(),
            projection: Projection::Model,
            distinct: Distinct::No,
            filter: None,
            joins: Vec::new(),
            group_by: Vec::new(),
            having: None,
            order_by: Vec::new(),
            limit: None,
            offset: None,
            lock: None,
            includes: Vec::new(),
            combined: Vec::new(),
        }
    }
}

impl Aggregate {
    /// A function over all rows of a group.
    #[must_use]
    pub fn new(function: AggregateFunction, argument: NodeRef) -> Self {
        let (filter, separator, order_by) = (None, None, Vec::new());
        Self { function, argument, distinct: false, filter, separator, order_by }
    }
}

impl Query {
    /// A query of one select, whose expressions are among these nodes.
    #[must_use]
    pub fn select(nodes: Vec<Node>, select: Select) -> Self {
        let statement = Statement::Select(0);
        Self { nodes, selects: vec![select], common: Vec::new(), statement }
    }
}
