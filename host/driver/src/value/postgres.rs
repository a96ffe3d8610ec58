//! Values on PostgreSQL: reads and writes the binary forms of its types directly, since the types
//! of other libraries panic on some values that the server stores.

use ferro_wit::types::{Elements, ErrorKind, Interval, ScalarType, Scalars};
use sqlx::encode::{Encode, IsNull};
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgArguments, PgTypeInfo, PgTypeKind};
use sqlx::{Arguments, Postgres, Type, TypeInfo};

use super::{
    Cell, Expected, Fault, Operand, array, computed, decimal, decimal::Decimal, end_of, json,
    push_text, temporal, uuid_words,
};

/// The format in which the server sends a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wire {
    Bool,
    Int2,
    Int4,
    Int8,
    Oid,
    Float4,
    Float8,
    Numeric,
    /// `"char"`, one byte.
    Char,
    Text,
    Bytea,
    Uuid,
    Date,
    Time,
    Timestamp,
    Timestamptz,
    Interval,
    Json,
    Jsonb,
}

impl Wire {
    /// The format of a type, and whether it is an array of it; `None` for types that cannot be
    /// read.
    pub(crate) fn of(type_info: &PgTypeInfo) -> Option<(Self, bool)> {
        // A type that the server does not describe has no kind: SQLx panics if asked for it.
        if type_info.name() == "?" {
            return None;
        }
        match type_info.kind() {
            PgTypeKind::Enum(_) => Some((Self::Text, false)),
            PgTypeKind::Domain(base) => Self::of(base),
            PgTypeKind::Array(element) => match Self::of(element)? {
                (wire, false) => Some((wire, true)),
                (_, true) => None,
            },
            _ => Some((Self::of_scalar(type_info)?, false)),
        }
    }

    fn of_scalar(type_info: &PgTypeInfo) -> Option<Self> {
        match Self::of_oid(type_info.oid()?) {
            None if type_info.name() == "citext" => Some(Self::Text),
            wire => wire,
        }
    }

    /// The format in which `COPY` takes values for a column of this type; `None` for types to which
    /// only statements convert values.
    pub(crate) fn stored(oid: Oid) -> Option<Self> {
        match (Self::of_oid(oid)?, oid.0) {
            (Self::Text, 25 | 1042 | 1043) => Some(Self::Text),
            (Self::Char | Self::Text | Self::Oid | Self::Json, _) => None,
            (wire, _) => Some(wire),
        }
    }

    fn of_oid(oid: Oid) -> Option<Self> {
        Some(match oid.0 {
            16 => Self::Bool,
            17 => Self::Bytea,
            20 => Self::Int8,
            21 => Self::Int2,
            23 => Self::Int4,
            26 => Self::Oid,
            18 => Self::Char,
            // name, text, xml, unknown, bpchar, varchar, void
            19 | 25 | 142 | 705 | 1042 | 1043 | 2278 => Self::Text,
            114 => Self::Json,
            700 => Self::Float4,
            701 => Self::Float8,
            1082 => Self::Date,
            1083 => Self::Time,
            1114 => Self::Timestamp,
            1184 => Self::Timestamptz,
            1186 => Self::Interval,
            1700 => Self::Numeric,
            2950 => Self::Uuid,
            3802 => Self::Jsonb,
            _ => return None,
        })
    }

    /// The type to which values in this format are converted.
    pub(crate) fn kind(self) -> ScalarType {
        match self {
            Self::Bool => ScalarType::Boolean,
            Self::Int2 | Self::Int4 | Self::Int8 | Self::Oid => ScalarType::Integer,
            Self::Float4 | Self::Float8 => ScalarType::Float,
            Self::Numeric => ScalarType::Decimal,
            Self::Char | Self::Text => ScalarType::Text,
            Self::Bytea => ScalarType::Blob,
            Self::Uuid => ScalarType::Uuid,
            Self::Date => ScalarType::Date,
            Self::Time => ScalarType::Time,
            Self::Timestamp => ScalarType::Timestamp,
            Self::Timestamptz => ScalarType::Timestamptz,
            Self::Interval => ScalarType::Interval,
            Self::Json | Self::Jsonb => ScalarType::Json,
        }
    }
}

/// Lets the server infer the type from the statement.
pub(crate) const UNKNOWN: Oid = Oid(0);

