//! Threads of their own for queries, and the way of the rows from there to whoever asked.
//!
//! ```text
//!  Engine::sql ──▶ a driver: plans, then polls the plan ──▶ 1 batch ──▶ Rows, polled anywhere
//!                    │    └─ drops it all
//!                    └─ workers: partitions of the plan
//! ```
//!
//! Landing, reload and signals do not wait for a query, and a query cannot overflow their stacks.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::error::DataFusionError;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream};
use futures::{FutureExt as _, Stream, StreamExt as _};
use tokio::runtime::{Handle, Runtime};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};

use crate::{EngineOptions, QueryError};

/// Queries that run at the same time; further ones wait. Each has a thread.
const MAX_RUNNING: usize = 32;
/// Threads that read files, beside them.
const MAX_READING: usize = 32;

/// The threads of an engine.
#[derive(Debug)]
pub(crate) struct Threads {
    handle: Handle,
    /// Taken when they end.
    runtime: Mutex<Option<Runtime>>,
    room: Arc<Semaphore>,
    stop: watch::Sender<bool>,
}

impl Threads {
    pub(crate) fn start(options: &EngineOptions) -> Result<Threads, QueryError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .thread_name("weir-sql")
            .thread_stack_size(options.stack_bytes)
            .max_blocking_threads(MAX_RUNNING + MAX_READING)
            .on_thread_start(give_way)
            .enable_all()
            .build()
            .map_err(|error| QueryError::Execution(format!("cannot start the threads of SQL: {error}")))?;
        Ok(Threads {
            handle: runtime.handle().clone(),
            runtime: Mutex::new(Some(runtime)),
            room: Arc::new(Semaphore::new(MAX_RUNNING)),
            stop: watch::Sender::new(false),
        })
    }

    /// Runs a query: `begin` plans it, on a thread of its own.
    pub(crate) async fn run<B>(self: &Arc<Threads>, timeout: Duration, begin: B) -> Result<Rows, QueryError>
    where
        B: Future<Output = Result<SendableRecordBatchStream, QueryError>> + Send + 'static,
    {
        let deadline = Instant::now() + timeout;
        let room = match timeout_at(deadline, Arc::clone(&self.room).acquire_owned()).await {
            Ok(Ok(room)) => room,
            Ok(Err(_closed)) => return Err(QueryError::Stopping),
            Err(_late) => return Err(QueryError::Busy(MAX_RUNNING)),
        };
        let (head, planned) = oneshot::channel();
        let (rows, mut arriving) = mpsc::channel(1);
        let end = Arc::new(Mutex::new(End::Open));
        let driver = Driver {
            rows,
            end: Arc::clone(&end),
            stop: self.stop.subscribe(),
            deadline,
            timeout,
        };
        let handle = self.handle.clone();
        // Not a worker: where a plan computes for long without a pause, the system shares out the cores.
        self.handle.spawn_blocking(move || {
            handle.block_on(driver.drive(begin, head));
            drop(room);
        });
        let planned = async {
            match planned.await {
                Ok(schema) => Ok(schema),
                Err(_none) => {
                    // The driver says why before it lets go of the channel.
                    arriving.recv().await;
                    Err(outcome(&end).err().unwrap_or(QueryError::Stopping))
                }
            }
        };
        let late = |_| QueryError::Timeout(timeout);
        let schema = timeout_at(deadline, planned).await.map_err(late)??;
        Ok(Rows {
            schema,
            arriving,
            end,
            deadline: Box::pin(sleep_until(deadline)),
            timeout,
            ended: false,
            _threads: Arc::clone(self),
        })
    }

    /// Ends every query, and begins no other one.
    pub(crate) fn stop(&self) {
        self.room.close();
        self.stop.send_replace(true);
    }

    /// The same, and waits so long for the threads to end.
    pub(crate) fn close(&self, patience: Duration) {
        self.stop();
        if let Some(runtime) = self.taken() {
            runtime.shutdown_timeout(patience);
        }
    }

    fn taken(&self) -> Option<Runtime> {
        self.runtime.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.stop();
        // It may be dropped where nothing may block.
        if let Some(runtime) = self.taken() {
            runtime.shutdown_background();
        }
    }
}

/// How a query ended.
#[derive(Debug)]
enum End {
    /// Not yet, or the driver is gone and has not said.
    Open,
    /// All rows are sent.
    Complete,
    Failed(QueryError),
}

/// How it ended, where nothing more comes.
fn outcome(end: &Mutex<End>) -> Result<(), QueryError> {
    let mut end = end.lock().unwrap_or_else(PoisonError::into_inner);
    match std::mem::replace(&mut *end, End::Complete) {
        End::Complete => Ok(()),
        End::Failed(error) => Err(error),
        // Its thread never began, or ended with the process that stops.
        End::Open => Err(QueryError::Stopping),
    }
}

