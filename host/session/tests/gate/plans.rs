//! Plans are made once, and serve nobody else.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ferro_session::{Gate, Grant, PlanCache, TableGrant, Tenant};
use ferro_wit::types::Dialect;

use crate::on_both_databases;
use crate::queries::{all, count, fields, titles_under_a_name};
use crate::world::{World, models, notes, rows, texts};

on_both_databases! {
    t7_a_policy_never_serves_another,
    t7_a_repeated_shape_is_compiled_once,
    t7_common_tables_are_part_of_the_shape,
    t7_tenants_of_one_shape_share_plans_and_keep_their_values,
}

async fn t7_a_repeated_shape_is_compiled_once(world: &World) {
    let before = (world.models.cache().hits(), world.models.cache().misses());
    for _ in 0..5 {
        let session = world.trusted();
        rows(&session, &all("Note")).await;
        rows(&session, &count("Note")).await;
    }
    assert_eq!(world.compiles.load(Ordering::Relaxed), 2);
    let after = (world.models.cache().hits(), world.models.cache().misses());
    assert_eq!((after.0 - before.0, after.1 - before.1), (8, 2));
}

async fn t7_tenants_of_one_shape_share_plans_and_keep_their_values(world: &World) {
    let titles = fields("Note", &["title"]);
    assert_eq!(texts(&world.tenant(1), &titles).await, ["a", "b", "c"]);
    assert_eq!(texts(&world.tenant(2), &titles).await, ["x", "y"]);
    assert_eq!(world.compiles.load(Ordering::Relaxed), 1);
}

async fn t7_a_policy_never_serves_another(world: &World) {
    let titles = fields("Note", &["title"]);
    let open = |table: TableGrant| {
        let tenant = Tenant::new("t").grant("app", Grant::read_only().table("note", table));
        world.gate(tenant).open("app").unwrap()
    };
    assert_eq!(texts(&world.trusted(), &titles).await.len(), 5);
    assert_eq!(texts(&open(TableGrant::read_only()), &titles).await.len(), 5);
    assert_eq!(texts(&open(notes(1)), &titles).await.len(), 3);
    let not_first =
        TableGrant::read_only().filter_by("tenant_id", ferro_wit::schema::Comparison::Greater, 1);
    assert_eq!(texts(&open(not_first), &titles).await.len(), 2);
    assert_eq!(world.compiles.load(Ordering::Relaxed), 4);
}

async fn t7_common_tables_are_part_of_the_shape(world: &World) {
    for _ in 0..2 {
        assert_eq!(texts(&world.tenant(1), &titles_under_a_name(true)).await.len(), 3);
        assert_eq!(texts(&world.tenant(1), &titles_under_a_name(false)).await.len(), 0);
    }
    assert_eq!(world.compiles.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn t7_models_and_dialects_do_not_share_plans() {
    let cache = Arc::<PlanCache>::default();
    let (one, one_compiles) = models(&cache);
    let (other, other_compiles) = models(&cache);
    for _ in 0..2 {
        let lite = one.plan(&all("Note"), Dialect::Sqlite, None).await.unwrap();
        let postgres = one.plan(&all("Note"), Dialect::Postgres, None).await.unwrap();
        let again = one.plan(&all("Note"), Dialect::Sqlite, None).await.unwrap();
        assert!(Arc::ptr_eq(&lite, &again));
        assert!(!Arc::ptr_eq(&lite, &postgres));
        other.plan(&all("Note"), Dialect::Sqlite, None).await.unwrap();
    }
    assert_eq!(one_compiles.load(Ordering::Relaxed), 2);
    assert_eq!(other_compiles.load(Ordering::Relaxed), 1);
    assert_eq!(cache.len(), 3);
}

#[tokio::test]
async fn a_query_that_does_not_compile_is_not_kept() {
    let cache = Arc::<PlanCache>::default();
    let (models, compiles) = models(&cache);
    for _ in 0..2 {
        assert!(models.plan(&all("Nothing"), Dialect::Sqlite, None).await.is_err());
    }
    assert_eq!((compiles.load(Ordering::Relaxed), cache.len()), (2, 0));
}

#[tokio::test]
async fn s3_a_caller_of_ever_new_shapes_cannot_fill_the_cache() {
    let cache = Arc::new(PlanCache::new(64 * 1024));
    let (models, _) = models(&cache);
    for number in 0..2_000_u32 {
        let mut query = all("Note");
        query.nodes.push(ferro_wit::query::Node::Parameter(ferro_wit::query::Parameter {
            index: number,
            kind: ferro_wit::types::ScalarType::Integer,
            many: false,
        }));
        let _ = models.plan(&query, Dialect::Sqlite, None).await;
    }
    assert!(cache.len() < 200, "{} plans", cache.len());
}

#[tokio::test]
async fn a_plan_that_takes_more_than_its_share_is_not_kept() {
    let cache = Arc::new(PlanCache::new(1024 * 1024));
    let (models, compiles) = models(&cache);
    let mut large = all("Note");
    let name = "x".repeat(20_000);
    let call = ferro_wit::query::FunctionCall { name, arguments: vec![] };
    large.nodes.push(ferro_wit::query::Node::Call(call));
    for _ in 0..2 {
        models.plan(&large, Dialect::Sqlite, None).await.unwrap();
        models.plan(&all("Note"), Dialect::Sqlite, None).await.unwrap();
    }
    assert_eq!((compiles.load(Ordering::Relaxed), cache.len()), (3, 1));
    assert_eq!((cache.hits(), cache.misses()), (1, 3));
}

#[tokio::test]
async fn s7_a_query_of_megabytes_is_not_compiled() {
    let (models, compiles) = models(&Arc::default());
    for (megabytes, passes) in [(1, true), (50, false)] {
        let mut large = all("Note");
        let name = "x".repeat(megabytes << 20);
        let call = ferro_wit::query::FunctionCall { name, arguments: vec![] };
        large.nodes.push(ferro_wit::query::Node::Call(call));
        let plan = models.plan(&large, Dialect::Sqlite, None).await;
        assert_eq!(plan.is_ok(), passes);
        if let Err(error) = plan {
            assert_eq!(error.kind, ferro_wit::types::ErrorKind::LimitExceeded);
            assert!(error.message.contains("`query`: 4194304 bytes"), "{error}");
        }
    }
    assert_eq!(compiles.load(Ordering::Relaxed), 1);
}

#[test]
fn a_gate_can_be_shown_without_what_it_guards() {
    let cache = Arc::<PlanCache>::default();
    let (models, _) = models(&cache);
    let tenant = Tenant::new("acme").grant("app", Grant::read_only().table("note", notes(42)));
    let gate = Gate::new(ferro_driver::Databases::new(), Arc::new(models), Arc::new(tenant));
    let shown = format!("{gate:?}");
    assert!(shown.contains("acme") && !shown.contains("42"), "{shown}");
}
