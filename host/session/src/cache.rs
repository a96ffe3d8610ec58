//! The cache of plans, keyed by everything that they depend on.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use ferro_wit::plan::Plan;
use ferro_wit::policy::Scope;
use ferro_wit::query::Query;
use ferro_wit::types::Dialect;
use foldhash::SharedSeed;
use foldhash::quality::SeedableRandomState;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{Equivalent, Weighter};
use serde::Serialize;

use crate::packed_hash::PackedHashBuilder;

/// Everything that a plan depends on: a cached plan cannot serve other models, dialects, policies
/// or queries. The key contains no values.
///
/// Owned in the cache, borrowed in a lookup, which copies nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct PlanKey<P = Arc<Scope>, Q = Query> {
    pub(crate) catalog: u64,
    pub(crate) dialect: Dialect,
    pub(crate) policy: Option<P>,
    pub(crate) query: Q,
}

type Lookup<'a> = PlanKey<&'a Arc<Scope>, &'a Query>;

impl Equivalent<PlanKey> for Lookup<'_> {
    fn equivalent(&self, key: &PlanKey) -> bool {
        self.catalog == key.catalog
            && self.dialect == key.dialect
            && self.policy == key.policy.as_ref()
            && self.query == &key.query
    }
}

impl Lookup<'_> {
    fn to_owned(&self) -> PlanKey {
        PlanKey {
            catalog: self.catalog,
            dialect: self.dialect,
            policy: self.policy.cloned(),
            query: self.query.clone(),
        }
    }
}

/// Compiled plans for any number of models, shared by all calls of a process.
///
/// Limited by the approximate size of keys and plans, since queries from guests may be large. A
/// plan that takes more than a 64th of the limit, and more than 16 KiB, is not cached but compiled
/// each time. Past the limit, the least used plans are evicted; a guest that keeps sending new
/// shapes does not evict those in steady use.
pub struct PlanCache {
    plans: Cache<PlanKey, CachedPlan, Size, PackedHashBuilder<SeedableRandomState>>,
    /// The size limit of one plan.
    largest: u64,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl PlanCache {
    /// The size of [`PlanCache::default`]: some thousands of typical plans.
    pub const DEFAULT_BYTES: u64 = 16 * 1024 * 1024;

    /// Creates a cache for about this many bytes of plans.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        let usual = usize::try_from(bytes / USUAL_PLAN).unwrap_or(usize::MAX).max(1);
        Self {
            plans: Cache::with(usual, bytes, Size, hasher(), DefaultLifecycle::default()),
            largest: (bytes / SHARES).max(4 * USUAL_PLAN),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// The plan for a key; if `None`, the caller compiles it and [inserts](Self::insert) it.
    /// Concurrent callers may each compile a new plan: the results are equal, and waiting for
    /// another caller could deadlock if compilers need a lock that the waiting one holds.
    pub(crate) fn get(&self, key: &Lookup<'_>) -> Option<Arc<Plan>> {
        let cached = self.plans.get(key);
        let count = if cached.is_some() { &self.hits } else { &self.misses };
        count.fetch_add(1, Ordering::Relaxed);
        cached.map(|it| it.plan)
    }

    pub(crate) fn insert(&self, key: &Lookup<'_>, plan: &Arc<Plan>) {
        let bytes =
            bytes_of(key.query) + bytes_of(&key.policy.map(AsRef::as_ref)) + bytes_of(&**plan);
        if bytes <= self.largest {
            self.plans.insert(key.to_owned(), CachedPlan { plan: Arc::clone(plan), bytes });
        }
    }

    /// The number of lookups that found their plan.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    /// The number of lookups that did not.
    #[must_use]
    pub fn misses(&self) -> u64 {
        self.misses.load(Ordering::Relaxed)
    }

    /// The number of plans.
    #[must_use]
    pub fn len(&self) -> usize {
        self.plans.len()
    }

    /// Whether the cache is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.plans.is_empty()
    }
}

impl Default for PlanCache {
    fn default() -> Self {
        Self::new(Self::DEFAULT_BYTES)
    }
}

impl std::fmt::Debug for PlanCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PlanCache")
            .field("plans", &self.len())
            .field("hits", &self.hits())
            .field("misses", &self.misses())
            .finish()
    }
}

/// Guests choose the hashed values, so the hash is keyed with randomness from the operating system.
/// It is a fast hash, since every query is hashed as a whole: colliding queries would only make
/// others compare the number of a catalog more often.
fn hasher() -> PackedHashBuilder<SeedableRandomState> {
    static SHARED: LazyLock<SharedSeed> = LazyLock::new(|| SharedSeed::from_u64(random()));
    PackedHashBuilder(SeedableRandomState::with_seed(random(), &SHARED))
}

fn random() -> u64 {
    RandomState::new().hash_one(())
}

/// The number of plans of the largest size that fit.
const SHARES: u64 = 64;

/// A filtered, ordered page of a model with ten fields.
const USUAL_PLAN: u64 = 4 * 1024;

/// A plan, and its size together with its key.
#[derive(Clone)]
struct CachedPlan {
    plan: Arc<Plan>,
    bytes: u64,
}

#[derive(Clone)]
struct Size;

impl Weighter<PlanKey, CachedPlan> for Size {
    fn weight(&self, _: &PlanKey, cached: &CachedPlan) -> u64 {
        cached.bytes
    }
}

/// The approximate size of a value in bytes: twice its JSON, which includes all texts and lists
/// that a guest may have filled.
pub(crate) fn bytes_of(value: &impl Serialize) -> u64 {
    struct Counter(u64);

    impl std::io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len() as u64;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    let mut counter = Counter(128);
    match serde_json::to_writer(&mut counter, value) {
        Ok(()) => 2 * counter.0,
        // What cannot be measured is too large to be cached.
        Err(_) => u64::MAX / 4,
    }
}
