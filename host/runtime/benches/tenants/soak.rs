//! A thousand tenants on one host, some of them hostile, for a minute.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use ferro_host::ErrorKind;
use ferro_session::{Grant, Limits, TableGrant, Tenant};
use ferro_test_support::bench::{Bench, Case, Goal, Measured};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::world::{ROWS, TENANTS, World, owner};

const HOSTILE: i64 = 10;
/// Requests of honest tenants that are under way at once.
const CLIENTS: i64 = 16;
/// Calls of each hostile tenant that are.
const ATTACKS: usize = 4;
const TIME: Duration = Duration::from_secs(60);
const QUICK_TIME: Duration = Duration::from_secs(6);
/// Memory may grow by so much after the warm-up, by the allocator's moods and not by ours.
const GROWTH: f64 = 1.05;
/// What memory is, is the median of samples over a window.
const WINDOW: Duration = Duration::from_millis(1_500);
const SAMPLES: u32 = 10;
/// It is warm once so many windows on end have hardly more than any before, which has to come about.
const CALM: u32 = 4;
const STEADY: f64 = 1.01;
const LONGEST_WARM_UP: Duration = Duration::from_secs(60);

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

/// Runs it. Fails if an honest tenant gets a wrong answer, a connection is lost, or memory grows.
pub(crate) fn measure(bench: &mut Bench, runtime: &Runtime, world: &Arc<World>) -> Result<()> {
    let case = Case { name: "a soak of 1000 tenants", backend: "sqlite", rounds: 1, times: 1 };
    if !bench.wants(case.name, case.backend) {
        return Ok(());
    }
    let time = if bench.is_quick() { QUICK_TIME } else { TIME };
    eprintln!("  {}, {}, {} s", case.name, case.backend, time.as_secs());
    let soaked = runtime.block_on(soak(world, time))?;
    let Soaked { mut times, refused, attacks, warm_up, warm, later } = soaked;
    let count = times.len();
    ensure!(count > 0, "no honest call went well");
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let rate = count as f64 / (warm_up + time).as_secs_f64();
    times.sort_unstable_by(f64::total_cmp);
    let slowest = times[(count * 99 / 100).min(count - 1)];
    println!(
        "soak: {count} honest calls, {refused} more told to try again; {attacks} hostile ones; warm \
         after {:.0} s",
        warm_up.as_secs_f64()
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
    Ok(())
}

#[derive(Default)]
struct Soaked {
    /// Of honest calls, in microseconds.
    times: Vec<f64>,
    refused: u64,
    attacks: u64,
    warm_up: Duration,
    /// The memory of the process when it was warm, and in the second half of the time after that, in
    /// mebibytes.
    warm: f64,
    later: f64,
}

async fn soak(world: &Arc<World>, time: Duration) -> Result<Soaked> {
    let stop = Arc::new(AtomicBool::new(false));
    let attacks = Arc::new(AtomicU64::new(0));
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        clients.spawn(honest(Arc::clone(world), Arc::clone(&stop), client));
    }
    let mut attackers = JoinSet::new();
    for attacker in 0..usize::try_from(HOSTILE)? * ATTACKS {
        let (world, stop, attacks) = (Arc::clone(world), Arc::clone(&stop), Arc::clone(&attacks));
        attackers.spawn(attack(world, stop, attacks, attacker));
    }
    let mut soaked = Soaked::default();
    (soaked.warm, soaked.warm_up) = warm_up().await?;
    tokio::time::sleep(time / 2).await;
    let (half, mut windows) = (Instant::now(), Vec::new());
    while half.elapsed() < time / 2 {
        windows.push(memory().await?);
    }
    soaked.later = median(windows);
    stop.store(true, Ordering::Relaxed);
    while let Some(client) = clients.join_next().await {
        let (times, refused) = client??;
        soaked.times.extend(times);
        soaked.refused += refused;
    }
    while let Some(attacker) = attackers.join_next().await {
        attacker?;
    }
    soaked.attacks = attacks.load(Ordering::Relaxed);
    at_rest(world).await?;
    Ok(soaked)
}

/// Waits until memory grows no more; how much it was at most, and how long that took.
async fn warm_up() -> Result<(f64, Duration)> {
    let started = Instant::now();
    let (mut most, mut steady) = (0_f64, 0);
    while steady < CALM {
        let now = memory().await?;
        steady = if now <= most * STEADY { steady + 1 } else { 0 };
        most = most.max(now);
        let warm = steady == CALM || started.elapsed() < LONGEST_WARM_UP;
        ensure!(warm, "memory grows without end: {now:.1} MiB after {:?}", started.elapsed());
    }
    Ok((most, started.elapsed()))
}

/// One request after another, each of another tenant, which sees its own rows and no others.
async fn honest(world: Arc<World>, stop: Arc<AtomicBool>, client: i64) -> Result<(Vec<f64>, u64)> {
    let (mut times, mut refused) = (Vec::new(), 0);
    let mut random = Random(u64::try_from(client)? + 1);
    while !stop.load(Ordering::Relaxed) {
        let number = random.below(TENANTS - HOSTILE);
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

/// One attack after another, of one hostile tenant.
async fn attack(
    world: Arc<World>,
    stop: Arc<AtomicBool>,
    attacks: Arc<AtomicU64>,
    attacker: usize,
) {
    let limits =
        Limits { deadline: Duration::from_millis(200), memory: 16 << 20, ..Limits::default() };
    let grant = Grant::read_write().with_unfenced_raw_sql();
    let tenant = Tenant::new(format!("hostile-{}", attacker / ATTACKS)).grant("bench", grant);
    let tenant = Arc::new(tenant.limits(limits));
    for turn in attacker.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let (of_hostile, call) = CALLS[turn % CALLS.len()];
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

/// The memory of this process over a window.
async fn memory() -> Result<f64> {
    let mut samples = Vec::new();
    for _ in 0..SAMPLES {
        samples.push(resident()?);
        tokio::time::sleep(WINDOW / SAMPLES).await;
    }
    Ok(median(samples))
}

/// The memory of this process now, in mebibytes.
fn resident() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kibibytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kibibytes / 1024.0)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
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
