//! Changes of types, which put the same at risk and fail in the same way on both databases.

use super::*;
use ferro_driver::Execution;
use ferro_wit::query::Statement;
use ferro_wit::schema::DecimalSize;
use ferro_wit::types::Scalars;

/// A model of a nullable field, and its enum.
fn item(kind: &ColumnType) -> Schema {
    let enums = match kind {
        ColumnType::Enumeration(name) => {
            let last = if name == "mood" { "glad" } else { "loud" };
            vec![EnumType { name: name.clone(), values: vec!["sad".into(), last.into()] }]
        }
        _ => vec![],
    };
    Schema { models: vec![model("Item", vec![id(), nullable("it", kind.clone())])], enums }
}

/// Makes the table anew, with one value.
async fn start(database: &Database, schema: &Schema, value: &Value) {
    takes(database, "DROP TABLE IF EXISTS item").await;
    let catalog = Catalog::new(schema.clone()).unwrap();
    let steps = catalog.create_tables(database.dialect(), &[]).unwrap();
    database.apply(&steps).await.unwrap();
    let insertion = Nodes::default().query(vec![], Statement::Insert(insert("Item", &["it"])));
    let plan = catalog.compile(&insertion, database.dialect(), None).unwrap();
    let (plan, parameters) = (std::sync::Arc::new(plan), vec![value.clone()]);
    let execution = Execution { plan, parameters, forced: vec![], rows: None };
    database.execute(execution).await.unwrap();
}

#[tokio::test]
async fn a_change_of_a_type_puts_the_same_at_risk_and_fails_alike_on_both_databases() {
    use ColumnType as C;
    use ErrorKind::{CheckViolation, TypeMismatch, ValueOutOfRange};
    use Risk::{Blocking, Destructive};
    let big = C::Integer(IntegerWidth::Big);
    let text = C::Text(None);
    let short = C::Text(Some(3));
    let mood = C::Enumeration("mood".into());
    let sized = |precision, scale| C::Decimal(Some(DecimalSize { precision, scale }));
    let list = |item: i64| {
        let mut list = Scalars::with_kind(ScalarType::Integer);
        list.push(item.into()).unwrap();
        Value::Array(list)
    };
    let numbers = C::Array(ScalarType::Integer);
    let decimal = |it: &str| Value::Decimal(it.into());
    let json = |it: &str| Value::Json(it.into());
    // From, to, the risk, and values with what they end in.
    let cases = [
        (&big, &text, Blocking, vec![(Value::from(7), None)]),
        (&big, &short, Destructive, vec![(7.into(), None), (1234.into(), Some(CheckViolation))]),
        (&big, &C::Boolean, Destructive, vec![(i64::MAX.into(), None)]),
        (&big, &C::Decimal(None), Blocking, vec![(7.into(), None)]),
        (&big, &sized(4, 1), Destructive, vec![(5000.into(), Some(ValueOutOfRange))]),
        (&big, &mood, Blocking, vec![(7.into(), Some(CheckViolation))]),
        (&big, &C::Date, Destructive, vec![(7.into(), Some(TypeMismatch))]),
        (&C::Boolean, &big, Blocking, vec![(true.into(), None)]),
        (&C::Boolean, &text, Blocking, vec![(true.into(), None)]),
        (&C::Double, &text, Blocking, vec![(Value::Float(0.1), None)]),
        (&C::Double, &big, Destructive, vec![(Value::Float(1e300), Some(ValueOutOfRange))]),
        (
            &C::Decimal(None),
            &big,
            Destructive,
            vec![(decimal("123456789012345678901234567890"), Some(ValueOutOfRange))],
        ),
        (&sized(4, 1), &sized(8, 3), Blocking, vec![(decimal("1.5"), None)]),
        (
            &sized(8, 3),
            &sized(4, 1),
            Destructive,
            vec![(decimal("1.500"), None), (decimal("12345.678"), Some(ValueOutOfRange))],
        ),
        (&sized(4, 1), &C::Text(Some(9)), Destructive, vec![(decimal("1.5"), None)]),
        (
            &text,
            &big,
            Destructive,
            vec![
                ("12".into(), None),
                ("twelve".into(), Some(TypeMismatch)),
                ("99999999999999999999".into(), Some(ValueOutOfRange)),
            ],
        ),
        (
            &text,
            &C::Double,
            Destructive,
            vec![
                ("1.7e308".into(), None),
                ("-Infinity".into(), None),
                ("0.00e-400".into(), None),
                ("1e400".into(), Some(ValueOutOfRange)),
                (" -1e400".into(), Some(ValueOutOfRange)),
                ("0.01e-400".into(), Some(ValueOutOfRange)),
            ],
        ),
        (
            &C::Decimal(None),
            &C::Double,
            Destructive,
            vec![(decimal(&"9".repeat(400)), Some(ValueOutOfRange))],
        ),
        (
            &C::Json,
            &C::Array(ScalarType::Float),
            Destructive,
            vec![
                (json("[1.5e300]"), None),
                (json("[2, -1e400]"), Some(ValueOutOfRange)),
                (json("[1e-400]"), Some(ValueOutOfRange)),
            ],
        ),
        (&text, &C::Date, Destructive, vec![("soon".into(), Some(TypeMismatch))]),
        (&text, &C::Timestamptz, Destructive, vec![("soon".into(), Some(TypeMismatch))]),
        (&text, &C::Uuid, Destructive, vec![("me".into(), Some(TypeMismatch))]),
        (&text, &C::Json, Destructive, vec![("{}".into(), None), ("{".into(), Some(TypeMismatch))]),
        (&text, &mood, Blocking, vec![("sad".into(), None), ("x".into(), Some(CheckViolation))]),
        (
            &text,
            &short,
            Destructive,
            vec![("sad".into(), None), ("glad".into(), Some(CheckViolation))],
        ),
        (&short, &text, Blocking, vec![("sad".into(), None)]),
        (&mood, &text, Blocking, vec![("glad".into(), None)]),
        (&mood, &short, Destructive, vec![("glad".into(), Some(CheckViolation))]),
        (
            &mood,
            &C::Enumeration("tone".into()),
            Blocking,
            vec![("sad".into(), None), ("glad".into(), Some(CheckViolation))],
        ),
        (&C::Uuid, &text, Blocking, vec![(Value::Uuid((1, 2)), None)]),
        (&C::Blob, &text, Blocking, vec![(Value::Blob(vec![1]), None)]),
        (&C::Date, &C::Timestamp, Blocking, vec![(Value::Date(1), None)]),
        (&C::Timestamp, &C::Date, Destructive, vec![(Value::Timestamp(1), None)]),
        (&numbers, &C::Json, Blocking, vec![(list(1), None)]),
        (
            &C::Json,
            &numbers,
            Destructive,
            vec![(json("[1]"), None), (json("[\"x\"]"), Some(TypeMismatch))],
        ),
        (&C::Json, &text, Blocking, vec![(json("{}"), None)]),
    ];
    let world = World::new(item(&text), &[]).await;
    for (before, after, risk, values) in cases {
        let (from, to) = (item(before), item(after));
        for (database, (value, failure)) in
            world.databases().iter().flat_map(|it| values.iter().map(move |value| (it, value)))
        {
            let what = format!("{:?}: {before:?} to {after:?}, {value:?}", database.dialect());
            start(database, &from, value).await;
            let left = migrate(database, &to, None).await.left;
            assert_eq!(left.iter().map(|it| it.risk).max(), Some(risk), "{what}");
            let is_explained = |it: &MigrationStep| it.risk == Risk::Safe || it.reason.is_some();
            assert!(left.iter().all(is_explained), "{what}");
            match (attempt(database, &to, risk).await, failure) {
                (Ok(_), None) => assert_settled(database, &to).await,
                (Err(error), Some(kind)) => {
                    assert_eq!(error.kind, *kind, "{what}: {error}");
                    assert!(error.message.contains("`item`"), "{what}: {error}");
                    assert_settled(database, &from).await;
                }
                (done, _) => panic!("{what}: {done:?}"),
            }
        }
    }
}

