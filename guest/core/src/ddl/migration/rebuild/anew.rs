//! A table in the place of another.

use std::borrow::Cow;

use ferro_wit::REBUILT;
use ferro_wit::plan::Risk;
use ferro_wit::types::Dialect;

use super::{Change, Stage, declared};
use crate::ddl::definition::ColumnDefinition;
use crate::ddl::migration::found::{FoundColumn, FoundConstraint, FoundRule};
use crate::ddl::migration::{LOSES_VALUES, SOMEBODY_ELSES, types};
use crate::ddl::{NEEDS_OTHERS, Steps, create_table};
use crate::dialect::Spelling as _;
use crate::error::shown;
use crate::sql::{quoted, quoted_list};

impl Change<'_> {
    /// What making the table anew costs at some stage.
    pub(super) fn risk_at(&self, stage: Stage) -> (Risk, Cow<'static, str>) {
        if stage == Stage::Losing {
            return match self.converted.is_empty() {
                true => (Risk::Destructive, SOMEBODY_ELSES.into()),
                false => (Risk::Destructive, LOSES_VALUES.into()),
            };
        }
        let found = self.found;
        let extras = &found.extras;
        if found.columns.iter().any(|it| it.computed) {
            (Risk::Destructive, "a computed column is lost, or keeps the values that it has".into())
        } else if !extras.is_empty() {
            let lost = format!("the table loses what no model asks for: {}", extras.join(", "));
            (Risk::Destructive, lost.into())
        } else if self.waits {
            (Risk::Destructive, NEEDS_OTHERS.into())
        } else {
            (Risk::Blocking, "the table is written anew".into())
        }
    }

    /// What is different at a stage.
    fn reasons(&self, stage: Stage) -> String {
        if stage == Stage::Keeping {
            return self.differences.join(", ");
        }
        let columns = self.converted.iter().map(|it| format!("column {}", shown(it)));
        let kept = self.kept.iter().map(|it| {
            let what = match it.rule {
                FoundRule::Check { .. } => "check",
                FoundRule::ForeignKey(_) => "foreign key",
                _ => "unique key",
            };
            let name = it.name.as_deref().map(shown).unwrap_or_default();
            format!("{what} {name}").trim_end().to_owned()
        });
        columns.chain(kept).collect::<Vec<_>>().join(", ")
    }

    /// Puts a new table in the place of the one that is there.
    pub(super) fn make_anew(&self, steps: &mut Steps, stage: Stage) {
        let found = self.found;
        let table = match stage {
            Stage::Keeping => &self.table,
            Stage::Losing => self.pair.table,
        };
        let name = table.table.sql(steps.dialect);
        let new = format!("{REBUILT}{}", table.table.name);
        let (risk, reason) = self.risk_at(stage);
        let at = shown(&table.table.name);
        let mut push = |sql, what: &str| {
            steps.push_risk(sql, format!("table {at}: {what}"), risk, Some(&reason));
        };

        let kept: Vec<_> = self.unwanted().filter(|it| !it.computed).collect();
        let columns = table.columns.iter().map(ColumnDefinition::sql);
        let constraints = table.constraints.iter().map(|it| it.sql(Dialect::Sqlite));
        let others = self.kept.iter().filter(|_| stage == Stage::Keeping).map(|it| rule(it));
        let parts = columns.chain(kept.iter().map(|it| bare(it))).chain(constraints).chain(others);
        let sql = create_table("", &quoted(&new), parts.collect());
        push(sql, &format!("make it anew for {}", self.reasons(stage)));
        if table.columns.iter().any(|it| it.generated) {
            let text = |it: &str| Dialect::Sqlite.text(it);
            let sql = format!(
                "INSERT INTO sqlite_sequence (name, seq) SELECT {}, seq FROM sqlite_sequence \
                 WHERE name = {} COLLATE NOCASE",
                text(&new),
                text(&found.name)
            );
            push(sql, "number on");
        }
        let is_there =
            |it: &&ColumnDefinition<'_>| stage == Stage::Losing || found.column(it.name).is_some();
        let copied: Vec<_> = table.columns.iter().filter(is_there).collect();
        let converted = copied.iter().filter(|it| self.conversion(it).is_some());
        let converted: Vec<_> = converted.map(|it| shown(it.name)).collect();
        let copied = copied.into_iter().map(|it| (it.name, self.value(it)));
        let kept = kept.iter().map(|it| (it.name.as_str(), quoted(&it.name)));
        let (copied, values): (Vec<_>, Vec<_>) = copied.chain(kept).unzip();
        let copying = match self.needs_values() {
            true if stage == Stage::Keeping => {
                "copy the rows, which fails if there are any: a field without a default is new".into()
            }
            _ if converted.is_empty() => {
                Cow::from("copy the rows, which fails if one breaks a rule")
            }
            _ => format!(
                "copy the rows, which fails if one breaks a rule, or cannot be converted in column {}",
                converted.join(", ")
            )
            .into(),
        };
        if !copied.is_empty() {
            let (columns, values) = (quoted_list(&copied), values.join(", "));
            let new = quoted(&new);
            let sql = format!("INSERT INTO {new} ({columns}) SELECT {values} FROM {name}");
            push(sql, &copying);
        }
        push(format!("DROP TABLE {name}"), "drop the former one");
        // Views still name the table that is not there now.
        let lax = self.database.types.views;
        if lax {
            push("PRAGMA legacy_alter_table = ON".to_owned(), "leave views alone");
        }
        push(format!("ALTER TABLE {} RENAME TO {name}", quoted(&new)), "take its name");
        if lax {
            push("PRAGMA legacy_alter_table = OFF".to_owned(), "mind views again");
        }
        for index in &table.indexes {
            push(index.sql("", &name), &format!("create index {}", shown(&index.name)));
        }
        for there in found.indexes.iter().filter(|it| self.is_others(it)) {
            push(there.sql.clone(), &format!("create index {}", shown(&there.name)));
        }
        for trigger in &found.triggers {
            push(trigger.clone(), "create a trigger");
        }
    }

    /// What the rows that are there have for a column: values of its type, and decimals the digits of
    /// its size.
    fn value(&self, column: &ColumnDefinition<'_>) -> String {
        let (kind, name) = (column.plain_kind(), quoted(column.name));
        let there = self.found.column(column.name).map(|it| it.kind.as_str());
        if there.is_none_or(|it| it.eq_ignore_ascii_case(kind)) {
            return name;
        }
        let value = match self.conversion(column) {
            Some([from, to]) => format!("ferro_converted({name}, {from}, {to})"),
            None => name,
        };
        let size = types::decimal_size(kind);
        match size.and_then(|it| Dialect::Sqlite.sized(&it)) {
            Some((before, after)) => format!("{before}{value}{after}"),
            None => value,
        }
    }

    /// The types, as texts, between which the values of a column are converted.
    fn conversion(&self, column: &ColumnDefinition<'_>) -> Option<[String; 2]> {
        let (there, kind) = (&self.found.column(column.name)?.kind, column.plain_kind());
        let keeps = there.eq_ignore_ascii_case(kind)
            || types::keeps(there, kind)
            || types::differ_in_size(there, kind);
        (!keeps).then(|| [there, kind].map(|it| Dialect::Sqlite.text(it)))
    }

    /// Whether rows that are there would need a value that nobody gives.
    fn needs_values(&self) -> bool {
        let added = self.table.columns.iter().filter(|it| self.found.column(it.name).is_none());
        added.into_iter().any(|it| !it.nullable && it.default.is_none() && !it.generated)
    }
}

