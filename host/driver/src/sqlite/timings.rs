//! Measures how long statements took, which decides where they run the next time.

use std::time::Duration;

/// A phase of the execution of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Up to its first row, or to its end if there are no rows.
    First,
    /// The following rows, some at a time.
    Rest,
}

/// How long the phases of a statement took.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct StatementTimings {
    /// In its last execution.
    before: Phases,
    /// In the current execution; the longest time of each phase.
    now: Phases,
}

#[derive(Debug, Clone, Copy, Default)]
struct Phases {
    first: Option<Duration>,
    rest: Option<Duration>,
}

impl StatementTimings {
    /// The expected time of a phase, if known.
    pub(super) fn of(&self, phase: Phase) -> Option<Duration> {
        match phase {
            Phase::First => self.now.first.or(self.before.first),
            Phase::Rest => self.now.rest.or(self.before.rest),
        }
    }

    pub(super) fn record(&mut self, phase: Phase, elapsed: Duration) {
        let recorded = match phase {
            Phase::First => &mut self.now.first,
            Phase::Rest => &mut self.now.rest,
        };
        *recorded = (*recorded).max(Some(elapsed));
    }

    /// Ends the current execution.
    pub(super) fn end(&mut self) {
        let Phases { first, rest } = std::mem::take(&mut self.now);
        self.before =
            Phases { first: first.or(self.before.first), rest: rest.or(self.before.rest) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_takes_as_long_as_its_longest_of_the_last_execution() {
        let milliseconds = Duration::from_millis;
        let mut timings = StatementTimings::default();
        assert_eq!(timings.of(Phase::Rest), None);
        for it in [1, 9, 2] {
            timings.record(Phase::Rest, milliseconds(it));
        }
        timings.record(Phase::First, milliseconds(3));
        timings.end();
        assert_eq!(timings.of(Phase::First), Some(milliseconds(3)));
        assert_eq!(timings.of(Phase::Rest), Some(milliseconds(9)));
        timings.record(Phase::Rest, milliseconds(4));
        timings.end();
        assert_eq!(timings.of(Phase::First), Some(milliseconds(3)));
        assert_eq!(timings.of(Phase::Rest), Some(milliseconds(4)));
    }
}
