//! Databases by label, one of them the default.

use std::collections::BTreeMap;
use std::sync::Arc;

use ferro_wit::types::{Error, ErrorKind};
use parking_lot::RwLock;

use crate::database::Database;
use crate::error::invalid_configuration;
use crate::options::ConnectOptions;

/// Pools by label. Clones share them.
///
/// # Examples
///
/// ```
/// use ferro_driver::{ConnectOptions, Databases};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let databases = Databases::new();
/// let options = ConnectOptions::default();
/// databases.connect("app", "sqlite::memory:", &options).await?;
/// databases.connect("archive", "sqlite::memory:", &options).await?;
/// assert_eq!(databases.default_label().as_deref(), Some("app"));
/// databases.set_default("archive")?;
/// assert_eq!(databases.labels(), ["app", "archive"]);
/// databases.disconnect_all().await;
/// assert!(databases.get(Some("app")).is_err());
/// # Ok::<(), ferro_wit::types::Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Databases {
    state: Arc<RwLock<State>>,
}

#[derive(Debug, Default)]
struct State {
    databases: BTreeMap<String, Database>,
    default: Option<String>,
}

impl Databases {
    /// Creates an empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens a pool under a label. The first one becomes the default.
    ///
    /// # Errors
    ///
    /// `invalid-configuration` if the label is empty or taken, and as [`Database::connect`].
    pub async fn connect(
        &self,
        label: &str,
        url: &str,
        options: &ConnectOptions,
    ) -> Result<Database, Error> {
        self.state.read().ensure_free(label)?;
        let database = Database::connect_as(Some(label), url, options).await?;
        let inserted = self.state.write().insert(label, &database);
        if let Err(error) = inserted {
            // Another caller was faster.
            database.disconnect().await;
            return Err(error);
        }
        Ok(database)
    }

    /// Opens another pool for a label, for example with a new password, and replaces the old one
    /// everywhere, including open sessions, without interruption: callers that wait for a
    /// connection get one of the new pool. Running transactions and cursors finish in the old pool,
    /// which is closed after the last of them; this waits for that. If the new pool cannot be
    /// opened, nothing changes.
    ///
    /// # Errors
    ///
    /// `not-found` names the existing labels; `invalid-configuration` for a database of another
    /// dialect, if only one of the two is behind a transaction-mode pooler, and if the label was
    /// assigned to another database meanwhile; `connection-failed` if the pool was closed; and as
    /// [`Database::connect`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, either pool may have the label.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferro_driver::{ConnectOptions, Databases};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// let (databases, options) = (Databases::new(), ConnectOptions::default());
    /// let database = databases.connect("app", "sqlite::memory:", &options).await?;
    /// databases.replace("app", "sqlite::memory:", &options).await?;
    /// database.check().await?;
    /// # Ok::<(), ferro_wit::types::Error>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn replace(
        &self,
        label: &str,
        url: &str,
        options: &ConnectOptions,
    ) -> Result<(), Error> {
        let database = self.get(Some(label))?;
        database.replace(url, options).await?;
        match self.get(Some(label)) {
            Ok(kept) if kept.is(&database) => Ok(()),
            // It was disconnected, or replaced by another call, meanwhile.
            other => {
                database.disconnect().await;
                other.and(Err(invalid_configuration(format!(
                    "the label `{label}` was given another database in the meantime, and keeps it"
                ))))
            }
        }
    }

    /// The database of a label; without one, the default.
    ///
    /// # Errors
    ///
    /// `not-found` names the existing labels.
    pub fn get(&self, label: Option<&str>) -> Result<Database, Error> {
        let state = self.state.read();
        match label.or(state.default.as_deref()) {
            Some(label) => {
                state.databases.get(label).cloned().ok_or_else(|| state.not_found(label))
            }
            None => Err(state.no_default()),
        }
    }

    /// Makes a label the default.
    ///
    /// # Errors
    ///
    /// `not-found` names the existing labels.
    pub fn set_default(&self, label: &str) -> Result<(), Error> {
        let mut state = self.state.write();
        if !state.databases.contains_key(label) {
            return Err(state.not_found(label));
        }
        state.default = Some(label.to_owned());
        Ok(())
    }

    /// The label that [`get`](Self::get) uses by default.
    #[must_use]
    pub fn default_label(&self) -> Option<String> {
        self.state.read().default.clone()
    }

    /// All labels, in alphabetical order.
    #[must_use]
    pub fn labels(&self) -> Vec<String> {
        self.state.read().databases.keys().cloned().collect()
    }

    /// Removes a label at once, then closes its pool like [`Database::disconnect`].
    ///
    /// After the default is removed, there is no default until one is set or connected.
    ///
    /// # Errors
    ///
    /// `not-found` names the existing labels.
    pub async fn disconnect(&self, label: &str) -> Result<(), Error> {
        let database = self.state.write().remove(label)?;
        database.disconnect().await;
        Ok(())
    }

    /// Removes all labels at once, then closes their pools concurrently.
    pub async fn disconnect_all(&self) {
        let all = std::mem::take(&mut *self.state.write()).databases;
        futures_util::future::join_all(all.values().map(Database::disconnect)).await;
    }
}

impl State {
    fn ensure_free(&self, label: &str) -> Result<(), Error> {
        if label.is_empty() {
            return Err(invalid_configuration("the label of a database is empty"));
        }
        match self.databases.contains_key(label) {
            true => Err(invalid_configuration(format!(
                "the label `{label}` is taken: disconnect it first, or use another"
            ))),
            false => Ok(()),
        }
    }

    fn insert(&mut self, label: &str, database: &Database) -> Result<(), Error> {
        self.ensure_free(label)?;
        self.databases.insert(label.to_owned(), database.clone());
        self.default.get_or_insert_with(|| label.to_owned());
        Ok(())
    }

    fn remove(&mut self, label: &str) -> Result<Database, Error> {
        let database = self.databases.remove(label).ok_or_else(|| self.not_found(label))?;
        if self.default.as_deref() == Some(label) {
            self.default = None;
        }
        Ok(database)
    }

    fn not_found(&self, label: &str) -> Error {
        Error::new(
            ErrorKind::NotFound,
            format!("no database is connected as `{label}`: {}", self.known()),
        )
    }

    fn no_default(&self) -> Error {
        Error::new(ErrorKind::NotFound, format!("there is no default database: {}", self.known()))
    }

    fn known(&self) -> String {
        match self.databases.is_empty() {
            true => "none is connected".to_owned(),
            false => {
                let labels: Vec<_> = self.databases.keys().map(|it| format!("`{it}`")).collect();
                format!("connected are {}", labels.join(", "))
            }
        }
    }
}