/// The type with which a value is sent.
pub(crate) fn oid(expected: Expected) -> Oid {
    let (scalar, array) = match expected.kind {
        ScalarType::Boolean => (16, 1000),
        ScalarType::Integer => (20, 1016),
        ScalarType::Float => (701, 1022),
        ScalarType::Decimal => (1700, 1231),
        ScalarType::Text => (25, 1009),
        ScalarType::Blob => (17, 1001),
        ScalarType::Uuid => (2950, 2951),
        ScalarType::Date => (1082, 1182),
        ScalarType::Time => (1083, 1183),
        ScalarType::Timestamp => (1114, 1115),
        ScalarType::Timestamptz => (1184, 1185),
        ScalarType::Interval => (1186, 1187),
        ScalarType::Json => (3802, 3807),
    };
    Oid(if expected.many { array } else { scalar })
}

/// Appends a value to the arguments of a statement. A null for which no type is expected is sent
/// without one: the server infers it from the statement.
pub(crate) fn bind(
    operand: Operand<'_>,
    expected: Option<Expected>,
    arguments: &mut PgArguments,
) -> Result<(), Fault> {
    let oid = expected.map_or(UNKNOWN, oid);
    let kind = expected.map(|it| it.kind);
    let added = Arguments::add(arguments, Bind { operand, kind, oid });
    added.map_err(|fault| match fault.downcast::<Fault>() {
        Ok(fault) => *fault,
        Err(other) => Fault::new(ErrorKind::ValueOutOfRange, format!("cannot be sent: {other}")),
    })
}

struct Bind<'a> {
    operand: Operand<'a>,
    kind: Option<ScalarType>,
    oid: Oid,
}

impl Type<Postgres> for Bind<'_> {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(UNKNOWN)
    }
}

impl Encode<'_, Postgres> for Bind<'_> {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        match self.operand {
            Operand::Scalar(Cell::Null) => return Ok(IsNull::Yes),
            Operand::Scalar(cell) => write(cell, buffer)?,
            Operand::Array(items, start, end) => {
                let kind = self.kind.unwrap_or(items.elements.kind());
                array::write_binary(items, start, end, kind, buffer)?;
            }
        }
        Ok(IsNull::No)
    }

    fn produces(&self) -> Option<PgTypeInfo> {
        Some(PgTypeInfo::with_oid(self.oid))
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.predicate)
    }
}

/// Faults pass through SQLx on their way to the caller.
impl std::error::Error for Fault {}

/// Appends the binary form of a cell that is not null.
pub(crate) fn write(cell: Cell<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
    match cell {
        Cell::Null => {}
        Cell::Boolean(it) => out.push(u8::from(it)),
        Cell::Integer(it) => out.extend_from_slice(&it.to_be_bytes()),
        Cell::Float(it) => out.extend_from_slice(&it.to_be_bytes()),
        Cell::Decimal(it) => Decimal::parse(it)?.write_binary(out)?,
        Cell::Text(it) if it.contains('\0') => {
            let predicate = "contains the character NUL, which PostgreSQL cannot store in text";
            return Err(Fault::out_of_range(predicate));
        }
        Cell::Text(it) => out.extend_from_slice(it.as_bytes()),
        Cell::Blob(it) => out.extend_from_slice(it),
        Cell::Uuid((high, low)) => {
            out.extend_from_slice(&high.to_be_bytes());
            out.extend_from_slice(&low.to_be_bytes());
        }
        Cell::Date(it) => out.extend_from_slice(&temporal::date_to_postgres(it)?.to_be_bytes()),
        Cell::Time(it) => {
            temporal::check_time(it)?;
            out.extend_from_slice(&it.to_be_bytes());
        }
        Cell::Timestamp(it) | Cell::Timestamptz(it) => {
            out.extend_from_slice(&temporal::timestamp_to_postgres(it)?.to_be_bytes());
        }
        Cell::Interval(it) => {
            out.extend_from_slice(&it.microseconds.to_be_bytes());
            out.extend_from_slice(&it.days.to_be_bytes());
            out.extend_from_slice(&it.months.to_be_bytes());
        }
        Cell::Json(it) => {
            if json::contents(it)?.nul {
                let predicate = "contains the character NUL (`\\u0000`), which PostgreSQL cannot \
                                 store in a JSON document";
                return Err(Fault::out_of_range(predicate));
            }
            out.push(JSONB_VERSION);
            out.extend_from_slice(it.as_bytes());
        }
    }
    Ok(())
}

