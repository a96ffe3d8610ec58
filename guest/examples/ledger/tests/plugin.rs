//! The plugin at work: in a host, for a tenant, on both databases.

use std::sync::Arc;

use anyhow::Result;
use ferro_build::Target;
use ferro_host::{ConnectOptions, Grant, Host, HostOptions, Plugin, Tenant};

struct Ledger {
    plugin: Plugin,
    tenant: Arc<Tenant>,
}

impl Ledger {
    /// The plugin on a database with three accounts of two holders.
    async fn on(url: &str) -> Result<Self> {
        let host = Host::new(HostOptions { instances: 16, ..HostOptions::default() })?;
        host.databases().connect("app", url, &ConnectOptions::default()).await?;
        let plugin =
            host.load(ferro_build::component("ferro-example-ledger", Target::Unknown)?).await?;
        host.create_tables(&plugin, "app").await?;
        let tenant = Arc::new(Tenant::new("bank").grant("app", Grant::read_write()));
        let ledger = Self { plugin, tenant };
        for account in [r#""Ada", "A1", 1000"#, r#""Ada", "A2", 500"#, r#""Bob", "B1", 200"#] {
            assert_eq!(ledger.call(&format!("open({account})")).await?, "ok");
        }
        Ok(ledger)
    }

    async fn call(&self, call: &str) -> Result<String> {
        Ok(self.plugin.call_wave(&self.tenant, call).await?)
    }
}

async fn a_transfer_changes_both_accounts_and_statements_show_it(url: &str) -> Result<()> {
    let ledger = Ledger::on(url).await?;
    assert_eq!(ledger.call(r#"transfer("A1", "B1", 300, "rent")"#).await?, "ok");
    assert_eq!(ledger.call(r#"transfer("B1", "A2", 50, "lunch")"#).await?, "ok");
    assert_eq!(
        ledger.call(r#"statement("B1", 5)"#).await?,
        r#"ok({account: "B1", balance: 450, postings: [{other: "A2", amount: -50, memo: "lunch"}, {other: "A1", amount: 300, memo: "rent"}]})"#
    );
    assert_eq!(
        ledger.call("holdings(0)").await?,
        r#"ok([{holder: "Ada", accounts: 2, balance: 1250, largest-payment: some(300)}, {holder: "Bob", accounts: 1, balance: 450, largest-payment: some(50)}])"#
    );
    let rich = ledger.call("holdings(1000)").await?;
    assert!(rich.contains("Ada") && !rich.contains("Bob"), "{rich}");
    Ok(())
}

async fn what_cannot_be_paid_changes_nothing(url: &str) -> Result<()> {
    let ledger = Ledger::on(url).await?;
    for (call, expected) in [
        (r#"transfer("B1", "A1", 201, "too much")"#, "covered"),
        (r#"transfer("B1", "B1", 1, "to itself")"#, "elsewhere"),
        (r#"transfer("B1", "A1", -5, "backwards")"#, "positive"),
        (r#"transfer("B1", "C9", 5, "to nobody")"#, "there is no account `C9`"),
        (r#"open("Bob", "A1", 0)"#, "unique-violation"),
    ] {
        let failed = ledger.call(call).await?;
        assert!(failed.starts_with("err(") && failed.contains(expected), "{call}: {failed}");
    }
    let untouched = ledger.call(r#"statement("B1", 5)"#).await?;
    assert_eq!(untouched, r#"ok({account: "B1", balance: 200, postings: []})"#);
    Ok(())
}

/// Twenty payments at once, of an account that covers ten: ten succeed, whoever is first.
async fn transfers_at_once_never_overdraw_an_account(url: &str) -> Result<()> {
    let ledger = Arc::new(Ledger::on(url).await?);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let ledger = Arc::clone(&ledger);
        calls.spawn(async move { ledger.call(r#"transfer("A2", "B1", 50, "x")"#).await });
    }
    let mut paid = 0;
    while let Some(call) = calls.join_next().await {
        let outcome = call??;
        match outcome.as_str() {
            "ok" => paid += 1,
            // A payment that lost ten times in a row is refused whole, too.
            refused => assert!(
                ["check-violation", "serialization-failure", "busy", "deadlock"]
                    .iter()
                    .any(|it| refused.contains(it)),
                "{refused}"
            ),
        }
    }
    assert!((1..=10).contains(&paid), "{paid} were paid");
    let statement = ledger.call(r#"statement("A2", 0)"#).await?;
    assert!(statement.contains(&format!("balance: {}", 500 - 50 * paid)), "{statement}");
    assert!(ledger.call("holdings(0)").await?.contains(&format!("balance: {}", 200 + 50 * paid)));
    Ok(())
}

ferro_test_support::on_each_database! {
    a_transfer_changes_both_accounts_and_statements_show_it,
    what_cannot_be_paid_changes_nothing,
    transfers_at_once_never_overdraw_an_account,
}
