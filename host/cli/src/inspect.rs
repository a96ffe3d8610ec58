//! `ferro inspect`: prints what a plugin imports, exports and stores.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use ferro_host::{Grant, Plugin, TableGrant, Tenant, TenantFile};
use ferro_wit::schema::{ColumnType, Field, IntegerWidth, Model};

use crate::failure::Failure;
use crate::{host, load, print};

/// Print what a plugin imports and exports, its models, and a grant that is sufficient for it.
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// The component.
    plugin: PathBuf,
}

impl Inspect {
    pub(crate) async fn execute(&self, cache: Option<&Path>) -> Result<ExitCode, Failure> {
        let host = host(cache, false)?;
        let plugin = load(&host, &self.plugin).await?;
        print(&describe(&plugin))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn describe(plugin: &Plugin) -> String {
    let mut text = format!("plugin {}\n\nimports\n", plugin.name());
    for import in plugin.imports() {
        let _ = writeln!(text, "  {import}");
    }
    text.push_str("\nexports\n");
    for export in plugin.exports() {
        let _ = writeln!(text, "  {}: {}", export.name(), export.signature());
    }
    let types = plugin.types();
    if !types.is_empty() {
        text.push_str("\ntypes\n");
    }
    for (name, definition) in types {
        let _ = writeln!(text, "  {name}: {definition}");
    }
    text.push_str("\nmodels\n");
    let models = &plugin.models().schema().models;
    for model in models {
        describe_model(&mut text, model);
    }
    text.push_str("\na sufficient tenant, if the plugin opens LABEL\n");
    if plugin.needs_raw_sql() {
        text.push_str("  # `raw-sql` is imported; no filter applies to it\n");
    }
    for line in toml::to_string(&tenant(plugin)).unwrap_or_default().lines() {
        let _ = writeln!(text, "{}", format!("  {line}").trim_end());
    }
    text
}

fn tenant(plugin: &Plugin) -> TenantFile {
    let tables = plugin.models().schema().models.iter();
    let tables = tables.map(|model| (model.full_table_name(), TableGrant::read_write()));
    let mut grant = Grant { tables: Some(tables.collect()), ..Grant::read_write() };
    if plugin.needs_raw_sql() {
        grant = grant.with_raw_sql();
    }
    let tenant = Tenant::new("TENANT").grant("LABEL", grant);
    TenantFile { tenants: [(tenant.name.clone(), tenant)].into() }
}

fn describe_model(text: &mut String, model: &Model) {
    let _ = writeln!(text, "  {}, in table {}", model.name, model.full_table_name());
    let rows: Vec<[String; 3]> = model.fields.iter().map(|field| row(model, field)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let (names, kinds) = (width(0).unwrap_or(0), width(1).unwrap_or(0));
    for [name, kind, notes] in &rows {
        let line = format!("    {name:names$}  {kind:kinds$}  {notes}");
        let _ = writeln!(text, "{}", line.trim_end());
    }
}

fn row(model: &Model, field: &Field) -> [String; 3] {
    let mut notes = Vec::new();
    if model.primary_key.contains(&field.name) {
        notes.push(if field.generated_key { "key, generated".to_owned() } else { "key".into() });
    }
    let flags = [
        (field.nullable, "or null"),
        (field.unique, "unique"),
        (field.indexed, "indexed"),
        (field.version, "version"),
    ];
    notes.extend(flags.iter().filter(|(set, _)| *set).map(|(_, note)| (*note).to_owned()));
    if let Some(column) = &field.column {
        notes.push(format!("in column {column}"));
    }
    for key in &model.foreign_keys {
        let pairs = key.fields.iter().filter(|(own, _)| *own == field.name);
        notes.extend(pairs.map(|(_, other)| format!("refers to {}.{other}", key.target)));
    }
    [field.name.clone(), kind(&field.kind), notes.join(", ")]
}

fn kind(kind: &ColumnType) -> String {
    match kind {
        ColumnType::Integer(IntegerWidth::Small) => "integer (16 bits)".into(),
        ColumnType::Integer(IntegerWidth::Regular) => "integer (32 bits)".into(),
        ColumnType::Integer(IntegerWidth::Big) => "integer".into(),
        ColumnType::Decimal(Some(size)) => format!("decimal({}, {})", size.precision, size.scale),
        ColumnType::Decimal(None) => "decimal".into(),
        ColumnType::Text(Some(length)) => format!("text({length})"),
        ColumnType::Text(None) => "text".into(),
        ColumnType::Enumeration(name) => format!("enum {name}"),
        ColumnType::Array(items) => format!("array of {}", format!("{items:?}").to_lowercase()),
        ColumnType::Boolean
        | ColumnType::Real
        | ColumnType::Double
        | ColumnType::Blob
        | ColumnType::Uuid
        | ColumnType::Date
        | ColumnType::Time
        | ColumnType::Timestamp
        | ColumnType::Timestamptz
        | ColumnType::Interval
        | ColumnType::Json => format!("{kind:?}").to_lowercase(),
    }
}
