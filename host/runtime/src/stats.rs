//! What a host is doing now, and what its plans are found by.

use std::collections::BTreeMap;

use ferro_driver::Stats;

use crate::host::Host;

/// What a host is doing at a moment, for metrics and for a look at it: [`Host::stats`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostStats {
    /// Tenants that have calls that run or wait.
    pub tenants: usize,
    /// Calls of plugins that have begun, those that wait for an instance too.
    pub calls: usize,
    /// Calls that wait, as their tenant has as many as it may: its limit `calls`.
    pub waiting_calls: usize,
    /// Instances of plugins that are in use, of [`HostOptions::instances`](crate::HostOptions).
    pub instances: usize,
    /// Plugins that are loaded just now.
    pub loading: usize,
    /// Plans that are kept.
    pub plans: usize,
    /// Queries whose plan was there, since the host began.
    pub plan_hits: u64,
    /// Queries whose plan had to be compiled, since the host began. Where it keeps growing with the
    /// same queries, [`HostOptions::plan_cache_bytes`](crate::HostOptions) is too small for them.
    pub plan_misses: u64,
    /// The pools, by label.
    pub pools: BTreeMap<String, Stats>,
}

impl Host {
    /// What the host is doing now.
    #[must_use]
    pub fn stats(&self) -> HostStats {
        let (calls, waiting_calls) = self.tenants().calls();
        let plans = self.plans();
        let databases = self.databases();
        // One that is disconnected meanwhile is left out.
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
