//! Forced filters: the values that keep tenants apart, as the operator gives them and as their
//! columns need them.

use std::collections::BTreeMap;

use ferro_wit::schema::{ColumnType, Comparison, EnumType};
use ferro_wit::types::{ScalarType, Scalars, Value};
use serde::{Deserialize, Deserializer, de};

/// A condition on every row that a tenant sees or leaves behind.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    /// The column, as the database names it.
    pub column: String,
    /// How the column compares with the value.
    pub test: Comparison,
    /// The value. An array means any of its values, or with `not-equal` none of them; other
    /// comparisons take no array.
    pub value: Value,
}

impl Filter {
    /// Whether the value is an array of values.
    pub(crate) fn many(&self) -> bool {
        matches!(self.value, Value::Array(_))
    }

    /// The value in the type of its column. A value that is missing, null or empty is a fault: it
    /// must never come to mean "no filter".
    pub(crate) fn value_for(&self, kind: &ColumnType, enums: &[EnumType]) -> Result<Value, String> {
        let column = &self.column;
        let Value::Array(items) = &self.value else {
            return convert(&self.value, kind, enums).map_err(|fault| of(column, &fault));
        };
        if !matches!(self.test, Comparison::Equal | Comparison::NotEqual) {
            return Err(of(column, "a list can only be compared by `equal` and `not-equal`"));
        }
        if items.is_empty() {
            return Err(of(column, "the list has no values"));
        }
        let values: Option<Vec<_>> = (0..items.len()).map(|index| items.get(index)).collect();
        let values = values.ok_or_else(|| of(column, "the list contradicts itself"))?;
        let converted: Result<Vec<_>, _> =
            values.iter().map(|value| convert(value, kind, enums)).collect();
        let converted = converted.map_err(|fault| of(column, &fault))?;
        array(converted).map_err(|fault| of(column, &fault))
    }
}

fn of(column: &str, fault: &str) -> String {
    format!("the filter on column `{column}`: {fault}")
}

/// The value as a column of a type stores it; a fault if that is not the same value.
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
        (ColumnType::Decimal(_), Value::Text(it)) if is_decimal(it) => {
            Some(Value::Decimal(it.clone()))
        }
        (ColumnType::Uuid, Value::Text(it)) => parse_uuid(it).map(Value::Uuid),
        (ColumnType::Enumeration(name), Value::Text(it)) => enums
            .iter()
            .find(|known| &known.name == name)
            .is_some_and(|known| known.values.contains(it))
            .then(|| value.clone()),
        _ => None,
    };
    converted.ok_or_else(|| "its value is not one that the column can have".into())
}

/// Digits with at most one point between them.
fn is_decimal(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    [whole, fraction].iter().all(|it| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit()))
}

/// 32 hexadecimal digits, in groups or not.
fn parse_uuid(text: &str) -> Option<(u64, u64)> {
    let digits: String = match text.len() {
        32 => text.to_owned(),
        36 => {
            let groups: Vec<_> = text.split('-').collect();
            let lengths: Vec<_> = groups.iter().map(|group| group.len()).collect();
            if lengths != [8, 4, 4, 4, 12] {
                return None;
            }
            groups.concat()
        }
        _ => return None,
    };
    if !digits.bytes().all(|it| it.is_ascii_hexdigit()) {
        return None;
    }
    let (high, low) = digits.split_at(16);
    Some((u64::from_str_radix(high, 16).ok()?, u64::from_str_radix(low, 16).ok()?))
}

/// Values of one kind as an array; a fault if one is null or of another kind than the first.
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

/// Filters as a file has them: `{column: value, column: [values], column: {comparison: value}}`.
pub(crate) fn read_filters<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Filter>, D::Error> {
    let mut filters = Vec::new();
    for (column, condition) in BTreeMap::<String, Condition>::deserialize(from)? {
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

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "a filter is a value, a list of values, or comparisons such as `{ less = 10 }`"
)]
enum Condition {
    Equal(Operand),
    Compare(BTreeMap<Comparison, Operand>),
}

#[derive(Deserialize)]
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
