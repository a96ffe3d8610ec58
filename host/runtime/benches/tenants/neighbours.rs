//! What a tenant at full load does to the others: the median time of a neighbour's calls, alone and
//! beside it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use ferro_session::{Grant, Limits, Tenant};
use ferro_test_support::bench::{Bench, Case, Goal, Measured};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::world::World;

/// More calls than run at once: the tenant's queue is never empty.
const CALLERS: usize = 48;
const CALLS: usize = 100;
const ROUNDS: usize = 10;
/// Between two requests that come from outside.
const PAUSE: Duration = Duration::from_millis(2);

#[derive(Debug, Clone, Copy)]
enum Load {
    Computing,
    Querying,
}

#[derive(Debug, Clone, Copy)]
enum Work {
    Nothing,
    Point,
}

/// How a neighbour's calls come.
#[derive(Debug, Clone, Copy)]
enum Pattern {
    /// Each as a request that finds the runtime as it is: in a task of its own, after a pause.
    Requests,
    /// One after another, in one task.
    Row,
}

/// Measures each kind of call beside each kind of load.
pub(crate) fn measure(bench: &mut Bench, runtime: &Runtime, world: &Arc<World>) -> Result<()> {
    for (work, pattern, name, backend) in [
        (Work::Nothing, Pattern::Requests, "a neighbour's empty call", "none"),
        (Work::Point, Pattern::Requests, "a neighbour's point query", "sqlite"),
        (Work::Nothing, Pattern::Row, "its empty calls in a row", "none"),
        (Work::Point, Pattern::Row, "its point queries in a row", "sqlite"),
    ] {
        let case = Case { name, backend, rounds: ROUNDS, times: 1 };
        if !bench.wants(case.name, case.backend) {
            continue;
        }
        eprintln!("  {name}, {backend}");
        let rounds = if bench.is_quick() { 3 } else { ROUNDS };
        let (mut alone, mut computing, mut querying) = (vec![], vec![], vec![]);
        for _ in 0..rounds {
            alone.extend(runtime.block_on(calls(world, work, pattern))?);
            computing.extend(runtime.block_on(beside(world, Load::Computing, work, pattern))?);
            querying.extend(runtime.block_on(beside(world, Load::Querying, work, pattern))?);
        }
        let goal = Some(Goal::Ratio(2.0));
        bench.record(
            &case,
            "µs",
            vec![
                Measured { subject: "alone", values: alone, goal: None },
                Measured { subject: "beside one that computes", values: computing, goal },
                Measured { subject: "beside one that queries", values: querying, goal },
            ],
        );
    }
    Ok(())
}

/// The times of a neighbour's calls, in microseconds.
async fn calls(world: &Arc<World>, work: Work, pattern: Pattern) -> Result<Vec<f64>> {
    let mut times = Vec::with_capacity(CALLS);
    match pattern {
        Pattern::Requests => {
            for _ in 0..CALLS {
                tokio::time::sleep(PAUSE).await;
                times.extend(in_task(world, work, 1).await?);
            }
        }
        Pattern::Row => times = in_task(world, work, CALLS).await?,
    }
    Ok(times)
}

/// So many calls in a task, the first of which has to wait for a thread.
async fn in_task(world: &Arc<World>, work: Work, calls: usize) -> Result<Vec<f64>> {
    let world = Arc::clone(world);
    let mut started = Instant::now();
    let calls = tokio::spawn(async move {
        let tenant = Arc::new(Tenant::new("neighbour").grant("bench", Grant::read_only()));
        let mut times = Vec::with_capacity(calls);
        for _ in 0..calls {
            match work {
                Work::Nothing => world.nothing(&tenant).await?,
                Work::Point => world.point(&tenant, 17).await?,
            };
            let now = Instant::now();
            times.push(now.duration_since(started).as_secs_f64() * 1e6);
            started = now;
        }
        Ok(times)
    });
    calls.await?
}

/// The same, while another tenant has as many calls as it can.
async fn beside(world: &Arc<World>, load: Load, work: Work, pattern: Pattern) -> Result<Vec<f64>> {
    let limits = Limits { deadline: Duration::from_millis(200), ..Limits::default() };
    let greedy = Tenant::new("greedy").grant("bench", Grant::read_only()).limits(limits);
    let (greedy, stop) = (Arc::new(greedy), Arc::new(AtomicBool::new(false)));
    let done = Arc::new(AtomicU64::new(0));
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (world, greedy) = (Arc::clone(world), Arc::clone(&greedy));
        let (stop, done) = (Arc::clone(&stop), Arc::clone(&done));
        callers.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                // What it is refused for is its own affair.
                let _ = match load {
                    Load::Computing => world.probe.call_wave(&greedy, "spin()").await.map(drop),
                    Load::Querying => world.plugin.call_wave(&greedy, "point(17)").await.map(drop),
                };
                done.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        });
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let before = done.load(Ordering::Relaxed);
    let times = calls(world, work, pattern).await;
    let busy = done.load(Ordering::Relaxed) > before || matches!(pattern, Pattern::Row);
    stop.store(true, Ordering::Relaxed);
    while callers.join_next().await.is_some() {}
    ensure!(busy, "the other tenant was not served at all meanwhile");
    times
}
