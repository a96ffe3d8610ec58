//! Compares subjects side by side: they take turns, so that drift of the machine affects all of
//! them alike, and each is reported as the ratio of its median to that of a baseline in the same
//! run.
//!
//! `cargo xtask bench` sets in the environment how much to measure, and where to write results:
//!
//! | variable | what it holds |
//! | --- | --- |
//! | `FERRO_BENCH_DIR` | the folder of `NAME.json`; else `target/bench` |
//! | `FERRO_BENCH_QUICK` | set: a few rounds of each case |
//! | `FERRO_BENCH_ONLY` | a part of the names of the cases to run: `get`, `postgres` |

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;

const DIR: &str = "FERRO_BENCH_DIR";
const QUICK: &str = "FERRO_BENCH_QUICK";
const ONLY: &str = "FERRO_BENCH_ONLY";
const QUICK_ROUNDS: usize = 3;

/// How far above its goal a result counts as near it. Two runs differ by as much.
const NEAR: f64 = 1.05;

/// The task of all subjects.
pub struct Case<'a> {
    /// Its name.
    pub name: &'a str,
    /// The database.
    pub backend: &'a str,
    /// How often each subject runs.
    pub rounds: usize,
    /// How many times a run repeats the task. Medians are per repetition.
    pub times: u32,
}

/// Something to measure. It returns a checksum, which must be the same in each call.
pub struct Subject<'a> {
    name: &'static str,
    before: Option<Box<dyn FnMut() -> Result<()> + 'a>>,
    run: Box<dyn FnMut() -> Result<i64> + 'a>,
    after: Option<Box<dyn FnMut() -> Result<i64> + 'a>>,
    goal: Option<Goal>,
}

/// The goal of a subject.
#[derive(Debug, Clone, Copy)]
pub enum Goal {
    /// At most this multiple of the baseline.
    Ratio(f64),
    /// At most this many microseconds.
    Median(f64),
}

impl<'a> Subject<'a> {
    /// A subject without a goal.
    pub fn new(name: &'static str, run: impl FnMut() -> Result<i64> + 'a) -> Self {
        Self { name, before: None, run: Box::new(run), after: None, goal: None }
    }

    /// Sets the goal, if there is one.
    #[must_use]
    pub fn goal(mut self, goal: impl Into<Option<Goal>>) -> Self {
        self.goal = goal.into();
        self
    }

    /// Sets what to do before and after each run, without measuring it; the latter also returns a
    /// checksum.
    #[must_use]
    pub fn around(
        mut self,
        before: impl FnMut() -> Result<()> + 'a,
        after: impl FnMut() -> Result<i64> + 'a,
    ) -> Self {
        self.before = Some(Box::new(before));
        self.after = Some(Box::new(after));
        self
    }

    /// Runs once; returns the time and the checksums.
    fn measure(&mut self) -> Result<(Duration, (i64, i64))> {
        if let Some(before) = &mut self.before {
            before()?;
        }
        let start = Instant::now();
        let sum = (self.run)()?;
        let elapsed = start.elapsed();
        let after = self.after.as_mut().map_or(Ok(0), |after| after())?;
        Ok((elapsed, (sum, after)))
    }
}

/// The result of one subject.
pub struct Measured {
    /// Its name.
    pub subject: &'static str,
    /// One value per round.
    pub values: Vec<f64>,
    /// The goal, if there is one.
    pub goal: Option<Goal>,
}

/// One row of the result.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// The task.
    pub case: String,
    /// The database.
    pub backend: String,
    /// The subject.
    pub subject: String,
    /// The median of all rounds, in `unit`.
    pub median: f64,
    /// The best of all rounds, which is more meaningful on a busy machine.
    pub best: f64,
    /// Microseconds, mebibytes, or calls per second.
    pub unit: &'static str,
    /// The name of the baseline.
    pub versus: String,
    /// This median divided by that of the baseline.
    pub ratio: f64,
    /// The goal: the maximum.
    pub goal: Option<f64>,
    /// The field to which the goal applies: `ratio` or `median`.
    pub goal_of: Option<&'static str>,
    /// Whether the goal is met.
    pub met: Option<bool>,
}

/// A named benchmark and its rows.
pub struct Bench {
    name: &'static str,
    rows: Vec<Row>,
    quick: bool,
    only: String,
}

