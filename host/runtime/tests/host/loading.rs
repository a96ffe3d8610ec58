//! What is loaded, and what is refused before its code runs.

use std::path::Path;
use std::time::Duration;

use ferro_host::{Error, ErrorKind, Host, HostOptions};

use crate::support::{host, host_and_probe, options, probe};

fn patched(from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len(), "offsets in the file stay as they are");
    let mut bytes = std::fs::read(probe()).unwrap();
    let mut found = 0;
    for start in 0..bytes.len() - from.len() {
        if &bytes[start..start + from.len()] == from.as_bytes() {
            bytes[start..start + from.len()].copy_from_slice(to.as_bytes());
            found += 1;
        }
    }
    assert!(found > 0, "the plugin has no `{from}`");
    bytes
}

async fn refused(bytes: Vec<u8>) -> Error {
    host().load_bytes("patched", bytes).await.unwrap_err()
}

#[tokio::test]
async fn a_plugin_tells_its_imports_exports_and_models() {
    let (_host, plugin) = host_and_probe().await;
    assert_eq!(plugin.name(), "ferro-test-probe");
    assert!(plugin.imports().iter().any(|it| it == "ferro:orm/database@0.1.0"));
    assert!(!plugin.needs_raw_sql());
    let signature = |name: &str| {
        plugin.exports().iter().find(|it| it.name() == name).map(|it| it.signature()).unwrap()
    };
    assert_eq!(signature("greet"), "func(name: string) -> string");
    assert_eq!(signature("ferro:test/notes#count"), "func(label: string) -> result<s64, error>");
    let add = "func(label: string, body: string, end: ending) -> result<u64, error>";
    assert_eq!(signature("ferro:test/notes#add"), add);
    let definition = |name: &str| plugin.types().into_iter().find(|it| it.0 == name).unwrap().1;
    assert_eq!(definition("ending"), "enum { commit, rollback, forget, trap, spin, hoard }");
    assert!(definition("error").starts_with("record { kind: error-kind, message: string, "));
    assert!(!plugin.exports().iter().any(|it| it.name().contains("describe")));
    let models: Vec<_> = plugin.models().schema().models.iter().map(|it| &it.name).collect();
    assert_eq!(models, ["note"]);
}

/// The smallest set that a plugin with output, panics and hash maps needs; more would be ambient.
#[tokio::test]
async fn s1_a_plugin_in_rust_imports_no_files_clocks_or_sockets() {
    let (_host, plugin) = host_and_probe().await;
    for import in plugin.imports().iter().filter(|import| import.starts_with("wasi:")) {
        let granted = ["wasi:cli/", "wasi:io/", "wasi:random/insecure-seed"];
        assert!(granted.iter().any(|it| import.starts_with(it)), "{import}");
    }
}

#[tokio::test]
async fn s1_an_import_that_is_not_granted_is_named() {
    let error = refused(patched("wasi:cli/stdout@", "evil:cli/stdout@")).await;
    assert_eq!(error.kind, ErrorKind::Denied, "{error}");
    assert!(error.message.contains("imports `evil:cli/stdout@0.2."), "{error}");
}

#[tokio::test]
async fn a_plugin_for_another_version_is_refused_by_its_version() {
    let error = refused(patched("ferro:orm/database@0.1.0", "ferro:orm/database@0.9.0")).await;
    assert_eq!(error.kind, ErrorKind::Unsupported, "{error}");
    assert!(error.message.contains("`ferro:orm/database@0.9.0`"), "{error}");
    assert!(error.message.contains("0.1.0"), "{error}");
}

#[tokio::test]
async fn a_component_without_models_is_no_plugin() {
    let error = refused(patched("ferro:orm/models@0.1.0", "ferro:app/models@0.1.0")).await;
    assert_eq!(error.kind, ErrorKind::InvalidConfiguration, "{error}");
    assert!(error.message.contains("`ferro:orm/models`"), "{error}");
}

#[tokio::test]
async fn s6_what_is_not_a_component_is_refused() {
    let component = std::fs::read(probe()).unwrap();
    let cases = [
        (b"\0asm\x01\0\0\0".to_vec(), "core module"),
        (b"\x7fELF\x02\x01\x01".to_vec(), "machine code"),
        (b"(component)".to_vec(), "text form"),
        (b"#!/bin/sh".to_vec(), "not a WebAssembly component"),
        (Vec::new(), "not a WebAssembly component"),
        (component[..component.len() / 2].to_vec(), "not a valid component"),
    ];
    for (bytes, expected) in cases {
        let error = refused(bytes).await;
        assert_eq!(error.kind, ErrorKind::InvalidConfiguration, "{error}");
        assert!(error.message.contains(expected), "{error}");
    }
    let error = host().load(Path::new("missing.wasm")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
    assert!(error.message.contains("`missing.wasm`"), "{error}");
}

#[tokio::test]
async fn s6_the_size_of_a_component_is_bounded() {
    let host = Host::new(HostOptions { component_bytes: 1000, ..options() }).unwrap();
    let error = host.load(probe()).await.unwrap_err();
    assert!(error.message.contains("larger than 1000 bytes"), "{error}");
}

/// In a runtime where no component is ever compiled: the one thread that could is taken.
fn where_compiling_takes_for_ever(test: impl AsyncFnOnce(Host, Vec<u8>)) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().max_blocking_threads(1).build().unwrap();
    let (_taken, free) = std::sync::mpsc::channel::<()>();
    runtime.spawn_blocking(move || free.recv());
    let bytes = std::fs::read(probe()).unwrap();
    runtime.block_on(async {
        let compile_timeout = Duration::from_millis(5);
        let host = Host::new(HostOptions { compile_timeout, ..options() }).unwrap();
        test(host, bytes).await;
    });
}

#[test]
fn s6_the_time_to_compile_a_component_is_bounded() {
    where_compiling_takes_for_ever(async |host, bytes| {
        let error = host.load_bytes("probe", bytes).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Timeout, "{error}");
        assert!(error.message.contains("0.005 s"), "{error}");
    });
}

#[test]
fn who_only_waited_for_others_that_are_loaded_is_told_so() {
    where_compiling_takes_for_ever(async |host, bytes| {
        let load = || host.load_bytes("probe", bytes.clone());
        let (one, other) = tokio::join!(load(), load());
        for error in [one.unwrap_err(), other.unwrap_err()] {
            assert_eq!(error.kind, ErrorKind::Timeout, "{error}");
        }
        // Both go on, and keep their permits.
        assert_eq!(host.stats().loading, 2);
        let error = load().await.unwrap_err();
        assert_eq!((error.kind, error.retryable), (ErrorKind::Busy, true), "{error}");
        assert!(error.message.contains("was not compiled: 2 other plugins"), "{error}");
    });
}
