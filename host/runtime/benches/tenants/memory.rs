//! The memory of this process.

#![expect(unsafe_code, reason = "the C library tells its allocator what no crate does")]

use anyhow::{Context as _, Result};

/// What the process has, in mebibytes, once glibc has given back what it keeps for later: how much
/// that is goes up and down by some mebibytes, whatever is in use.
pub(crate) fn resident() -> Result<f64> {
    give_back();
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kibibytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kibibytes / 1024.0)
}

#[cfg(target_env = "gnu")]
fn give_back() {
    // SAFETY: any thread may call it at any time; it touches nothing that is in use.
    unsafe { libc::malloc_trim(0) };
}

#[cfg(not(target_env = "gnu"))]
fn give_back() {}
