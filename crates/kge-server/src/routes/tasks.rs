//! `/tasks`: watching and stopping work.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use hyper::{StatusCode, header};
use kge_catalog::DatasetId;
use kge_jobs::{EventId, Filter, Kind, State, Task, TaskId};

use super::{next, with};
use crate::{
    http::{self, BoxError, Problem, Request, empty, json, kind},
    router::{Answer, Route, routes},
    types::{TaskEnvelope, TaskView},
};

/// How long an event stream stays silent before it says that it is alive.
const ALIVE: Duration = Duration::from_secs(15);

/// Events read at once.
const BATCH: usize = 100;

pub(super) fn routes() -> Vec<Route> {
    routes![list_tasks Read, get_task Read, task_events Read, cancel_task Train]
}

/// List tasks
///
/// The newest first.
#[utoipa::path(get, path = "/tasks", tag = "tasks",
    params(
        ("kind" = Option<String>, Query, description = "`train`, `import`, …"),
        ("state" = Option<String>, Query, description = "`queued`, `running`, `SUCCESS`, …"),
        ("dataset" = Option<u64>, Query, description = "Of this dataset"),
        ("limit" = Option<usize>, Query, description = "At most so many; 1000 if left out"),
        ("cursor" = Option<u64>, Query, description = "Those before this id; see the `Link` header"),
    ),
    responses((status = 200, description = "Tasks", body = Vec<TaskEnvelope>)))]
async fn list_tasks(request: Request) -> Answer {
    let query = &request.query;
    let filter = Filter {
        kind: query.text("kind").map(read_kind).transpose()?,
        state: query.text("state").map(read_state).transpose()?,
        dataset: query.integer("dataset")?,
        ..Filter::default()
    };
    let limit: usize = query.integer("limit")?.unwrap_or(1000).min(1000);
    let before = query.integer("cursor")?.map(TaskId);
    let mut tasks = request.app.jobs.tasks(filter, before, limit + 1).await?;
    let more = tasks.len() > limit;
    tasks.truncate(limit);
    let last = tasks.last().filter(|_| more).map(|task| task.id.to_string());
    tasks.retain(|task| request.sees(task.dataset));
    let views: Vec<_> =
        tasks.iter().map(|task| TaskEnvelope { task: TaskView::new(task, false) }).collect();
    let reply = json(StatusCode::OK, &views);
    let path = format!("{}/tasks", request.app.prefix);
    Ok(last
        .map(|last| next(&path, query, &last))
        .into_iter()
        .fold(reply, |reply, link| with(reply, header::LINK, &link)))
}

/// Get a task
///
/// A task that succeeded answers 303 to its dataset, with the task as body; with `no_redirect`,
/// 200.
#[utoipa::path(get, path = "/tasks/{id}", tag = "tasks",
    params(
        ("id" = u64, Path, description = "The task"),
        ("no_redirect" = Option<String>, Query, description = "Answer 200 also when it succeeded"),
        ("get_debug_info" = Option<String>, Query, description = "With `debug`"),
    ),
    responses(
        (status = 200, description = "The task", body = TaskEnvelope),
        (status = 303, description = "The task has succeeded; `Location` is its dataset", body = TaskEnvelope),
    ))]
async fn get_task(request: Request) -> Answer {
    let task = task(&request).await?;
    let view = TaskView::new(&task, request.query.lenient_boolean("get_debug_info"));
    let done = task.state == State::Succeeded;
    if let Some(dataset) = task.dataset.filter(|_| done) {
        // Whoever sees the success here asks the new model next.
        request.app.served.forget(DatasetId(dataset));
    }
    let status = match done && !request.query.lenient_boolean("no_redirect") {
        true if task.dataset.is_some() => StatusCode::SEE_OTHER,
        _ => StatusCode::OK,
    };
    let reply = json(status, &TaskEnvelope { task: view });
    let location = task.dataset.filter(|_| done);
    Ok(location.into_iter().fold(reply, |reply, dataset| {
        with(reply, header::LOCATION, &format!("{}/datasets/{dataset}", request.app.prefix))
    }))
}

/// Follow a task
///
/// Server-sent events `state`, `progress` and `log`, from the one after `Last-Event-ID`; the
/// stream ends when the task has, and 204 tells a client that comes back to stop.
#[utoipa::path(get, path = "/tasks/{id}/events", tag = "tasks",
    params(
        ("id" = u64, Path, description = "The task"),
        ("Last-Event-ID" = Option<u64>, Header, description = "The last event seen"),
    ),
    responses(
        (status = 200, description = "Events", content_type = "text/event-stream", body = String),
        (status = 204, description = "The task has ended and every event was seen"),
    ))]
