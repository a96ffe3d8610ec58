//! Decimal arithmetic like that of PostgreSQL's `numeric`, for SQLite, which has none. The number
//! of digits of a quotient follows `select_div_scale`
//! (<https://github.com/postgres/postgres/blob/REL_15_STABLE/src/backend/utils/adt/numeric.c>).

use std::cmp::Ordering;
use std::collections::BTreeMap;

use num_bigint::{BigInt, Sign};

use super::Fault;
use super::decimal::Decimal;

/// The minimum significant digits of a quotient, and the maximum digits after its point.
const SIGNIFICANT: i64 = 16;
const MOST_SCALE: i64 = 1_000;

/// A decimal for arithmetic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Exact {
    NaN,
    Infinity {
        negative: bool,
    },
    /// `digits` with the point before the last `scale` digits.
    Finite {
        digits: BigInt,
        scale: usize,
    },
}

use Exact::{Finite, Infinity, NaN};

impl Exact {
    pub(crate) fn parse(text: &str) -> Result<Self, Fault> {
        Ok(match Decimal::parse(text)? {
            Decimal::NaN => NaN,
            Decimal::Infinity => Infinity { negative: false },
            Decimal::NegativeInfinity => Infinity { negative: true },
            Decimal::Finite { negative, integral, fractional } => {
                let digits = format!("0{integral}{fractional}");
                let digits = BigInt::parse_bytes(digits.as_bytes(), 10).unwrap_or_default();
                let scale = fractional.len();
                Finite { digits: if negative { -digits } else { digits }, scale }
            }
        })
    }

    /// Its text in the form in which decimals are stored; `None` if it has too many digits.
    pub(crate) fn to_text(&self) -> Option<String> {
        let text = match self {
            NaN => "NaN".to_owned(),
            Infinity { negative: false } => "Infinity".to_owned(),
            Infinity { negative: true } => "-Infinity".to_owned(),
            Finite { digits, scale } => {
                let sign = if digits.sign() == Sign::Minus { "-" } else { "" };
                let width = scale + 1;
                let digits = format!("{:0>width$}", digits.magnitude().to_string());
                let (whole, fraction) = digits.split_at(digits.len() - scale);
                let point = if *scale > 0 { "." } else { "" };
                format!("{sign}{whole}{point}{fraction}")
            }
        };
        Decimal::parse(&text).is_ok().then_some(text)
    }

    pub(crate) fn add(&self, other: &Self) -> Self {
        match (self, other) {
            (NaN, _) | (_, NaN) => NaN,
            (Infinity { negative: one }, Infinity { negative: other }) if one != other => NaN,
            (Infinity { .. }, _) => self.clone(),
            (_, Infinity { .. }) => other.clone(),
            (Finite { scale: one, .. }, Finite { scale: two, .. }) => {
                let scale = *one.max(two);
                Finite { digits: self.digits_at(scale) + other.digits_at(scale), scale }
            }
        }
    }

    pub(crate) fn multiply(&self, other: &Self) -> Self {
        match (self, other) {
            (NaN, _) | (_, NaN) => NaN,
            (Finite { digits: one, scale }, Finite { digits: two, scale: more }) => {
                Finite { digits: one * two, scale: scale + more }
            }
            _ if self.sign() == Ordering::Equal || other.sign() == Ordering::Equal => NaN,
            _ => Infinity { negative: self.sign() != other.sign() },
        }
    }

    /// `None` for a division by zero.
    pub(crate) fn divide(&self, other: &Self) -> Option<Self> {
        Some(match (self, other) {
            (_, Finite { digits, .. }) if digits.sign() == Sign::NoSign => return None,
            (NaN, _) | (_, NaN) | (Infinity { .. }, Infinity { .. }) => NaN,
            (Infinity { .. }, _) => Infinity { negative: self.sign() != other.sign() },
            (_, Infinity { .. }) => Finite { digits: BigInt::ZERO, scale: 0 },
            (Finite { digits: one, scale: own }, Finite { digits: two, scale: others }) => {
                let scale = quotient_scale((one, *own), (two, *others));
                let (up, down) = (scale + others, *own);
                let quotient = match up.cmp(&down) {
                    Ordering::Less => rounded(one, &(two * power_of_ten(down - up))),
                    _ => rounded(&(one * power_of_ten(up - down)), two),
                };
                Finite { digits: quotient, scale }
            }
        })
    }

    pub(crate) fn negate(self) -> Self {
        match self {
            NaN => NaN,
            Infinity { negative } => Infinity { negative: !negative },
            Finite { digits, scale } => Finite { digits: -digits, scale },
        }
    }

