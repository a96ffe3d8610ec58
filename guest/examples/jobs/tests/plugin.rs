//! The plugin at work: in a host, for a tenant, on both databases.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::Result;
use ferro_build::Target;
use ferro_host::{ConnectOptions, Grant, Host, HostOptions, Plugin, Tenant};

struct Jobs {
    plugin: Plugin,
    tenant: Arc<Tenant>,
}

impl Jobs {
    /// The plugin on a database with an empty queue.
    async fn on(url: &str) -> Result<Self> {
        let host = Host::new(HostOptions { instances: 8, ..HostOptions::default() })?;
        host.databases().connect("app", url, &ConnectOptions::default()).await?;
        let plugin =
            host.load(ferro_build::component("ferro-example-jobs", Target::Unknown)?).await?;
        host.create_tables(&plugin, "app").await?;
        let tenant = Arc::new(Tenant::new("workers").grant("app", Grant::read_write()));
        Ok(Self { plugin, tenant })
    }

    async fn call(&self, call: &str) -> Result<String> {
        Ok(self.plugin.call_wave(&self.tenant, call).await?)
    }

    /// The id of the job that a worker gets.
    async fn claim(&self, worker: &str) -> Result<Option<String>> {
        let claimed = self.call(&format!("claim({worker:?})")).await?;
        anyhow::ensure!(claimed.starts_with("ok("), "{claimed}");
        let id = claimed.split_once("id: ").and_then(|(_, rest)| rest.split_once(','));
        Ok(id.map(|(id, _)| id.to_owned()))
    }
}

async fn jobs_come_by_priority_and_fail_until_they_are_dead(url: &str) -> Result<()> {
    let jobs = Jobs::on(url).await?;
    let submit = r#"submit([{name: "mail", payload: "a", priority: 1}, {name: "bill", payload: "b", priority: 5}])"#;
    assert_eq!(jobs.call(submit).await?, "ok(2)");
    // Both are pending.
    assert_eq!(jobs.call(submit).await?, "ok(0)");

    for attempt in 1..=3 {
        let bill = jobs.call(r#"claim("w1")"#).await?;
        let expected = format!(r#"name: "bill", payload: "b", attempts: {attempt}"#);
        assert!(bill.contains(&expected), "{bill}");
        let stranger = jobs.call(r#"report("w2", 2, done)"#).await?;
        assert!(stranger.contains("job 2 is not at worker `w2`"), "{stranger}");
        assert_eq!(jobs.call(r#"report("w1", 2, failed)"#).await?, "ok");
    }
    assert_eq!(jobs.claim("w1").await?.as_deref(), Some("1"));
    assert_eq!(jobs.call(r#"report("w1", 1, done)"#).await?, "ok");
    assert_eq!(jobs.claim("w1").await?, None);
    assert_eq!(
        jobs.call("loads()").await?,
        r#"ok([{state: "done", jobs: 1, most-attempts: some(1)}, {state: "dead", jobs: 1, most-attempts: some(3)}])"#
    );
    // Neither name is pending any more.
    assert_eq!(jobs.call(submit).await?, "ok(2)");
    Ok(())
}

async fn workers_at_once_get_a_job_each(url: &str) -> Result<()> {
    const WORKERS: usize = 6;
    let jobs = Arc::new(Jobs::on(url).await?);
    let requests = (0..WORKERS).map(|it| format!(r#"{{name: "{it}", payload: "", priority: 0}}"#));
    let submit = format!("submit([{}])", requests.collect::<Vec<_>>().join(", "));
    assert_eq!(jobs.call(&submit).await?, format!("ok({WORKERS})"));
    let mut workers = tokio::task::JoinSet::new();
    for worker in 0..WORKERS {
        let jobs = Arc::clone(&jobs);
        workers.spawn(async move { jobs.claim(&format!("w{worker}")).await });
    }
    let mut claimed = BTreeSet::new();
    while let Some(worker) = workers.join_next().await {
        if let Some(job) = worker?? {
            assert!(claimed.insert(job), "given out twice");
        }
    }
    assert_eq!(claimed.len(), WORKERS);
    Ok(())
}

ferro_test_support::on_each_database! {
    jobs_come_by_priority_and_fail_until_they_are_dead,
    workers_at_once_get_a_job_each,
}
