//! What Ferro made is its own, whatever tables and columns are called by now.

use super::*;

const FORMER: [&str; 5] = ["name", "lv", "code", "n", "author_id"];
const PRESENT: [&str; 5] = ["login", "level", "key", "count", "writer_id"];

/// A model with rules of all kinds that Ferro gives names, or with none that refuses as much.
fn stock(model_name: &str, names: [&str; 5], strict: bool) -> Schema {
    let [name, level, code, n, author_id] = names;
    let (length, least, levels) = match strict {
        true => (10, 0, &["a", "b"][..]),
        false => (20, -5, &["a", "b", "c"][..]),
    };
    let at_least = compare(n, Comparison::GreaterOrEqual, Value::Integer(least));
    let key = foreign_key("author", author_id, "Author");
    let stock = Model {
        checks: vec![Check { name: None, any_of: vec![vec![at_least]] }],
        foreign_keys: if strict { vec![key] } else { vec![] },
        ..model(
            model_name,
            vec![
                id(),
                field(name, ColumnType::Text(Some(length))),
                field(level, ColumnType::Enumeration("level".into())),
                Field { unique: strict, ..text(code) },
                Field { indexed: strict, ..field(n, number()) },
                big(author_id),
            ],
        )
    };
    let values = levels.iter().map(|it| (*it).into()).collect();
    let enums = vec![EnumType { name: "level".into(), values }];
    Schema { models: vec![author(), stock], enums }
}

/// The same with the former names of the model and its fields.
fn renamed(mut schema: Schema, table: &str, names: [&str; 5]) -> Schema {
    let stock = &mut schema.models[1];
    stock.renamed_from = (stock.name != table).then(|| table.into());
    for (field, former) in stock.fields[1..].iter_mut().zip(names) {
        field.renamed_from = (field.name != former).then(|| former.into());
    }
    schema
}

fn insert_into(table: &str, names: [&str; 5], values: &str) -> String {
    format!("INSERT INTO {table} ({}) VALUES ({values})", names.join(", "))
}

const ROW: &str = "'Ann', 'a', 'x', 1, 1";
const LOOSE_ROW: &str = "'longer than ten', 'c', 'x', -3, 99";

async fn with_row() -> World {
    let row = insert_into("stock", FORMER, ROW);
    let author = "INSERT INTO author (name) VALUES ('Ann')";
    World::new(stock("Stock", FORMER, true), &[author, &row]).await
}

#[tokio::test]
async fn rules_go_with_later_models_after_a_renaming() {
    for (model_name, names) in [("Stock", PRESENT), ("Goods", FORMER), ("Goods", PRESENT)] {
        let world = with_row().await;
        let after = renamed(stock(model_name, names, true), "Stock", FORMER);
        let later = stock(model_name, names, false);
        let table = ferro_wit::snake_case(model_name);
        for database in world.databases() {
            migrate(database, &after, Some(Risk::Blocking)).await;
            assert_settled(database, &after).await;
            refuses(database, &insert_into(&table, names, ROW), ErrorKind::UniqueViolation).await;
            migrate(database, &later, Some(Risk::Blocking)).await;
            assert_settled(database, &later).await;
            takes(database, &insert_into(&table, names, LOOSE_ROW)).await;
            assert_eq!(rows(database, &format!("SELECT id FROM {table}")).await.len(), 2);
        }
    }
}

#[tokio::test]
async fn rules_go_with_later_models_after_a_renaming_of_a_table_with_a_trigger() {
    let world = with_row().await;
    let [sqlite, _] = world.databases();
    let trigger = "CREATE TRIGGER more AFTER INSERT ON stock BEGIN \
                   UPDATE stock SET n = n + 1 WHERE id = new.id; END";
    takes(sqlite, trigger).await;
    evolve(&world, &renamed(stock("Goods", PRESENT, true), "Stock", FORMER)).await;
    let later = stock("Goods", PRESENT, false);
    migrate(sqlite, &later, Some(Risk::Blocking)).await;
    assert_settled(sqlite, &later).await;
    takes(sqlite, &insert_into("goods", PRESENT, LOOSE_ROW)).await;
    let found = rows(sqlite, "SELECT count FROM goods ORDER BY id").await;
    assert_eq!(found, [[Value::Integer(1)], [Value::Integer(-2)]]);
}

#[tokio::test]
async fn rules_that_kept_former_names_are_known_by_those_of_the_models() {
    let world = with_row().await;
    let later = renamed(stock("Goods", PRESENT, false), "Stock", FORMER);
    for database in world.databases() {
        for (former, name) in FORMER.iter().zip(PRESENT) {
            takes(database, &format!("ALTER TABLE stock RENAME COLUMN {former} TO {name}")).await;
        }
        takes(database, "ALTER TABLE stock RENAME TO goods").await;
        migrate(database, &later, Some(Risk::Blocking)).await;
        assert_settled(database, &later).await;
        takes(database, &insert_into("goods", PRESENT, LOOSE_ROW)).await;
    }
}

#[tokio::test]
async fn a_name_that_a_model_gives_is_none_of_a_former_table() {
    let of = |model: Model| {
        let named = check("author_check", vec![compare("name", Comparison::NotEqual, "".into())]);
        models(vec![Model { checks: vec![named], ..model }])
    };
    let world = World::new(of(author()), &[]).await;
    let writer = Model { renamed_from: Some("Author".into()), ..model("Writer", author().fields) };
    let after = of(writer);
    for database in world.databases() {
        let Migration { applied, .. } = migrate(database, &after, Some(Risk::Blocking)).await;
        assert!(!sql(&applied).contains("CREATE TABLE"), "{}", sql(&applied));
        assert_settled(database, &after).await;
    }
}

#[tokio::test]
async fn a_numbered_name_moves_up_with_the_risk_of_what_frees_it() {
    let of = |fields: &[&str]| {
        let checks = fields.iter().map(|it| Check {
            name: None,
            any_of: vec![vec![compare(it, Comparison::GreaterOrEqual, 0.into())]],
        });
        let columns = fields.iter().map(|it| field(it, number()));
        models(vec![Model {
            checks: checks.collect(),
            ..model("Stock", [id()].into_iter().chain(columns).collect())
        }])
    };
    let world = World::new(of(&["kind", "n", "size"]), &[]).await;
    let after = of(&["n", "size"]);
    for database in world.databases() {
        for risk in [Risk::Safe, Risk::Blocking] {
            migrate(database, &after, Some(risk)).await;
            let again = migrate(database, &after, Some(risk)).await;
            assert!(again.applied.is_empty(), "{}", sql(&again.applied));
            for values in ["1, -1, 1", "1, 1, -1"] {
                let sql = format!("INSERT INTO stock (kind, n, size) VALUES ({values})");
                refuses(database, &sql, ErrorKind::CheckViolation).await;
            }
        }
        takes(database, "INSERT INTO stock (kind, n, size) VALUES (-1, 1, 1)").await;
        migrate(database, &after, Some(Risk::Destructive)).await;
        assert_settled(database, &after).await;
    }
    let [_, postgres] = world.databases();
    let names = "SELECT conname::text FROM pg_constraint \
                 WHERE contype = 'c' AND conrelid = 'stock'::regclass ORDER BY conname";
    assert_eq!(
        rows(postgres, names).await,
        [["stock_check"], ["stock_check_2"]].map(|it| it.map(Value::from))
    );
}
