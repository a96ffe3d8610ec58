//! Shared by tests and benchmarks: a PostgreSQL server, the core without a component, the log of a
//! test, and comparisons of subjects.

#![forbid(unsafe_code)]

pub mod bench;
mod linked;
mod log;
pub mod postgres;

pub use linked::Core;
pub use log::Log;

/// Runs scenarios on each database, each as a separate test: `async fn(url: &str) -> Result<()>`.
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

/// The examples of the README, run as tests.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

/// The examples of the page about plugins in an application.
#[cfg(doctest)]
#[doc = include_str!("../../docs/embedding.md")]
struct Embedding;
