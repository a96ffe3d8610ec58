//! The statements that ask a database what it has where the models have their tables. Those that
//! return something return one text, which [`super::found`] reads.
//!
//! PostgreSQL keeps defaults and conditions as it understood them, and prints them in words of its
//! own. So it is asked for two tables each: the one that is there, and a temporary one of what the
//! models want. SQLite keeps the text that it was given.

use ferro_wit::types::Dialect;

use super::found::MAIN;
use super::{SHADOWS, shadow, shadow_index};
use crate::catalog::{Catalog, Table};
use crate::ddl::definition::{Rule, TableDefinition};
use crate::ddl::{Steps, create_enum, create_table};
use crate::dialect::Spelling as _;
use crate::sql::quoted;

/// To be run in order, in a transaction that is rolled back.
pub(super) fn statements(catalog: &Catalog, dialect: Dialect) -> Vec<String> {
    let tables = crate::ddl::definition::tables(catalog, dialect);
    let names = tables.iter().flat_map(|it| {
        it.former.iter().chain([&it.table.name]).map(|name| (it.table, name.as_str()))
    });
    let indexes =
        tables.iter().flat_map(|it| it.indexes.iter().map(|index| (it.table, index.name.as_str())));
    match dialect {
        Dialect::Sqlite => vec![of_sqlite(SQLITE_TABLES, names), of_sqlite(SQLITE_TAKEN, indexes)],
        Dialect::Postgres => {
            let mut steps = Steps::new(dialect);
            for wanted in &catalog.enums {
                steps.push(create_enum(dialect, &format!("{SHADOWS}."), wanted), String::new());
            }
            for (index, table) in tables.iter().enumerate() {
                shadow_table(&mut steps, index, table);
            }
            let shadows = steps.done.into_iter().map(|it| it.sql);
            // Enums have to be asked for before temporary ones hide them.
            let there = [
                POSTGRES_TYPES.to_owned(),
                postgres_tables(&named(names)),
                format!("{POSTGRES_TAKEN}{}", named(indexes)),
            ];
            there.into_iter().chain(shadows).chain([postgres_tables(&shadow_tables())]).collect()
        }
    }
}

/// A table without the rules that others take part in, and without what numbers its rows: a
/// sequence takes longer than the table. It is partitioned and has no partition, so that the server
/// makes no files for it, which would take three times as long.
fn shadow_table(steps: &mut Steps, position: usize, table: &TableDefinition<'_>) {
    let name = format!("{SHADOWS}.{}", quoted(&shadow(position)));
    let mut partition = "ferro partition".to_owned();
    while table.columns.iter().any(|it| it.name == partition) {
        partition.push('+');
    }
    let partition = quoted(&partition);
    let checks = table.constraints.iter().filter(|it| matches!(it.rule, Rule::Check(_)));
    let checks = checks.map(|it| it.sql(steps.dialect));
    let columns = table.columns.iter().map(|it| match it.generated {
        true => format!("{} {}", quoted(it.name), it.plain_kind()),
        false => it.sql(),
    });
    let parts = columns.chain(checks).chain([format!("{partition} integer")]).collect();
    let table_sql = create_table("", &name, parts);
    steps.push(format!("{table_sql} PARTITION BY LIST ({partition})"), String::new());
    for (index, wanted) in table.indexes.iter().enumerate() {
        if let Some(condition) = &wanted.condition {
            let index = quoted(&shadow_index(position, index));
            let sql = format!("CREATE INDEX {index} ON {name} ({partition}) WHERE {condition}");
            steps.push(sql, String::new());
        }
    }
}

/// What has the names of indexes: they share theirs with all that is like a table.
const POSTGRES_TAKEN: &str = "\
SELECT pg_catalog.json_build_object('taken', coalesce(pg_catalog.json_agg(
  pg_catalog.json_build_object(
    'schema', n.nspname,
    'name', c.relname,
    'kind', CASE c.relkind WHEN 'i' THEN 'index' WHEN 'I' THEN 'index' WHEN 'v' THEN 'view'
      WHEN 'm' THEN 'view' WHEN 'S' THEN 'sequence' WHEN 'c' THEN 'type' ELSE 'table' END,
    'table', t.relname
  )
), '[]'))::text
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.oid
LEFT JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid
WHERE ";

