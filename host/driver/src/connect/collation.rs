//! The collation `ferro_decimal`, with which SQLite compares decimals, stored as text, as numbers.

use std::cmp::Ordering;

/// The name that columns of decimals are declared with.
pub(super) const NAME: &str = "ferro_decimal";

/// Orders plain decimals of any length by value, as PostgreSQL orders `numeric`: `-Infinity`,
/// finite numbers, `Infinity`, `NaN`. Other texts come last, ordered by their bytes.
pub(super) fn compare(left: &str, right: &str) -> Ordering {
    match (Number::parse(left), Number::parse(right)) {
        (Some(left), Some(right)) => left.cmp(&right),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => left.cmp(right),
    }
}

/// The order of the variants is that of the values.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Number<'a> {
    NegativeInfinity,
    Finite(Finite<'a>),
    Infinity,
    NaN,
}

/// Digits without leading zeros before the point, and without trailing ones after it.
#[derive(Debug, PartialEq, Eq)]
struct Finite<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
}

impl<'a> Number<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        match text {
            "NaN" => return Some(Self::NaN),
            "Infinity" => return Some(Self::Infinity),
            "-Infinity" => return Some(Self::NegativeInfinity),
            _ => {}
        }
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |it: &str| it.bytes().all(|it| it.is_ascii_digit());
        if whole.len() + fraction.len() == 0 || !all_digits(whole) || !all_digits(fraction) {
            return None;
        }
        let whole = whole.trim_start_matches('0');
        let fraction = fraction.trim_end_matches('0');
        let zero = whole.is_empty() && fraction.is_empty();
        Some(Self::Finite(Finite { negative: negative && !zero, whole, fraction }))
    }
}

impl Finite<'_> {
    fn magnitude(&self) -> (usize, &str, &str) {
        (self.whole.len(), self.whole, self.fraction)
    }
}

impl Ord for Finite<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (false, false) => self.magnitude().cmp(&other.magnitude()),
            (true, true) => other.magnitude().cmp(&self.magnitude()),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }
}

impl PartialOrd for Finite<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn decimals_are_in_the_order_of_their_values() {
        let sorted = [
            "-Infinity",
            "-1000",
            "-99.5",
            "-99.49",
            "-1",
            "-0.001",
            "0",
            "0.001",
            "0.01",
            "1",
            "1.05",
            "1.5",
            "9",
            "10",
            "123456789012345678901234567890.1",
            "Infinity",
            "NaN",
            "",
            "1e5",
            "abc",
        ];
        for (i, left) in sorted.iter().enumerate() {
            for (j, right) in sorted.iter().enumerate() {
                assert_eq!(compare(left, right), i.cmp(&j), "{left} and {right}");
            }
        }
    }

    #[test]
    fn zeros_that_change_no_value_change_no_order() {
        for (left, right) in [("1.50", "1.5"), ("-0", "0.00"), ("007", "7"), (".5", "0.5")] {
            assert_eq!(compare(left, right), Ordering::Equal, "{left} and {right}");
        }
    }

    proptest! {
        #[test]
        fn the_order_is_that_of_scaled_integers(
            left in -1_000_000_i64..1_000_000, right in -1_000_000_i64..1_000_000,
            left_scale in 0_u32..4, right_scale in 0_u32..4,
        ) {
            let text = |value: i64, scale: u32| {
                let sign = if value < 0 { "-" } else { "" };
                let unit = 10_i64.pow(scale);
                let width = scale as usize;
                let (whole, rest) = (value.abs() / unit, value.abs() % unit);
                match scale {
                    0 => format!("{sign}{whole}"),
                    _ => format!("{sign}{whole}.{rest:0width$}"),
                }
            };
            let exact = |value: i64, scale: u32| value * 10_i64.pow(4 - scale);
            prop_assert_eq!(
                compare(&text(left, left_scale), &text(right, right_scale)),
                exact(left, left_scale).cmp(&exact(right, right_scale))
            );
        }
    }
}
