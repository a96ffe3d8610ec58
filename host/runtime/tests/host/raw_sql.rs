//! SQL text: for plugins that import it, on behalf of tenants that are granted it.

use std::sync::Arc;

use ferro_build::Target;
use ferro_host::{ErrorKind, Grant, Tenant};

use crate::support::{BACKENDS, bench};

#[tokio::test]
async fn r1_sql_text_takes_the_import_and_the_grant() {
    let component = ferro_build::component("ferro-test-raw", Target::Wasip2).unwrap();
    for backend in BACKENDS {
        let bench = bench(backend).await;
        let raw = bench.host.load(&component).await.unwrap();
        assert!(raw.needs_raw_sql());
        let granted = Grant::read_write().with_unfenced_raw_sql();
        let granted = Arc::new(Tenant::new("a").grant("app", granted));
        let elsewhere = Tenant::new("b").grant("app", Grant::read_write());
        let elsewhere = Arc::new(elsewhere.grant("other", Grant::read_only().with_raw_sql()));
        let plain = Arc::new(Tenant::new("c").grant("app", Grant::read_write()));

        let insert = r#"execute("app", "INSERT INTO note (body) VALUES ('x'), ('y')")"#;
        let error = raw.call_wave(&plain, insert).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Denied, "its code does not run");
        assert!(error.message.contains("`ferro:orm/raw-sql`"), "{error}");
        let denied = raw.call_wave(&elsewhere, insert).await.unwrap();
        assert!(denied.starts_with("err({kind: denied"), "{denied}");

        assert_eq!(raw.call_wave(&granted, insert).await.unwrap(), "ok(2)");
        let rows = r#"rows("app", "SELECT body FROM note")"#;
        assert_eq!(raw.call_wave(&granted, rows).await.unwrap(), "ok(2)");
        let note = r#"note("app", 2)"#;
        assert_eq!(raw.call_wave(&granted, note).await.unwrap(), r#"ok("2: y")"#);
        bench.at_rest().await;
    }
}
