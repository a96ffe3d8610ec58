//! Peak memory, of a process that does one thing.

use std::process::Command;

use anyhow::{Context as _, Result, bail};
use ferro_wit::types::Dialect;
use tokio::runtime::Runtime;

use crate::STORED;
use crate::client::connect;

const ORDER: &str = "FERRO_BENCH_ORDER";

/// Who is to scan which database.
pub(crate) struct Order {
    subject: String,
    dialect: Dialect,
    url: String,
}

/// What this process was started for, if it is one of ours.
pub(crate) fn order() -> Option<Order> {
    let order = std::env::var(ORDER).ok()?;
    let mut lines = order.lines().map(str::to_owned);
    let (subject, dialect, url) = (lines.next()?, lines.next()?, lines.next()?);
    let dialect = if dialect == "sqlite" { Dialect::Sqlite } else { Dialect::Postgres };
    Some(Order { subject, dialect, url })
}

/// Does it, and says how much memory that took.
pub(crate) fn obey(order: &Order) -> Result<()> {
    let runtime = Runtime::new()?;
    let client = runtime.block_on(connect(&order.subject, order.dialect, &order.url))?;
    let sum = runtime.block_on(runtime.spawn(client.scan(STORED)))??;
    println!("{sum} {}", high_water_mark()?);
    Ok(())
}

/// Has a process scan all rows; their sum, and its peak memory in mebibytes.
pub(crate) fn peak(subject: &str, dialect: Dialect, url: &str) -> Result<(i64, f64)> {
    let name = if dialect == Dialect::Sqlite { "sqlite" } else { "postgres" };
    let output = Command::new(std::env::current_exe()?)
        .env(ORDER, format!("{subject}\n{name}\n{url}"))
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let words =
        text.split_once(' ').map(|(sum, kibibytes)| (sum.parse(), kibibytes.trim().parse::<f64>()));
    match words {
        Some((Ok(sum), Ok(kibibytes))) => Ok((sum, kibibytes / 1024.0)),
        _ => bail!("`{subject}` failed: {}", String::from_utf8_lossy(&output.stderr)),
    }
}

/// In kibibytes, as Linux counts.
fn high_water_mark() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").context("only Linux tells")?;
    let line = status.lines().find_map(|it| it.strip_prefix("VmHWM:")).context("no `VmHWM`")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