    pub(crate) fn abs(self) -> Self {
        match self.sign() {
            Ordering::Less => self.negate(),
            _ => self,
        }
    }

    /// Rounds to this many digits after the point, halves away from zero.
    pub(crate) fn round(self, to: usize) -> Self {
        match self {
            Finite { .. } => Finite { digits: self.digits_at(to), scale: to },
            _ => self,
        }
    }

    /// Rounds down to an integer.
    pub(crate) fn floor(self) -> Self {
        match self {
            Finite { digits, scale } => {
                let unit = power_of_ten(scale);
                let (whole, rest) = (&digits / &unit, &digits % &unit);
                let below = u32::from(rest.sign() == Sign::Minus);
                Finite { digits: whole - below, scale: 0 }
            }
            _ => self,
        }
    }

    /// Rounds up to an integer.
    pub(crate) fn ceiling(self) -> Self {
        self.negate().floor().negate()
    }

    /// Its sign, as the comparison with zero.
    fn sign(&self) -> Ordering {
        match self {
            NaN | Infinity { negative: false } => Ordering::Greater,
            Infinity { negative: true } => Ordering::Less,
            Finite { digits, .. } => digits.cmp(&BigInt::ZERO),
        }
    }

    /// The digits, with this many of them after the point, rounded half away from zero.
    fn digits_at(&self, to: usize) -> BigInt {
        let Finite { digits, scale } = self else { return BigInt::ZERO };
        match scale.cmp(&to) {
            Ordering::Equal => digits.clone(),
            Ordering::Less => digits * power_of_ten(to - scale),
            Ordering::Greater => rounded(digits, &power_of_ten(scale - to)),
        }
    }
}

fn power_of_ten(exponent: usize) -> BigInt {
    BigInt::from(10).pow(u32::try_from(exponent).unwrap_or(u32::MAX))
}

/// Fits a decimal to a `numeric(precision, scale)`: rounds it half away from zero, and pads it with
/// zeros; `None` if there are too many digits before the point.
pub(crate) fn sized(text: &str, precision: usize, scale: usize) -> Result<Option<String>, Fault> {
    let decimal = Decimal::parse(text)?;
    let Decimal::Finite { integral, fractional, .. } = decimal else {
        return Ok((decimal == Decimal::NaN).then(|| text.to_owned()));
    };
    if integral.len() + scale > precision {
        return Ok(None);
    }
    // The first omitted digit decides how to round; the following ones are not needed.
    if fractional.len() > scale {
        let more = fractional.len() - scale - 1;
        let rounded = Exact::parse(&text[..text.len() - more])?.digits_at(scale);
        let fits = rounded.magnitude() < power_of_ten(precision).magnitude();
        return Ok(fits.then_some(Finite { digits: rounded, scale }).and_then(|it| it.to_text()));
    }
    let mut sized = String::with_capacity(text.len() + scale + 1);
    decimal.write(&mut sized);
    if fractional.is_empty() && scale > 0 {
        sized.push('.');
    }
    sized.extend(std::iter::repeat_n('0', scale - fractional.len()));
    Ok(Some(sized))
}

/// Divides, rounding half away from zero.
fn rounded(digits: &BigInt, divisor: &BigInt) -> BigInt {
    let magnitude =
        (digits.magnitude() * 2_u32 + divisor.magnitude()) / (divisor.magnitude() * 2_u32);
    let sign = if digits.sign() == divisor.sign() { Sign::Plus } else { Sign::Minus };
    BigInt::from_biguint(sign, magnitude)
}

/// The number of digits after the point of a quotient.
fn quotient_scale(one: (&BigInt, usize), two: (&BigInt, usize)) -> usize {
    let ((weight, first), (other_weight, other_first)) = (leading(one), leading(two));
    let weight = weight - other_weight - i64::from(first <= other_first);
    let scale = SIGNIFICANT - weight * 4;
    let least = i64::try_from(one.1.max(two.1)).unwrap_or(MOST_SCALE);
    usize::try_from(scale.max(least).clamp(0, MOST_SCALE)).unwrap_or_default()
}

/// The weight and the value of the first non-zero group of four digits; PostgreSQL stores such
/// groups, counted from the point.
fn leading((digits, scale): (&BigInt, usize)) -> (i64, u32) {
    if digits.sign() == Sign::NoSign {
        return (0, 0);
    }
    let digits = digits.magnitude().to_string();
    // The power of ten of the first digit.
    let power = digits.len() as i64 - 1 - scale as i64;
    let weight = power.div_euclid(4);
    let in_group = usize::try_from(power.rem_euclid(4)).unwrap_or_default() + 1;
    let group = format!("{digits:0<4}");
    (weight, group[..in_group].parse().unwrap_or_default())
}

