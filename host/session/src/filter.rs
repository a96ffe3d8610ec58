//! Forced filters: the values that separate tenants, as configured, and converted for their
//! columns.

use std::collections::BTreeMap;

use ferro_wit::schema::{ColumnType, Comparison, EnumType};
use ferro_wit::types::{ScalarType, Scalars, Value};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use uuid::Uuid;

use crate::strict_map::StrictMap;

/// A condition on every row that a tenant reads or leaves after a write.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    /// The column, by its database name.
    pub column: String,
    /// How the column compares with the value.
    pub test: Comparison,
    /// The value. An array means any of its values or, with `not-equal`, none of them; other
    /// comparisons do not accept arrays. A text is never converted to a decimal: a model that
    /// declares a text column as decimal would match `07` with `7`. Whole numbers are converted.
    pub value: Value,
}

impl Filter {
    /// Whether the value is an array of values.
    pub(crate) fn many(&self) -> bool {
        matches!(self.value, Value::Array(_))
    }

    /// The value in the type of its column. A missing, null or empty value is a fault: it must
    /// never mean "no filter".
    pub(crate) fn value_for(&self, kind: &ColumnType, enums: &[EnumType]) -> Result<Value, String> {
        let column = &self.column;
        let by_equality = matches!(self.test, Comparison::Equal | Comparison::NotEqual);
        if !by_equality && matches!(kind, ColumnType::Enumeration(_)) {
            return Err(of(column, "an enum can only be compared by `equal` and `not-equal`"));
        }
        let Value::Array(items) = &self.value else {
            return convert(&self.value, kind, enums).map_err(|fault| of(column, &fault));
        };
        if !by_equality {
            return Err(of(column, "a list can only be compared by `equal` and `not-equal`"));
        }
        if items.is_empty() {
            return Err(of(column, "the list has no values"));
        }
        let values: Option<Vec<_>> = (0..items.len()).map(|index| items.get(index)).collect();
        let values = values.ok_or_else(|| of(column, "the list is inconsistent"))?;
        let converted: Result<Vec<_>, _> =
            values.iter().map(|value| convert(value, kind, enums)).collect();
        let converted = converted.map_err(|fault| of(column, &fault))?;
        array(converted).map_err(|fault| of(column, &fault))
    }
}

fn of(column: &str, fault: &str) -> String {
    format!("the filter on column `{column}`: {fault}")
}

/// The value as stored in a column of a type; a fault if the value would change.
fn convert(value: &Value, kind: &ColumnType, enums: &[EnumType]) -> Result<Value, String> {
    let empty = match value {
        Value::Null => true,
        Value::Text(it) | Value::Decimal(it) | Value::Json(it) => it.is_empty(),
        Value::Blob(it) => it.is_empty(),
        _ => false,
    };
    if empty {
        return Err("it has no value".into());
    }
    let converted = match (kind, value) {
        (ColumnType::Boolean, Value::Boolean(_))
        | (ColumnType::Integer(_), Value::Integer(_))
        | (ColumnType::Decimal(_), Value::Decimal(_))
        | (ColumnType::Text(_), Value::Text(_))
        | (ColumnType::Blob, Value::Blob(_))
        | (ColumnType::Uuid, Value::Uuid(_))
        | (ColumnType::Date, Value::Date(_))
        | (ColumnType::Time, Value::Time(_))
        | (ColumnType::Timestamp, Value::Timestamp(_))
        | (ColumnType::Timestamptz, Value::Timestamptz(_)) => Some(value.clone()),
        (ColumnType::Real | ColumnType::Double, Value::Float(it)) if !it.is_nan() => {
            Some(value.clone())
        }
        (ColumnType::Decimal(_), Value::Integer(it)) => Some(Value::Decimal(it.to_string())),
        (ColumnType::Uuid, Value::Text(it)) => Uuid::try_parse(it).ok().map(Value::from),
        (ColumnType::Enumeration(name), Value::Text(it)) => enums
            .iter()
            .find(|known| &known.name == name)
            .is_some_and(|known| known.values.contains(it))
            .then(|| value.clone()),
        _ => None,
    };
    converted.ok_or_else(|| "its value does not fit the column".into())
}

/// Values of one kind as an array; a fault if one is null or differs in kind from the first.
fn array(values: Vec<Value>) -> Result<Value, String> {
    let kind = values.first().and_then(Value::kind).unwrap_or(ScalarType::Text);
    let mut items = Scalars::with_kind(kind);
    for value in values {
        if matches!(value, Value::Null) {
            return Err("a value of its list is null".into());
        }
        items.push(value).map_err(|_| "its list has values of several types".to_owned())?;
    }
    Ok(Value::Array(items))
}

