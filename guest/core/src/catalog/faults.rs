//! Finds all faults of a schema at once; each names its model and field.

use std::collections::{HashMap, HashSet};

use ferro_wit::schema::{
    Check, CheckTest, ColumnType, Comparison, DefaultValue, EnumType, Field, Model, Schema,
    UpdateValue,
};
use ferro_wit::types::{ScalarType, Value};

use super::{constant, distinct, former_tables, names, relations, scalar_of, table_of};
use crate::compile::is_alias;
use crate::error::{listed, path, shown, suggestion};

/// The maximum length of a text column on PostgreSQL.
const MAX_TEXT_LENGTH: u32 = 10_485_760;
/// The maximum precision of a decimal column on PostgreSQL.
const MAX_PRECISION: u16 = 1000;

/// All faults; empty for valid models.
pub(super) fn find(schema: &Schema) -> Vec<String> {
    let mut faults = Faults { schema, found: Vec::new() };
    faults.enums();
    faults.models();
    for model in &schema.models {
        faults.model(model);
    }
    let mut found = faults.found;
    distinct::find(schema, &mut found);
    relations::find(schema, &mut found);
    found
}

struct Faults<'a> {
    schema: &'a Schema,
    found: Vec<String>,
}

impl Faults<'_> {
    fn enums(&mut self) {
        let mut known = HashSet::new();
        for found in &self.schema.enums {
            let name = shown(&found.name);
            let faults = [
                names::fault(&found.name).map(|fault| format!("its name {fault}")),
                names::is_system_type(&found.name)
                    .then(|| "the name belongs to the database".into()),
                (!known.insert(names::fold(&found.name)))
                    .then(|| "there is another enum of that name".into()),
            ];
            for fault in faults.into_iter().flatten() {
                let way_out = self.other_name(&found.name);
                self.found.push(format!("enum {name}: {fault}{way_out}"));
            }
            self.enum_values(found);
        }
    }

    /// Advice to rename an enum, with the fields that use it.
    fn other_name(&self, name: &str) -> String {
        let models = self.schema.models.iter();
        let fields = models
            .flat_map(|model| model.fields.iter().map(move |field| (model, field)))
            .filter(|(_, it)| matches!(&it.kind, ColumnType::Enumeration(own) if own == name))
            .map(|(model, field)| path([model.name.as_str(), &field.name]));
        match listed(fields) {
            fields if fields.is_empty() => String::new(),
            fields => format!(
                ": name the enum of {fields} otherwise, or give the field the column type `text`, \
                 for which the database needs no type"
            ),
        }
    }

    fn enum_values(&mut self, found: &EnumType) {
        let name = shown(&found.name);
        if found.values.is_empty() {
            self.found.push(format!("enum {name}: it has no values"));
        }
        let mut known = HashSet::new();
        for value in &found.values {
            let shown = shown(value);
            if value.len() > names::MAX_NAME_BYTES {
                let most = names::MAX_NAME_BYTES;
                self.found.push(format!("enum {name}: value {shown} is longer than {most} bytes"));
            }
            if let Some(fault) = constant::text_fault(value) {
                self.found.push(format!("enum {name}: value {shown} {fault}"));
            }
            if !known.insert(value) {
                self.found.push(format!("enum {name}: value {shown} stands there twice"));
            }
        }
    }

    /// Checks names that must be unique among all models.
    fn models(&mut self) {
        let mut names = HashSet::new();
        let mut tables: HashMap<_, &str> = HashMap::new();
        for model in &self.schema.models {
            if !names.insert(&model.name) {
                self.found.push(format!(
                    "model {}: there is another model of that name",
                    shown(&model.name)
                ));
            }
            let table = table_of(model);
            let key = (table.namespace.as_deref().map(names::fold), names::fold(&table.name));
            if let Some(other) = tables.insert(key, &model.name) {
                self.found.push(format!(
                    "model {}: the table {} is that of model {} already",
                    shown(&model.name),
                    shown(&table.name),
                    shown(other)
                ));
            }
            // On PostgreSQL, each table is also a type.
            let mut enums = self.schema.enums.iter();
            if let Some(found) = enums.find(|it| names::fold(&it.name) == names::fold(&table.name))
            {
                self.found.push(format!(
                    "model {}: an enum has the name of its table {}{}",
                    shown(&model.name),
                    shown(&table.name),
                    self.other_name(&found.name)
                ));
            }
        }
    }

    fn model(&mut self, model: &Model) {
        let at = format!("model {}", shown(&model.name));
        if let Some(fault) = names::fault(&model.name) {
            self.found.push(format!("{at}: its name {fault}"));
        }
        self.table(model, &at);
        if model.fields.is_empty() {
            self.found.push(format!("{at}: it has no fields"));
        }
        let mut fields = HashSet::new();
        let mut columns = HashMap::new();
        for field in &model.fields {
            let at = format!("{at}, field {}", shown(&field.name));
            if !fields.insert(&field.name) {
                self.found.push(format!("{at}: there is another field of that name"));
            } else if let Some(other) =
                columns.insert(names::fold(field.column_name()), &field.name)
            {
                let column = shown(field.column_name());
                self.found.push(format!(
                    "{at}: the column {column} is that of field {} already",
                    shown(other)
                ));
            }
            self.field(field, &at);
        }
        self.primary_key(model, &at);
        self.indexes(model, &at);
        let mut checks = HashSet::new();
        for check in &model.checks {
            self.check(model, check, &at);
            if let Some(name) = check.name.as_ref().filter(|it| !checks.insert(*it)) {
                let name = shown(name);
                self.found.push(format!("{at}, check {name}: there is another check of that name"));
            }
        }
        if let Some(fault) = model.comment.as_deref().and_then(constant::text_fault) {
            self.found.push(format!("{at}: its comment {fault}"));
        }
    }

    fn table(&mut self, model: &Model, at: &str) {
        let table = table_of(model);
        if let Some(fault) = names::fault(&table.name) {
            self.found.push(format!("{at}: the name of its table {fault}"));
        }
        if names::is_system_table(&table.name) {
            let table = shown(&table.name);
            self.found.push(format!("{at}: the table {table} belongs to the database"));
        }
        if is_alias(&table.name) {
            let table = shown(&table.name);
            self.found.push(format!(
                "{at}: the table {table} has the name of an alias of ours: give it another one"
            ));
        }
        if let Some(fault) = model.renamed_from.as_deref().and_then(names::fault) {
            self.found.push(format!("{at}: its former name {fault}"));
        }
        if let Some(former) = former_tables(model).iter().find(|it| names::is_system_table(it)) {
            let former = shown(former);
            self.found.push(format!("{at}: the former table {former} belongs to the database"));
        }
        let Some(namespace) = &table.namespace else { return };
        if let Some(fault) = names::fault(namespace) {
            self.found.push(format!("{at}: the name of its namespace {fault}"));
        }
        if names::is_system_namespace(namespace) {
            let namespace = shown(namespace);
            self.found.push(format!("{at}: the namespace {namespace} belongs to the database"));
        }
    }

    fn field(&mut self, field: &Field, at: &str) {
        if let Some(fault) = names::fault(&field.name) {
            self.found.push(format!("{at}: its name {fault}"));
        }
        if let Some(fault) = field.column.as_deref().and_then(names::fault) {
            self.found.push(format!("{at}: the name of its column {fault}"));
        }
        if names::is_system_column(field.column_name()) {
            let column = shown(field.column_name());
            self.found.push(format!("{at}: the column {column} belongs to the database"));
        }
        if is_alias(field.column_name()) {
            let column = shown(field.column_name());
            self.found.push(format!(
                "{at}: the column {column} has the name of an alias of ours: give the column \
                 another one, with `db_column` in Python and `column` in Rust"
            ));
        }
        let former = field.renamed_from.as_deref();
        if let Some(fault) = former.and_then(names::fault) {
            self.found.push(format!("{at}: its former name {fault}"));
        }
        if let Some(former) = former.filter(|it| names::is_system_column(it)) {
            let former = shown(former);
            self.found.push(format!("{at}: the former column {former} belongs to the database"));
        }
        if let Some(fault) = self.kind_fault(&field.kind) {
            self.found.push(format!("{at}: {fault}"));
        }
        if let Some(fault) = self.default_fault(field) {
            self.found.push(format!("{at}: its default {fault}"));
        }
        if let Some(fault) = on_update_fault(field) {
            self.found.push(format!("{at}: its value on updates {fault}"));
        }
        if field.version && (field.nullable || !matches!(field.kind, ColumnType::Integer(_))) {
            self.found.push(format!("{at}: a version is an integer that is never null"));
        }
    }

    fn kind_fault(&self, kind: &ColumnType) -> Option<String> {
        match kind {
            ColumnType::Text(Some(length)) if *length == 0 || *length > MAX_TEXT_LENGTH => {
                Some(format!("a text is limited to 1 … {MAX_TEXT_LENGTH} characters"))
            }
            ColumnType::Decimal(Some(size))
                if size.precision == 0
                    || size.precision > MAX_PRECISION
                    || size.scale > size.precision =>
            {
                Some(format!(
                    "a decimal has 1 … {MAX_PRECISION} digits, of which its scale is a part"
                ))
            }
            ColumnType::Enumeration(name)
                if !self.schema.enums.iter().any(|it| &it.name == name) =>
            {
                let known = self.schema.enums.iter().map(|it| it.name.as_str());
                let suggestion = suggestion(name, known);
                Some(format!("there is no enum {}{suggestion}", shown(name)))
            }
            _ => None,
        }
    }

    fn default_fault(&self, field: &Field) -> Option<String> {
        match field.default.as_ref()? {
            _ if field.generated_key => Some("cannot stand beside a generated key".into()),
            DefaultValue::Client => None,
            DefaultValue::Now => now_fault(&field.kind),
            DefaultValue::RandomUuid => random_uuid_fault(&field.kind),
            DefaultValue::Constant(Value::Null) => {
                (!field.nullable).then(|| "is null, which the field cannot be".into())
            }
            DefaultValue::Constant(value) => self.constant_fault(field, value),
        }
    }

    /// What is wrong with a constant for a field, as a predicate.
    fn constant_fault(&self, field: &Field, value: &Value) -> Option<String> {
        if let Some(fault) = constant::fault(value, scalar_of(&field.kind)) {
            return Some(fault);
        }
        if let (ColumnType::Decimal(Some(size)), Value::Decimal(text)) = (&field.kind, value) {
            return constant::size_fault(text, size);
        }
        let ColumnType::Enumeration(name) = &field.kind else { return None };
        let Value::Text(text) = value else { return None };
        let found = self.schema.enums.iter().find(|it| &it.name == name)?;
        (!found.values.contains(text))
            .then(|| format!("{} is no value of enum {}", shown(text), shown(name)))
    }

    fn primary_key(&mut self, model: &Model, at: &str) {
        if model.primary_key.is_empty() {
            self.found.push(format!("{at}: it has no primary key"));
        }
        let mut known = HashSet::new();
        for name in &model.primary_key {
            match model.fields.iter().find(|it| &it.name == name) {
                None => self.found.push(no_field(model, name, &format!("{at}, primary key"))),
                Some(field) if field.nullable => self.found.push(format!(
                    "{at}, field {}: a field of the primary key cannot be nullable",
                    shown(name)
                )),
                Some(field) if field.on_update.is_some() => self.found.push(format!(
                    "{at}, field {}: updates may not set a field of the primary key by themselves",
                    shown(name)
                )),
                Some(_) => {}
            }
            if !known.insert(name) {
                self.found.push(format!("{at}, primary key: {} stands there twice", shown(name)));
            }
        }
        for field in model.fields.iter().filter(|it| it.generated_key) {
            let sole = model.primary_key == [field.name.clone()];
            if !sole || !matches!(field.kind, ColumnType::Integer(_)) {
                self.found.push(format!(
                    "{at}, field {}: a generated key is an integer and the only field of the primary key",
                    shown(&field.name)
                ));
            }
        }
    }

    fn indexes(&mut self, model: &Model, at: &str) {
        for index in &model.indexes {
            let name = index.name.as_deref().map(shown).unwrap_or_default();
            let at = format!("{at}, index {name}");
            let at = at.trim_end();
            if let Some(fault) = index.name.as_deref().and_then(names::fault) {
                self.found.push(format!("{at}: its name {fault}"));
            }
            if index.name.as_deref().is_some_and(names::is_system_table) {
                self.found.push(format!("{at}: the name belongs to the database"));
            }
            if index.fields.is_empty() {
                self.found.push(format!("{at}: it has no fields"));
            }
            let mut known = HashSet::new();
            for field in &index.fields {
                if !model.fields.iter().any(|it| &it.name == field) {
                    self.found.push(no_field(model, field, at));
                }
                if !known.insert(field) {
                    self.found.push(format!("{at}: {} stands there twice", shown(field)));
                }
            }
            if let Some(condition) = &index.condition {
                self.check(model, condition, at);
            }
        }
    }

    fn check(&mut self, model: &Model, check: &Check, at: &str) {
        let name = check.name.as_deref().map(shown).unwrap_or_default();
        let at = format!("{at}, check {name}");
        let at = at.trim_end();
        if let Some(fault) = check.name.as_deref().and_then(names::fault) {
            self.found.push(format!("{at}: its name {fault}"));
        }
        if check.any_of.is_empty() || check.any_of.iter().any(Vec::is_empty) {
            self.found.push(format!("{at}: it has an empty group"));
        }
        for term in check.any_of.iter().flatten() {
            let Some(field) = model.fields.iter().find(|it| it.name == term.field) else {
                self.found.push(no_field(model, &term.field, at));
                continue;
            };
            if let Some(fault) = self.test_fault(model, field, &term.test) {
                self.found.push(format!("{at}, field {}: {fault}", shown(&field.name)));
            }
        }
    }

    fn test_fault(&self, model: &Model, field: &Field, test: &CheckTest) -> Option<String> {
        let of_value = |value: &Value| match value {
            Value::Null => Some("nothing compares with null: use is-null".to_owned()),
            value => self.constant_fault(field, value).map(|fault| format!("its value {fault}")),
        };
        let incomparable =
            matches!(field.kind, ColumnType::Json | ColumnType::Array(_) | ColumnType::Interval);
        match test {
            CheckTest::IsNull | CheckTest::IsNotNull => None,
            _ if incomparable => Some("its type does not compare".into()),
            CheckTest::Compare((comparison, _)) | CheckTest::CompareField((comparison, _))
                if matches!(field.kind, ColumnType::Enumeration(_)) && is_order(*comparison) =>
            {
                Some(
                    "the databases order enums differently: ask for equal, not-equal or one-of"
                        .into(),
                )
            }
            CheckTest::Compare((_, value)) => of_value(value),
            CheckTest::OneOf(values) if values.is_empty() => Some("the list has no values".into()),
            CheckTest::OneOf(values) => values.iter().find_map(of_value),
            CheckTest::CompareField((_, other)) => {
                match model.fields.iter().find(|it| &it.name == other) {
                    None => Some(no_field(model, other, "compare-field")),
                    Some(other) if !comparable(&field.kind, &other.kind) => {
                        Some(format!("{} has another type", shown(&other.name)))
                    }
                    Some(_) => None,
                }
            }
        }
    }
}

