//! What a tenant at full load does to the others: the median time of a neighbour's calls, which come
//! one after another, alone and beside it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use ferro_session::{Grant, Limits, Tenant};
use ferro_test_support::bench::{Bench, Case, Goal, Measured};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::world::World;

/// More calls than run at once: the tenant's queue is never empty.
const CALLERS: usize = 48;
const CALLS: usize = 100;
const ROUNDS: usize = 10;

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

/// Measures each kind of call beside each kind of load.
pub(crate) fn measure(bench: &mut Bench, runtime: &Runtime, world: &Arc<World>) -> Result<()> {
    for (work, name, backend) in [
        (Work::Nothing, "a neighbour's empty call", "none"),
        (Work::Point, "a neighbour's point query", "sqlite"),
    ] {
        let case = Case { name, backend, rounds: ROUNDS, times: 1 };
        if !bench.wants(case.name, case.backend) {
            continue;
        }
        eprintln!("  {name}, {backend}");
        let rounds = if bench.is_quick() { 1 } else { ROUNDS };
        let (mut alone, mut computing, mut querying) = (vec![], vec![], vec![]);
        for _ in 0..rounds {
            alone.extend(runtime.block_on(calls(world, work))?);
            computing.extend(runtime.block_on(beside(world, Load::Computing, work))?);
            querying.extend(runtime.block_on(beside(world, Load::Querying, work))?);
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
async fn calls(world: &Arc<World>, work: Work) -> Result<Vec<f64>> {
    let world = Arc::clone(world);
    // A task, as a server has one for each request.
    let calls = tokio::spawn(async move {
        let tenant = Arc::new(Tenant::new("neighbour").grant("bench", Grant::read_only()));
        let mut times = Vec::with_capacity(CALLS);
        for _ in 0..CALLS {
            let started = Instant::now();
            match work {
                Work::Nothing => world.nothing(&tenant).await?,
                Work::Point => world.point(&tenant, 17).await?,
            };
            times.push(started.elapsed().as_secs_f64() * 1e6);
        }
        Ok(times)
    });
    calls.await?
}

/// The same, while another tenant has as many calls as it can.
async fn beside(world: &Arc<World>, load: Load, work: Work) -> Result<Vec<f64>> {
    let limits = Limits { deadline: Duration::from_secs(1), ..Limits::default() };
    let greedy = Tenant::new("greedy").grant("bench", Grant::read_only()).limits(limits);
    let (greedy, stop) = (Arc::new(greedy), Arc::new(AtomicBool::new(false)));
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (world, greedy, stop) = (Arc::clone(world), Arc::clone(&greedy), Arc::clone(&stop));
        callers.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                // What it is refused for is its own affair.
                let _ = match load {
                    Load::Computing => world.probe.call_wave(&greedy, "spin()").await.map(drop),
                    Load::Querying => world.plugin.call_wave(&greedy, "point(17)").await.map(drop),
                };
                tokio::task::yield_now().await;
            }
        });
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let times = calls(world, work).await;
    stop.store(true, Ordering::Relaxed);
    while callers.join_next().await.is_some() {}
    times
}
