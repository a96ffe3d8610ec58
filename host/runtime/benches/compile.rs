//! What it costs to get the plan of a query: `cargo xtask bench compile`.
//!
//! The same query through the core component, as every host compiles it; through the core linked
//! natively, which no host does; and from the cache of plans, where a repeated shape finds its plan.
//! Criterion measures, the subjects in turns.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use criterion::Criterion;
use ferro::prelude::*;
use ferro::{count, outer, schema, subquery};
use ferro_host::{Host, HostOptions, Models};
use ferro_session::{Catalog, Compiler as _};
use ferro_test_support::bench::{Bench, Case, Goal, Measured};
use ferro_wit::query::Query;
use ferro_wit::types::{Dialect, Error, ErrorKind};
use futures_util::FutureExt as _;
use serde::Deserialize;

/// Turns of each subject. Criterion takes some dozens of samples in each.
const ROUNDS: usize = 5;

/// At most so many microseconds: a simple select, a large query, and a plan from the cache.
const SIMPLE: f64 = 10.0;
const LARGE: f64 = 100.0;
const CACHED: f64 = 1.0;

#[derive(Model, Debug, Clone)]
struct Author {
    #[ferro(key, generated)]
    id: i64,
    name: String,
    #[ferro(references = Author, reverse = "pupils")]
    mentor_id: Option<i64>,
}

#[derive(Model, Debug, Clone)]
#[ferro(many_to_many(tags: Tag, reverse = "posts"))]
struct Post {
    #[ferro(key, generated)]
    id: i64,
    #[ferro(references = Author, reverse = "posts")]
    author_id: i64,
    #[ferro(references = Author, reverse = "edited")]
    editor_id: Option<i64>,
    title: String,
    score: i64,
    published: bool,
}

#[derive(Model, Debug, Clone)]
struct Comment {
    #[ferro(key, generated)]
    id: i64,
    #[ferro(references = Post, reverse = "comments")]
    post_id: i64,
    text: String,
    score: i64,
}

#[derive(Model, Debug, Clone)]
struct Tag {
    #[ferro(key)]
    name: String,
}

fn main() -> Result<()> {
    let models = schema![Author, Post, Comment, Tag];
    let host = Host::new(HostOptions::default())?;
    let component = host.compiler().catalog(&models)?;
    let native = ferro_core::Catalog::new(models.clone())
        .map_err(|faults| anyhow::anyhow!(faults.join("; ")))?;
    let cached = host.models(models)?;
    let mut bench = Bench::new("compile");
    for (name, query, goal) in
        [("simple select", simple()?, SIMPLE), ("joins, aggregates and includes", large()?, LARGE)]
    {
        for (dialect, backend) in [(Dialect::Sqlite, "sqlite"), (Dialect::Postgres, "postgres")] {
            let case = Case { name, backend, rounds: ROUNDS, times: 1 };
            if !bench.wants(name, backend) {
                continue;
            }
            let subjects = Subjects { component: &component, native: &native, cached: &cached };
            let rounds = if bench.is_quick() { 1 } else { ROUNDS };
            let [native, component, cached] = subjects.measure(rounds, &query, dialect)?;
            bench.record(
                &case,
                "µs",
                vec![
                    Measured { subject: "core, native", values: native, goal: None },
                    Measured {
                        subject: "core, component",
                        values: component,
                        goal: Some(Goal::Median(goal)),
                    },
                    Measured {
                        subject: "cache of plans",
                        values: cached,
                        goal: Some(Goal::Median(CACHED)),
                    },
                ],
            );
        }
    }
    bench.report()
}

/// A page of posts by a condition on one field.
fn simple() -> Result<Query> {
    let page = Post::query().filter(Post::author_id().eq(1)).order_by(Post::id().desc()).limit(20);
    Ok(page.into_select()?.query)
}

/// Posts that are filtered and ordered over three joins and two aggregates, with their authors,
/// their best comments and their tags.
fn large() -> Result<Query> {
    let own = || Comment::query().filter(Comment::post_id().eq(outer(Post::id())));
    let page = Post::query()
        .filter(Post::published() & Post::author().name().like("A%"))
        .filter(Post::author().mentor().name().is_not_null() | Post::editor().name().ne("Bob"))
        .filter(subquery(own().select(count())).gt(2))
        .filter(subquery(own().select(Comment::score().average())).gt(1.5))
        .order_by(Post::author().name().asc())
        .order_by(Post::score().desc())
        .limit(20)
        .include(Post::author())
        .include(Post::comments().order_by(Comment::score().desc()).limit(3))
        .include(Post::tags());
    Ok(page.into_select()?.query)
}

struct Subjects<'a> {
    component: &'a Arc<dyn Catalog>,
    native: &'a ferro_core::Catalog,
    cached: &'a Models,
}

impl Subjects<'_> {
    /// Microseconds of each sample, of each subject in turn.
    fn measure(&self, rounds: usize, query: &Query, dialect: Dialect) -> Result<[Vec<f64>; 3]> {
        let plans = [
            self.native.compile(query, dialect, None)?,
            at_once(self.component.compile(query, dialect, None, None))?,
            at_once(self.cached.plan(query, dialect, None))?.as_ref().clone(),
        ];
        anyhow::ensure!(plans.iter().all(|it| it == &plans[0]), "the plans differ");
        let [mut native, mut component, mut cached] = <[Vec<f64>; 3]>::default();
        for _ in 0..rounds {
            native.extend(sampled(|| self.native.compile(black_box(query), dialect, None))?);
            component.extend(sampled(|| {
                at_once(self.component.compile(black_box(query), dialect, None, None))
            })?);
            cached.extend(sampled(|| at_once(self.cached.plan(black_box(query), dialect, None)))?);
        }
        Ok([native, component, cached])
    }
}

/// What nothing has to be waited for: nobody else compiles.
fn at_once<T>(plan: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    plan.now_or_never().unwrap_or_else(|| Err(Error::new(ErrorKind::Busy, "it has to wait")))
}

/// What criterion writes of a measurement: how often it ran, and nanoseconds in all, for each sample.
#[derive(Deserialize)]
struct Sample {
    iters: Vec<f64>,
    times: Vec<f64>,
}

/// Microseconds of each sample that criterion takes.
fn sampled<R>(mut run: impl FnMut() -> R) -> Result<Vec<f64>> {
    // It measures nothing twice under one name, so each time is the first.
    let folder = tempfile::tempdir()?;
    Criterion::default()
        .without_plots()
        .output_directory(folder.path())
        .sample_size(40)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800))
        .bench_function("plan", |bencher| bencher.iter(&mut run));
    let path = folder.path().join("plan/new/sample.json");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let sample: Sample = serde_json::from_str(&text)?;
    Ok(sample.times.iter().zip(&sample.iters).map(|(time, iters)| time / iters / 1e3).collect())
}