/// A column that no field has, without any rule.
fn bare(column: &FoundColumn) -> String {
    let default = column.default.as_ref().map(|it| format!(" DEFAULT ({it})")).unwrap_or_default();
    format!("{} {}{default}", quoted(&column.name), declared(&column.kind))
}

/// A rule that is there, as a part of a table.
fn rule(there: &FoundConstraint) -> String {
    let columns = |it: &[String]| quoted_list(it);
    let name = there.name.as_ref().map(|it| format!("CONSTRAINT {} ", quoted(it)));
    let rule = match &there.rule {
        FoundRule::PrimaryKey { columns: key } => format!("PRIMARY KEY ({})", columns(key)),
        FoundRule::Unique { columns: key } => format!("UNIQUE ({})", columns(key)),
        FoundRule::Check { condition, .. } => format!("CHECK ({condition})"),
        FoundRule::ForeignKey(it) => format!(
            "FOREIGN KEY ({}) REFERENCES {}{} ON DELETE {} ON UPDATE {}",
            columns(&it.columns),
            quoted(&it.table),
            it.target_columns.as_ref().map(|it| format!(" ({})", columns(it))).unwrap_or_default(),
            it.on_delete,
            it.on_update
        ),
    };
    format!("{}{rule}", name.unwrap_or_default())
}