/// Reads filters from a file: `{column: value, column: [values], column: {comparison: value}}`.
pub(crate) fn read_filters<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Filter>, D::Error> {
    let mut filters = Vec::new();
    let StrictMap(conditions) = StrictMap::<Condition>::deserialize(from)?;
    for (column, condition) in conditions {
        let tests = match condition {
            Condition::Compare(tests) => tests,
            Condition::Equal(operand) => BTreeMap::from([(Comparison::Equal, operand)]),
        };
        if tests.is_empty() {
            return Err(de::Error::custom(of(&column, "it has no value")));
        }
        for (test, operand) in tests {
            let value = operand.value().map_err(|fault| de::Error::custom(of(&column, &fault)))?;
            filters.push(Filter { column: column.clone(), test, value });
        }
    }
    Ok(filters)
}

/// Writes filters in the form that [`read_filters`] reads. Filters that a file cannot express are
/// an error: with a value of a type that it lacks, or two filters with the same comparison on one
/// column.
pub(crate) fn write_filters<S: Serializer>(filters: &[Filter], to: S) -> Result<S::Ok, S::Error> {
    let mut columns = BTreeMap::<&str, BTreeMap<Comparison, Operand>>::new();
    for Filter { column, test, value } in filters {
        let operand = Operand::of(value).map_err(|fault| ser::Error::custom(of(column, &fault)))?;
        if columns.entry(column).or_default().insert(*test, operand).is_some() {
            let fault = of(column, "a file cannot contain the same comparison twice");
            return Err(ser::Error::custom(fault));
        }
    }
    to.collect_map(columns.into_iter().map(|(column, mut tests)| {
        let condition = match (tests.len(), tests.remove(&Comparison::Equal)) {
            (1, Some(operand)) => Condition::Equal(operand),
            (_, equal) => {
                tests.extend(equal.map(|it| (Comparison::Equal, it)));
                Condition::Compare(tests)
            }
        };
        (column, condition)
    }))
}

#[derive(Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "a filter is a value, a list of values, or comparisons such as `{ less = 10 }`"
)]
enum Condition {
    Equal(Operand),
    Compare(BTreeMap<Comparison, Operand>),
}

#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "a boolean, a number, a text, or a list of these")]
enum Operand {
    Null(()),
    Boolean(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    List(Vec<Operand>),
}

impl Operand {
    fn of(value: &Value) -> Result<Self, String> {
        let operand = match value {
            Value::Boolean(it) => Some(Self::Boolean(*it)),
            Value::Integer(it) => Some(Self::Integer(*it)),
            Value::Float(it) if it.is_finite() => Some(Self::Float(*it)),
            Value::Text(it) => Some(Self::Text(it.clone())),
            // Its column converts it back to the same value.
            Value::Uuid((high, low)) => {
                Some(Self::Text(Uuid::from_u64_pair(*high, *low).to_string()))
            }
            Value::Decimal(it) => it.parse().ok().map(Self::Integer),
            Value::Array(items) => {
                let items = (0..items.len()).map(|index| items.get(index).unwrap_or(Value::Null));
                Some(Self::List(items.map(|it| Self::of(&it)).collect::<Result<_, _>>()?))
            }
            _ => None,
        };
        operand.ok_or_else(|| "this value cannot be written to a tenant file".into())
    }