const POSTGRES_TYPES: &str = "\
SELECT pg_catalog.json_build_object('types', pg_catalog.json_build_object(
  'schema', coalesce(pg_catalog.current_schema(), ''),
  'schemas', (
    SELECT coalesce(pg_catalog.json_agg(n.nspname), '[]') FROM pg_catalog.pg_namespace AS n
  ),
  'enums', (
    SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('name', t.typname, 'values', (
      SELECT coalesce(pg_catalog.json_agg(e.enumlabel ORDER BY e.enumsortorder), '[]')
      FROM pg_catalog.pg_enum AS e WHERE e.enumtypid = t.oid
    ))), '[]')
    FROM pg_catalog.pg_type AS t JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace
    WHERE t.typtype = 'e' AND n.nspname = pg_catalog.current_schema()
  )
))::text";

/// The condition that a class has one of some names, each in the schema of a table.
fn named<'a>(names: impl Iterator<Item = (&'a Table, &'a str)>) -> String {
    let text = |it: &str| Dialect::Postgres.text(it);
    let wanted = names.map(|(table, name)| {
        let schema = table.namespace.as_deref();
        let schema = schema.map_or_else(|| "pg_catalog.current_schema()".to_owned(), text);
        format!("(n.nspname = {schema} AND c.relname = {})", text(name))
    });
    wanted.chain(["FALSE".to_owned()]).collect::<Vec<_>>().join(" OR ")
}

fn shadow_tables() -> String {
    let name = Dialect::Postgres.text(&shadow(0)).replace('0', "%");
    format!("n.oid = pg_catalog.pg_my_temp_schema() AND c.relname LIKE {name}")
}

fn postgres_tables(condition: &str) -> String {
    // Older servers do not have it.
    const NULLS_ARE_EQUAL: &str = "coalesce(pg_catalog.jsonb_extract_path_text(
      pg_catalog.to_jsonb(i), 'indnullsnotdistinct') = 'true', FALSE)";
    format!("{}({condition})", POSTGRES_TABLES.replace("{nulls}", NULLS_ARE_EQUAL))
}

