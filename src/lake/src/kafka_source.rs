//! A Kafka topic as a source: the partitions that the consumer group gives us, read from where the
//! tables say.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use stream::{Arrival, Broken, Intake, Membership, Settings, StreamError, What};

use crate::source::{Fetched, Item, Part, Positions, Source, SourceError, Stray};

/// Reads the topic as one of those who share it. Connects when it is first asked for records, and again
/// as often as that fails.
#[derive(Debug)]
pub struct KafkaSource {
    settings: Settings,
    room: PathBuf,
    accept_loss: bool,
    connected: Option<Connected>,
    /// Names of the partitions that are read.
    names: BTreeMap<i32, Arc<str>>,
    /// Partitions that must not be read on from where they have landed, and where that is.
    doubtful: BTreeMap<i32, i64>,
}

#[derive(Debug)]
struct Connected {
    intake: Intake,
    membership: Membership,
}

impl KafkaSource {
    /// A source of the topic; the parts of long records may wait in files in `room`. `accept_loss`: where the topic no longer has what should land next, go on
    /// with what it has. Fails only if the settings cannot work.
    pub fn new(settings: &Settings, room: &Path, accept_loss: bool) -> Result<KafkaSource, StreamError> {
        settings.check()?;
        Ok(KafkaSource {
            settings: settings.clone(),
            room: room.to_owned(),
            accept_loss,
            connected: None,
            names: BTreeMap::new(),
            doubtful: BTreeMap::new(),
        })
    }

    async fn connect(&mut self) -> Result<(), SourceError> {
        let failed = |error: StreamError| self.unavailable(error.to_string());
        let intake = Intake::open(&self.settings, &self.room, self.accept_loss)
            .await
            .map_err(failed)?;
        let membership = Membership::join(&self.settings).map_err(failed)?;
        self.connected = Some(Connected { intake, membership });
        Ok(())
    }

    fn name_of(&self, partition: i32) -> Arc<str> {
        format!("{}/{partition}", self.settings.topic).into()
    }

    fn unavailable(&self, what: String) -> SourceError {
        SourceError::Unavailable {
            source_name: self.settings.topic.clone(),
            what,
        }
    }

    /// The first of the partitions read here that must not be.
    fn in_doubt(&self) -> Option<SourceError> {
        let (partition, at) = (self.doubtful.iter()).find(|(partition, _)| self.names.contains_key(partition))?;
        Some(SourceError::Damaged {
            source_name: format!("Kafka topic {}", self.settings.topic),
            partition: self.name_of(*partition),
            at: *at,
            what: "the broker refused a position that it has: the topic was made anew or cut, and has grown past what has landed from it; what stands there now is something else".to_owned(),
        })
    }

    fn broken(&self, broken: Broken) -> SourceError {
        let source_name = format!("Kafka topic {}", self.settings.topic);
        match broken {
            Broken::Cut {
                partition,
                wanted,
                oldest,
            } => SourceError::Cut {
                source_name,
                partition: self.name_of(partition),
                wanted,
                oldest,
            },
            Broken::Short { partition, wanted, end } => SourceError::Damaged {
                source_name,
                partition: self.name_of(partition),
                at: wanted,
                what: format!(
                    "the partition ends at {end}, before what has landed from it: the topic was made anew, or a broker lost what it had acknowledged"
                ),
            },
            Broken::Damaged {
                partition,
                position,
                why,
            } => SourceError::Damaged {
                source_name,
                partition: self.name_of(partition),
                at: position,
                what: format!(
                    "a batch does not match its checksum ({why}): look at the disk of the partition's leader, another replica may be whole. `weir analytics --accept-loss` goes on behind it"
                ),
            },
            // Kept by `fetch`, and told one by one.
            Broken::Doubtful(_) => self.unavailable("a position was refused".to_owned()),
            Broken::Stale(what) | Broken::Other(what) => self.unavailable(what),
        }
    }
}

impl Source for KafkaSource {
    fn name(&self) -> &str {
        "kafka"
    }

    fn partitions(&mut self) -> Vec<Arc<str>> {
        let Some(connected) = &mut self.connected else {
            return Vec::new();
        };
        let ours = connected.membership.take();
        self.names = ours
            .iter()
            .map(|partition| (*partition, self.name_of(*partition)))
            .collect();
        self.names.values().cloned().collect()
    }

    fn ends_with_us(&self) -> bool {
        false
    }

    fn must_stay(&self) -> bool {
        !self.doubtful.is_empty()
    }

