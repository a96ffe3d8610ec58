//! What tests and benchmarks share: a PostgreSQL server of their own, the core without a component, the
//! log of a test, and measuring in turns.

#![forbid(unsafe_code)]

pub mod bench;
mod linked;
mod log;
pub mod postgres;

pub use linked::Core;
pub use log::Log;

/// Runs scenarios on each database, each as a test of its own: `async fn(url: &str) -> Result<()>`.
///
/// ```
/// async fn a_database_has_an_address(url: &str) -> anyhow::Result<()> {
///     anyhow::ensure!(url.contains(':'), "{url}");
///     Ok(())
/// }
///
/// ferro_test_support::on_each_database! { a_database_has_an_address }
/// ```
#[macro_export]
macro_rules! on_each_database {
    ($($scenario:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $scenario() -> anyhow::Result<()> {
                super::$scenario("sqlite::memory:").await
            })*
        }

        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $scenario() -> anyhow::Result<()> {
                super::$scenario(&$crate::postgres::url()).await
            })*
        }
    };
}

/// The examples of the project's first page, so that they cannot rot.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

/// Those of the page about plugins in an application.
#[cfg(doctest)]
#[doc = include_str!("../../docs/embedding.md")]
struct Embedding;