const POSTGRES_TABLES: &str = "\
SELECT pg_catalog.json_build_object('others', coalesce(pg_catalog.json_agg(
  pg_catalog.json_build_object('schema', n.nspname, 'name', c.relname)
) FILTER (WHERE c.relkind NOT IN ('r', 'p')), '[]'), 'tables', coalesce(pg_catalog.json_agg(
  pg_catalog.json_build_object(
    'schema', CASE WHEN n.oid = pg_catalog.pg_my_temp_schema() THEN 'pg_temp' ELSE n.nspname END,
    'name', c.relname,
    'comment', pg_catalog.obj_description(c.oid, 'pg_class'),
    'columns', (
      SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
        'name', a.attname,
        'kind', pg_catalog.format_type(a.atttypid, a.atttypmod),
        'nullable', NOT a.attnotnull,
        'default', pg_catalog.pg_get_expr(d.adbin, d.adrelid),
        'generated', a.attidentity <> '' OR coalesce(
          pg_catalog.pg_get_expr(d.adbin, d.adrelid) LIKE 'nextval(%', FALSE),
        'always', a.attidentity = 'a',
        'computed', a.attgenerated <> ''
      ) ORDER BY a.attnum), '[]')
      FROM pg_catalog.pg_attribute AS a
      LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
      WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    ),
    'constraints', (
      SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
        'name', k.conname,
        'rule', CASE k.contype WHEN 'p' THEN 'primary-key' WHEN 'u' THEN 'unique'
          WHEN 'f' THEN 'foreign-key' ELSE 'check' END,
        'columns', (
          SELECT pg_catalog.json_agg(a.attname ORDER BY key.place)
          FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY AS key (number, place)
          JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = key.number
        ),
        'condition', pg_catalog.pg_get_constraintdef(k.oid),
        'unlike', k.contype IN ('p', 'u') AND (k.condeferrable OR coalesce((
          SELECT {nulls} FROM pg_catalog.pg_index AS i WHERE i.indexrelid = k.conindid
        ), FALSE)),
        'schema', tn.nspname,
        'table', t.relname,
        'target_columns', (
          SELECT pg_catalog.json_agg(a.attname ORDER BY key.place)
          FROM pg_catalog.unnest(k.confkey) WITH ORDINALITY AS key (number, place)
          JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.confrelid AND a.attnum = key.number
        ),
        'on_delete', CASE k.confdeltype WHEN 'c' THEN 'CASCADE' WHEN 'r' THEN 'RESTRICT'
          WHEN 'n' THEN 'SET NULL' WHEN 'd' THEN 'SET DEFAULT' ELSE 'NO ACTION' END,
        'on_update', CASE k.confupdtype WHEN 'c' THEN 'CASCADE' WHEN 'r' THEN 'RESTRICT'
          WHEN 'n' THEN 'SET NULL' WHEN 'd' THEN 'SET DEFAULT' ELSE 'NO ACTION' END
      ) ORDER BY k.conname), '[]')
      FROM pg_catalog.pg_constraint AS k
      LEFT JOIN pg_catalog.pg_class AS t ON t.oid = k.confrelid
      LEFT JOIN pg_catalog.pg_namespace AS tn ON tn.oid = t.relnamespace
      WHERE k.conrelid = c.oid AND k.contype IN ('p', 'u', 'f', 'c')
    ),
    'indexes', (
      SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
        'name', x.relname,
        'columns', (
          SELECT pg_catalog.json_agg(a.attname ORDER BY key.place)
          FROM ROWS FROM (
            pg_catalog.unnest(i.indkey::int2[]), pg_catalog.unnest(i.indoption::int2[]),
            pg_catalog.unnest(i.indclass::oid[]), pg_catalog.unnest(i.indcollation::oid[])
          ) WITH ORDINALITY AS key (number, option, class, collation_, place)
          LEFT JOIN pg_catalog.pg_opclass AS o ON o.oid = key.class
          LEFT JOIN pg_catalog.pg_attribute AS a
            ON a.attrelid = i.indrelid AND a.attnum = key.number AND key.number > 0
            AND key.option = 0 AND o.opcdefault AND key.collation_ IN (0, a.attcollation)
            AND i.indisvalid AND m.amname = 'btree' AND NOT {nulls}
        ),
        'unique', i.indisunique,
        'included', i.indnatts - i.indnkeyatts,
        'condition', pg_catalog.pg_get_expr(i.indpred, i.indrelid),
        'sql', pg_catalog.pg_get_indexdef(i.indexrelid)
      ) ORDER BY x.relname), '[]')
      FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS x ON x.oid = i.indexrelid
      JOIN pg_catalog.pg_am AS m ON m.oid = x.relam
      WHERE i.indrelid = c.oid AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_constraint AS k
        WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x')
      )
    )
  ) ORDER BY n.nspname, c.relname
) FILTER (WHERE c.relkind IN ('r', 'p')), '[]'))::text
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND ";

fn of_sqlite<'a>(sql: &str, names: impl Iterator<Item = (&'a Table, &'a str)>) -> String {
    let names = names.map(|(_, it)| Dialect::Sqlite.text(&it.to_ascii_lowercase()));
    let names: Vec<_> = names.collect();
    let main = Dialect::Sqlite.text(MAIN);
    sql.replace("{main}", &main).replace("{names}", &names.join(", "))
}

