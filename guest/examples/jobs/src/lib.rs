//! A plugin that is a queue: workers claim jobs side by side, without waiting for each other, and
//! no job is lost or given out twice.
//!
//! `wit/world.wit` says what it exports, `models.rs` which table it works with, and this file what
//! it does. The database is the one that the host lends as `app`.

#![deny(unsafe_code)]

pub mod models;

use ferro::prelude::*;
use ferro::{Error, ErrorKind, count};

use bindings::{Load, Outcome, Request};
use models::{Job, NewJob, State};

ferro::plugin! {
    world: "jobs",
    models: [Job],
}

/// How often a job may be begun.
const ATTEMPTS: i32 = 3;

/// How often a claim is tried that lost against others.
const TRIES: u32 = 10;

#[ferro::exports]
impl bindings::Guest for Plugin {
    async fn submit(requests: Vec<Request>) -> Result<u64, Error> {
        let db = Session::open("app")?;
        db.transaction(async |tx| {
            // What is pending is found first, so that one statement inserts all others. Two that
            // submit the same name at once still cannot both succeed: the index is unique.
            let names = requests.iter().map(|it| it.name.clone());
            let pending = Job::query().filter(Job::pending() & Job::name().in_(names));
            let known = pending.select(Job::name()).all(tx).await?;
            let new = requests.into_iter().filter(|it| !known.contains(&it.name));
            let jobs: Vec<_> = new.map(job).collect();
            Job::bulk_create(tx, &jobs).await
        })
        .await
    }

    async fn claim(worker: String) -> Result<Option<bindings::Job>, Error> {
        let db = Session::open("app")?;
        let next = Job::query()
            .filter(Job::state().eq(State::Waiting))
            .order_by(Job::priority().desc())
            .order_by(Job::id().asc())
            .for_update()
            .skip_locked();
        // On PostgreSQL a worker passes over jobs that others are about to claim. SQLite has one
        // writer at a time: the slower one begins again.
        db.retry(TRIES, async |tx| {
            let Some(mut job) = next.clone().first(tx).await? else { return Ok(None) };
            job.update(tx, |it| {
                it.state = State::Running;
                it.worker = Some(worker.clone());
                it.attempts += 1;
            })
            .await?;
            let Job { id, name, payload, attempts, .. } = job;
            Ok(Some(bindings::Job { id, name, payload, attempts }))
        })
        .await
    }

    async fn report(worker: String, job: i64, outcome: Outcome) -> Result<(), Error> {
        let db = Session::open("app")?;
        let mut job = Job::get(&db, job).await?;
        if job.state != State::Running || job.worker.as_ref() != Some(&worker) {
            let message = format!("job {} is not at worker `{worker}`", job.id);
            return Err(Error::new(ErrorKind::Denied, message));
        }
        // The version keeps this from undoing what another worker did since the job was read.
        job.update(&db, |it| {
            it.state = match outcome {
                Outcome::Done => State::Done,
                Outcome::Failed if it.attempts < ATTEMPTS => State::Waiting,
                Outcome::Failed => State::Dead,
            };
            it.pending = it.state == State::Waiting;
        })
        .await
    }

    async fn loads() -> Result<Vec<Load>, Error> {
        let db = Session::open("app")?;
        let loads = Job::query()
            .group_by(Job::state())
            .order_by(Job::state().asc())
            .select((Job::state(), count(), Job::attempts().max()))
            .all(&db)
            .await?;
        Ok(loads
            .into_iter()
            .map(|(state, jobs, most_attempts)| Load {
                state: format!("{state:?}").to_lowercase(),
                jobs: jobs.unsigned_abs(),
                most_attempts,
            })
            .collect())
    }
}

fn job(Request { name, payload, priority }: Request) -> NewJob {
    NewJob {
        name,
        payload,
        priority,
        state: None,
        pending: None,
        worker: None,
        attempts: None,
        queued: None,
        revision: 0,
    }
}
