//! What has a former name in the models, and gets the present one if the database has none of that.

use std::collections::BTreeSet;

use ferro_wit::plan::Risk;

use super::found::Found;
use crate::catalog::Table;
use crate::ddl::Steps;
use crate::ddl::definition::TableDefinition;
use crate::error::shown;
use crate::sql::quoted;

const REASON: &str = "programs that know the former name fail";

/// Renames tables and columns.
pub(super) fn rename(steps: &mut Steps, tables: &[TableDefinition<'_>], found: &mut Found) {
    let schemas: BTreeSet<_> =
        tables.iter().map(|it| found.schema_of(it.table).to_owned()).collect();
    for schema in schemas {
        let tables = tables.iter().filter(|it| found.schema_of(it.table) == schema);
        let tables: Vec<_> = tables.collect();
        let wanted: Vec<_> = tables.iter().map(|it| (&*it.table.name, it.former)).collect();
        let there = found.tables.iter().filter(|it| it.schema == schema);
        let there = there.map(|it| it.name.clone()).collect();
        for (index, former) in moves(&wanted, there, |one, other| found.same_name(one, other)) {
            rename_table(steps, tables[index].table, &former);
            if let Some(position) = found.position(&schema, &former) {
                found.rename_table(position, &tables[index].table.name);
            }
        }
    }
    for definition in tables {
        let (schema, table) = (found.schema_of(definition.table), definition.table);
        let Some(position) = found.position(schema, &table.name) else { continue };
        let columns = &definition.columns;
        let wanted: Vec<_> = columns.iter().map(|it| (it.name, it.former)).collect();
        let there = found.tables[position].columns.iter().map(|it| it.name.clone()).collect();
        for (index, former) in moves(&wanted, there, |one, other| found.same_name(one, other)) {
            rename_column(steps, table, &former, columns[index].name);
            found.rename_column(position, &former, columns[index].name);
        }
    }
}

fn rename_table(steps: &mut Steps, table: &Table, former: &str) {
    let at = Table { name: former.to_owned(), ..table.clone() }.sql(steps.dialect);
    steps.push_risk(
        format!("ALTER TABLE {at} RENAME TO {}", quoted(&table.name)),
        format!("rename table {} to {}", shown(former), shown(&table.name)),
        Risk::Blocking,
        Some(REASON),
    );
}

fn rename_column(steps: &mut Steps, table: &Table, former: &str, name: &str) {
    let at = table.sql(steps.dialect);
    steps.push_risk(
        format!("ALTER TABLE {at} RENAME COLUMN {} TO {}", quoted(former), quoted(name)),
        format!(
            "rename column {} of table {} to {}",
            shown(former),
            shown(&table.name),
            shown(name)
        ),
        Risk::Blocking,
        Some(REASON),
    );
}

/// Which of the wanted, by their positions, take the place of what is there under a former name of
/// theirs. One name may become free as another moves on.
pub(super) fn moves(
    wanted: &[(&str, &[String])],
    mut there: Vec<String>,
    same: impl Fn(&str, &str) -> bool,
) -> Vec<(usize, String)> {
    let circular = |index| is_circular(wanted, index, &same);
    let mut moves: Vec<(usize, String)> = Vec::new();
    loop {
        let next = wanted.iter().enumerate().find_map(|(index, (name, former))| {
            if there.iter().any(|it| same(it, name)) || circular(index) {
                return None;
            }
            // What was just renamed stays as it is, and so does what was called so all along.
            let stays = |it: &str| {
                let mut same = wanted.iter().enumerate().filter(|(_, (name, _))| same(name, it));
                same.any(|(index, _)| circular(index) || moves.iter().any(|it| it.0 == index))
            };
            let from = |it: &String| there.iter().position(|name| same(name, it) && !stays(name));
            Some((index, former.iter().find_map(from)?))
        });
        let Some((index, from)) = next else { return moves };
        let former = std::mem::replace(&mut there[from], wanted[index].0.to_owned());
        moves.push((index, former));
    }
}

/// Whether a name comes back to itself by way of former names, which says nothing.
fn is_circular(
    wanted: &[(&str, &[String])],
    start: usize,
    same: &impl Fn(&str, &str) -> bool,
) -> bool {
    let mut seen = vec![start];
    let mut next = 0;
    while let Some(index) = seen.get(next) {
        for former in wanted[*index].1 {
            match wanted.iter().position(|(name, _)| same(name, former)) {
                Some(it) if it == start => return true,
                Some(it) if !seen.contains(&it) => seen.push(it),
                _ => {}
            }
        }
        next += 1;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::moves;

    fn moved(wanted: &[(&str, &str)], there: &[&str]) -> Vec<String> {
        let former: Vec<_> = wanted.iter().map(|(_, former)| vec![(*former).to_owned()]).collect();
        let wanted: Vec<_> =
            wanted.iter().zip(&former).map(|((name, _), former)| (*name, &former[..])).collect();
        let there = there.iter().map(|it| (*it).to_owned()).collect();
        let moves = moves(&wanted, there, |one, other| one == other);
        moves.into_iter().map(|(index, former)| format!("{former}>{}", wanted[index].0)).collect()
    }

    #[test]
    fn names_move_once_and_only_to_where_there_is_none() {
        assert_eq!(moved(&[("b", "a"), ("c", "b")], &["a", "b"]), ["b>c", "a>b"]);
        assert_eq!(moved(&[("a", "b"), ("b", "a")], &["a", "b"]), [""; 0]);
        assert_eq!(moved(&[("a", "b"), ("b", "a")], &["a"]), [""; 0]);
        assert_eq!(moved(&[("a", "a"), ("b", "a")], &["a"]), [""; 0]);
        assert_eq!(moved(&[("b", "a"), ("c", "a")], &["a"]), ["a>b"]);
        assert_eq!(moved(&[("b", "a"), ("a", "")], &["a", "b"]), [""; 0]);
    }
}