async fn task_events(request: Request) -> Answer {
    let id = task(&request).await?.id;
    let last = request.parts.headers.get("last-event-id");
    let last = last.and_then(|id| id.to_str().ok()?.trim().parse().ok());
    let after = EventId(last.unwrap_or(0));
    let app = request.app;
    if last.is_some()
        && app.jobs.task(id).await?.state.is_final()
        && app.jobs.events(id, after, 1).await?.is_empty()
    {
        return Ok(empty(StatusCode::NO_CONTENT));
    }
    let chunks = stream::try_unfold(Some(after), move |after| {
        let app = std::sync::Arc::clone(&app);
        async move {
            let Some(after) = after else { return Ok(None) };
            // Before its events: what it had written when it ended must not be missed.
            let ended = app.jobs.task(id).await?.state.is_final();
            let events = app.jobs.events(id, after, BATCH).await?;
            if let Some(last) = events.last() {
                let reached = last.id;
                return Ok(Some((Bytes::from(rendered(&events)), Some(reached))));
            }
            if ended {
                return Ok(None);
            }
            let waited = tokio::select! {
                waited = app.jobs.wait_for_event(id, after, ALIVE) => waited,
                () = app.stopping.cancelled() => return Ok(None),
            };
            waited?;
            Ok::<_, BoxError>(Some((Bytes::from_static(b": alive\n\n"), Some(after))))
        }
    });
    let reply = http::stream("text/event-stream", chunks);
    let reply = with(reply, header::CACHE_CONTROL, "no-store");
    Ok(with(reply, header::HeaderName::from_static("x-accel-buffering"), "no"))
}

/// Cancel a task
#[utoipa::path(delete, path = "/tasks/{id}", tag = "tasks",
    params(("id" = u64, Path, description = "The task")),
    responses(
        (status = 202, description = "It is being stopped", body = TaskEnvelope),
        (status = 204, description = "It is cancelled"),
    ))]
async fn cancel_task(request: Request) -> Answer {
    let task = task(&request).await?;
    match task.state {
        State::Cancelled => return Ok(empty(StatusCode::NO_CONTENT)),
        State::Succeeded | State::Failed => {
            let words = format!("task {} has ended: there is nothing to cancel", task.id);
            return Err(Problem::new(&kind::CONFLICT, words));
        }
        _ => {}
    }
    let task = request.app.jobs.cancel(task.id).await?;
    if task.state == State::Cancelled {
        return Ok(empty(StatusCode::NO_CONTENT));
    }
    let reply = json(StatusCode::ACCEPTED, &TaskEnvelope { task: TaskView::new(&task, false) });
    let reply = with(reply, header::RETRY_AFTER, "1");
    Ok(with(reply, header::LOCATION, &format!("{}/tasks/{}", request.app.prefix, task.id)))
}

async fn task(request: &Request) -> Result<Task, Problem> {
    let id = TaskId(request.number("task", "id")?);
    Ok(request.app.jobs.task(id).await?)
}

fn rendered(events: &[kge_jobs::Event]) -> String {
    let one = |event: &kge_jobs::Event| {
        let mut data = event.data.clone();
        if let Some(members) = data.as_object_mut() {
            members.entry("at").or_insert_with(|| event.at.to_string().into());
        }
        format!("id: {}\nevent: {}\ndata: {data}\n\n", event.id.0, event.name)
    };
    events.iter().map(one).collect()
}

fn read_kind(text: &str) -> Result<Kind, Problem> {
    let known = "import, crawl, train, index, names, tune, discover or export";
    serde_json::from_value(text.to_lowercase().into()).map_err(|_| unreadable("kind", text, known))
}

fn read_state(text: &str) -> Result<State, Problem> {
    Ok(match text.to_lowercase().as_str() {
        "queued" | "pending" => State::Queued,
        "delayed" | "retry" => State::Delayed,
        "running" | "started" => State::Running,
        "succeeded" | "success" => State::Succeeded,
        "failed" | "failure" => State::Failed,
        "cancelled" | "revoked" => State::Cancelled,
        _ => {
            let known = "queued, delayed, running, succeeded, failed or cancelled";
            return Err(unreadable("state", text, known));
        }
    })
}

fn unreadable(name: &str, found: &str, known: &str) -> Problem {
    let words = format!("the parameter \"{name}\" is \"{found}\", expected {known}");
    Problem::new(&kind::INVALID_PARAMETER, words)
}
