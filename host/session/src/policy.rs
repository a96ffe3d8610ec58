//! Policies: a grant applied to the models of a plugin, as the scope for the core and the forced
//! values for the driver.

use std::collections::BTreeMap;
use std::sync::Arc;

use ferro_driver::{Fence, RawSql};
use ferro_wit::policy::{FieldSet, ForcedFilter, Scope, TableScope};
use ferro_wit::schema::{Comparison, Field, Model, Schema};
use ferro_wit::snake_case;
use ferro_wit::types::{Error, ErrorKind, Value};

use crate::filter::Filter;
use crate::grant::{Access, Grant, TableGrant};
use crate::names::may_be_same;

/// The rights of a caller in one database.
#[derive(Debug)]
pub(crate) struct Policy {
    /// The shape of the rights, without values; `None` for the application itself.
    pub(crate) scope: Option<Arc<Scope>>,
    /// The values of the scope's filters, in the order of its tables and their filters.
    pub(crate) forced: Vec<Value>,
    pub(crate) read_only: bool,
    /// The restrictions that the database itself enforces; `None` for the application.
    pub(crate) fence: Option<Fence>,
}

impl Policy {
    /// All rights.
    pub(crate) fn trusted() -> Self {
        Self { scope: None, forced: Vec::new(), read_only: false, fence: None }
    }

    /// The rights of a grant on the models of a plugin.
    ///
    /// The scope lists models in the order of the schema, and filters by field, so that grants of
    /// the same shape have equal scopes, and their tenants share plans.
    pub(crate) fn new(grant: &Grant, schema: &Schema) -> Result<Self, Error> {
        let read_only = grant.access == Access::ReadOnly;
        let mut forced = Vec::new();
        let mut tables = Vec::new();
        for model in &schema.models {
            let Some(granted) = granted(grant.tables.as_ref(), model)? else { continue };
            tables.push(table_scope(&granted, model, schema, &mut forced)?);
        }
        let pairs = grant.tables.as_ref().map(|tables| pairs(tables, schema));
        Ok(Self {
            scope: Some(Arc::new(Scope { tables, pairs, read_only })),
            forced,
            read_only,
            fence: Some(grant.fence()),
        })
    }

    /// Whether SQL text is allowed.
    pub(crate) fn has_raw_sql(&self) -> bool {
        self.fence.as_ref().is_none_or(|fence| fence.raw_sql != RawSql::Denied)
    }

    /// Whether SQL text is allowed and untrusted.
    pub(crate) fn has_fenced_text(&self) -> bool {
        self.fence.as_ref().is_some_and(|fence| fence.raw_sql == RawSql::Fenced)
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

    /// The fields of a model that can have only one value, with that value, which inserts use by
    /// default.
    pub(crate) fn settled(&self, model: &str) -> Vec<(&str, &Value)> {
        let tables = self.scope.iter().flat_map(|scope| &scope.tables);
        let filters = tables.flat_map(|table| table.filters.iter().map(move |it| (table, it)));
        let of_model: Vec<_> = filters
            .zip(&self.forced)
            .filter(|((table, _), _)| table.model == model)
            .map(|((_, filter), value)| (filter, value))
            .collect();
        let is_only =
            |field: &str| of_model.iter().filter(|(it, _)| it.field == field).count() == 1;
        of_model
            .iter()
            .filter(|(it, _)| it.test == Comparison::Equal && !it.many && is_only(&it.field))
            .map(|(it, value)| (it.field.as_str(), *value))
            .collect()
    }

    /// The scope's entry for a model, if there is a scope.
    fn table(&self, model: &Model) -> Option<Option<&TableScope>> {
        let scope = self.scope.as_ref()?;
        Some(scope.tables.iter().find(|table| table.model == model.name))
    }
}

/// The grant's entry for the table of a model; `None` if it does not exist for the tenant.
fn granted(
    tables: Option<&BTreeMap<String, TableGrant>>,
    model: &Model,
) -> Result<Option<TableGrant>, Error> {
    let Some(tables) = tables else { return Ok(Some(TableGrant::read_write())) };
    let table = model.full_table_name();
    let mut named = tables.iter().filter(|(name, _)| **name == table || snake_case(name) == table);
    match (named.next(), named.next()) {
        (Some((one, _)), Some((other, _))) => {
            Err(invalid(format!("`{one}` and `{other}` are the same table: name it once")))
        }
        (found, _) => Ok(found.map(|(_, grant)| grant.clone())),
    }
}

/// The granted tables that may be join tables: no model declares their columns, so they are granted
/// as a whole or not at all.
fn pairs(tables: &BTreeMap<String, TableGrant>, schema: &Schema) -> Vec<String> {
    let mut relations = schema.models.iter().flat_map(|it| &it.many_to_manys);
    if relations.all(|it| it.through.is_some()) {
        return Vec::new();
    }
    let whole = |it: &TableGrant| it.read == FieldSet::All && it.filters.is_empty();
    tables.iter().filter(|(_, grant)| whole(grant)).map(|(name, _)| name.clone()).collect()
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
        let value = value
            .map_err(|fault| invalid(format!("table `{}`: {fault}", model.full_table_name())))?;
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

/// The field for the column of a filter. A model without it cannot be filtered, so nothing of it
/// may be read.
fn field_of<'a>(filter: &Filter, model: &'a Model) -> Result<&'a Field, Error> {
    model.fields.iter().find(|field| field.column_name() == filter.column).ok_or_else(|| {
        invalid(format!(
            "table `{}` is filtered by column `{}`, which the model `{}` does not have",
            model.full_table_name(),
            filter.column,
            model.name
        ))
    })
}