const SQLITE_TABLES: &str = "\
SELECT json_object('types', json_object(
  'schema', {main}, 'schemas', json('[]'), 'enums', json('[]'),
  'views', json(iif(EXISTS (
    SELECT 1 FROM sqlite_schema WHERE type IN ('view', 'trigger')
  ), 'true', 'false'))
), 'others', json((SELECT json_group_array(json_object('schema', {main}, 'name', o.name))
  FROM sqlite_schema AS o WHERE lower(o.name) IN ({names})
  AND (o.type = 'view' OR o.sql LIKE 'CREATE VIRTUAL TABLE%')
)), 'tables', json(coalesce((SELECT json_group_array(json_object(
  'schema', {main},
  'name', t.name,
  'sql', t.sql,
  'comment', NULL,
  'columns', json((
    SELECT json_group_array(json_object(
      'name', c.name,
      'kind', c.type,
      'nullable', json(iif(c.\"notnull\", 'false', 'true')),
      'default', c.dflt_value,
      'generated', json(iif(c.pk = 1 AND upper(c.type) = 'INTEGER' AND NOT EXISTS (
        SELECT 1 FROM pragma_table_xinfo(t.name) AS other WHERE other.pk > 1
      ) AND NOT EXISTS (
        SELECT 1 FROM pragma_index_list(t.name) AS i WHERE i.origin = 'pk'
      ), 'true', 'false')),
      'computed', json(iif(c.hidden IN (2, 3), 'true', 'false'))
    ) ORDER BY c.cid) FROM pragma_table_xinfo(t.name) AS c WHERE c.hidden <> 1
  )),
  'constraints', json((SELECT json_group_array(json(found.rule)) FROM (
    SELECT json_object('rule', 'primary-key', 'columns',
      json_group_array(c.name ORDER BY c.pk)) AS rule
    FROM pragma_table_xinfo(t.name) AS c WHERE c.pk > 0 HAVING count(*) > 0
    UNION ALL
    SELECT json_object('rule', 'unique', 'columns', json((
      SELECT json_group_array(c.name ORDER BY c.seqno) FROM pragma_index_info(i.name) AS c
    ))) FROM pragma_index_list(t.name) AS i WHERE i.origin = 'u'
    UNION ALL
    SELECT json_object('rule', 'foreign-key',
      'columns', json_group_array(k.\"from\" ORDER BY k.seq),
      'schema', {main},
      'table', k.\"table\",
      'target_columns', iif(count(k.\"to\") = 0, NULL, json_group_array(k.\"to\" ORDER BY k.seq)),
      'on_delete', k.on_delete,
      'on_update', k.on_update)
    FROM pragma_foreign_key_list(t.name) AS k GROUP BY k.id
  ) AS found)),
  'indexes', json((
    SELECT json_group_array(json_object(
      'name', i.name,
      'columns', json((
        SELECT json_group_array(iif(c.\"desc\" OR c.coll = 'NOCASE' OR c.coll = 'RTRIM', NULL, c.name)
          ORDER BY c.seqno) FROM pragma_index_xinfo(i.name) AS c WHERE c.key
      )),
      'unique', json(iif(i.\"unique\", 'true', 'false')),
      'sql', x.sql
    ) ORDER BY i.name) FROM pragma_index_list(t.name) AS i
    JOIN sqlite_schema AS x ON x.type = 'index' AND x.name = i.name WHERE i.origin = 'c'
  )),
  'triggers', json((
    SELECT json_group_array(x.sql ORDER BY x.name) FROM sqlite_schema AS x
    WHERE x.type = 'trigger' AND x.tbl_name = t.name COLLATE NOCASE
  ))
) ORDER BY t.name)
FROM sqlite_schema AS t
WHERE t.type = 'table' AND t.sql NOT LIKE 'CREATE VIRTUAL TABLE%' AND lower(t.name) IN ({names})
), '[]')))";

const SQLITE_TAKEN: &str = "\
SELECT json_object('taken', json((SELECT json_group_array(json_object(
  'schema', {main}, 'name', o.name, 'kind', o.type,
  'table', iif(o.type = 'index', o.tbl_name, NULL)
)) FROM sqlite_schema AS o
WHERE o.type IN ('index', 'table', 'view') AND lower(o.name) IN ({names}))))";
