//! How long statements took, which tells where they run the next time.

use std::time::Duration;

/// A part of the execution of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Up to its first row, or to its end if it gives none.
    First,
    /// The rows after that, some at a time.
    Rest,
}

/// How long the parts of a statement took.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Spent {
    /// When it was executed last.
    before: Parts,
    /// In the present execution, the longest of each part.
    now: Parts,
}

#[derive(Debug, Clone, Copy, Default)]
struct Parts {
    first: Option<Duration>,
    rest: Option<Duration>,
}

impl Spent {
    /// How long a part takes, as far as is known.
    pub(super) fn on(&self, part: Part) -> Option<Duration> {
        match part {
            Part::First => self.now.first.or(self.before.first),
            Part::Rest => self.now.rest.or(self.before.rest),
        }
    }

    pub(super) fn note(&mut self, part: Part, spent: Duration) {
        let noted = match part {
            Part::First => &mut self.now.first,
            Part::Rest => &mut self.now.rest,
        };
        *noted = (*noted).max(Some(spent));
    }

    /// The execution has ended.
    pub(super) fn end(&mut self) {
        let Parts { first, rest } = std::mem::take(&mut self.now);
        self.before = Parts { first: first.or(self.before.first), rest: rest.or(self.before.rest) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_takes_as_long_as_its_longest_of_the_last_execution() {
        let milliseconds = Duration::from_millis;
        let mut spent = Spent::default();
        assert_eq!(spent.on(Part::Rest), None);
        for it in [1, 9, 2] {
            spent.note(Part::Rest, milliseconds(it));
        }
        spent.note(Part::First, milliseconds(3));
        spent.end();
        assert_eq!(spent.on(Part::First), Some(milliseconds(3)));
        assert_eq!(spent.on(Part::Rest), Some(milliseconds(9)));
        spent.note(Part::Rest, milliseconds(4));
        spent.end();
        assert_eq!(spent.on(Part::First), Some(milliseconds(3)));
        assert_eq!(spent.on(Part::Rest), Some(milliseconds(4)));
    }
}
