//! The current state of a host, and its plan cache statistics.

use std::collections::BTreeMap;

use ferro_driver::Stats;

use crate::host::Host;

/// A snapshot of a host's state, for metrics and inspection: [`Host::stats`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostStats {
    /// Tenants with running or waiting calls.
    pub tenants: usize,
    /// Plugin calls that have begun, including those that wait for an instance.
    pub calls: usize,
    /// Calls that wait because of their tenant's limit `calls`.
    pub waiting_calls: usize,
    /// Plugin instances in use, out of [`HostOptions::instances`](crate::HostOptions).
    pub instances: usize,
    /// Plugin loads in progress.
    pub loading: usize,
    /// Cached plans.
    pub plans: usize,
    /// Queries whose plan was cached, since the host was created.
    pub plan_hits: u64,
    /// Queries whose plan was compiled, since the host was created. If it keeps growing with the
    /// same queries, [`HostOptions::plan_cache_bytes`](crate::HostOptions) is too small for them.
    pub plan_misses: u64,
    /// Statistics of the pools, by label.
    pub pools: BTreeMap<String, Stats>,
}

impl Host {
    /// A snapshot of the host's current state.
    #[must_use]
    pub fn stats(&self) -> HostStats {
        let (calls, waiting_calls) = self.tenants().calls();
        let plans = self.plans();
        let databases = self.databases();
        // A database that is disconnected meanwhile is omitted.
        let pool = |label: String| databases.get(Some(&label)).ok().map(|it| (label, it.stats()));
        HostStats {
            tenants: self.tenants().active(),
            calls,
            waiting_calls,
            instances: self.instances(),
            loading: self.loads(),
            plans: plans.len(),
            plan_hits: plans.hits(),
            plan_misses: plans.misses(),
            pools: databases.labels().into_iter().filter_map(pool).collect(),
        }
    }
}
