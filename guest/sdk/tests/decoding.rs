//! Batches become models, or an error that says what does not fit.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod models;

use ferro::values::{Date, Decimal, Interval, Json, Time, Timestamp, Timestamptz, Uuid};
use ferro::{ErrorKind, Insertable as _, Model, Row as _};
use ferro_wit::types::{Batch, Column, Elements, ScalarType, Scalars, Value};
use models::{City, Everything, Membership, Mood, NewCity};

#[derive(Model, Debug, Clone, PartialEq)]
struct Seat {
    #[ferro(key)]
    id: i64,
    row: i64,
    batch: i64,
}

#[derive(ferro::Row, Debug, PartialEq)]
struct Table {
    row: i64,
    columns: i64,
    batch: i64,
}

fn everything(id: u128) -> Everything {
    Everything {
        id: Uuid::from_u128(id),
        boolean: true,
        small: i16::MIN,
        regular: i32::MAX,
        big: i64::MIN,
        real: 1.5,
        double: f64::MAX,
        decimal: Decimal::parse("-12.5000").unwrap(),
        text: "é\u{1F980}".into(),
        blob: vec![0, 255],
        date: Date::parse("2024-02-29").unwrap(),
        time: Time::parse("23:59:59.999999").unwrap(),
        timestamp: Timestamp::parse("0001-01-01 00:00:00").unwrap(),
        timestamptz: Timestamptz::parse("9999-12-31 23:59:59Z").unwrap(),
        interval: Interval { months: 1, days: -1, micros: 1 },
        json: Json::new("null"),
        mood: Mood::SoSo,
        numbers: vec![1, -1],
        maybe_texts: None,
        maybe_mood: None,
        r#type: None,
    }
}

/// What an insert of the rows would send, as if it had come back.
fn batch<M: Model>(rows: &[M]) -> Batch {
    let columns = M::columns(rows).unwrap();
    assert!(columns.iter().map(|(name, _)| *name).eq(M::FIELDS.iter().copied()));
    Batch::new(columns.into_iter().map(|(_, cells)| cells).collect()).unwrap()
}

fn integers(values: &[i64]) -> Column {
    Column::Scalars(Scalars { elements: Elements::Integer(values.into()), nulls: None })
}

fn cells(kind: ScalarType, values: &[Value]) -> Column {
    let mut scalars = Scalars::with_kind(kind);
    for value in values {
        scalars.push(value.clone()).unwrap();
    }
    Column::Scalars(scalars)
}

#[test]
fn every_type_comes_back_from_columns_as_it_went() {
    let rows: Vec<_> = (0..20)
        .map(|index| {
            let mut row = everything(index << 64 | 7);
            if index % 3 == 0 {
                row.maybe_texts = Some(vec![String::new(); usize::try_from(index).unwrap()]);
                row.maybe_mood = Some(Mood::VerySad);
                row.r#type = Some(Decimal::from(-3));
            }
            row
        })
        .collect();
    assert_eq!(Everything::decode(&batch(&rows)).unwrap(), rows);
    assert_eq!(Everything::decode(&batch::<Everything>(&[])).unwrap(), []);
}

#[test]
fn one_row_and_many_carry_the_same_values() {
    let row = everything(1);
    let columns = Everything::columns(std::slice::from_ref(&row)).unwrap();
    let values = columns.iter().map(|(name, cells)| (*name, cells.get(0).unwrap()));
    assert_eq!(row.values().unwrap(), values.collect::<Vec<_>>());
}

#[test]
fn a_null_where_none_may_be_names_model_field_and_key() {
    let rows =
        [Membership { person: 1, club: "a".into() }, Membership { person: 2, club: "b".into() }];
    let mut batch = batch(&rows);
    batch.columns[0] = cells(ScalarType::Integer, &[Value::Integer(1), Value::Null]);
    let error = Membership::decode(&batch).unwrap_err();
    assert_eq!(error.kind, ErrorKind::DecodeFailed);
    assert_eq!(
        (error.table.as_deref(), error.column.as_deref()),
        (Some("membership"), Some("person"))
    );
    insta::assert_snapshot!(error, @"cannot read `Membership`: field `person` where person = \
                                     `Null`, club = `b`: it is null, but the field is not an \
                                     `Option`");
}

