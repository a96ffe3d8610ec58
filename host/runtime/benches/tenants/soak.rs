//! A thousand tenants on one host, some of them hostile, for a minute; and a few that take all they get.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use ferro_host::ErrorKind;
use ferro_session::{Grant, Limits, TableGrant, Tenant};
use ferro_test_support::bench::{Bench, Case, Goal, Measured};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::memory::resident;
use crate::world::{ROWS, TENANTS, World, owner};

const HOSTILE: u32 = 10;
/// Requests of honest tenants that are under way at once.
const CLIENTS: i64 = 16;
/// Calls of each hostile tenant that are.
const ATTACKS: u32 = 4;
/// The same for the warm-up: more than the host has slots for guests, so that each was used once.
const WARMING_ATTACKS: u32 = 8;
const TIME: Duration = Duration::from_secs(60);
const QUICK_TIME: Duration = Duration::from_secs(6);
/// Memory may grow by so much after the warm-up. It is looked at while nothing runs: what guests
/// that are alive have is no growth.
const GROWTH: f64 = 1.05;
/// It is warm once so many bouts left hardly more memory behind than any before, which
/// has to come about.
const CALM: u32 = 2;
const STEADY: f64 = 1.01;
const BOUT: Duration = Duration::from_secs(10);
const LONGEST_WARM_UP: u32 = 12;