/// What is wrong with the value that updates give a field, as the end of a sentence.
fn on_update_fault(field: &Field) -> Option<String> {
    match field.on_update? {
        UpdateValue::Now => now_fault(&field.kind),
        UpdateValue::RandomUuid => random_uuid_fault(&field.kind),
    }
}

fn now_fault(kind: &ColumnType) -> Option<String> {
    use ScalarType as S;
    let (kind, many) = scalar_of(kind);
    let fits = matches!(kind, S::Date | S::Time | S::Timestamp | S::Timestamptz);
    (!fits || many).then(|| "`now` fits dates and times only".into())
}

fn random_uuid_fault(kind: &ColumnType) -> Option<String> {
    let fits = scalar_of(kind) == (ScalarType::Uuid, false);
    (!fits).then(|| "`random-uuid` fits uuids only".into())
}

fn is_order(comparison: Comparison) -> bool {
    !matches!(comparison, Comparison::Equal | Comparison::NotEqual)
}

/// Whether the values of two columns have the same type. Enums must be identical.
pub(super) fn comparable(one: &ColumnType, other: &ColumnType) -> bool {
    match (one, other) {
        (ColumnType::Enumeration(one), ColumnType::Enumeration(other)) => one == other,
        (ColumnType::Enumeration(_), _) | (_, ColumnType::Enumeration(_)) => false,
        _ => scalar_of(one) == scalar_of(other),
    }
}

/// `…: there is no field …`, with a similar name as a suggestion.
pub(super) fn no_field(model: &Model, name: &str, at: &str) -> String {
    let known = model.fields.iter().map(|it| it.name.as_str());
    format!("{at}: there is no field {}{}", shown(name), suggestion(name, known))
}
