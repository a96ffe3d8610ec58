//! The gate over real databases, with the core linked as it is: each promise on SQLite and on
//! PostgreSQL.

#![expect(clippy::unwrap_used, reason = "what a test cannot do without fails it")]

mod component;
mod declared;
mod errors;
mod hostile;
mod includes;
mod interference;
mod limits;
mod plans;
mod queries;
mod shapes;
mod tables;
mod tenants;
mod transactions;
mod world;
mod written;

/// Runs scenarios, functions that take a `World`, on both databases.
macro_rules! on_both_databases {
    ($($scenario:ident),* $(,)?) => {
        mod sqlite {
            use crate::world::World;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $scenario() {
                    let world = World::sqlite().await;
                    super::$scenario(&world).await;
                    world.assert_at_rest().await;
                }
            )*
        }

        mod postgres {
            use crate::world::World;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $scenario() {
                    let world = World::postgres().await;
                    super::$scenario(&world).await;
                    world.assert_at_rest().await;
                }
            )*
        }
    };
}
pub(crate) use on_both_databases;