#[tokio::test]
async fn an_error_of_a_row_names_its_table_and_columns() {
    let before = models(vec![model("Item", vec![id(), nullable("it", number())])]);
    let with = |it: Field| models(vec![model("Item", vec![id(), it])]);
    let required = Field { nullable: false, ..nullable("it", number()) };
    let default = Field { default: constant(3.into()), ..required.clone() };
    let unique = Field { unique: true, ..nullable("it", number()) };
    let world =
        World::new(before.clone(), &["INSERT INTO item (it) VALUES (NULL), (1), (1)"]).await;
    for (after, kind) in [
        (with(required), ErrorKind::NotNullViolation),
        (with(default), ErrorKind::NotNullViolation),
        (with(unique), ErrorKind::UniqueViolation),
    ] {
        for database in world.databases() {
            let error = attempt(database, &after, Risk::Blocking).await.unwrap_err();
            assert_eq!(error.kind, kind, "{error:?}");
            let (table, column) = (error.table.as_deref(), error.column.as_deref());
            assert_eq!((table, column), (Some("item"), Some("it")), "{error:?}");
            assert!(!error.message.contains("ferro new"), "{error}");
            assert_settled(database, &before).await;
        }
    }
}

#[tokio::test]
async fn a_value_that_cannot_be_converted_is_one_of_a_column_that_the_error_names() {
    let world = World::new(item(&ColumnType::Text(None)), &["INSERT INTO item (it) VALUES ('x')"]);
    let world = world.await;
    for database in world.databases() {
        let error = attempt(database, &item(&number()), Risk::Destructive).await.unwrap_err();
        assert!(error.message.contains("column `it`"), "{error}");
    }
}

#[tokio::test]
async fn a_reference_waits_until_both_its_ends_have_one_type() {
    let author = |kind| model("Author", vec![field("id", kind)]);
    let world = World::new(
        models(vec![author(ColumnType::Text(None))]),
        &["INSERT INTO author (id) VALUES ('7')"],
    )
    .await;
    let key = foreign_key("author", "author_id", "Author");
    let book = Model { foreign_keys: vec![key], ..model("Book", vec![id(), big("author_id")]) };
    let after = models(vec![author(ColumnType::Integer(IntegerWidth::Big)), book]);
    for database in world.databases() {
        let Migration { applied, left, .. } = migrate(database, &after, Some(Risk::Blocking)).await;
        assert!(!sql(&applied).contains("REFERENCES"), "{}", sql(&applied));
        assert!(sql(&left).contains("REFERENCES"), "{}", sql(&left));
        migrate(database, &after, Some(Risk::Destructive)).await;
        assert_settled(database, &after).await;
        takes(database, "INSERT INTO book (author_id) VALUES (7)").await;
    }
}