/// A sum to which decimals are added, and from which they are removed as the frame of a window
/// moves.
#[derive(Debug, Default)]
pub(crate) struct Sum {
    count: u64,
    nans: u64,
    /// The number of infinities of each sign.
    infinities: [u64; 2],
    digits: BigInt,
    scale: usize,
    /// The number of decimals by their digits after the point.
    scales: BTreeMap<usize, u64>,
}

impl Sum {
    pub(crate) fn add(&mut self, value: &Exact) {
        self.count += 1;
        match value {
            NaN => self.nans += 1,
            Infinity { negative } => self.infinities[usize::from(*negative)] += 1,
            Finite { scale, .. } => {
                self.shift(*scale);
                self.digits += value.digits_at(self.scale);
                *self.scales.entry(*scale).or_default() += 1;
            }
        }
    }

    pub(crate) fn take(&mut self, value: &Exact) {
        self.count = self.count.saturating_sub(1);
        match value {
            NaN => self.nans = self.nans.saturating_sub(1),
            Infinity { negative } => {
                let count = &mut self.infinities[usize::from(*negative)];
                *count = count.saturating_sub(1);
            }
            Finite { scale, .. } => {
                self.digits -= value.digits_at(self.scale);
                if let Some(count) = self.scales.get_mut(scale) {
                    *count -= 1;
                    if *count == 0 {
                        self.scales.remove(scale);
                    }
                }
            }
        }
    }

    /// `None` without values.
    pub(crate) fn total(&self) -> Option<Exact> {
        if self.count == 0 {
            return None;
        }
        Some(match (self.nans, self.infinities) {
            (0, [0, 0]) => {
                let scale = self.scales.keys().next_back().copied().unwrap_or_default();
                let whole = Finite { digits: self.digits.clone(), scale: self.scale };
                Finite { digits: whole.digits_at(scale), scale }
            }
            (0, [_, 0]) => Infinity { negative: false },
            (0, [0, _]) => Infinity { negative: true },
            _ => NaN,
        })
    }

    /// `None` without values.
    pub(crate) fn average(&self) -> Option<Exact> {
        self.total()?.divide(&Finite { digits: self.count.into(), scale: 0 })
    }

    fn shift(&mut self, scale: usize) {
        if scale > self.scale {
            let whole = Finite { digits: std::mem::take(&mut self.digits), scale: self.scale };
            self.digits = whole.digits_at(scale);
            self.scale = scale;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Exact {
        Exact::parse(text).unwrap()
    }

    #[test]
    fn a_sized_decimal_is_rounded_and_filled_up() {
        for (text, expected) in [
            ("5", Some("5.00")),
            ("1.005", Some("1.01")),
            ("-1.005", Some("-1.01")),
            ("1.0049", Some("1.00")),
            ("9.995", Some("10.00")),
            ("-0.004", Some("0.00")),
            ("99.994", Some("99.99")),
            ("99.995", None),
            ("100", None),
            ("-99.995", None),
            ("007", Some("7.00")),
            ("-0", Some("0.00")),
            ("-0.1", Some("-0.10")),
            ("0.994999999999999999999999999999", Some("0.99")),
            ("NaN", Some("NaN")),
            ("Infinity", None),
        ] {
            assert_eq!(sized(text, 4, 2).unwrap().as_deref(), expected, "{text}");
        }
        assert_eq!(sized("9.5", 2, 0).unwrap().as_deref(), Some("10"));
        assert_eq!(sized("99.5", 2, 0).unwrap(), None);
        assert!(sized("x", 2, 0).is_err());
    }

    #[test]
    fn a_sum_forgets_what_is_taken_from_it() {
        let mut sum = Sum::default();
        assert_eq!(sum.total(), None);
        for text in ["1.5", "0.25", "NaN", "Infinity"] {
            sum.add(&of(text));
        }
        assert_eq!(sum.total(), Some(NaN));
        sum.take(&NaN);
        assert_eq!(sum.total(), Some(of("Infinity")));
        sum.take(&of("Infinity"));
        assert_eq!(sum.total(), Some(of("1.75")));
        sum.take(&of("0.25"));
        assert_eq!(sum.total(), Some(of("1.5")));
        assert_eq!(sum.average().unwrap().to_text().unwrap(), "1.50000000000000000000");
    }
}