    async fn begin(&mut self, landed: BTreeMap<Arc<str>, Option<i64>>) -> Result<Positions, SourceError> {
        // Only what is landed here is read: a partition that has stopped stays out.
        self.names.retain(|_, name| landed.contains_key(name));
        if let Some(error) = self.in_doubt() {
            return Err(error);
        }
        let Some(Connected { intake, .. }) = &self.connected else {
            return Ok(Positions::new());
        };
        let mut begin = BTreeMap::new();
        for (partition, name) in &self.names {
            let known = landed.get(name).copied().flatten();
            let position = match known {
                Some(position) if !self.accept_loss => position,
                known => {
                    let oldest = (intake.oldest(*partition).await).map_err(|e| self.unavailable(e.to_string()))?;
                    match known {
                        // Nothing of it has landed, and its begin is gone.
                        None if oldest > 0 && !self.accept_loss => {
                            return Err(self.broken(Broken::Cut {
                                partition: *partition,
                                wanted: 0,
                                oldest,
                            }));
                        }
                        None => oldest,
                        Some(position) if position < oldest => {
                            tracing::error!(partition = %name, from = position, to = oldest - 1, "positions of the topic are gone: their loss was accepted");
                            oldest
                        }
                        Some(position) => position,
                    }
                }
            };
            begin.insert(*partition, position);
        }
        intake.begin(begin.clone());
        let named = begin
            .iter()
            .filter_map(|(partition, position)| Some((self.names.get(partition)?.clone(), *position)));
        Ok(named.collect())
    }

    async fn fetch(&mut self, max_bytes: usize) -> Result<Fetched, SourceError> {
        let Some(Connected { intake, membership }) = &self.connected else {
            self.connect().await?;
            return Ok(Fetched::default());
        };
        if membership.has_moved() {
            return Err(SourceError::Moved {
                source_name: self.settings.topic.clone(),
            });
        }
        let arrivals = match intake.take(max_bytes) {
            Ok(arrivals) => arrivals,
            Err(Broken::Stale(why)) => {
                self.connected = None;
                return Err(self.unavailable(why));
            }
            Err(Broken::Doubtful(partitions)) => {
                self.doubtful.extend(partitions);
                let other = self.unavailable("a position was refused".to_owned());
                return Err(self.in_doubt().unwrap_or(other));
            }
            Err(broken) => return Err(self.broken(broken)),
        };
        let more = arrivals.iter().map(size).sum::<usize>() >= max_bytes / 2;
        let mut by_partition: BTreeMap<i32, Vec<Arrival>> = BTreeMap::new();
        for arrival in arrivals {
            by_partition.entry(arrival.partition).or_default().push(arrival);
        }
        let mut parts = Vec::with_capacity(by_partition.len());
        for (partition, arrivals) in by_partition {
            let Some(name) = self.names.get(&partition).cloned() else {
                continue;
            };
            parts.push(tokio::task::spawn_blocking(move || part(name, arrivals)));
        }
        let mut fetched = Fetched {
            more,
            ..Fetched::default()
        };
        for part in parts {
            let part = part.await.map_err(|e| self.unavailable(e.to_string()))?;
            fetched.parts.push(part);
        }
        Ok(fetched)
    }

    async fn wait(&mut self) {
        let Some(Connected { intake, membership }) = &mut self.connected else {
            return;
        };
        tokio::select! {
            () = intake.wait() => {}
            () = membership.moved() => {}
        }
    }

    async fn landed(&mut self, _next: &Positions) -> Result<(), SourceError> {
        // The table's transactions say it; the topic forgets by its own clock.
        Ok(())
    }
}

/// Roughly the bytes that the intake counts for it, whether or not it is a duplicate.
fn size(arrival: &Arrival) -> usize {
    256 + match &arrival.what {
        What::Record { payload, .. } => payload.len(),
        What::Unreadable { raw, .. } | What::Stray { raw, .. } => raw.len(),
        What::Nothing => 0,
    }
}

/// Reads the messages of one partition. CPU-bound.
fn part(name: Arc<str>, arrivals: Vec<Arrival>) -> Part {
    let mut part = Part {
        partition: name,
        items: Vec::with_capacity(arrivals.len()),
        ..Part::default()
    };
    for arrival in arrivals {
        part.next = arrival.next;
        match arrival.what {
            What::Nothing => {}
            What::Stray { position, raw, why } => part.strays.push(Stray { position, raw, why }),
            What::Unreadable {
                journal_id,
                offset,
                raw,
                why,
                begins,
            } => {
                if begins {
                    part.begins.push((journal_id, offset));
                }
                part.items.push(Item::Unreadable {
                    journal_id,
                    offset,
                    raw,
                    why,
                });
            }
            What::Record {
                journal_id,
                offset,
                payload,
                begins,
            } => {
                if begins {
                    part.begins.push((journal_id, offset));
                }
                part.items.push(Item::read(journal_id, offset, payload));
            }
        }
    }
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first record that a journal ever shipped may be one that it could not read any more.
    #[test]
    fn a_journal_may_begin_with_what_is_unreadable() {
        let journal_id = event::JournalId::new();
        let arrival = Arrival {
            partition: 3,
            next: 8,
            what: What::Unreadable {
                journal_id,
                offset: 40,
                raw: b"torn".to_vec(),
                why: "torn".to_owned(),
                begins: true,
            },
        };
        let part = part("t/3".into(), vec![arrival]);
        assert_eq!(
            (part.begins, part.items.len(), part.next),
            (vec![(journal_id, 40)], 1, 8)
        );
    }
}