#[test]
fn a_number_that_does_not_fit_is_an_error_and_not_cut() {
    let mut batch = batch(&[everything(9)]);
    batch.columns[2] = integers(&[70_000]);
    let error = Everything::decode(&batch).unwrap_err();
    insta::assert_snapshot!(error, @"cannot read `Everything`: field `small` where id = `00000000-0000-0000-0000-000000000009`: `70000` does not fit 16 bits");
}

#[test]
fn an_unknown_value_of_an_enum_is_named_with_the_known_ones() {
    let mut batch = batch(&[everything(9)]);
    batch.columns[16] = cells(ScalarType::Text, &["furious".into()]);
    let error = Everything::decode(&batch).unwrap_err();
    assert!(
        error
            .message
            .ends_with("`furious` is not a value of `Mood`: expected `happy`, `so-so`, `very_sad`"),
        "{error}"
    );
}

#[test]
fn a_column_of_another_type_names_both() {
    let mut batch = batch(&[everything(9)]);
    batch.columns[8] = integers(&[1]);
    let error = Everything::decode(&batch).unwrap_err();
    insta::assert_snapshot!(error, @"cannot read `Everything`: field `text` is `text`, and the column is `integer`");
    batch.columns[8] = batch.columns[17].clone();
    let error = Everything::decode(&batch).unwrap_err();
    assert!(error.message.ends_with("the column is `array of integer`"), "{error}");
}

#[test]
fn a_batch_of_other_columns_is_refused() {
    let mut batch = batch(&[everything(9)]);
    batch.columns.pop();
    let error = Everything::decode(&batch).unwrap_err();
    assert!(error.message.ends_with("got 20 columns for 21 fields"), "{error}");
    let torn = Batch { rows: 3, columns: vec![integers(&[1]), cells(ScalarType::Text, &[])] };
    assert_eq!(Membership::decode(&torn).unwrap_err().kind, ErrorKind::DecodeFailed);
}

#[test]
fn fields_are_called_like_what_their_code_uses() {
    let columns: [&[i64]; 3] = [&[1, 2], &[3, 4], &[5, 6]];
    let batch = Batch::new(columns.map(integers).into()).unwrap();
    let seat = |id, row, batch| Seat { id, row, batch };
    assert_eq!(Seat::decode(&batch).unwrap(), [seat(1, 3, 5), seat(2, 4, 6)]);
    let table = |row, columns, batch| Table { row, columns, batch };
    assert_eq!(Table::decode(&batch).unwrap(), [table(1, 3, 5), table(2, 4, 6)]);
}

#[test]
fn a_new_row_leaves_out_what_the_database_fills_in() {
    let row = |population| NewCity {
        name: "Paris".into(),
        country: "FR".into(),
        population,
        slug: None,
        capital: true,
    };
    let names = |row: NewCity| row.values().unwrap().into_iter().map(|it| it.0).collect::<Vec<_>>();
    assert_eq!(names(row(None)), ["name", "country", "slug", "capital"]);
    assert_eq!(names(row(Some(1))), ["name", "country", "population", "slug", "capital"]);
    assert_eq!(NewCity::columns(&[row(None), row(None)]).unwrap().len(), 4);
    assert_eq!(NewCity::columns(&[row(Some(1)), row(Some(2))]).unwrap().len(), 5);
    let error = NewCity::columns(&[row(Some(1)), row(None)]).unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidQuery);
    insta::assert_snapshot!(error, @"`population` is given in 1 of 2 rows: give it in all of them, or in none for the default");
}

#[test]
fn a_key_of_several_fields_is_a_tuple() {
    let row = Membership { person: 1, club: "chess".into() };
    assert_eq!(row.key(), (1, "chess".to_owned()));
    assert_eq!(City::KEY, ["id"]);
}
