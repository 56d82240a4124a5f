//! A service that keeps what is written, or does not.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::server::{Asked, Reply, Server};

/// What is in the store: all that was written under a key.
pub type Store = Arc<Mutex<BTreeMap<String, Vec<String>>>>;

/// What happens to the write of this number, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Kept,
    /// Acknowledged, and not there.
    Lost,
    /// Acknowledged, and there twice.
    Twice,
    /// There, and the connection reset.
    Unacknowledged,
    /// Not there, and the connection reset.
    Dropped,
    /// There with another value.
    Changed,
    /// Refused.
    Refused,
}

pub struct Service {
    pub server: Server,
    pub store: Store,
    fates: Arc<Mutex<Vec<(String, Fate)>>>,
}

/// A service that writes with `PUT /orders/KEY`, and reads with `GET /orders/KEY` (all values of the
/// key) and `GET /orders` (each key as often as it is there). The first `deaf` reads fail.
pub fn service(fate: fn(u64) -> Fate, deaf: u64) -> Service {
    let (store, fates) = (Store::default(), Arc::<Mutex<Vec<(String, Fate)>>>::default());
    let (kept, told) = (Arc::clone(&store), Arc::clone(&fates));
    let reads = AtomicU64::new(0);
    let server = Server::start(move |asked: &Asked| {
        let mut kept = kept.lock().unwrap();
        let key = asked.path.trim_start_matches("/orders").trim_start_matches('/').to_owned();
        match asked.method.as_str() {
            "PUT" => {
                let fate = {
                    let mut told = told.lock().unwrap();
                    let fate = fate(told.len() as u64 + 1);
                    told.push((key.clone(), fate));
                    fate
                };
                let value = asked.body.clone();
                let values = match fate {
                    Fate::Kept | Fate::Unacknowledged => vec![value],
                    Fate::Lost | Fate::Dropped | Fate::Refused => vec![],
                    Fate::Twice => vec![value.clone(), value],
                    Fate::Changed => vec!["other".into()],
                };
                if !values.is_empty() {
                    kept.entry(key).or_default().extend(values);
                }
                match fate {
                    Fate::Unacknowledged | Fate::Dropped => Reply::Reset,
                    Fate::Refused => Reply::Answer(409, String::new()),
                    _ => Reply::Answer(201, String::new()),
                }
            }
            _ if reads.fetch_add(1, Ordering::Relaxed) < deaf => match deaf % 2 {
                0 => Reply::Answer(503, String::new()),
                _ => Reply::Reset,
            },
            _ if key.is_empty() => {
                let all = kept.iter().flat_map(|(key, values)| values.iter().map(move |_| key));
                let all: Vec<_> = all.map(|key| serde_json::json!({ "id": key })).collect();
                Reply::Answer(200, serde_json::json!({ "orders": all }).to_string())
            }
            _ => match kept.get(&key) {
                Some(values) => {
                    let count = values.len();
                    let body = serde_json::json!({ "count": count, "values": values });
                    Reply::Answer(200, body.to_string())
                }
                None => Reply::Answer(404, String::new()),
            },
        }
    });
    Service { server, store, fates }
}

impl Service {
    /// How many writes met this fate.
    pub fn count(&self, fate: Fate) -> u64 {
        self.fates.lock().unwrap().iter().filter(|(_, met)| *met == fate).count() as u64
    }

    /// The keys of those.
    pub fn keys(&self, fate: Fate) -> BTreeSet<String> {
        let fates = self.fates.lock().unwrap();
        fates.iter().filter(|(_, met)| *met == fate).map(|(key, _)| key.clone()).collect()
    }
}