/// Converts a set of columns to a set of the model's fields.
fn fields(columns: &FieldSet, model: &Model) -> FieldSet {
    let chosen = |choose: &dyn Fn(&str) -> bool| {
        let fields = model.fields.iter().filter(|field| choose(field.column_name()));
        FieldSet::Only(fields.map(|field| field.name.clone()).collect())
    };
    match columns {
        FieldSet::All => FieldSet::All,
        FieldSet::Only(names) => {
            chosen(&|column| names.iter().any(|it| means(columns, it, column)))
        }
        FieldSet::Except(names) => {
            chosen(&|column| !names.iter().any(|it| means(columns, it, column)))
        }
    }
}

/// Whether a name in a set means a column. Exceptions are compared as loosely as databases compare
/// names: a model could spell the column differently.
fn means(set: &FieldSet, name: &str, column: &str) -> bool {
    match set {
        FieldSet::Except(_) => may_be_same(name, column),
        _ => name == column,
    }
}

/// Fails if a column in the sets of a grant is not in the model of its table: a misspelt name in
/// `except` would expose the intended column. Opening a session does not fail, since a plugin may
/// omit a column that is hidden from it.
pub(crate) fn check_columns(grant: &Grant, schema: &Schema) -> Result<(), Error> {
    for model in &schema.models {
        let Some(granted) = granted(grant.tables.as_ref(), model)? else { continue };
        for (what, set) in [("read", &granted.read), ("write", &granted.write)] {
            let (FieldSet::Only(names) | FieldSet::Except(names)) = set else { continue };
            let is_unknown =
                |name: &&String| !model.fields.iter().any(|it| means(set, name, it.column_name()));
            if let Some(name) = names.iter().find(is_unknown) {
                return Err(invalid(format!(
                    "`{what}` of table `{}` names column `{name}`, which the model `{}` does not have",
                    model.full_table_name(),
                    model.name
                )));
            }
        }
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use ferro_wit::schema::{ColumnType, IntegerWidth};

    use super::*;

    fn field(name: &str, column: Option<&str>) -> Field {
        let kind = ColumnType::Integer(IntegerWidth::Big);
        Field { column: column.map(str::to_owned), ..Field::new(name, kind) }
    }

    fn model(name: &str, table: Option<&str>, fields: Vec<Field>) -> Model {
        Model { table: table.map(str::to_owned), ..Model::new(name, fields, &["id"]) }
    }

    fn columns(names: &[&str]) -> Vec<Field> {
        names.iter().map(|name| field(name, None)).collect()
    }

    fn schema() -> Schema {
        let columns = columns(&["id", "tenant_id", "level"]);
        let names = ["Zebra", "Ant", "Bee"];
        let models = names.iter().map(|name| model(name, None, columns.clone())).collect();
        Schema { models, enums: vec![] }
    }

    fn scope(grant: &Grant, schema: &Schema) -> Arc<Scope> {
        Policy::new(grant, schema).unwrap().scope.unwrap()
    }

    fn models(scope: &Scope) -> Vec<&str> {
        scope.tables.iter().map(|table| table.model.as_str()).collect()
    }

    #[test]
    fn t1_a_table_that_a_grant_does_not_name_does_not_exist() {
        let grant = Grant::read_write().table("ant", TableGrant::read_write());
        assert_eq!(models(&scope(&grant, &schema())), ["Ant"]);
        let none = Grant { tables: Some(BTreeMap::new()), ..Grant::read_write() };
        assert!(scope(&none, &schema()).tables.is_empty());
    }

    #[test]
    fn a_grant_without_tables_is_every_model_and_read_only_by_default() {
        let read = scope(&Grant::default(), &schema());
        assert_eq!((models(&read), read.read_only), (vec!["Zebra", "Ant", "Bee"], true));
        let write = scope(&Grant::read_write(), &schema());
        assert_eq!((models(&write), write.read_only), (vec!["Zebra", "Ant", "Bee"], false));
    }

    #[test]
    fn t1_a_plugin_cannot_give_a_granted_name_to_another_table() {
        let fields = || columns(&["id"]);
        let hostile = Schema {
            models: vec![
                model("Ant", Some("salaries"), fields()),
                model("ant", Some("Ant.salaries"), fields()),
                Model { namespace: Some("hr".into()), ..model("Ant", None, fields()) },
                model("Bee", Some("ant"), fields()),
            ],
            enums: vec![],
        };
        let by_table = Grant::read_only().table("ant", TableGrant::read_only());
        let by_model = Grant::read_only().table("Ant", TableGrant::read_only());
        for grant in [by_table, by_model] {
            assert_eq!(models(&scope(&grant, &hostile)), ["Bee"]);
        }
        let in_schema = Grant::read_only().table("hr.ant", TableGrant::read_only());
        assert_eq!(models(&scope(&in_schema, &hostile)), ["Ant"]);
    }

    #[test]
    fn t4_a_field_is_settled_where_one_value_alone_is_in_scope() {
        let ant = TableGrant::read_write().filter("tenant_id", 7).filter("id", 1);
        let ant = ant.filter_by("id", Comparison::Greater, 0);
        let ant = ant.filter_by("level", Comparison::Greater, 0);
        let zebra = TableGrant::read_write().filter("level", 3);
        let grant = Grant::read_write().table("zebra", zebra).table("ant", ant);
        let policy = Policy::new(&grant, &schema()).unwrap();
        assert_eq!(policy.settled("Ant"), [("tenant_id", &Value::Integer(7))]);
        assert_eq!(policy.settled("Zebra"), [("level", &Value::Integer(3))]);
        assert!(policy.settled("Bee").is_empty() && Policy::trusted().settled("Ant").is_empty());
    }

    #[test]
    fn a_grant_may_name_the_model_however_it_is_written() {
        let names: BTreeMap<String, String> =
            serde_json::from_str(include_str!("../../../tests/names.json")).unwrap();
        for (name, table) in names {
            let schema = Schema {
                models: vec![model("Other", Some(&table), columns(&["id"]))],
                enums: vec![],
            };
            let grant = |name: &str| Grant::read_only().table(name, TableGrant::read_only());
            assert_eq!(models(&scope(&grant(&name), &schema)), ["Other"], "{name}");
            assert_eq!(models(&scope(&grant(&table), &schema)), ["Other"], "{table}");
        }
    }

    #[test]
    fn t1_a_name_of_a_table_is_that_of_no_other() {
        let tables = ["audit", "app_audit", "a_b", "audit2"];
        let each = tables.iter().map(|it| model(it, Some(it), columns(&["id"])));
        let schema = Schema { models: each.collect(), enums: vec![] };
        for name in ["_audit", "audit_", "app.audit", "a__b", "a-b", "a b", "audit_2"] {
            let grant = Grant::read_only().table(name, TableGrant::read_only());
            assert!(models(&scope(&grant, &schema)).is_empty(), "{name}");
        }
    }

    #[test]
    fn a_table_that_is_named_twice_is_an_error() {
        let grant = Grant::read_only()
            .table("Ant", TableGrant::read_only())
            .table("ant", TableGrant::read_only());
        let error = Policy::new(&grant, &schema()).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidConfiguration);
        assert!(error.message.contains("`Ant` and `ant`"), "{error}");
    }

    #[test]
    fn t1_columns_are_chosen_by_what_the_database_calls_them() {
        let long = "x".repeat(63);
        let fields = vec![
            field("id", None),
            field("salary", Some("shoe_size")),
            field("size", Some("salary")),
            field("spelt", Some("SALARY")),
            field("cut", Some(&format!("{long}y"))),
        ];
        let schema = Schema { models: vec![model("Ant", None, fields)], enums: vec![] };
        let readable = |set: FieldSet| {
            let grant = Grant::read_only().table("ant", TableGrant::read_only().read(set));
            scope(&grant, &schema).tables[0].readable.clone()
        };
        let only = |names: &[&str]| FieldSet::Only(names.iter().map(|it| (*it).into()).collect());
        assert_eq!(readable(FieldSet::All), FieldSet::All);
        assert_eq!(readable(only(&["salary", "unknown"])), only(&["size"]));
        let except = FieldSet::Except(vec!["salary".into(), long]);
        assert_eq!(readable(except), only(&["id", "salary"]));
    }

    #[test]
    fn t6_forced_values_are_counted_over_tables_and_filters_in_order() {
        let ant = TableGrant::read_only().filter("tenant_id", 42).filter("level", 3);
        let zebra = TableGrant::read_only().filter_by("level", Comparison::Less, 9).filter_by(
            "level",
            Comparison::GreaterOrEqual,
            1,
        );
        let grant = Grant::read_only().table("ant", ant).table("zebra", zebra);
        let policy = Policy::new(&grant, &schema()).unwrap();
        let scope = policy.scope.unwrap();
        let filters = scope.tables.iter().flat_map(|table| {
            table.filters.iter().map(|filter| (&*table.model, &*filter.field, filter.test))
        });
        let expected = [
            ("Zebra", "level", Comparison::Less),
            ("Zebra", "level", Comparison::GreaterOrEqual),
            ("Ant", "level", Comparison::Equal),
            ("Ant", "tenant_id", Comparison::Equal),
        ];
        assert_eq!(filters.collect::<Vec<_>>(), expected);
        let values: Vec<Value> = [9, 1, 3, 42].map(Value::from).into();
        assert_eq!(policy.forced, values);
    }

    #[test]
    fn t7_grants_of_one_shape_give_equal_scopes_whatever_their_values_and_order() {
        let one = TableGrant::read_only().filter("tenant_id", 1).filter("level", 2);
        let other = TableGrant::read_only().filter("level", 8).filter("tenant_id", 9);
        let wider = TableGrant::read_only().filter("level", 8);
        let scope = |table| scope(&Grant::read_only().table("ant", table), &schema());
        assert_eq!(scope(one.clone()), scope(other));
        assert_ne!(scope(one), scope(wider));
    }

    #[test]
    fn t6_a_model_without_the_column_of_a_filter_is_refused() {
        let fields = vec![field("id", None), field("tenant_id", Some("other"))];
        let schema = Schema { models: vec![model("Ant", None, fields)], enums: vec![] };
        let grant = Grant::read_only().table("ant", TableGrant::read_only().filter("tenant_id", 1));
        let error = Policy::new(&grant, &schema).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidConfiguration);
        assert!(
            error.message.contains("`tenant_id`") && error.message.contains("`ant`"),
            "{error}"
        );
    }

    #[test]
    fn t6_a_filter_without_a_value_refuses_the_whole_grant() {
        for value in [Value::Null, Value::from("")] {
            let table = TableGrant::read_only().filter("tenant_id", value);
            let error =
                Policy::new(&Grant::read_only().table("ant", table), &schema()).unwrap_err();
            assert!(error.message.contains("no value"), "{error}");
        }
    }
}
