//! What tenants cost and how well they are kept apart: `cargo xtask bench tenants`.
//!
//! Three parts: what a fresh instance, an empty call and a point query take; what a tenant at full
//! load does to its neighbours; and a soak with a thousand tenants, ten of them hostile, which fails
//! if a connection is lost or memory grows.

mod memory;
mod neighbours;
mod soak;
mod world;

use std::sync::Arc;

use anyhow::Result;
use ferro_session::{Grant, Tenant};
use ferro_test_support::bench::{Bench, Case, Goal, Subject};
use tokio::runtime::Builder;

use crate::world::World;

/// As many as the machine that the goals are stated for has.
const THREADS: usize = 2;

fn main() -> Result<()> {
    let runtime = Builder::new_multi_thread().worker_threads(THREADS).enable_all().build()?;
    let world = Arc::new(runtime.block_on(World::new())?);
    let mut bench = Bench::new("tenants");

    let grant = || Grant::read_only();
    let tenant = Arc::new(Tenant::new("one").grant("bench", grant()));
    bench.compare(
        &Case { name: "a fresh instance", backend: "none", rounds: 100, times: 100 },
        vec![
            Subject::new("instantiate and drop", || {
                runtime.block_on(world.repeat(100, async || {
                    world.plugin.instantiate(&tenant).await?;
                    Ok(0)
                }))
            })
            .goal(Goal::Median(30.0)),
        ],
    )?;
    bench.compare(
        &Case { name: "an empty call", backend: "none", rounds: 100, times: 100 },
        vec![
            Subject::new("tenant made, then called", || {
                runtime.block_on(world.repeat(100, async || {
                    let tenant = Arc::new(Tenant::new("one").grant("bench", grant()));
                    world.nothing(&tenant).await
                }))
            })
            .goal(Goal::Median(60.0)),
        ],
    )?;
    bench.compare(
        &Case { name: "a point query", backend: "sqlite", rounds: 100, times: 100 },
        vec![
            Subject::new("sqlx alone", || {
                runtime.block_on(world.repeat(100, async || world.sqlx_point(17).await))
            }),
            Subject::new("a plugin's", || {
                runtime.block_on(world.repeat(100, async || world.point(&tenant, 17).await))
            })
            .goal(Goal::Ratio(1.25)),
        ],
    )?;
    neighbours::measure(&mut bench, &runtime, &world)?;
    let soaked = soak::measure(&mut bench, &runtime, &world);
    bench.report()?;
    soaked
}
