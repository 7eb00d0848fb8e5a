//! Who may do what: the key a request shows, held against what its route needs.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use hyper::{HeaderMap, header};
use jiff::Timestamp;
use kge_catalog::{Catalog, DatasetId, KeyRecord, ModelId, Scope};
use kge_jobs::TaskId;

use crate::{
    app::App,
    http::{Problem, kind},
    router::{Parameters, Route},
};

/// How long what the store said of a key is believed.
const BELIEVED: Duration = Duration::from_secs(1);

/// How often a key's last use is written down.
const NOTED: Duration = Duration::from_secs(60);

/// Keys looked at lately, at most.
const REMEMBERED: usize = 10_000;

/// The datasets a request may see; `None` for all.
pub(crate) type Sight = Option<BTreeSet<DatasetId>>;

/// Keys that were shown lately.
#[derive(Default)]
pub(crate) struct Keys {
    shown: Mutex<HashMap<String, Shown>>,
}

struct Shown {
    record: Option<Arc<KeyRecord>>,
    read: Instant,
    noted: Option<Instant>,
}

impl Keys {
    /// Lets a request in, and says which datasets it may see.
    ///
    /// # Errors
    /// 401 without a key that is good today; 403 if the key does not allow this.
    pub(crate) async fn admit(
        &self,
        app: &App,
        headers: &HeaderMap,
        route: &Route,
        parameters: &Parameters,
    ) -> Result<Sight, Problem> {
        let Some(scope) = route.scope.of_keys() else { return Ok(None) };
        let key = bearer(headers).ok_or_else(|| {
            unauthorised("this server asks for a key: Authorization: Bearer kge_…; kge key create")
        })?;
        let record = self.record(&app.catalog, key).await?;
        let record = record.ok_or_else(|| unauthorised("there is no such key"))?;
        if record.has_expired(Timestamp::now()) {
            return Err(unauthorised("this key has expired"));
        }
        if !record.allows(scope) {
            let has: Vec<_> = record.scopes.iter().map(|scope| scope.name()).collect();
            let (name, has) = (&record.name, has.join(", "));
            let words = format!("the key \"{name}\" allows {has}; this needs {scope}");
            return Err(Problem::new(&kind::FORBIDDEN, words));
        }
        let Some(sight) = &record.datasets else { return Ok(None) };
        within(app, &record, sight, route, parameters).await?;
        Ok(Some(sight.clone()))
    }

    /// What the store says of a key, asked at most once a second.
    async fn record(
        &self,
        catalog: &Catalog,
        key: &str,
    ) -> Result<Option<Arc<KeyRecord>>, Problem> {
        let noted = match self.lock().get(key) {
            Some(shown) if shown.read.elapsed() < BELIEVED => return Ok(shown.record.clone()),
            Some(shown) => shown.noted,
            None => None,
        };
        let record = catalog.key_shown(key).await?.map(Arc::new);
        let due = noted.is_none_or(|noted| noted.elapsed() >= NOTED);
        let noted = match &record {
            Some(record) if due => {
                note(catalog.clone(), record.id.clone());
                Some(Instant::now())
            }
            _ => noted,
        };
        let mut all = self.lock();
        if all.len() >= REMEMBERED {
            all.clear();
        }
        let shown = Shown { record: record.clone(), read: Instant::now(), noted };
        all.insert(key.to_owned(), shown);
        Ok(record)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Shown>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn note(catalog: Catalog, id: String) {
    tokio::spawn(async move {
        if let Err(error) = catalog.note_key_used(&id).await {
            tracing::warn!(%error, key = id, "a key's last use was not written down");
        }
    });
}

/// A key for some datasets opens only what belongs to them, and what belongs to none but changes
/// nothing. What it may not see is not there.
async fn within(
    app: &App,
    record: &KeyRecord,
    sight: &BTreeSet<DatasetId>,
    route: &Route,
    parameters: &Parameters,
) -> Result<(), Problem> {
    let id = parameters.iter().find(|(name, _)| name == "id").map(|(_, id)| id.as_str());
    let number = id.and_then(|id| id.parse().ok());
    let (what, dataset) = match (route.path.split('/').nth(1), number) {
        (Some("datasets"), Some(id)) => ("dataset", Some(id)),
        (Some("models"), Some(id)) => {
            ("model", Some(app.catalog.model(ModelId(id)).await?.dataset))
        }
        (Some("tasks"), Some(id)) => ("task", app.jobs.task(TaskId(id)).await?.dataset),
        _ if route.scope.of_keys() == Some(Scope::Read) => return Ok(()),
        _ => {
            let words =
                format!("the key \"{}\" is for some datasets; this is for all", record.name);
            return Err(Problem::new(&kind::FORBIDDEN, words));
        }
    };
    match dataset {
        Some(dataset) if sight.contains(&DatasetId(dataset)) => Ok(()),
        _ => Err(Problem::unknown(what, id.unwrap_or_default(), None)),
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, key) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

fn unauthorised(words: &str) -> Problem {
    Problem::new(&kind::UNAUTHORISED, words)
        .with_header(header::WWW_AUTHENTICATE, "Bearer realm=\"kge\"")
}
