//! The lake as a place: two Delta tables side by side.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::catalog::{Session, TableProvider};
use deltalake::delta_datafusion::{DeltaScanConfig, DeltaScanNext};
use deltalake::logstore::LogStoreRef;
use deltalake::operations::create::CreateBuilder;
use deltalake::protocol::SaveMode;
use deltalake::table::state::DeltaTableState;
use tokio::sync::OnceCell;

use deltalake::{DeltaTable, DeltaTableBuilder, DeltaTableError, ensure_table_uri};

use crate::LakeError;
use crate::disk::Disk;
use crate::files::{Place, make_version_durable};
use crate::schema::{DAY, TableKind};
use crate::spill::Spill;
use crate::torn::torn;
use crate::txns::Txns;

/// The lake: its two tables, wherever they lie. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Lake {
    location: String,
    events: Table,
    calls: Table,
}

/// One Delta table.
#[derive(Clone, Debug)]
pub struct Table {
    pub(crate) place: Place,
    location: String,
}

/// One version of a table: what it holds, without reading it.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub(crate) state: DeltaTableState,
    log_store: LogStoreRef,
    txns: OnceCell<Txns>,
}

impl Lake {
    /// Opens the lake at `location`, a directory or an object-store URL.
    pub async fn open(location: &str) -> Result<Lake, LakeError> {
        let lake = Lake::at(location, false)?;
        for table in lake.tables() {
            table.load().await?.check(table)?;
        }
        Ok(lake)
    }

    /// Opens the lake at `location`, creating what is not there yet.
    pub async fn create(location: &str) -> Result<Lake, LakeError> {
        let lake = Lake::at(location, true)?;
        for table in lake.tables() {
            match table.load().await {
                Ok(snapshot) => snapshot.check(table)?,
                Err(LakeError::NotFound(_)) => table.create().await?,
                Err(other) => return Err(other),
            }
        }
        Ok(lake)
    }

    /// An empty lake that is nowhere: what SQL reads where nothing has landed.
    pub async fn in_memory() -> Result<Lake, LakeError> {
        Lake::create("memory:///lake").await
    }

    /// The lake of a data folder: `<data>/lake`.
    #[must_use]
    pub fn location_of(data: &Path) -> PathBuf {
        data.join("lake")
    }

    fn at(location: &str, create: bool) -> Result<Lake, LakeError> {
        Ok(Lake {
            location: location.to_owned(),
            events: Table::at(location, TableKind::Events, create)?,
            calls: Table::at(location, TableKind::Calls, create)?,
        })
    }

    /// Where it lies.
    #[must_use]
    pub fn location(&self) -> &str {
        &self.location
    }

    /// One of its tables.
    #[must_use]
    pub fn table(&self, kind: TableKind) -> &Table {
        match kind {
            TableKind::Events => &self.events,
            TableKind::Calls => &self.calls,
        }
    }

    /// Room for requests of open calls: beside the tables, where the disk is meant to hold much.
    pub(crate) fn room(&self) -> Spill {
        let local = self.events.place.local.as_deref().and_then(Path::parent);
        local.map_or_else(Spill::default, Spill::within)
    }

    pub(crate) fn tables(&self) -> [&Table; 2] {
        [&self.events, &self.calls]
    }
}

impl Table {
    fn at(lake: &str, kind: TableKind, create: bool) -> Result<Table, LakeError> {
        let location = format!("{}/{}", lake.trim_end_matches('/'), kind.name());
        let local = if location.contains("://") {
            None
        } else {
            let dir = std::path::absolute(&location).map_err(|e| LakeError::io(Path::new(&location), e))?;
            if create {
                std::fs::create_dir_all(&dir).map_err(|e| LakeError::io(&dir, e))?;
            } else if !dir.exists() {
                // Looking for a lake must not leave an empty one behind.
                return Err(LakeError::NotFound(location));
            }
            Some(dir)
        };
        let url = ensure_table_uri(&location)?;
        let mut builder = DeltaTableBuilder::from_url(url.clone())?;
        if local.is_some() {
            builder = builder.with_storage_backend(Arc::new(Disk::default()), url);
        }
        let log_store = builder.build_storage()?;
        Ok(Table {
            place: Place { kind, log_store, local },
            location,
        })
    }

    /// Which of the two it is.
    #[must_use]
    pub fn kind(&self) -> TableKind {
        self.place.kind
    }

    /// Its newest version.
    pub async fn load(&self) -> Result<Snapshot, LakeError> {
        let log_store = self.place.log_store.clone();
        match DeltaTableState::try_new(log_store.as_ref(), None).await {
            Ok(state) => Ok(Snapshot::new(state, log_store)),
            Err(error) if self.is_missing(&error).await => Err(LakeError::NotFound(self.location.clone())),
            Err(error) => {
                if let Some(what) = unsupported(&error) {
                    return Err(LakeError::Newer {
                        table: self.kind().name(),
                        location: self.location.clone(),
                        what,
                    });
                }
                Err(torn(&self.place, &self.location).await.unwrap_or(error.into()))
            }
        }
    }

    async fn is_missing(&self, error: &DeltaTableError) -> bool {
        if matches!(error, DeltaTableError::NotATable(_)) {
            return true;
        }
        let found = self.place.log_store.is_delta_table_location().await;
        matches!(found, Ok(false))
    }

