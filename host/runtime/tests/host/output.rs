//! What a guest prints: events for the operator's log.

use std::sync::Arc;

use ferro_host::{Limits, Plugin, Tenant};
use ferro_test_support::Log;

use crate::support::{host_and_probe, tenant, tenant_with};

/// The lines that are logged of guests while a call runs.
async fn logged(plugin: &Plugin, tenant: &Arc<Tenant>, call: &str) -> Vec<String> {
    let (log, _guard) = Log::of_thread();
    let _ = plugin.call_wave(tenant, call).await;
    let text = log.text();
    text.lines().filter(|line| line.contains("ferro::guest")).map(str::to_owned).collect()
}

#[tokio::test]
async fn output_becomes_events_with_plugin_and_tenant() {
    let (_host, plugin) = host_and_probe().await;
    let lines = logged(&plugin, &tenant(), r#"print("one\ntwo", "red \u{1b}[31m")"#).await;
    let expected = [("one", "stdout"), ("two", "stdout"), ("red \\u{1b}[31m", "stderr")];
    assert_eq!(lines.len(), expected.len(), "{lines:?}");
    for (line, (text, stream)) in lines.iter().zip(expected) {
        for part in [text, stream, "plugin=ferro-test-probe", "tenant=acme"] {
            assert!(line.contains(part), "`{part}` in {line}");
        }
    }
}

#[tokio::test]
async fn a_panic_of_the_guest_is_in_the_log() {
    let (_host, plugin) = host_and_probe().await;
    let lines = logged(&plugin, &tenant(), r#"panic("see here")"#).await;
    assert!(lines.iter().any(|line| line.contains("see here")), "{lines:?}");
}

#[tokio::test]
async fn s3_output_is_bounded() {
    let (_host, plugin) = host_and_probe().await;
    let tenant = tenant_with(Limits { log_bytes: 10, ..Limits::default() });
    let lines = logged(&plugin, &tenant, r#"print("123456789012345", "more")"#).await;
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("`log-bytes`")), "{lines:?}");
    let cut = lines.iter().any(|line| line.contains("1234567890") && !line.contains("12345678901"));
    assert!(cut, "{lines:?}");
    // The end of a line counts for 64 bytes. What fits to the byte is no reason for a warning,
    // and no byte at all is one.
    for (limit, print, expected) in [
        (139, r#"print("123456", "abcde")"#, vec!["123456", "abcde"]),
        (138, r#"print("123456", "abcde")"#, vec!["123456", "abcde", "`log-bytes`"]),
        (0, r#"print("1", "2")"#, vec!["`log-bytes`"]),
    ] {
        let tenant = tenant_with(Limits { log_bytes: limit, ..Limits::default() });
        let lines = logged(&plugin, &tenant, print).await;
        assert_eq!(lines.len(), expected.len(), "{limit}: {lines:?}");
        for part in expected {
            assert!(lines.iter().any(|line| line.contains(part)), "{limit}: {lines:?}");
        }
    }
}
