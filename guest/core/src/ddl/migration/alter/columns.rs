//! Columns on their way.

use ferro_wit::plan::Risk;
use ferro_wit::types::Dialect;

use super::Change;
use super::constraints::takes_place;
use crate::ddl::Steps;
use crate::ddl::definition::ColumnDefinition;
use crate::ddl::migration::found::{FoundColumn, FoundConstraint, FoundRule};
use crate::ddl::migration::{NO_VALUE, Pair, types};
use crate::dialect::Spelling as _;
use crate::error::shown;
use crate::sql::quoted;

impl Change<'_> {
    pub(super) fn change_columns(&self, steps: &mut Steps) {
        let Pair { table, found, .. } = self.pair;
        for column in &table.columns {
            match found.column(column.name) {
                None => self.add_column(steps, column),
                Some(it) if it.computed => {}
                Some(it) => self.change_column(steps, column, it),
            }
        }
        for there in self.unwanted() {
            // Else no row could be inserted any more, if the column stays.
            let needs_value = !there.nullable && there.default.is_none() && !there.generated;
            if let Some(risk) = self.risk_of_null(&there.name).filter(|_| needs_value) {
                let name = quoted(&there.name);
                steps.needing(risk).push(
                    format!("ALTER TABLE {} ALTER COLUMN {name} DROP NOT NULL", self.name),
                    format!(
                        "let column {} of table {}, which no field has, be null",
                        shown(&there.name),
                        self.shown()
                    ),
                );
            }
        }
    }

    /// What letting a column be null needs. In a primary key it cannot be.
    fn risk_of_null(&self, column: &str) -> Option<Risk> {
        let Pair { table, found, .. } = self.pair;
        let is_key = |it: &&FoundConstraint| match &it.rule {
            FoundRule::PrimaryKey { columns } => columns.iter().any(|it| it == column),
            _ => false,
        };
        let renamed = self.pair.risk_of(&[column]).min(Risk::Blocking);
        let Some(key) = found.constraints.iter().find(is_key) else { return Some(renamed) };
        if table.constraints.iter().any(|it| self.is(it, key)) {
            return None;
        }
        let mut other = table.constraints.iter().filter(|it| takes_place(&it.rule, &key.rule));
        let other = other.next().map(|it| self.risk_of(&it.rule)).unwrap_or(Risk::Safe);
        Some(other.max(Risk::Blocking))
    }

    /// The columns that no field has.
    pub(super) fn unwanted(&self) -> impl Iterator<Item = &FoundColumn> {
        let Pair { table, found, .. } = self.pair;
        found.columns.iter().filter(|it| !table.columns.iter().any(|c| c.name == it.name))
    }

    fn add_column(&self, steps: &mut Steps, column: &ColumnDefinition<'_>) {
        let sql = format!("ALTER TABLE {} ADD COLUMN {}", self.name, column.sql());
        let what = format!("add column {} to table {}", shown(column.name), self.shown());
        let (risk, reason) =
            if column.generated || column.default.as_deref().is_some_and(is_volatile) {
                (Risk::Blocking, Some("each row gets a value of its own"))
            } else if !column.is_easily_added() {
                (Risk::Blocking, Some(NO_VALUE))
            } else {
                (Risk::Safe, None)
            };
        steps.needing(self.pair.risk_of(&[column.name])).push_risk(sql, what, risk, reason);
    }

    fn change_column(&self, steps: &mut Steps, column: &ColumnDefinition<'_>, there: &FoundColumn) {
        let Some(wanted) = self.shadow(column) else { return };
        let name = quoted(column.name);
        let of = format!("column {} of table {}", shown(column.name), self.shown());
        let alter = format!("ALTER TABLE {} ALTER COLUMN {name}", self.name);
        let risk = self.pair.risk_of(&[column.name]);
        let renamed = if there.former.is_some() { Risk::Blocking } else { self.pair.risk_of(&[]) };
        if there.generated && !column.generated && there.default.is_none() {
            let what = format!("no longer number the rows by {of}");
            steps.needing(renamed).push(format!("{alter} DROP IDENTITY"), what);
        }
        let default = wanted.default.as_ref().map(|it| format!("SET DEFAULT {it}"));
        let set_default = default.unwrap_or_else(|| "DROP DEFAULT".to_owned());
        let changes_default = wanted.default != there.default && !column.generated;
        if there.kind != wanted.kind {
            // A default is not cast along.
            let drops = there.default.is_some() && !(there.generated && column.generated);
            let sets = (drops || changes_default) && wanted.default.is_some() && !column.generated;
            let kind = &wanted.kind;
            let drop = drops.then(|| format!("ALTER COLUMN {name} DROP DEFAULT"));
            let cast = types::cast(&name, &there.kind, kind);
            let change = Some(format!("ALTER COLUMN {name} TYPE {kind} USING {cast}"));
            let set = sets.then(|| format!("ALTER COLUMN {name} {set_default}"));
            let actions: Vec<_> = [drop, change, set].into_iter().flatten().collect();
            let sql = format!("ALTER TABLE {} {}", self.name, actions.join(", "));
            let what = format!("change {of} from {} to {kind}", there.kind);
            let reason = match risk {
                Risk::Destructive => LOSES_VALUES,
                _ => "the table may be written anew",
            };
            steps.push_risk(sql, what, risk, Some(reason));
            if there.default.is_some() && there.generated && column.generated {
                self.widen_sequence(steps, column, risk);
            }
        } else if changes_default && !self.pair.is_replaced(column) {
            let what = format!("change the default of {of}");
            steps.needing(renamed).push(format!("{alter} {set_default}"), what);
        }
        match (there.nullable, column.nullable) {
            (true, false) => steps.push_risk(
                format!("{alter} SET NOT NULL"),
                format!("let {of} not be null"),
                Risk::Blocking,
                Some("all rows are read, and it fails if one has no value"),
            ),
            (false, true) => {
                if let Some(risk) = self.risk_of_null(column.name) {
                    let what = format!("let {of} be null");
                    steps.needing(risk).push(format!("{alter} DROP NOT NULL"), what);
                }
            }
            _ => {}
        }
        if column.generated && !there.generated {
            let null = if there.nullable { Risk::Blocking } else { Risk::Safe };
            // A default goes with the type.
            let has_default = there.default.is_some() && there.kind == wanted.kind;
            self.number(steps, column, has_default, risk.max(null));
        }
    }

    /// Lets the database number the rows, from the highest number on.
    fn number(
        &self,
        steps: &mut Steps,
        column: &ColumnDefinition<'_>,
        has_default: bool,
        risk: Risk,
    ) {
        let name = quoted(column.name);
        let of = format!("column {} of table {}", shown(column.name), self.shown());
        let alter = format!("ALTER TABLE {}", self.name);
        let default = match has_default {
            true => format!("ALTER COLUMN {name} DROP DEFAULT, "),
            false => String::new(),
        };
        let sql =
            format!("{alter} {default}ALTER COLUMN {name} ADD GENERATED BY DEFAULT AS IDENTITY");
        steps.needing(risk).push(sql, format!("number the rows by {of}"));
        let text = |it: &str| Dialect::Postgres.text(it);
        let restart = text(&format!("{alter} ALTER COLUMN {name} RESTART WITH "));
        let block = format!(
            "BEGIN EXECUTE {restart} || (SELECT greatest(coalesce(max({name}), 0), 0) + 1 FROM {});              END",
            self.name
        );
        let what = format!("number on from the highest value of {of}");
        steps.needing(risk).push(format!("DO {}", text(&block)), what);
    }

    /// Lets a sequence that was made for a narrow column go on as far as the column does.
    fn widen_sequence(&self, steps: &mut Steps, column: &ColumnDefinition<'_>, risk: Risk) {
        let text = |it: &str| Dialect::Postgres.text(it);
        let sequence = format!(
            "pg_catalog.pg_get_serial_sequence({}, {})",
            text(&self.name),
            text(column.name)
        );
        // What is not the column's own is left alone.
        let block = format!(
            "BEGIN EXECUTE coalesce('ALTER SEQUENCE ' || {sequence} || ' AS bigint', 'SELECT 1'); END"
        );
        let of = format!("column {} of table {}", shown(column.name), self.shown());
        let what = format!("let the numbers of {of} go on as far as it does");
        steps.needing(risk).push(format!("DO {}", text(&block)), what);
    }
}

const LOSES_VALUES: &str =
    "values may lose digits or characters, and it fails if one cannot be converted";

fn is_volatile(default: &str) -> bool {
    default.contains("gen_random_uuid")
}