    fn value(self) -> Result<Value, String> {
        Ok(match self {
            Self::Null(()) => return Err("it has no value".into()),
            Self::Boolean(it) => Value::Boolean(it),
            Self::Integer(it) => Value::Integer(it),
            Self::Float(it) => Value::Float(it),
            Self::Text(it) if it.is_empty() => return Err("it has no value".into()),
            Self::Text(it) => Value::Text(it),
            Self::List(items) if items.is_empty() => return Err("the list has no values".into()),
            Self::List(items) => {
                array(items.into_iter().map(Self::value).collect::<Result<_, _>>()?)?
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use ferro_wit::schema::IntegerWidth;

    use super::*;

    const INTEGER: ColumnType = ColumnType::Integer(IntegerWidth::Big);

    fn convert_for(kind: &ColumnType, value: impl Into<Value>) -> Result<Value, String> {
        let enums = [EnumType { name: "mood".into(), values: vec!["calm".into()] }];
        let test = Comparison::Equal;
        Filter { column: "c".into(), test, value: value.into() }.value_for(kind, &enums)
    }

    fn texts(values: &[&str]) -> Value {
        array(values.iter().map(|it| Value::from(*it)).collect()).unwrap()
    }

    #[test]
    fn t6_a_filter_value_takes_the_type_of_its_column() {
        let uuid = uuid::uuid!("00112233-4455-6677-8899-aabbccddeeff");
        let converted = [
            (convert_for(&INTEGER, 42), Value::Integer(42)),
            (convert_for(&ColumnType::Text(None), "a"), Value::from("a")),
            (convert_for(&ColumnType::Decimal(None), 42), Value::Decimal("42".into())),
            (
                convert_for(&ColumnType::Decimal(None), Value::Decimal("-1.50".into())),
                Value::Decimal("-1.50".into()),
            ),
            (convert_for(&ColumnType::Uuid, uuid), uuid.into()),
            (convert_for(&ColumnType::Enumeration("mood".into()), "calm"), Value::from("calm")),
        ];
        for (converted, expected) in converted {
            assert_eq!(converted, Ok(expected));
        }
        for text in [
            "00112233-4455-6677-8899-aabbccddeeff",
            "00112233445566778899AABBCCDDEEFF",
            "{00112233-4455-6677-8899-aabbccddeeff}",
            "urn:uuid:00112233-4455-6677-8899-aabbccddeeff",
        ] {
            assert_eq!(convert_for(&ColumnType::Uuid, text), Ok(uuid.into()), "{text}");
        }
        let one = Value::Uuid((0, 1));
        let list = convert_for(&ColumnType::Uuid, texts(&[&format!("{:032}", 1)])).unwrap();
        assert!(matches!(&list, Value::Array(items) if items.get(0) == Some(one)), "{list:?}");
    }

    #[test]
    fn t6_a_value_that_its_column_cannot_have_is_a_fault() {
        let faults = [
            convert_for(&INTEGER, "42"),
            convert_for(&INTEGER, 42.0),
            convert_for(&ColumnType::Text(None), 42),
            convert_for(&ColumnType::Boolean, 1),
            convert_for(&ColumnType::Decimal(None), "1.50"),
            convert_for(&ColumnType::Uuid, "0011223344556677-8899-aabbccddeeff--"),
            convert_for(&ColumnType::Uuid, "é".repeat(16)),
            convert_for(&ColumnType::Uuid, " 00112233445566778899aabbccddeeff"),
            convert_for(&ColumnType::Uuid, "{00112233445566778899aabbccddeeff}"),
            convert_for(&ColumnType::Double, f64::NAN),
            convert_for(&ColumnType::Enumeration("mood".into()), "angry"),
            convert_for(&ColumnType::Enumeration("unknown".into()), "calm"),
            convert_for(&ColumnType::Json, Value::Json("1".into())),
        ];
        for fault in faults {
            let fault = fault.unwrap_err();
            assert!(fault.contains("column `c`") && fault.contains("does not fit"), "{fault}");
        }
    }

    #[test]
    fn t6_a_missing_null_or_empty_value_is_a_fault_and_never_no_filter() {
        let empty = Value::Array(Scalars::with_kind(ScalarType::Integer));
        let mut null = Scalars::with_kind(ScalarType::Integer);
        null.push_null();
        for value in [Value::Null, "".into(), Value::Blob(vec![]), empty, Value::Array(null)] {
            let fault = convert_for(&INTEGER, value.clone()).unwrap_err();
            assert!(fault.contains("value"), "{value:?}: {fault}");
        }
        assert!(convert_for(&ColumnType::Text(None), texts(&["a", ""])).is_err());
        let files = [
            r#"{"c": null}"#,
            r#"{"c": ""}"#,
            r#"{"c": []}"#,
            r#"{"c": [1, null]}"#,
            r#"{"c": ["a", ""]}"#,
            r#"{"c": {}}"#,
            r#"{"c": {"less": null}}"#,
        ];
        for file in files {
            let mut from = serde_json::Deserializer::from_str(file);
            let fault = read_filters(&mut from).unwrap_err().to_string();
            assert!(fault.contains("value") && fault.contains("`c`"), "{file}: {fault}");
        }
    }

    #[test]
    fn a_list_is_compared_by_equal_and_not_equal_only() {
        let with = |test| Filter { column: "c".into(), test, value: texts(&["a"]) };
        let kind = ColumnType::Text(None);
        assert!(with(Comparison::Equal).value_for(&kind, &[]).is_ok());
        assert!(with(Comparison::NotEqual).value_for(&kind, &[]).is_ok());
        assert!(with(Comparison::Less).value_for(&kind, &[]).unwrap_err().contains("`equal`"));
        let mood = Filter { value: "calm".into(), ..with(Comparison::Less) };
        let fault = mood.value_for(&ColumnType::Enumeration("mood".into()), &[]).unwrap_err();
        assert!(fault.contains("an enum"), "{fault}");
    }

    #[test]
    fn a_file_gives_a_value_a_list_or_comparisons() {
        let file = r#"{
            "a": 1, "b": ["x", "y"], "c": { "greater-or-equal": 1, "less": 9 }, "d": false
        }"#;
        let mut from = serde_json::Deserializer::from_str(file);
        let read: Vec<_> = read_filters(&mut from)
            .unwrap()
            .into_iter()
            .map(|it| (it.column, it.test, it.value))
            .collect();
        let column = |name: &str, test, value| (name.to_owned(), test, value);
        assert_eq!(
            read,
            [
                column("a", Comparison::Equal, 1.into()),
                column("b", Comparison::Equal, texts(&["x", "y"])),
                column("c", Comparison::Less, 9.into()),
                column("c", Comparison::GreaterOrEqual, 1.into()),
                column("d", Comparison::Equal, false.into()),
            ]
        );
        for file in [r#"{"a": {"like": 1}}"#, r#"{"a": [1, "x"]}"#, r#"{"a": 1e400}"#] {
            let mut from = serde_json::Deserializer::from_str(file);
            assert!(read_filters(&mut from).is_err(), "{file}");
        }
    }
}
