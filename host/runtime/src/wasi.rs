//! The part of WASI that plugins get: what the standard library of a language needs to start,
//! without access to the machine.
//!
//! Arguments and environment are empty, standard input is closed, and standard output and error go
//! to the log. There are no files, sockets and clocks: a plugin that imports them is rejected,
//! unless the application lends them.

use wasmtime::component::{HasData, Linker, ResourceTable};
use wasmtime_wasi::WasiCtx;
use wasmtime_wasi::cli::{WasiCli, WasiCliView as _};
use wasmtime_wasi::p2::bindings::{cli, random};
use wasmtime_wasi::random::{WasiRandom, WasiRandomView as _};
use wasmtime_wasi_io::bindings::wasi::io;

use crate::guest::Guest;
use crate::meter::Caller;
use crate::output;

/// The interfaces that [`link`] adds.
pub(crate) const INTERFACES: [&str; 15] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/stderr",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:cli/terminal-stderr",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure-seed",
    "wasi:random/random",
];

/// Maximum random bytes in one call: the host generates them before it copies them.
const RANDOM_BYTES: u64 = 64 * 1024;

/// The WASI state of a guest, created on first use: most guests never need it.
pub(crate) struct Wasi {
    caller: Caller,
    log_bytes: u64,
    context: Option<WasiCtx>,
}

impl Wasi {
    pub(crate) fn new(caller: &Caller, log_bytes: u64) -> Self {
        Self { caller: caller.clone(), log_bytes, context: None }
    }

    pub(crate) fn context(&mut self) -> &mut WasiCtx {
        self.context.get_or_insert_with(|| {
            let (output, errors) = output::streams(&self.caller, self.log_bytes);
            WasiCtx::builder().stdout(output).stderr(errors).max_random_size(RANDOM_BYTES).build()
        })
    }
}

pub(crate) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    cli::environment::add_to_linker::<_, WasiCli>(linker, Guest::cli)?;
    cli::exit::add_to_linker::<_, WasiCli>(linker, Guest::cli)?;
    cli::stdin::add_to_linker::<_, WasiCli>(linker, Guest::cli)?;
    cli::stdout::add_to_linker::<_, WasiCli>(linker, Guest::cli)?;
    cli::stderr::add_to_linker::<_, WasiCli>(linker, Guest::cli)?;
    cli::terminal_input::add_to_linker::<_, WasiCli>(linker, Guest::cli)?;
    cli::terminal_output::add_to_linker::<_, WasiCli>(linker, Guest::cli)?;
    cli::terminal_stdin::add_to_linker::<_, WasiCli>(linker, Guest::cli)?;
    cli::terminal_stdout::add_to_linker::<_, WasiCli>(linker, Guest::cli)?;
    cli::terminal_stderr::add_to_linker::<_, WasiCli>(linker, Guest::cli)?;
    io::error::add_to_linker::<_, Table>(linker, Guest::table)?;
    io::poll::add_to_linker::<_, Table>(linker, Guest::table)?;
    io::streams::add_to_linker::<_, Table>(linker, Guest::table)?;
    random::insecure_seed::add_to_linker::<_, WasiRandom>(linker, Guest::random)?;
    random::random::add_to_linker::<_, WasiRandom>(linker, Guest::random)?;
    Ok(())
}

/// Handles of streams are in the guest's own table.
struct Table;

impl HasData for Table {
    type Data<'a> = &'a mut ResourceTable;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_in_python_grants_the_same_interfaces() {
        let python = include_str!("../../../python-host/ferro/_plugins/wasi.py");
        let listed: Vec<_> = python.split('"').filter(|it| it.starts_with("wasi:")).collect();
        assert_eq!(listed, INTERFACES);
    }
}
