//! Failures of guests, as errors for the application.

use std::any::Any;

use ferro_session::GuestLimit;
use ferro_wit::types::{Error, ErrorKind};
use wasmtime::{Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use crate::engine::STACK;

/// The error behind a failed call of the guest `who`: `the plugin `atlas``.
pub(crate) fn from_guest(who: &str, error: &wasmtime::Error) -> Error {
    if let Some(error) = error.downcast_ref::<Error>() {
        return error.clone();
    }
    if let Some(I32Exit(status)) = error.downcast_ref::<I32Exit>() {
        return trapped(format!("{who} exited with status {status}"));
    }
    let root = error.root_cause().to_string();
    match error.downcast_ref::<Trap>() {
        Some(Trap::StackOverflow) => GuestLimit::Stack(STACK).exceeded(),
        Some(trap) => {
            let trap = trap.to_string();
            // "wasm trap: wasm `unreachable` instruction executed"
            let reason = trap.trim_start_matches("wasm trap: ");
            let place = error.downcast_ref::<WasmBacktrace>().map(summary).unwrap_or_default();
            trapped(format!("{who} trapped: {reason}{place}"))
        }
        // Wasmtime reports these only as text.
        None if root.contains("fuel allocated for hostcalls") => {
            GuestLimit::HostCallBytes.exceeded()
        }
        None if root.contains("instance count too high") => GuestLimit::Instances.exceeded(),
        None => Error::new(ErrorKind::Internal, format!("{who} failed: {root}")),
    }
}

/// A guest trapped by itself.
fn trapped(message: String) -> Error {
    Error::new(ErrorKind::Internal, message).with_code(Error::PLUGIN_TRAPPED)
}

/// The host itself panicked while it served a guest.
pub(crate) fn from_panic(panic: &(dyn Any + Send)) -> Error {
    let message = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    tracing::error!(message, "the host panicked while it served a plugin");
    Error::new(ErrorKind::Internal, "the host failed while it served the plugin; see its log")
}

/// The innermost functions, by name if the component has names.
fn summary(backtrace: &WasmBacktrace) -> String {
    let names: Vec<_> = backtrace
        .frames()
        .iter()
        .take(4)
        .map(|frame| match frame.func_name() {
            Some(name) => format!("`{name}`"),
            None => format!("function {}", frame.func_index()),
        })
        .collect();
    if names.is_empty() { String::new() } else { format!(", in {}", names.join(" from ")) }
}
