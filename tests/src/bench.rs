//! Measuring subjects side by side: they take turns, so that the machine's drift hits all alike, and
//! each is told as the ratio of its median to that of a baseline in the same run.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;

/// Something to measure. It returns a checksum, which has to be the same at each call.
pub struct Subject<'a> {
    name: &'static str,
    run: Box<dyn FnMut() -> Result<i64> + 'a>,
    /// At most this many times the baseline.
    goal: Option<f64>,
}

impl<'a> Subject<'a> {
    /// A subject without a goal.
    pub fn new(name: &'static str, run: impl FnMut() -> Result<i64> + 'a) -> Self {
        Self { name, run: Box::new(run), goal: None }
    }

    /// The ratio to the baseline that is to be met, if one is stated.
    #[must_use]
    pub fn goal(mut self, at_most: impl Into<Option<f64>>) -> Self {
        self.goal = at_most.into();
        self
    }
}

/// One line of the result.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// What was done.
    pub case: String,
    /// On which database.
    pub backend: String,
    /// By whom.
    pub subject: String,
    /// The median of all rounds, in `unit`.
    pub median: f64,
    /// Microseconds.
    pub unit: &'static str,
    /// The baseline's name.
    pub versus: String,
    /// This median by the baseline's.
    pub ratio: f64,
    /// The ratio that is to be met.
    pub goal: Option<f64>,
    /// Whether it is.
    pub met: Option<bool>,
}

/// A benchmark: rows under a name.
pub struct Bench {
    name: &'static str,
    rows: Vec<Row>,
}

impl Bench {
    /// A benchmark with no rows yet.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        Self { name, rows: Vec::new() }
    }

    /// Measures subjects in turns, the first one being the baseline.
    ///
    /// # Errors
    ///
    /// The first error of a subject, or two subjects whose checksums differ.
    pub fn compare(
        &mut self,
        case: &str,
        backend: &str,
        rounds: usize,
        mut subjects: Vec<Subject<'_>>,
    ) -> Result<()> {
        let mut times = vec![Vec::with_capacity(rounds); subjects.len()];
        let expected = warm_up(&mut subjects)?;
        for round in 0..rounds {
            for turn in 0..subjects.len() {
                let index = (round + turn) % subjects.len();
                let subject = &mut subjects[index];
                let start = Instant::now();
                let sum = (subject.run)()?;
                times[index].push(start.elapsed());
                anyhow::ensure!(sum == expected, "`{}` gave {sum}, not {expected}", subject.name);
            }
        }
        let medians: Vec<f64> = times.into_iter().map(median).collect();
        for (subject, median) in subjects.iter().zip(&medians) {
            let ratio = median / medians[0];
            self.rows.push(Row {
                case: case.to_owned(),
                backend: backend.to_owned(),
                subject: subject.name.to_owned(),
                median: *median,
                unit: "µs",
                versus: subjects[0].name.to_owned(),
                ratio,
                goal: subject.goal,
                met: subject.goal.map(|goal| ratio <= goal),
            });
        }
        Ok(())
    }

    /// Prints the table and writes `NAME.json` into a folder.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn report(&self, folder: &Path) -> Result<()> {
        println!("{}", self.table());
        std::fs::create_dir_all(folder)?;
        let path = folder.join(format!("{}.json", self.name));
        std::fs::write(&path, serde_json::to_string_pretty(&self.rows)?)?;
        println!("written: {}", path.display());
        Ok(())
    }

    fn table(&self) -> String {
        let mut out = format!(
            "{}: medians, subjects in turns in one run\n{:<34} {:<9} {:<26} {:>12} {:>8}  goal\n",
            self.name, "case", "backend", "subject", "median µs", "ratio"
        );
        for row in &self.rows {
            let goal = match (row.goal, row.met) {
                (Some(goal), Some(met)) => {
                    format!("≤ {goal} {}", if met { "met" } else { "NOT MET" })
                }
                _ => String::new(),
            };
            let _ = writeln!(
                out,
                "{:<34} {:<9} {:<26} {:>12.1} {:>8.2}  {goal}",
                row.case, row.backend, row.subject, row.median, row.ratio
            );
        }
        out
    }
}

/// Runs each subject a few times, and checks that all do the same work.
fn warm_up(subjects: &mut [Subject<'_>]) -> Result<i64> {
    let mut expected = None;
    for _ in 0..3 {
        for subject in subjects.iter_mut() {
            let sum = (subject.run)()?;
            let first = *expected.get_or_insert(sum);
            anyhow::ensure!(sum == first, "`{}` gave {sum}, not {first}", subject.name);
        }
    }
    Ok(expected.unwrap_or(0))
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    let middle = times.len() / 2;
    times.get(middle).map_or(0.0, |time| time.as_secs_f64() * 1e6)
}
