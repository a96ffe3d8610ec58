//! Values of rows that are there, in columns of another type or size.

use super::*;
use ferro_wit::query::{Select, Statement};
use ferro_wit::schema::DecimalSize;
use ferro_wit::types::Scalars;

fn decimal(precision: u16, scale: u16) -> ColumnType {
    ColumnType::Decimal(Some(DecimalSize { precision, scale }))
}

fn priced(kind: ColumnType) -> Schema {
    models(vec![model("Item", vec![id(), field("price", kind)])])
}

async fn prices(database: &Database) -> Vec<Vec<Value>> {
    rows(database, "SELECT CAST(price AS text) FROM item ORDER BY id").await
}

#[tokio::test]
async fn decimals_get_the_digits_of_another_size() {
    let world =
        World::new(priced(decimal(8, 1)), &["INSERT INTO item (price) VALUES ('5.0')"]).await;
    for (kind, text) in [(decimal(10, 3), "5.000"), (ColumnType::Decimal(None), "5.000")] {
        for database in world.databases() {
            migrate(database, &priced(kind.clone()), Some(Risk::Blocking)).await;
            assert_settled(database, &priced(kind.clone())).await;
            assert_eq!(prices(database).await, [[Value::from(text)]]);
        }
    }
}

#[tokio::test]
async fn decimals_that_lose_digits_wait() {
    let world = World::new(
        priced(decimal(8, 3)),
        &["INSERT INTO item (price) VALUES ('1.255'), ('12345.000')"],
    )
    .await;
    let small = priced(decimal(4, 1));
    for database in world.databases() {
        let before = prices(database).await;
        let done = migrate(database, &small, Some(Risk::Blocking)).await;
        assert!(done.applied.is_empty() && !done.left.is_empty());
        let error = attempt(database, &small, Risk::Destructive).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::ValueOutOfRange, "{error}");
        assert_eq!(prices(database).await, before);
        database.execute_raw("DELETE FROM item WHERE id = 2", vec![]).await.unwrap();
        migrate(database, &small, Some(Risk::Destructive)).await;
        assert_settled(database, &small).await;
        assert_eq!(prices(database).await, [[Value::from("1.3")]]);
    }
}

#[tokio::test]
async fn integers_become_decimals_of_a_size() {
    let world = World::new(priced(number()), &["INSERT INTO item (price) VALUES (5)"]).await;
    let after = priced(decimal(8, 3));
    for database in world.databases() {
        assert!(migrate(database, &after, Some(Risk::Blocking)).await.applied.is_empty());
        migrate(database, &after, Some(Risk::Destructive)).await;
        assert_settled(database, &after).await;
        assert_eq!(prices(database).await, [[Value::from("5.000")]]);
    }
}

#[tokio::test]
async fn numbered_rows_wait_to_be_something_else() {
    let before = model("Item", vec![id(), text("name")]);
    let kinds = [ColumnType::Uuid, ColumnType::Date, ColumnType::Boolean];
    for kind in kinds {
        let after = models(vec![model(
            "Item",
            vec![field("id", kind), text("name"), nullable("note", number())],
        )]);
        let seed = &["INSERT INTO item (name) VALUES ('Ann')"];
        let world = World::new(models(vec![before.clone()]), seed).await;
        for database in world.databases() {
            let done = migrate(database, &after, Some(Risk::Blocking)).await;
            let kept = done.left.iter().all(|it| it.risk == Risk::Destructive);
            assert!(kept && !done.left.is_empty(), "{}", sql(&done.left));
            let found = rows(database, "SELECT id, name, note FROM item").await;
            assert_eq!(found, [[Value::Integer(1), Value::from("Ann"), Value::Null]]);
            let again = migrate(database, &after, Some(Risk::Blocking)).await;
            assert!(again.applied.is_empty(), "{}", sql(&again.applied));
            database.execute_raw("DELETE FROM item", vec![]).await.unwrap();
            migrate(database, &after, Some(Risk::Destructive)).await;
            assert_settled(database, &after).await;
        }
    }
}

#[tokio::test]
async fn checks_with_names_like_ours_are_told_apart() {
    let author = Model {
        checks: vec![
            check("author_check", vec![compare("n", Comparison::Greater, 0.into())]),
            Check { name: None, any_of: vec![vec![compare("n", Comparison::NotEqual, 9.into())]] },
        ],
        ..model("Author", vec![id(), field("n", number())])
    };
    let schema = models(vec![author]);
    let world = World::new(schema.clone(), &[]).await;
    for database in world.databases() {
        assert_settled(database, &schema).await;
        for n in [0, 9] {
            let sql = format!("INSERT INTO author (n) VALUES ({n})");
            let error = database.execute_raw(&sql, vec![]).await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::CheckViolation);
        }
    }
}

fn tagged(kind: ColumnType) -> Schema {
    models(vec![model("Item", vec![id(), nullable("tags", kind)])])
}

