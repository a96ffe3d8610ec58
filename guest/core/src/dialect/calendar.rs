//! Dates and times as the text of ISO 8601.

/// Microseconds of a day.
pub(crate) const DAY: i64 = 86_400_000_000;

/// Days from the year 0, in which calculations need no negative numbers, to 1970.
const EPOCH: i64 = 719_468;

/// Whether a day since 1970 is in the years 1 … 9999.
pub(crate) fn is_date(day: i64) -> bool {
    (-719_162..=2_932_896).contains(&day)
}

/// The date of a day since 1970.
pub(crate) fn date(day: i64) -> String {
    // Years that begin in March have their leap day at the end; 400 of them have 146,097 days.
    let day = day + EPOCH;
    let era = day.div_euclid(146_097);
    let day = day.rem_euclid(146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    format!("{:04}-{month:02}-{day:02}", year + era * 400 + next)
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
            assert!(is_date(day));
        }
        assert!(!is_date(-719_163) && !is_date(2_932_897));
        assert_eq!(timestamp(-1), "1969-12-31 23:59:59.999999");
    }
}