/// What a hostile tenant calls, of which plugin.
const CALLS: [(bool, &str); 11] = [
    (false, "spin()"),
    (false, r#"panic("told to")"#),
    (false, r#"notes#add("bench", "lost", hoard)"#),
    (false, r#"notes#add("bench", "lost", trap)"#),
    (false, r#"notes#add("bench", "lost", forget)"#),
    (false, r#"notes#open("bench", 10000)"#),
    (true, "recurse(4000000)"),
    (true, r#"hold-cursors("bench", "SELECT id FROM city", 100)"#),
    (true, r#"hold-transactions("bench", 100)"#),
    (true, r#"send("bench", name, 3000000)"#),
    (true, r#"forge("bench", "SELECT id FROM city", cursor)"#),
];

/// So many tenants leave others one of the ten connections, whatever they do, and more of the 64
/// instances.
const BESIEGERS: u32 = 3;
/// Calls of each: together they ask for more than all instances.
const SIEGE: u32 = 32;

/// What they call: each ends with its time only, and one has a connection.
const HOLDING: [(bool, &str); 2] =
    [(false, "spin()"), (false, r#"notes#add("bench", "lost", spin)"#)];

/// Tenants that mean no good.
#[derive(Clone)]
struct Attackers {
    tenants: u32,
    /// Of each, at once.
    calls: u32,
    limits: Limits,
    attacks: &'static [(bool, &'static str)],
}

impl Attackers {
    fn hostile(calls: u32) -> Self {
        let limits =
            Limits { deadline: Duration::from_millis(200), memory: 16 << 20, ..Limits::default() };
        Self { tenants: HOSTILE, calls, limits, attacks: &CALLS }
    }

    fn besiegers() -> Self {
        let limits = Limits { calls: SIEGE, ..Limits::default() };
        Self { tenants: BESIEGERS, calls: SIEGE, limits, attacks: &HOLDING }
    }
}

/// Runs it. Fails if an honest tenant gets a wrong answer, a connection is lost, or memory grows; or if
/// a few tenants that take all they get leave others nothing.
pub(crate) fn measure(bench: &mut Bench, runtime: &Runtime, world: &Arc<World>) -> Result<()> {
    let case = Case { name: "a soak of 1000 tenants", backend: "sqlite", rounds: 1, times: 1 };
    if !bench.wants(case.name, case.backend) {
        return Ok(());
    }
    let time = if bench.is_quick() { QUICK_TIME } else { TIME };
    eprintln!("  {}, {}, {} s", case.name, case.backend, time.as_secs());
    let (warm, warm_up) = runtime.block_on(warm_up(world, time.min(BOUT)))?;
    let Soaked { mut times, refused, attacks, memory: later } =
        runtime.block_on(soak(world, time, &Attackers::hostile(ATTACKS)))?;
    let count = times.len();
    ensure!(count > 0, "no honest call went well");
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let rate = count as f64 / time.as_secs_f64();
    times.sort_unstable_by(f64::total_cmp);
    let slowest = times[(count * 99 / 100).min(count - 1)];
    println!(
        "soak: {count} honest calls, {refused} more told to try again; {attacks} hostile ones; warm \
         after {} s",
        warm_up.as_secs()
    );
    let one = |subject, value| Measured { subject, values: vec![value], goal: None };
    let rates = Case { name: "a soak: honest calls", ..case };
    bench.record(&rates, "calls/s", vec![one("all together", rate)]);
    let latency = Case { name: "a soak: time of a call", ..rates };
    bench.record(
        &latency,
        "µs",
        vec![Measured { subject: "p50", values: times, goal: None }, one("p99", slowest)],
    );
    let space = Case { name: "a soak: memory of the process", ..latency };
    bench.record(
        &space,
        "MiB",
        vec![
            one("after warm-up", warm),
            Measured { subject: "later", values: vec![later], goal: Some(Goal::Ratio(GROWTH)) },
        ],
    );
    ensure!(later <= warm * GROWTH, "memory grew from {warm:.1} to {later:.1} MiB");
    let siege = time.min(BOUT);
    let Soaked { times, refused, .. } =
        runtime.block_on(soak(world, siege, &Attackers::besiegers()))?;
    println!("siege: {} honest calls, {refused} more told to try again", times.len());
    ensure!(refused == 0 && !times.is_empty(), "{BESIEGERS} tenants leave others nothing");
    Ok(())
}

struct Soaked {
    /// Of honest calls, in microseconds.
    times: Vec<f64>,
    refused: u64,
    attacks: u64,
    /// What the process has when all calls have ended, in mebibytes.
    memory: f64,
}

/// All tenants at once, for a time.
async fn soak(world: &Arc<World>, time: Duration, by: &Attackers) -> Result<Soaked> {
    let stop = Arc::new(AtomicBool::new(false));
    let attacks = Arc::new(AtomicU64::new(0));
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        clients.spawn(honest(Arc::clone(world), Arc::clone(&stop), client));
    }
    let mut attackers = JoinSet::new();
    for attacker in 0..by.tenants * by.calls {
        let (world, stop, attacks) = (Arc::clone(world), Arc::clone(&stop), Arc::clone(&attacks));
        attackers.spawn(attack(world, stop, attacks, by.clone(), attacker));
    }
    tokio::time::sleep(time).await;
    stop.store(true, Ordering::Relaxed);
    let (mut times, mut refused) = (Vec::new(), 0);
    while let Some(client) = clients.join_next().await {
        let (of_client, refusals) = client??;
        times.extend(of_client);
        refused += refusals;
    }
    while let Some(attacker) = attackers.join_next().await {
        attacker?;
    }
    at_rest(world).await?;
    Ok(Soaked { times, refused, attacks: attacks.load(Ordering::Relaxed), memory: resident()? })
}

/// Soaks until that leaves no more memory behind; how much it was at most, and how long that took.
async fn warm_up(world: &Arc<World>, bout: Duration) -> Result<(f64, Duration)> {
    let (mut most, mut calm) = (0_f64, 0);
    for turn in 1..=LONGEST_WARM_UP {
        let now = soak(world, bout, &Attackers::hostile(WARMING_ATTACKS)).await?.memory;
        calm = if now <= most * STEADY { calm + 1 } else { 0 };
        most = most.max(now);
        if calm == CALM {
            return Ok((most, bout * turn));
        }
    }
    bail!("memory grows without end: {most:.1} MiB after {LONGEST_WARM_UP} bouts")
}

/// One request after another, each of another tenant, which sees its own rows and no others.
async fn honest(world: Arc<World>, stop: Arc<AtomicBool>, client: i64) -> Result<(Vec<f64>, u64)> {
    let (mut times, mut refused) = (Vec::new(), 0);
    let mut random = Random(u64::try_from(client)? + 1);
    while !stop.load(Ordering::Relaxed) {
        let number = random.below(TENANTS - i64::from(HOSTILE));
        let (own, id) = (random.below(10) > 0, random.below(ROWS));
        let id = if own { number * ROWS + id } else { (number + 1) * ROWS + id };
        let started = Instant::now();
        let rows = TableGrant::read_only().filter("country", owner(number));
        let grant = Grant::read_only().table("city", rows);
        let tenant = Arc::new(Tenant::new(owner(number)).grant("bench", grant));
        match world.point(&tenant, id).await {
            Ok(sum) => {
                ensure!((sum != 0) == own, "tenant {number} found {sum} under the key {id}");
                times.push(started.elapsed().as_secs_f64() * 1e6);
            }
            Err(error) => match error.downcast_ref::<ferro_host::Error>() {
                Some(error) if error.kind == ErrorKind::Busy => refused += 1,
                _ => return Err(error).context("an honest call failed"),
            },
        }
    }
    Ok((times, refused))
}

/// One attack after another, of one hostile tenant, each from another one on.
async fn attack(
    world: Arc<World>,
    stop: Arc<AtomicBool>,
    attacks: Arc<AtomicU64>,
    by: Attackers,
    first: u32,
) {
    let grant = Grant::read_write().with_unfenced_raw_sql();
    let tenant = Tenant::new(format!("hostile-{}", first / by.calls)).grant("bench", grant);
    let tenant = Arc::new(tenant.limits(by.limits));
    for turn in first.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let (of_hostile, call) = by.attacks[turn as usize % by.attacks.len()];
        let plugin = if of_hostile { &world.hostile } else { &world.probe };
        // Whatever it ends in.
        let _ = plugin.call_wave(&tenant, call).await;
        attacks.fetch_add(1, Ordering::Relaxed);
        tokio::task::yield_now().await;
    }
}

/// Every connection is back soon after the last call.
async fn at_rest(world: &World) -> Result<()> {
    let started = Instant::now();
    while world.database.stats().acquired > 0 {
        ensure!(
            started.elapsed() < Duration::from_secs(10),
            "connections are lost: {:?}",
            world.database.stats()
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

/// Numbers that look random and are the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, most: i64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        i64::try_from(self.0 >> 1).unwrap_or_default() % most
    }
}