#[tokio::test]
async fn arrays_become_documents_and_documents_arrays() {
    let lists = [
        None,
        Some("[]"),
        Some(r#"["b","a","b"]"#),
        Some(r#"["it's \"one\"","a,b","{c}","\\","\n","","NULL","é",null]"#),
    ];
    let array = |text: &str| {
        let items: Vec<Option<String>> = serde_json::from_str(text).unwrap();
        let mut list = Scalars::with_kind(ScalarType::Text);
        for item in items {
            list.push(item.map_or(Value::Null, Value::Text)).unwrap();
        }
        Value::Array(list)
    };
    let (arrays, documents) = (ColumnType::Array(ScalarType::Text), ColumnType::Json);
    let mut world = World::new(tagged(arrays.clone()), &[]).await;
    let tags = Nodes::default().query(vec![], Statement::Insert(insert("Item", &["tags"])));
    for list in lists {
        world.rows(&tags, &[list.map_or(Value::Null, array)]).await;
    }
    let select = Select { projection: fields(&["tags"]), ..all("Item") };
    let select = Nodes::default().select(select);
    let before = world.rows(&select, &[]).await;

    evolve(&world, &tagged(documents)).await;
    for database in world.databases() {
        let found = rows(database, "SELECT tags FROM item ORDER BY id").await;
        let found = found.into_iter().map(|row| match &row[..] {
            [Value::Json(it)] => Some(serde_json::from_str::<serde_json::Value>(it).unwrap()),
            _ => None,
        });
        let lists = lists.iter().map(|it| it.map(|it| serde_json::from_str(it).unwrap()));
        assert_eq!(found.collect::<Vec<_>>(), lists.collect::<Vec<_>>());
    }

    world.catalog = Catalog::new(tagged(arrays.clone())).unwrap();
    evolve(&world, &tagged(arrays)).await;
    assert_eq!(world.rows(&select, &[]).await, before);
}

#[tokio::test]
async fn documents_become_arrays_of_any_type() {
    let mut world = World::new(
        tagged(ColumnType::Json),
        &["INSERT INTO item (tags) VALUES ('[3, 1, null]'), (NULL), ('[]')"],
    )
    .await;
    let after = tagged(ColumnType::Array(ScalarType::Integer));
    evolve(&world, &after).await;
    world.catalog = Catalog::new(after).unwrap();
    let select = Select { projection: fields(&["tags"]), ..all("Item") };
    let found = world.rows(&Nodes::default().select(select), &[]).await;
    let none = Scalars::with_kind(ScalarType::Integer);
    let mut numbers = none.clone();
    for number in [3.into(), 1.into(), Value::Null] {
        numbers.push(number).unwrap();
    }
    assert_eq!(found, [[Value::Array(numbers)], [Value::Null], [Value::Array(none)]]);
}

#[tokio::test]
async fn a_document_that_is_no_array_of_plain_values_does_not_become_one() {
    let world = World::new(tagged(ColumnType::Json), &[]).await;
    let after = tagged(ColumnType::Array(ScalarType::Text));
    let documents =
        ["{}", r#"{"a": 1}"#, r#""{}""#, "7", "null", r#"[["a"], ["b"]]"#, "[[]]", "[{}]"];
    for (database, document) in world.databases().iter().flat_map(|it| documents.map(|d| (it, d))) {
        takes(database, "DELETE FROM item").await;
        takes(database, &format!("INSERT INTO item (tags) VALUES ('{document}')")).await;
        let error = attempt(database, &after, Risk::Destructive).await.unwrap_err();
        assert!(error.message.contains("array"), "{document}: {error:?}");
    }
}

/// What a value becomes in a column of another type; none where that fails on both databases.
async fn as_other(before: ColumnType, value: Value, after: ColumnType) -> Option<Value> {
    let mut world = World::new(tagged(before), &[]).await;
    let insertion = Nodes::default().query(vec![], Statement::Insert(insert("Item", &["tags"])));
    world.rows(&insertion, &[value]).await;
    let after = tagged(after);
    let mut failed = 0;
    for database in world.databases() {
        assert!(!migrate(database, &after, None).await.left.is_empty(), "there is a step");
        if let Err(error) = attempt(database, &after, Risk::Destructive).await {
            let kinds = [ErrorKind::TypeMismatch, ErrorKind::ValueOutOfRange];
            assert!(kinds.contains(&error.kind), "{error:?}");
            failed += 1;
        }
    }
    assert_ne!(failed, 1, "both fail, or none");
    world.catalog = Catalog::new(after).unwrap();
    let select = Select { projection: fields(&["tags"]), ..all("Item") };
    match failed {
        0 => world.rows(&Nodes::default().select(select), &[]).await.pop()?.pop(),
        _ => None,
    }
}

#[tokio::test]
async fn values_become_those_of_another_type_or_the_migration_fails() {
    use ColumnType as C;
    let text = |it: &str| Value::from(it);
    let decimal = |it: &str| Value::Decimal(it.into());
    let big = || C::Integer(IntegerWidth::Big);
    let list = |kind, items: &[Value]| {
        let mut list = Scalars::with_kind(kind);
        items.iter().for_each(|it| list.push(it.clone()).unwrap());
        Value::Array(list)
    };
    use ScalarType as S;
    let [integers, texts, truths, decimals] =
        [S::Integer, S::Text, S::Boolean, S::Decimal].map(C::Array);
    let json = |it: &str| Value::Json(it.into());
    let day = 86_400_000_000_i64;
    for (before, value, after, expected) in [
        (C::Text(None), text("12"), big(), Some(12.into())),
        (C::Text(None), text("twelve"), big(), None),
        (C::Text(None), text("1.50"), C::Decimal(None), Some(decimal("1.50"))),
        (C::Text(None), text("2024-02-30"), C::Date, None),
        (C::Text(None), text("yes"), C::Boolean, Some(true.into())),
        (C::Double, Value::Float(2.5), big(), Some(2.into())),
        (C::Double, Value::Float(f64::NAN), big(), None),
        (C::Double, Value::Float(0.5), C::Text(None), Some(text("0.5"))),
        (C::Double, Value::Float(1.5e20), C::Text(None), Some(text("1.5e+20"))),
        (C::Double, Value::Float(0.1 + 0.2), C::Decimal(None), Some(decimal("0.3"))),
        (C::Decimal(None), decimal("2.5"), big(), Some(3.into())),
        (C::Decimal(None), decimal("2.5"), C::Double, Some(Value::Float(2.5))),
        (big(), 7.into(), C::Boolean, Some(true.into())),
        (C::Boolean, true.into(), C::Double, Some(Value::Float(1.0))),
        (C::Timestamp, Value::Timestamp(day + 5), C::Date, Some(Value::Date(1))),
        (C::Timestamp, Value::Timestamp(-1), C::Date, Some(Value::Date(-1))),
        (C::Date, Value::Date(1), C::Timestamp, Some(Value::Timestamp(day))),
        (
            C::Interval,
            Value::Interval(Interval { months: 0, days: 1, microseconds: 0 }),
            big(),
            None,
        ),
        (
            C::Uuid,
            Value::Uuid((1, 2)),
            C::Text(None),
            Some(text("00000000-0000-0001-0000-000000000002")),
        ),
        (
            C::Text(None),
            text("00000000-0000-0001-0000-000000000002"),
            C::Uuid,
            Some(Value::Uuid((1, 2))),
        ),
        (
            integers.clone(),
            list(S::Integer, &[1.into(), Value::Null]),
            texts.clone(),
            Some(list(S::Text, &[text("1"), Value::Null])),
        ),
        (
            texts.clone(),
            list(S::Text, &[text("3")]),
            integers.clone(),
            Some(list(S::Integer, &[3.into()])),
        ),
        (
            decimals.clone(),
            list(S::Decimal, &[decimal("2.5")]),
            integers.clone(),
            Some(list(S::Integer, &[3.into()])),
        ),
        (
            truths.clone(),
            list(S::Boolean, &[true.into()]),
            integers.clone(),
            Some(list(S::Integer, &[1.into()])),
        ),
        (truths, list(S::Boolean, &[true.into()]), C::Json, Some(json("[true]"))),
        (
            C::Array(S::Float),
            list(S::Float, &[Value::Float(f64::INFINITY)]),
            C::Json,
            Some(json(r#"["Infinity"]"#)),
        ),
        (decimals.clone(), list(S::Decimal, &[decimal("1.50")]), C::Json, Some(json("[1.50]"))),
        (
            C::Json,
            json("[12345678901234567890.125]"),
            decimals,
            Some(list(S::Decimal, &[decimal("12345678901234567890.125")])),
        ),
        (texts, list(S::Text, &[text("x")]), integers, None),
    ] {
        let what = format!("{before:?} {value:?} {after:?}");
        assert_eq!(as_other(before, value, after).await, expected, "{what}");
    }
}

fn named(kind: ColumnType) -> Schema {
    models(vec![model("Item", vec![id(), field("name", kind)])])
}

#[tokio::test]
async fn texts_that_are_too_long_wait_and_are_not_cut_off() {
    let seed = &["INSERT INTO item (name) VALUES ('Ann'), ('Bartholomew')"];
    for former in [None, Some(20)] {
        let world = World::new(named(ColumnType::Text(former)), seed).await;
        let short = named(ColumnType::Text(Some(5)));
        for database in world.databases() {
            let done = migrate(database, &short, Some(Risk::Blocking)).await;
            assert!(done.applied.is_empty() && !done.left.is_empty(), "{}", sql(&done.applied));
            let error = attempt(database, &short, Risk::Destructive).await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::CheckViolation, "{error:?}");
            let names = rows(database, "SELECT name FROM item ORDER BY id").await;
            assert_eq!(names, [[Value::from("Ann")], [Value::from("Bartholomew")]]);
            takes(database, "DELETE FROM item WHERE id = 2").await;
            migrate(database, &short, Some(Risk::Destructive)).await;
            assert_settled(database, &short).await;

            let longer = named(ColumnType::Text(Some(9)));
            migrate(database, &longer, Some(Risk::Blocking)).await;
            assert_settled(database, &longer).await;
            let names = rows(database, "SELECT name FROM item ORDER BY id").await;
            assert_eq!(names, [[Value::from("Ann")]]);
        }
    }
}