/// What runs on the query's thread.
struct Driver {
    rows: mpsc::Sender<RecordBatch>,
    end: Arc<Mutex<End>>,
    stop: watch::Receiver<bool>,
    deadline: Instant,
    timeout: Duration,
}

impl Driver {
    async fn drive<B>(self, begin: B, head: oneshot::Sender<SchemaRef>)
    where
        B: Future<Output = Result<SendableRecordBatchStream, QueryError>>,
    {
        let Driver {
            rows,
            end,
            mut stop,
            deadline,
            timeout,
        } = self;
        let work = async {
            let mut stream = begin.await?;
            let schema = stream.schema();
            shallow(&schema)?;
            // Nobody waits any more: `closed` below sees it.
            let _ = head.send(schema);
            while let Some(batch) = stream.next().await {
                if rows.send(batch?).await.is_err() {
                    break;
                }
            }
            Ok::<_, QueryError>(())
        };
        let ended = tokio::select! {
            biased;
            // Whoever asked has gone.
            () = rows.closed() => Ok(()),
            _ = stop.wait_for(|stop| *stop) => Err(QueryError::Stopping),
            () = sleep_until(deadline) => Err(QueryError::Timeout(timeout)),
            // What a library gets wrong ends this query and nothing else.
            ended = AssertUnwindSafe(work).catch_unwind() => {
                ended.unwrap_or_else(|panic| Err(QueryError::Execution(panicked(panic.as_ref()))))
            }
        };
        // Before the channel closes, which tells the other side to look.
        *end.lock().unwrap_or_else(PoisonError::into_inner) = match ended {
            Ok(()) => End::Complete,
            Err(error) => End::Failed(error),
        };
        drop(rows);
    }
}

fn panicked(panic: &(dyn Any + Send)) -> String {
    let text = (panic.downcast_ref::<&str>().copied())
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no reason given");
    format!("the query failed inside the query engine: {text}")
}

/// Lists in lists in lists, deeper than any answer needs: writing them recurses, on other threads' stacks.
const MAX_NESTING: usize = 64;

fn shallow(schema: &SchemaRef) -> Result<(), QueryError> {
    for field in schema.fields() {
        let mut level = vec![field.data_type().clone()];
        for depth in 0.. {
            if depth > MAX_NESTING {
                return Err(QueryError::Sql(format!(
                    "column {} has values nested deeper than {MAX_NESTING} levels, which cannot be written: select parts of it",
                    field.name()
                )));
            }
            level = level.iter().flat_map(inner).collect();
            if level.is_empty() {
                break;
            }
        }
    }
    Ok(())
}

fn inner(of: &arrow::datatypes::DataType) -> Vec<arrow::datatypes::DataType> {
    use arrow::datatypes::DataType;
    match of {
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::ListView(field)
        | DataType::LargeListView(field)
        | DataType::FixedSizeList(field, _)
        | DataType::Map(field, _) => vec![field.data_type().clone()],
        DataType::Struct(fields) => fields.iter().map(|field| field.data_type().clone()).collect(),
        DataType::Union(fields, _) => fields.iter().map(|(_, field)| field.data_type().clone()).collect(),
        DataType::Dictionary(_, values) => vec![values.as_ref().clone()],
        DataType::RunEndEncoded(_, values) => vec![values.data_type().clone()],
        _ => Vec::new(),
    }
}

/// Rows as they come. Dropping them ends the query.
pub(crate) struct Rows {
    schema: SchemaRef,
    arriving: mpsc::Receiver<RecordBatch>,
    end: Arc<Mutex<End>>,
    deadline: Pin<Box<Sleep>>,
    timeout: Duration,
    ended: bool,
    /// They end with the last of their queries.
    _threads: Arc<Threads>,
}

impl Stream for Rows {
    type Item = Result<RecordBatch, DataFusionError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        // The driver looks as well, but only where its plan pauses.
        let ended = if self.deadline.as_mut().poll(cx).is_ready() {
            Err(QueryError::Timeout(self.timeout))
        } else {
            match std::task::ready!(self.arriving.poll_recv(cx)) {
                Some(batch) => return Poll::Ready(Some(Ok(batch))),
                None => outcome(&self.end),
            }
        };
        self.ended = true;
        self.arriving.close();
        Poll::Ready(ended.err().map(|error| Err(DataFusionError::External(Box::new(error)))))
    }
}

impl RecordBatchStream for Rows {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

/// Queries get the time that calls and landing leave.
fn give_way() {
    // Elsewhere niceness belongs to processes.
    #[cfg(target_os = "linux")]
    {
        use thread_priority::{ThreadPriority, ThreadPriorityValue};
        // Of 99: niceness 15; that of landing is 10.
        const LOW: u8 = 10;
        let low = ThreadPriorityValue::try_from(LOW).map(ThreadPriority::Crossplatform);
        if let Err(error) = low.map(ThreadPriority::set_for_current) {
            tracing::debug!(error, "queries run at the priority of calls");
        }
    }
}