/// Appends a cell in the format of the column that stores it, which may be narrower than the type
/// with which statements send it.
pub(crate) fn write_as(cell: Cell<'_>, wire: Wire, out: &mut Vec<u8>) -> Result<(), Fault> {
    let range = || Fault::out_of_range("is out of the range of its column");
    match (cell, wire) {
        (Cell::Integer(it), Wire::Int4) => {
            out.extend_from_slice(&i32::try_from(it).map_err(|_| range())?.to_be_bytes());
        }
        (Cell::Integer(it), Wire::Int2) => {
            out.extend_from_slice(&i16::try_from(it).map_err(|_| range())?.to_be_bytes());
        }
        (Cell::Float(it), Wire::Float4) => {
            #[expect(clippy::cast_possible_truncation, reason = "rounded, as the server does")]
            let narrow = it as f32;
            if narrow.is_infinite() != it.is_infinite() || (narrow == 0.0) != (it == 0.0) {
                return Err(range());
            }
            out.extend_from_slice(&narrow.to_be_bytes());
        }
        _ => write(cell, out)?,
    }
    Ok(())
}

const JSONB_VERSION: u8 = 1;

/// Appends a value that is not null to the elements of a column: of the column's type, or of
/// another type that is computed by SQL text.
pub(crate) fn read(bytes: &[u8], wire: Wire, items: &mut Scalars) -> Result<(), Fault> {
    match (&mut items.elements, wire) {
        (Elements::Integer(to), Wire::Int8) => to.push(i64::from_be_bytes(fixed(bytes)?)),
        (Elements::Integer(to), Wire::Int4) => {
            to.push(i64::from(i32::from_be_bytes(fixed(bytes)?)));
        }
        (Elements::Integer(to), Wire::Int2) => {
            to.push(i64::from(i16::from_be_bytes(fixed(bytes)?)));
        }
        (Elements::Integer(to), Wire::Oid) => to.push(i64::from(u32::from_be_bytes(fixed(bytes)?))),
        (Elements::Text(to), Wire::Text) | (Elements::Json(to), Wire::Json) => {
            push_text(to, text(bytes)?)?;
        }
        // The text is empty if the byte is 0.
        (Elements::Text(to), Wire::Char) => push_text(to, text(bytes)?.trim_end_matches('\0'))?,
        (Elements::Json(to), Wire::Jsonb) => match bytes.split_first() {
            Some((&JSONB_VERSION, bytes)) => push_text(to, text(bytes)?)?,
            _ => return Err(Fault::undecodable("has an unknown version of `jsonb`")),
        },
        (Elements::Float(to), Wire::Float8) => to.push(f64::from_be_bytes(fixed(bytes)?)),
        (Elements::Float(to), Wire::Float4) => {
            to.push(f64::from(f32::from_be_bytes(fixed(bytes)?)));
        }
        (Elements::Boolean(to), Wire::Bool) => to.push(fixed::<1>(bytes)? != [0]),
        (Elements::Decimal(to), Wire::Numeric) => {
            decimal::read_binary(bytes, &mut to.data)?;
            to.ends.push(end_of(to.data.len())?);
        }
        (Elements::Blob(to), Wire::Bytea) => {
            to.data.extend_from_slice(bytes);
            to.ends.push(end_of(to.data.len())?);
        }
        (Elements::Uuid(to), Wire::Uuid) => {
            let (high, low) = uuid_words(bytes)?;
            to.extend([high, low]);
        }
        (Elements::Date(to), Wire::Date) => {
            to.push(temporal::date_from_postgres(i32::from_be_bytes(fixed(bytes)?))?);
        }
        (Elements::Time(to), Wire::Time) => to.push(i64::from_be_bytes(fixed(bytes)?)),
        (Elements::Timestamp(to), Wire::Timestamp)
        | (Elements::Timestamptz(to), Wire::Timestamptz) => {
            to.push(temporal::timestamp_from_postgres(i64::from_be_bytes(fixed(bytes)?))?);
        }
        (Elements::Interval(to), Wire::Interval) => {
            let [a, b, c, d, e, f, g, h, days @ .., m, n, o, p] = fixed::<16>(bytes)?;
            to.push(Interval {
                microseconds: i64::from_be_bytes([a, b, c, d, e, f, g, h]),
                days: i32::from_be_bytes(days),
                months: i32::from_be_bytes([m, n, o, p]),
            });
        }
        (_, wire) => {
            let mut found = Scalars::with_kind(wire.kind());
            read(bytes, wire, &mut found)?;
            computed::read(Cell::of(&found, 0).unwrap_or(Cell::Null), items)?;
        }
    }
    Ok(())
}

fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Fault> {
    bytes
        .try_into()
        .map_err(|_| Fault::undecodable(format!("has {} bytes instead of {N}", bytes.len())))
}

fn text(bytes: &[u8]) -> Result<&str, Fault> {
    std::str::from_utf8(bytes).map_err(|_| Fault::undecodable("is not text in UTF-8"))
}