    async fn create(&self) -> Result<(), LakeError> {
        let kind = self.place.kind;
        let stats: Vec<&str> = (kind.columns().iter())
            .filter(|column| column.stats)
            .map(|column| column.name)
            .collect();
        let created = CreateBuilder::new()
            .with_log_store(self.place.log_store.clone())
            .with_table_name(kind.name())
            .with_comment(kind.doc())
            .with_columns(kind.delta())
            .with_partition_columns([DAY])
            .with_save_mode(SaveMode::ErrorIfExists)
            .with_configuration([
                ("delta.dataSkippingStatsColumns", Some(stats.join(","))),
                ("delta.logRetentionDuration", Some("interval 1 days".to_owned())),
                ("delta.deletedFileRetentionDuration", Some("interval 1 days".to_owned())),
                ("delta.checkpointInterval", Some("100".to_owned())),
            ])
            .await;
        match created {
            Ok(_) => {
                make_version_durable(&self.place, 0).await?;
                sync_parents(self.place.local.as_deref())
            }
            // Somebody else was faster: theirs is as good.
            Err(error) => match self.load().await {
                Ok(snapshot) => snapshot.check(self),
                Err(_) => Err(error.into()),
            },
        }
    }
}

impl Snapshot {
    pub(crate) fn new(state: DeltaTableState, log_store: LogStoreRef) -> Snapshot {
        Snapshot {
            state,
            log_store,
            txns: OnceCell::new(),
        }
    }

    /// This version, knowing what is known of an earlier one.
    pub(crate) async fn following(mut self, earlier: &Snapshot) -> Snapshot {
        if let Some(txns) = earlier.txns.get()
            && earlier.version() <= self.version()
        {
            let txns = txns.after(&self.log_store, earlier.version(), self.version()).await;
            self.txns = OnceCell::new_with(Some(txns));
        }
        self
    }

    fn check(&self, table: &Table) -> Result<(), LakeError> {
        let schema = self.state.schema();
        for column in table.kind().columns() {
            if schema.field(column.name).is_none() {
                return Err(LakeError::Schema {
                    table: table.kind().name(),
                    location: table.location.clone(),
                    column: column.name.to_owned(),
                });
            }
        }
        Ok(())
    }

    /// The table's version.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.state.version()
    }

    /// Whether somebody has committed a version after this one.
    pub(crate) async fn has_successor(&self) -> Result<bool, LakeError> {
        Ok(self.log_store.read_commit_entry(self.version() + 1).await?.is_some())
    }

    /// The number that the newest transaction of this name committed.
    pub(crate) async fn txn(&self, app: &str) -> Result<Option<i64>, LakeError> {
        match self.txns().await.get(app) {
            Ok(version) => Ok(version),
            Err(()) => self.transaction_of_delta(app).await,
        }
    }

    /// All of them that we could read.
    pub(crate) async fn txns(&self) -> &Txns {
        let load = || Txns::load(&self.log_store, self.version());
        self.txns.get_or_init(load).await
    }

    /// As Delta itself finds it.
    pub(crate) async fn transaction_of_delta(&self, app: &str) -> Result<Option<i64>, LakeError> {
        Ok(self.state.transaction_version(self.log_store.as_ref(), app).await?)
    }

    /// How many files it has, and their bytes and rows.
    #[must_use]
    pub fn size(&self) -> (u64, u64, u64) {
        self.state
            .log_data()
            .iter()
            .fold((0, 0, 0), |(files, bytes, rows), file| {
                (
                    files + 1,
                    bytes + u64::try_from(file.size()).unwrap_or_default(),
                    rows + file.num_records().unwrap_or_default() as u64,
                )
            })
    }

    /// A table for DataFusion: this version's rows, in this crate's schema
    /// ([`TableKind::arrow`]).
    pub fn provider(&self, kind: TableKind) -> Result<Arc<dyn TableProvider>, LakeError> {
        Ok(Arc::new(self.scan(kind)?))
    }

    pub(crate) fn scan(&self, kind: TableKind) -> Result<DeltaScanNext, LakeError> {
        let config = DeltaScanConfig::new()
            .with_parquet_pushdown(true)
            .with_wrap_partition_values(false)
            .with_schema(kind.arrow());
        Ok(DeltaScanNext::new(self.state.snapshot().clone(), config)?)
    }

    /// Registers the table's store with a session, so that its files can be read there.
    pub fn register_store(&self, session: &dyn Session) -> Result<(), LakeError> {
        Ok(DeltaTable::new(self.log_store.clone()).update_datafusion_session(session)?)
    }
}

/// What a table asks for that its reader does not know. The kernel's error type cannot be named here, its
/// words can.
fn unsupported(error: &DeltaTableError) -> Option<String> {
    let DeltaTableError::KernelError(kernel) = error else {
        return None;
    };
    kernel.to_string().strip_prefix("Unsupported: ").map(str::to_owned)
}

/// Makes a new table's folder, and the lake's, last: their names stand in the folders above.
fn sync_parents(table: Option<&Path>) -> Result<(), LakeError> {
    for dir in table.into_iter().flat_map(|table| table.ancestors().skip(1).take(2)) {
        let synced = std::fs::File::open(dir).and_then(|dir| dir.sync_all());
        synced.map_err(|e| LakeError::io(dir, e))?;
    }
    Ok(())
}
