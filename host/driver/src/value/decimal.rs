//! Decimals: exact text in plain notation, and PostgreSQL's digits in base 10,000.

use std::fmt::Write;

use ferro_wit::escape_line;

use super::Fault;

/// The maximum digits before and after the point of PostgreSQL's `numeric`; the same on SQLite, so
/// that a value is valid on both or on neither.
const MOST_INTEGRAL_DIGITS: usize = 131_072;
const MOST_FRACTIONAL_DIGITS: usize = 16_383;

const SIGN_NEGATIVE: u16 = 0x4000;
const SIGN_NAN: u16 = 0xC000;
const SIGN_INFINITY: u16 = 0xD000;
const SIGN_NEGATIVE_INFINITY: u16 = 0xF000;

/// The parts of a decimal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Decimal<'a> {
    NegativeInfinity,
    /// `integral` has no leading zeros, `fractional` keeps its trailing zeros.
    Finite {
        negative: bool,
        integral: &'a str,
        fractional: &'a str,
    },
    Infinity,
    NaN,
}

impl<'a> Decimal<'a> {
    /// Parses plain notation: `-12.50`, `NaN`, `Infinity`, `-Infinity`. There is no exponent and no
    /// plus sign, and a point has digits on both sides.
    pub(crate) fn parse(text: &'a str) -> Result<Self, Fault> {
        match text {
            "NaN" => return Ok(Self::NaN),
            "Infinity" => return Ok(Self::Infinity),
            "-Infinity" => return Ok(Self::NegativeInfinity),
            _ => {}
        }
        let (signed, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (integral, fractional) = match digits.split_once('.') {
            Some((_, "")) => return Err(not_plain(text)),
            Some(parts) => parts,
            None => (digits, ""),
        };
        let plain = |part: &str| part.bytes().all(|it| it.is_ascii_digit());
        if integral.is_empty() || !plain(integral) || !plain(fractional) {
            return Err(not_plain(text));
        }
        let integral = integral.trim_start_matches('0');
        if integral.len() > MOST_INTEGRAL_DIGITS || fractional.len() > MOST_FRACTIONAL_DIGITS {
            return Err(Fault::out_of_range(format!(
                "is a decimal of {} digits before and {} after the point, but the most are \
                 {MOST_INTEGRAL_DIGITS} and {MOST_FRACTIONAL_DIGITS}",
                integral.len(),
                fractional.len(),
            )));
        }
        let zero = integral.is_empty() && fractional.bytes().all(|it| it == b'0');
        Ok(Self::Finite { negative: signed && !zero, integral, fractional })
    }

    /// Appends the canonical text: no leading zeros, no negative zero, trailing zeros kept.
    pub(crate) fn write(self, out: &mut String) {
        match self {
            Self::NaN => out.push_str("NaN"),
            Self::Infinity => out.push_str("Infinity"),
            Self::NegativeInfinity => out.push_str("-Infinity"),
            Self::Finite { negative, integral, fractional } => {
                if negative {
                    out.push('-');
                }
                out.push_str(if integral.is_empty() { "0" } else { integral });
                if !fractional.is_empty() {
                    out.push('.');
                    out.push_str(fractional);
                }
            }
        }
    }

    /// Appends the binary form of PostgreSQL's `numeric`.
    pub(crate) fn write_binary(self, out: &mut Vec<u8>) -> Result<(), Fault> {
        let (negative, integral, fractional) = match self {
            Self::Finite { negative, integral, fractional } => (negative, integral, fractional),
            Self::NaN => return write_header(out, 0, 0, SIGN_NAN, 0),
            Self::Infinity => return write_header(out, 0, 0, SIGN_INFINITY, 0),
            Self::NegativeInfinity => return write_header(out, 0, 0, SIGN_NEGATIVE_INFINITY, 0),
        };
        // Groups of four digits, counted from the point in both directions.
        let whole = integral.len().div_ceil(4);
        let groups = whole + fractional.len().div_ceil(4);
        let sign = if negative { SIGN_NEGATIVE } else { 0 };
        write_header(out, groups, whole as i64 - 1, sign, fractional.len())?;
        let (first, rest) = integral.as_bytes().split_at(integral.len() % 4);
        for group in std::iter::once(first).filter(|it| !it.is_empty()).chain(rest.chunks(4)) {
            out.extend_from_slice(&value_of(group, group.len()).to_be_bytes());
        }
        for group in fractional.as_bytes().chunks(4) {
            out.extend_from_slice(&value_of(group, 4).to_be_bytes());
        }
        Ok(())
    }
}

/// Appends the text of a binary `numeric` of PostgreSQL.
pub(crate) fn read_binary(bytes: &[u8], out: &mut String) -> Result<(), Fault> {
    let damaged = || Fault::undecodable("is not a valid `numeric`");
    let (header, groups) = bytes.split_first_chunk::<8>().ok_or_else(damaged)?;
    let [a, b, c, d, e, f, g, h] = *header;
    let count = usize::from(u16::from_be_bytes([a, b]));
    let weight = i32::from(i16::from_be_bytes([c, d]));
    let sign = u16::from_be_bytes([e, f]);
    let scale = i32::from(u16::from_be_bytes([g, h]));
    match sign {
        SIGN_NAN => out.push_str("NaN"),
        SIGN_INFINITY => out.push_str("Infinity"),
        SIGN_NEGATIVE_INFINITY => out.push_str("-Infinity"),
        0 | SIGN_NEGATIVE => {
            if groups.len() != count * 2 {
                return Err(damaged());
            }
            // Groups before the first or after the last stored one are zero.
            let group = |position: i32| {
                let stored = usize::try_from(weight - position).ok();
                let bytes = stored.and_then(|at| groups.get(2 * at..2 * at + 2));
                bytes.map_or(0, |it| u16::from_be_bytes([it[0], it[1]]))
            };
            if sign == SIGN_NEGATIVE {
                out.push('-');
            }
            let written = match weight {
                0.. => write!(out, "{}", group(weight)),
                _ => write!(out, "0"),
            };
            written.map_err(|_| damaged())?;
            for position in (0..weight).rev() {
                write!(out, "{:04}", group(position)).map_err(|_| damaged())?;
            }
            if scale > 0 {
                out.push('.');
                let start = out.len();
                for position in 1..=(scale + 3) / 4 {
                    write!(out, "{:04}", group(-position)).map_err(|_| damaged())?;
                }
                out.truncate(start + usize::try_from(scale).map_err(|_| damaged())?);
            }
        }
        _ => return Err(damaged()),
    }
    Ok(())
}

fn write_header(
    out: &mut Vec<u8>,
    groups: usize,
    weight: i64,
    sign: u16,
    scale: usize,
) -> Result<(), Fault> {
    let range = || Fault::out_of_range("has too many digits for a decimal");
    out.extend_from_slice(&u16::try_from(groups).map_err(|_| range())?.to_be_bytes());
    out.extend_from_slice(&i16::try_from(weight).map_err(|_| range())?.to_be_bytes());
    out.extend_from_slice(&sign.to_be_bytes());
    out.extend_from_slice(&u16::try_from(scale).map_err(|_| range())?.to_be_bytes());
    Ok(())
}

/// The value of up to four digits, padded with zeros up to `width`.
fn value_of(digits: &[u8], width: usize) -> u16 {
    let value = digits.iter().fold(0, |value, digit| value * 10 + u16::from(digit - b'0'));
    (digits.len()..width).fold(value, |value, _| value * 10)
}

fn not_plain(text: &str) -> Fault {
    let shown: String = text.chars().take(40).collect();
    Fault::malformed(format!(
        "is not a decimal in plain notation like `-12.50`: `{}`",
        escape_line(&shown)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> String {
        let mut out = String::new();
        Decimal::parse(text).unwrap().write(&mut out);
        out
    }

    fn through_binary(text: &str) -> String {
        let (mut bytes, mut out) = (Vec::new(), String::new());
        Decimal::parse(text).unwrap().write_binary(&mut bytes).unwrap();
        read_binary(&bytes, &mut out).unwrap();
        out
    }

    #[test]
    fn decimals_become_canonical_and_keep_trailing_zeros() {
        for (text, expected) in [
            ("007", "7"),
            ("-0", "0"),
            ("-0.00", "0.00"),
            ("00.10", "0.10"),
            ("-12.50", "-12.50"),
            ("NaN", "NaN"),
        ] {
            assert_eq!(canonical(text), expected);
            assert_eq!(through_binary(text), expected);
        }
    }

    #[test]
    fn text_that_is_no_plain_decimal_is_refused() {
        for text in ["", "-", ".5", "5.", "1e5", "+1", "1 ", "nan", "1.2.3", "--1", "١", "0x1"] {
            assert!(Decimal::parse(text).is_err(), "{text}");
        }
        assert!(Decimal::parse(&"9".repeat(131_073)).is_err());
        assert!(Decimal::parse(&format!("0.{}", "9".repeat(16_384))).is_err());
    }

    #[test]
    fn the_binary_form_is_the_one_of_postgres() {
        let mut bytes = Vec::new();
        Decimal::parse("-12345.678").unwrap().write_binary(&mut bytes).unwrap();
        // 1 | 2345 | 6780, weight 1, negative, scale 3
        assert_eq!(bytes, [0, 3, 0, 1, 0x40, 0, 0, 3, 0, 1, 0x09, 0x29, 0x1A, 0x7C]);
    }

    #[test]
    fn damaged_bytes_are_an_error() {
        for bytes in [&[][..], &[0, 1, 0, 0, 0, 0, 0, 0], &[0, 0, 0, 0, 0x12, 0, 0, 0]] {
            assert!(read_binary(bytes, &mut String::new()).is_err());
        }
    }
}