impl Bench {
    /// A benchmark with no rows yet.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        let quick = std::env::var_os(QUICK).is_some();
        Self { name, rows: Vec::new(), quick, only: std::env::var(ONLY).unwrap_or_default() }
    }

    /// Whether only a few rounds are requested.
    #[must_use]
    pub fn is_quick(&self) -> bool {
        self.quick
    }

    /// Whether a case is to be measured.
    #[must_use]
    pub fn wants(&self, case: &str, backend: &str) -> bool {
        format!("{case}, {backend}").contains(&self.only)
    }

    /// Measures subjects in turns; the first one is the baseline.
    ///
    /// # Errors
    ///
    /// The first error of a subject, or two subjects whose checksums differ.
    pub fn compare(&mut self, case: &Case<'_>, mut subjects: Vec<Subject<'_>>) -> Result<()> {
        if !self.wants(case.name, case.backend) {
            return Ok(());
        }
        eprintln!("  {}, {}", case.name, case.backend);
        let rounds = if self.quick { case.rounds.min(QUICK_ROUNDS) } else { case.rounds };
        let mut times = vec![Vec::with_capacity(rounds); subjects.len()];
        let expected = warm_up(&mut subjects, (rounds / 10).clamp(1, 3))?;
        for round in 0..rounds {
            for turn in 0..subjects.len() {
                let index = (round + turn) % subjects.len();
                let (elapsed, sums) = subjects[index].measure()?;
                ensure_same(&subjects[index], sums, expected)?;
                times[index].push(elapsed);
            }
        }
        let measured = subjects.iter().zip(times).map(|(subject, times)| {
            let microseconds = |it: Duration| it.as_secs_f64() * 1e6 / f64::from(case.times);
            let values = times.into_iter().map(microseconds).collect();
            Measured { subject: subject.name, values, goal: subject.goal }
        });
        self.record(case, "µs", measured.collect());
        Ok(())
    }

    /// Adds values that were measured in another way; the first subject is the baseline.
    pub fn record(&mut self, case: &Case<'_>, unit: &'static str, measured: Vec<Measured>) {
        let mut baseline = None;
        for Measured { subject, mut values, goal } in measured {
            values.sort_unstable_by(f64::total_cmp);
            let (Some(&best), Some(&median)) = (values.first(), values.get(values.len() / 2))
            else {
                continue;
            };
            let (versus, other) = *baseline.get_or_insert((subject, median));
            let ratio = median / other;
            let (goal, goal_of, reached) = match goal {
                Some(Goal::Ratio(most)) => (Some(most), Some("ratio"), ratio),
                Some(Goal::Median(most)) => (Some(most), Some("median"), median),
                None => (None, None, median),
            };
            self.rows.push(Row {
                case: case.name.to_owned(),
                backend: case.backend.to_owned(),
                subject: subject.to_owned(),
                median,
                best,
                unit,
                versus: versus.to_owned(),
                ratio,
                goal,
                goal_of,
                met: goal.map(|most| reached <= most),
            });
        }
    }

    /// Prints the table and writes `NAME.json`.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn report(&self) -> Result<()> {
        println!("{}", self.table());
        let folder = std::env::var_os(DIR).map_or_else(
            || concat!(env!("CARGO_MANIFEST_DIR"), "/../target/bench").into(),
            PathBuf::from,
        );
        std::fs::create_dir_all(&folder)?;
        let path = folder.join(format!("{}.json", self.name));
        std::fs::write(&path, serde_json::to_string_pretty(&self.rows)?)?;
        println!("written: {}", path.display());
        Ok(())
    }

    fn table(&self) -> String {
        let mut out = format!(
            "{}: subjects in turns in one run\n{:<34} {:<9} {:<26} {:>14} {:>12} {:>7}  goal\n",
            self.name, "case", "backend", "subject", "median", "best", "ratio"
        );
        for row in &self.rows {
            let median = format!("{:.1} {}", row.median, row.unit);
            let _ = writeln!(
                out,
                "{:<34} {:<9} {:<26} {median:>14} {:>12.1} {:>7.2}  {}",
                row.case,
                row.backend,
                row.subject,
                row.best,
                row.ratio,
                row.verdict()
            );
        }
        out
    }
}

impl Row {
    /// The goal, and whether it is met.
    fn verdict(&self) -> String {
        let (Some(goal), Some(goal_of), Some(met)) = (self.goal, self.goal_of, self.met) else {
            return String::new();
        };
        let (reached, unit) = match goal_of {
            "ratio" => (self.ratio, "×"),
            _ => (self.median, self.unit),
        };
        let met = match met {
            true => "met",
            false if reached <= goal * NEAR => "nearly met",
            false => "NOT MET",
        };
        format!("≤ {goal} {unit} {met}")
    }
}

/// Runs each subject a few times, and checks that all do the same work.
fn warm_up(subjects: &mut [Subject<'_>], times: usize) -> Result<(i64, i64)> {
    let mut expected = None;
    for _ in 0..times {
        for subject in subjects.iter_mut() {
            let (_, sums) = subject.measure()?;
            ensure_same(subject, sums, *expected.get_or_insert(sums))?;
        }
    }
    Ok(expected.unwrap_or_default())
}

fn ensure_same(subject: &Subject<'_>, sums: (i64, i64), expected: (i64, i64)) -> Result<()> {
    anyhow::ensure!(sums == expected, "`{}` gave {sums:?}, not {expected:?}", subject.name);
    Ok(())
}
