//! Jobs and their states.

use ferro::prelude::*;
use ferro::values::Timestamptz;

/// Where a job is on its way.
#[derive(ferro::Enum, Debug, Clone, Copy, PartialEq)]
#[ferro(name = "job_state")]
pub enum State {
    /// For a worker.
    Waiting,
    /// At a worker.
    Running,
    /// It succeeded.
    Done,
    /// It failed too often.
    Dead,
}

/// Something to do once.
///
/// Names are unique only among jobs that are not over, and claims look only at those that wait: two
/// indexes that leave out the jobs of the past, which are most of them.
#[derive(Model, Debug, Clone)]
#[ferro(
    table = "job",
    check(worked: state != State::Running || worker.is_some()),
    unique(name where pending),
    index(next_up: priority, id where state == State::Waiting)
)]
pub struct Job {
    /// Counted up.
    #[ferro(key, generated)]
    pub id: i64,
    /// What to do.
    pub name: String,
    /// What with.
    pub payload: String,
    /// The higher, the sooner.
    pub priority: i32,
    /// Where it is.
    #[ferro(default = State::Waiting)]
    pub state: State,
    /// Whether it waits or runs.
    #[ferro(default = true)]
    pub pending: bool,
    /// Who has it, or had it last.
    pub worker: Option<String>,
    /// How often it was begun.
    #[ferro(default = 0)]
    pub attempts: i32,
    /// When it was queued, by the database's clock.
    #[ferro(default = now)]
    pub queued: Timestamptz,
    /// Two workers that change a job at once do not both succeed.
    #[ferro(version)]
    pub revision: i64,
}
