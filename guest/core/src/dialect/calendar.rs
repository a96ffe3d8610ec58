//! Dates and times as the text of ISO 8601.

/// Microseconds of a day.
pub(crate) const DAY: i64 = 86_400_000_000;

/// The date of a day since 1970.
pub(crate) fn date(day: i64) -> String {
    let (year, month, day) = ferro_wit::calendar::date(day);
    format!("{year:04}-{month:02}-{day:02}")
}

/// The time of microseconds since midnight.
pub(crate) fn time(microseconds: i64) -> String {
    let (seconds, fraction) = (microseconds / 1_000_000, microseconds % 1_000_000);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{hours:02}:{minutes:02}:{seconds:02}.{fraction:06}")
}

/// The date and time of microseconds since 1970.
pub(crate) fn timestamp(microseconds: i64) -> String {
    format!("{} {}", date(microseconds.div_euclid(DAY)), time(microseconds.rem_euclid(DAY)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_dates() {
        let cases = [
            (0, "1970-01-01"),
            (-719_162, "0001-01-01"),
            (2_932_896, "9999-12-31"),
            (11_016, "2000-02-29"),
            (-1, "1969-12-31"),
            (19_782, "2024-02-29"),
            (19_783, "2024-03-01"),
        ];
        for (day, expected) in cases {
            assert_eq!(date(day), expected);
        }
        assert_eq!(timestamp(-1), "1969-12-31 23:59:59.999999");
    }
}
