//! The checks themselves.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Check, Handles, Verdict};
use crate::{
    Claim, Claimant, Error, Event, EventId, Failure, FencingToken, Filter, Heartbeat,
    HeartbeatAnswer, JobStore, Kind, Needs, NewTask, Progress, RETRY_BASE, State, TaskId, WorkerId,
    WorkerInfo,
};

macro_rules! checks {
    ($($name:ident),* $(,)?) => {
        /// Every behaviour that a job store has to show.
        pub const CHECKS: &[Check] = &[
            $(Check { name: stringify!($name), run: |handles| Box::pin($name(handles)) }),*
        ];
    };
}

checks![
    a_new_task_is_queued_and_found,
    an_unknown_task_is_named,
    the_highest_priority_is_claimed_first_then_the_oldest,
    only_the_claimants_kinds_are_handed_out,
    needs_must_all_be_offered,
    a_task_is_handed_out_once,
    many_claimants_share_without_overlap,
    a_nonce_gives_the_same_live_claim,
    tokens_grow_and_are_at_least_the_clock,
    completing_ends_the_task_with_its_result,
    a_stale_token_changes_nothing,
    a_heartbeat_extends_the_lease_and_carries_progress,
    a_delayed_task_waits_for_its_time,
    a_retryable_failure_is_delayed_then_tried_again,
    a_failure_of_the_user_is_not_retried,
    attempts_run_out,
    an_expired_lease_is_reaped,
    a_claim_takes_back_expired_leases,
    leases_that_run_out_fail_the_task_with_its_history,
    handing_back_costs_no_attempt,
    cancelling_a_waiting_task_ends_it_at_once,
    cancelling_a_running_task_tells_its_holder,
    a_cancelled_task_is_not_tried_again,
    cancelling_reaches_children,
    waiting_for_cancel_ends_when_the_lease_is_lost,
    a_paused_kind_is_not_handed_out,
    every_transition_is_an_event,
    the_event_stream_is_ordered_and_bounded,
    waiting_for_an_event_ends_when_it_comes,
    waiting_for_work_ends_when_it_comes,
    work_that_came_before_the_wait_is_not_missed,
    waiting_for_work_ends_when_a_delay_does,
    waits_end_with_their_patience,
    lists_are_filtered_and_paged,
    only_ended_tasks_are_removed,
    ended_tasks_are_forgotten_by_age,
    workers_are_visible,
    the_store_answers,
];

/// A lease that outlives the check.
const LONG: Duration = Duration::from_secs(60);
/// A lease that is over before the next step but one.
const SHORT: Duration = Duration::from_millis(20);
/// The longest that something which is due may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

macro_rules! expect {
    ($condition:expr, $($words:tt)+) => {
        if !$condition {
            return Err(format!($($words)+).into());
        }
    };
}

macro_rules! expect_eq {
    ($seen:expr, $expected:expr) => {{
        let (seen, expected) = (&$seen, &$expected);
        expect!(seen == expected, "{} is {seen:?}, expected {expected:?}", stringify!($seen));
    }};
}

fn new(kind: Kind) -> NewTask {
    NewTask::new(kind, Some(7), json!({ "colour": "red" }))
}

fn claimant(nonce: u64, lease: Duration) -> Claimant {
    Claimant {
        worker: WorkerId("worker".into()),
        kinds: vec![Kind::Train, Kind::Import],
        features: vec![],
        nonce,
        lease,
    }
}

/// A claim that must succeed.
async fn claim(store: &dyn JobStore, nonce: u64, lease: Duration) -> Result<Claim, Error> {
    let claim = store.claim(claimant(nonce, lease)).await?;
    claim.ok_or(Error::Unavailable {
        location: "conformance".into(),
        reason: format!("nothing to claim for nonce {nonce}"),
    })
}

/// Claims as soon as something is ready.
async fn claim_soon(store: &dyn JobStore, nonce: u64) -> Result<Option<Claim>, Error> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Some(claim) = store.claim(claimant(nonce, LONG)).await? {
            return Ok(Some(claim));
        }
        store.wait_for_work(PATIENCE).await?;
    }
    Ok(None)
}

fn failure(retryable: bool) -> Failure {
    Failure { kind: "io".into(), message: "the disk is full".into(), retryable }
}

async fn states(store: &dyn JobStore, task: TaskId) -> Result<Vec<String>, Error> {
    let events = store.events(task, EventId(0), 1000).await?;
    let state = |event: &Event| event.data["state"].as_str().unwrap_or("?").to_owned();
    Ok(events.iter().filter(|event| event.name == "state").map(state).collect())
}

async fn a_new_task_is_queued_and_found(on: Handles) -> Verdict {
    let mut wanted = new(Kind::Train);
    wanted.priority = 3;
    wanted.needs = Needs { features: vec!["simd:avx2".into()] };
    let made = on.server.enqueue(wanted).await?;
    expect_eq!(made.state, State::Queued);
    expect_eq!(made.kind, Kind::Train);
    expect_eq!(made.dataset, Some(7));
    expect_eq!(made.payload, json!({ "colour": "red" }));
    expect_eq!(made.priority, 3);
    expect_eq!(made.needs.features, ["simd:avx2"]);
    expect_eq!(made.max_attempts, 3);
    expect!(made.attempts.is_empty(), "attempts before the first claim");
    expect_eq!(on.worker.task(made.id).await?, made);
    let second = on.server.enqueue(new(Kind::Train)).await?;
    expect!(second.id > made.id, "{} after {}", second.id, made.id);
    Ok(())
}

async fn an_unknown_task_is_named(on: Handles) -> Verdict {
    let id = TaskId(4711);
    let answers = [
        on.server.task(id).await.err(),
        on.server.cancel(id).await.err(),
        on.server.remove(id).await.err(),
        on.server.events(id, EventId(0), 10).await.err(),
    ];
    for answer in answers {
        expect!(matches!(answer, Some(Error::UnknownTask(TaskId(4711)))), "answer is {answer:?}");
    }
    Ok(())
}

async fn the_highest_priority_is_claimed_first_then_the_oldest(on: Handles) -> Verdict {
    let mut made = Vec::new();
    for (kind, priority) in [
        (Kind::Train, 0),
        (Kind::Import, 5),
        (Kind::Train, 5),
        (Kind::Train, -1),
        (Kind::Import, 0),
    ] {
        let task = NewTask { priority, ..new(kind) };
        made.push(on.server.enqueue(task).await?.id);
    }
    let mut order = Vec::new();
    for nonce in 0..5 {
        let claimed = claim(&*on.worker, nonce, LONG).await?.task.id;
        order.push(made.iter().position(|&id| id == claimed).unwrap_or(usize::MAX));
    }
    expect_eq!(order, [1, 2, 0, 4, 3]);
    Ok(())
}

async fn only_the_claimants_kinds_are_handed_out(on: Handles) -> Verdict {
    on.server.enqueue(new(Kind::Export)).await?;
    let train = on.server.enqueue(new(Kind::Train)).await?;
    expect_eq!(claim(&*on.worker, 1, LONG).await?.task.id, train.id);
    expect!(on.worker.claim(claimant(2, LONG)).await?.is_none(), "an export was handed out");
    Ok(())
}

async fn needs_must_all_be_offered(on: Handles) -> Verdict {
    let needs = Needs { features: vec!["simd:avx512".into(), "precision:bf16".into()] };
    let picky = on.server.enqueue(NewTask { needs, ..new(Kind::Train) }).await?;
    let plain = on.server.enqueue(new(Kind::Train)).await?;
    let offering = |nonce, features: &[&str]| Claimant {
        features: features.iter().map(|&word| word.to_owned()).collect(),
        ..claimant(nonce, LONG)
    };
    let half = on.worker.claim(offering(1, &["precision:bf16"])).await?;
    expect_eq!(half.map(|claim| claim.task.id), Some(plain.id));
    expect!(on.worker.claim(offering(2, &["simd:avx512"])).await?.is_none(), "half was enough");
    let all = on.worker.claim(offering(3, &["simd:avx512", "x", "precision:bf16"])).await?;
    expect_eq!(all.map(|claim| claim.task.id), Some(picky.id));
    Ok(())
}

async fn a_task_is_handed_out_once(on: Handles) -> Verdict {
    let made = on.server.enqueue(new(Kind::Train)).await?;
    let claim = claim(&*on.worker, 1, LONG).await?;
    expect_eq!(claim.task.id, made.id);
    expect_eq!(claim.task.state, State::Running);
    expect_eq!(claim.task.attempts.len(), 1);
    expect_eq!(claim.task.attempts[0].worker, WorkerId("worker".into()));
    expect_eq!(claim.task.attempts[0].token, claim.token);
    expect!(claim.task.attempts[0].end.is_none(), "the live attempt has an end");
    expect!(claim.task.started.is_some(), "running and not started");
    expect!(claim.lease_expiry > Timestamp::now(), "the lease is over at once");
    expect!(on.worker.claim(claimant(2, LONG)).await?.is_none(), "handed out twice");
    expect!(on.server.claim(claimant(3, LONG)).await?.is_none(), "handed out twice");
    Ok(())
}

async fn many_claimants_share_without_overlap(on: Handles) -> Verdict {
    const TASKS: usize = 24;
    let mut made = Vec::new();
    for _ in 0..TASKS {
        made.push(on.server.enqueue(new(Kind::Train)).await?.id);
    }
    let mut claims = tokio::task::JoinSet::new();
    for nonce in 0..TASKS as u64 + 8 {
        let store = if nonce % 2 == 0 { on.server.clone() } else { on.worker.clone() };
        claims.spawn(async move { store.claim(claimant(nonce, LONG)).await });
    }
    let mut claimed = Vec::new();
    while let Some(claim) = claims.join_next().await {
        claimed.extend(claim??.map(|claim| claim.task.id));
    }
    claimed.sort();
    expect_eq!(claimed, made);
    Ok(())
}

async fn a_nonce_gives_the_same_live_claim(on: Handles) -> Verdict {
    on.server.enqueue(new(Kind::Train)).await?;
    on.server.enqueue(new(Kind::Train)).await?;
    let first = claim(&*on.worker, 9, LONG).await?;
    let again = claim(&*on.server, 9, LONG).await?;
    expect_eq!((again.task.id, again.token), (first.task.id, first.token));
    expect_eq!(again.lease_expiry, first.lease_expiry);
    let stranger = Claimant { worker: WorkerId("stranger".into()), ..claimant(9, LONG) };
    let theirs = on.worker.claim(stranger).await?.map(|claim| claim.task.id);
    expect!(theirs.is_some() && theirs != Some(first.task.id), "a stranger got {theirs:?}");
    on.worker.complete(first.task.id, first.token, Value::Null).await?;
    let after = on.worker.claim(claimant(9, LONG)).await?;
    expect!(after.is_none(), "a claim that has ended came back");
    Ok(())
}

async fn tokens_grow_and_are_at_least_the_clock(on: Handles) -> Verdict {
    let mut last = FencingToken(0);
    for nonce in 0..8 {
        on.server.enqueue(new(Kind::Train)).await?;
        let clock = Timestamp::now().as_millisecond().unsigned_abs();
        let token = claim(&*on.worker, nonce, LONG).await?.token;
        expect!(token > last, "{token:?} after {last:?}");
        expect!(token.0 >= clock, "{token:?} at {clock}");
        last = token;
    }
    Ok(())
}

async fn completing_ends_the_task_with_its_result(on: Handles) -> Verdict {
    on.server.enqueue(new(Kind::Train)).await?;
    let Claim { task, token, .. } = claim(&*on.worker, 1, LONG).await?;
    let done = on.worker.complete(task.id, token, json!({ "mrr": 0.34 })).await?;
    expect_eq!(done.state, State::Succeeded);
    expect_eq!(done.result, Some(json!({ "mrr": 0.34 })));
    expect!(done.finished.is_some(), "ended and not finished");
    let how = done.attempts[0].end.as_ref().map(|end| end.how.as_str());
    expect_eq!(how, Some("succeeded"));
    expect_eq!(on.server.task(task.id).await?, done);
    Ok(())
}

async fn a_stale_token_changes_nothing(on: Handles) -> Verdict {
    on.server.enqueue(new(Kind::Train)).await?;
    let Claim { task, token: stale, .. } = claim(&*on.worker, 1, LONG).await?;
    on.worker.hand_back(task.id, stale).await?;
    let live = claim(&*on.worker, 2, LONG).await?;
    let before = on.server.task(task.id).await?;
    let beat = Heartbeat { task: task.id, token: stale, lease: LONG, progress: None };
    expect_eq!(on.worker.heartbeat(beat).await?, HeartbeatAnswer::LeaseLost);
    let answers = [
        on.worker.complete(task.id, stale, Value::Null).await.err(),
        on.worker.fail(task.id, stale, failure(false)).await.err(),
        on.worker.acknowledge_cancel(task.id, stale).await.err(),
        on.worker.hand_back(task.id, stale).await.err(),
        on.worker.log(task.id, stale, "log".into(), Value::Null).await.err(),
    ];
    for answer in answers {
        expect!(matches!(answer, Some(Error::LeaseLost(_))), "answer is {answer:?}");
    }
    expect_eq!(on.server.task(task.id).await?, before);
    on.worker.complete(task.id, live.token, Value::Null).await?;
    let twice = on.worker.complete(task.id, live.token, json!(2)).await.err();
    expect!(matches!(twice, Some(Error::LeaseLost(_))), "completed twice: {twice:?}");
    Ok(())
}

async fn a_heartbeat_extends_the_lease_and_carries_progress(on: Handles) -> Verdict {
    on.server.enqueue(new(Kind::Train)).await?;
    let Claim { task, token, lease_expiry } = claim(&*on.worker, 1, LONG).await?;
    let progress = Progress { step: 12, current: Some(3), total: Some(10), ..Progress::default() };
    let beat = |progress| Heartbeat { task: task.id, token, lease: 2 * LONG, progress };
    match on.worker.heartbeat(beat(Some(progress.clone()))).await? {
        HeartbeatAnswer::Extended(until) => {
            expect!(until > lease_expiry, "{until} after {lease_expiry}");
        }
        other => return Err(format!("answer is {other:?}").into()),
    }
    on.worker.heartbeat(beat(None)).await?;
    expect_eq!(on.server.task(task.id).await?.progress, Some(progress.clone()));
    let events = on.server.events(task.id, EventId(0), 100).await?;
    let told: Vec<_> = events.iter().filter(|event| event.name == "progress").collect();
    expect_eq!(told.len(), 1);
    expect_eq!(told[0].data, json!(progress));
    Ok(())
}

async fn a_delayed_task_waits_for_its_time(on: Handles) -> Verdict {
    let later = on.server.enqueue(NewTask { delay: LONG, ..new(Kind::Train) }).await?;
    expect_eq!(later.state, State::Delayed);
    expect!(on.worker.claim(claimant(1, LONG)).await?.is_none(), "handed out before its time");
    let soon = on.server.enqueue(NewTask { delay: SHORT, ..new(Kind::Train) }).await?;
    tokio::time::sleep(3 * SHORT).await;
    expect_eq!(on.server.task(soon.id).await?.state, State::Queued);
    let queued = Filter { state: Some(State::Queued), ..Filter::default() };
    expect_eq!(on.server.tasks(queued, None, 10).await?.len(), 1);
    expect_eq!(claim(&*on.worker, 2, LONG).await?.task.id, soon.id);
    expect_eq!(states(&*on.server, soon.id).await?, ["delayed", "queued", "running"]);
    Ok(())
}

async fn a_retryable_failure_is_delayed_then_tried_again(on: Handles) -> Verdict {
    on.server.enqueue(new(Kind::Train)).await?;
    let Claim { task, token, .. } = claim(&*on.worker, 1, LONG).await?;
    let failed = on.worker.fail(task.id, token, failure(true)).await?;
    // The draw may be a wait of nothing.
    expect!(matches!(failed.state, State::Delayed | State::Queued), "{:?}", failed.state);
    let latest = Timestamp::now().saturating_add(RETRY_BASE)?;
    expect!(failed.ready_at <= latest, "ready at {}, later than {latest}", failed.ready_at);
    let how = failed.attempts[0].end.as_ref().map(|end| end.how.as_str());
    expect_eq!(how, Some("the disk is full"));
    let Some(again) = claim_soon(&*on.worker, 2).await? else {
        return Err("not tried again".into());
    };
    expect_eq!(again.task.id, task.id);
    expect_eq!(again.task.attempts.len(), 2);
    expect!(again.token > token, "{:?} after {token:?}", again.token);
    Ok(())
}

async fn a_failure_of_the_user_is_not_retried(on: Handles) -> Verdict {
    on.server.enqueue(new(Kind::Train)).await?;
    let Claim { task, token, .. } = claim(&*on.worker, 1, LONG).await?;
    let failed = on.worker.fail(task.id, token, failure(false)).await?;
    expect_eq!(failed.state, State::Failed);
    expect_eq!(failed.error, Some(failure(false)));
    expect!(failed.finished.is_some(), "failed and not finished");
    Ok(())
}

async fn attempts_run_out(on: Handles) -> Verdict {
    let made = on.server.enqueue(NewTask { max_attempts: 2, ..new(Kind::Train) }).await?;
    for nonce in 1..=2 {
        let Some(claim) = claim_soon(&*on.worker, nonce).await? else {
            return Err(format!("no attempt {nonce}").into());
        };
        on.worker.fail(claim.task.id, claim.token, failure(true)).await?;
    }
    let failed = on.server.task(made.id).await?;
    expect_eq!(failed.state, State::Failed);
    expect_eq!(failed.attempts.len(), 2);
    expect!(failed.attempts.iter().all(|attempt| attempt.end.is_some()), "an attempt is open");
    expect_eq!(failed.error, Some(failure(true)));
    Ok(())
}

async fn an_expired_lease_is_reaped(on: Handles) -> Verdict {
    let dead = on.server.enqueue(new(Kind::Train)).await?;
    let lost = claim(&*on.worker, 1, SHORT).await?;
    on.server.enqueue(new(Kind::Train)).await?;
    tokio::time::sleep(2 * SHORT).await;
    expect_eq!(on.server.reap().await?, [dead.id]);
    let task = on.server.task(dead.id).await?;
    expect_eq!(task.state, State::Queued);
    let how = task.attempts[0].end.as_ref().map(|end| end.how.as_str());
    expect_eq!(how, Some("lease expired"));
    expect!(on.server.reap().await?.is_empty(), "reaped twice");
    let late = on.worker.complete(dead.id, lost.token, Value::Null).await.err();
    expect!(matches!(late, Some(Error::LeaseLost(_))), "a reaped holder heard {late:?}");
    Ok(())
}

async fn a_claim_takes_back_expired_leases(on: Handles) -> Verdict {
    let made = on.server.enqueue(new(Kind::Train)).await?;
    let lost = claim(&*on.worker, 1, SHORT).await?;
    tokio::time::sleep(2 * SHORT).await;
    let again = claim(&*on.worker, 1, LONG).await?;
    expect_eq!(again.task.id, made.id);
    expect_eq!(again.task.attempts.len(), 2);
    expect!(again.token > lost.token, "{:?} after {:?}", again.token, lost.token);
    let beat = Heartbeat { task: made.id, token: lost.token, lease: LONG, progress: None };
    expect_eq!(on.worker.heartbeat(beat).await?, HeartbeatAnswer::LeaseLost);
    Ok(())
}

async fn leases_that_run_out_fail_the_task_with_its_history(on: Handles) -> Verdict {
    let made = on.server.enqueue(new(Kind::Train)).await?;
    for nonce in 1..=3 {
        claim(&*on.worker, nonce, SHORT).await?;
        tokio::time::sleep(2 * SHORT).await;
    }
    on.server.reap().await?;
    let failed = on.server.task(made.id).await?;
    expect_eq!(failed.state, State::Failed);
    expect_eq!(failed.attempts.len(), 3);
    for attempt in &failed.attempts {
        let how = attempt.end.as_ref().map(|end| end.how.as_str());
        expect_eq!(how, Some("lease expired"));
    }
    expect_eq!(failed.error.map(|error| error.kind), Some("lease expired".to_owned()));
    expect!(on.worker.claim(claimant(4, LONG)).await?.is_none(), "a fourth attempt");
    Ok(())
}

async fn handing_back_costs_no_attempt(on: Handles) -> Verdict {
    let made = on.server.enqueue(NewTask { max_attempts: 1, ..new(Kind::Train) }).await?;
    for nonce in 1..=3 {
        let claim = claim(&*on.worker, nonce, LONG).await?;
        let back = on.worker.hand_back(made.id, claim.token).await?;
        expect_eq!(back.state, State::Queued);
        let how = back.attempts.last().and_then(|last| last.end.as_ref()).map(|end| &*end.how);
        expect_eq!(how, Some("handed back"));
    }
    let last = claim(&*on.worker, 4, LONG).await?;
    let failed = on.worker.fail(made.id, last.token, failure(true)).await?;
    expect_eq!(failed.state, State::Failed);
    Ok(())
}

async fn cancelling_a_waiting_task_ends_it_at_once(on: Handles) -> Verdict {
    for delay in [Duration::ZERO, LONG] {
        let made = on.server.enqueue(NewTask { delay, ..new(Kind::Train) }).await?;
        let cancelled = on.server.cancel(made.id).await?;
        expect_eq!(cancelled.state, State::Cancelled);
        expect!(cancelled.finished.is_some(), "cancelled and not finished");
        let twice = on.server.cancel(made.id).await.err();
        expect!(matches!(twice, Some(Error::State { .. })), "cancelled twice: {twice:?}");
    }
    expect!(on.worker.claim(claimant(1, LONG)).await?.is_none(), "cancelled and handed out");
    Ok(())
}

async fn cancelling_a_running_task_tells_its_holder(on: Handles) -> Verdict {
    let made = on.server.enqueue(new(Kind::Train)).await?;
    let Claim { token, .. } = claim(&*on.worker, 1, LONG).await?;
    let holder = on.worker.clone();
    let told = tokio::spawn(async move { holder.wait_for_cancel(made.id, token, PATIENCE).await });
    tokio::time::sleep(SHORT).await;
    let asked = on.server.cancel(made.id).await?;
    expect_eq!((asked.state, asked.cancel_requested), (State::Running, true));
    expect!(told.await??, "the holder was not told");
    let beat = Heartbeat { task: made.id, token, lease: LONG, progress: None };
    let answer = on.worker.heartbeat(beat).await?;
    expect!(matches!(answer, HeartbeatAnswer::CancelRequested(_)), "answer is {answer:?}");
    let cancelled = on.worker.acknowledge_cancel(made.id, token).await?;
    expect_eq!(cancelled.state, State::Cancelled);
    let how = cancelled.attempts[0].end.as_ref().map(|end| end.how.as_str());
    expect_eq!(how, Some("cancelled"));
    Ok(())
}

async fn a_cancelled_task_is_not_tried_again(on: Handles) -> Verdict {
    for way in ["fail", "hand back", "reap"] {
        let made = on.server.enqueue(new(Kind::Train)).await?;
        let lease = if way == "reap" { SHORT } else { LONG };
        let Claim { token, .. } = claim(&*on.worker, made.id.0, lease).await?;
        on.server.cancel(made.id).await?;
        match way {
            "fail" => drop(on.worker.fail(made.id, token, failure(true)).await?),
            "hand back" => drop(on.worker.hand_back(made.id, token).await?),
            _ => {
                tokio::time::sleep(2 * SHORT).await;
                on.server.reap().await?;
            }
        }
        let state = on.server.task(made.id).await?.state;
        expect!(state == State::Cancelled, "after {way} it is {state}");
    }
    Ok(())
}

async fn cancelling_reaches_children(on: Handles) -> Verdict {
    let parent = on.server.enqueue(new(Kind::Tune)).await?;
    let child = || NewTask { parent: Some(parent.id), ..new(Kind::Train) };
    let running = on.server.enqueue(child()).await?;
    claim(&*on.worker, 1, LONG).await?;
    let waiting = on.server.enqueue(child()).await?;
    on.server.cancel(parent.id).await?;
    expect_eq!(on.server.task(waiting.id).await?.state, State::Cancelled);
    expect!(on.server.task(running.id).await?.cancel_requested, "the running child goes on");
    let filter = Filter { parent: Some(parent.id), ..Filter::default() };
    expect_eq!(on.server.tasks(filter, None, 10).await?.len(), 2);
    Ok(())
}

async fn waiting_for_cancel_ends_when_the_lease_is_lost(on: Handles) -> Verdict {
    let made = on.server.enqueue(new(Kind::Train)).await?;
    let Claim { token, .. } = claim(&*on.worker, 1, LONG).await?;
    let stop = on.worker.wait_for_cancel(made.id, token, SHORT).await?;
    expect!(!stop, "told to stop for no reason");
    on.worker.hand_back(made.id, token).await?;
    let stop = on.worker.wait_for_cancel(made.id, token, PATIENCE).await?;
    expect!(stop, "a lost lease goes on");
    Ok(())
}

async fn a_paused_kind_is_not_handed_out(on: Handles) -> Verdict {
    on.server.pause(Kind::Train, true).await?;
    on.server.pause(Kind::Train, true).await?;
    let train = on.server.enqueue(new(Kind::Train)).await?;
    let import = on.server.enqueue(new(Kind::Import)).await?;
    expect_eq!(on.worker.paused().await?, [Kind::Train]);
    expect_eq!(claim(&*on.worker, 1, LONG).await?.task.id, import.id);
    expect!(on.worker.claim(claimant(2, LONG)).await?.is_none(), "a paused kind was handed out");
    on.server.pause(Kind::Train, false).await?;
    expect!(on.worker.paused().await?.is_empty(), "still paused");
    expect_eq!(claim(&*on.worker, 3, LONG).await?.task.id, train.id);
    Ok(())
}

async fn every_transition_is_an_event(on: Handles) -> Verdict {
    let made = on.server.enqueue(new(Kind::Train)).await?;
    let first = claim(&*on.worker, 1, LONG).await?;
    on.worker.hand_back(made.id, first.token).await?;
    let second = claim(&*on.worker, 2, LONG).await?;
    on.worker.log(made.id, second.token, "log".into(), json!("half way")).await?;
    on.server.cancel(made.id).await?;
    on.worker.acknowledge_cancel(made.id, second.token).await?;
    expect_eq!(
        states(&*on.server, made.id).await?,
        ["queued", "running", "queued", "running", "running", "cancelled"]
    );
    let events = on.server.events(made.id, EventId(0), 100).await?;
    expect!(
        events.iter().any(|event| event.name == "log" && event.data == "half way"),
        "the log line is missing"
    );
    Ok(())
}

async fn the_event_stream_is_ordered_and_bounded(on: Handles) -> Verdict {
    let made = on.server.enqueue(new(Kind::Train)).await?;
    let Claim { token, .. } = claim(&*on.worker, 1, LONG).await?;
    let mut lines = tokio::task::JoinSet::new();
    for number in 0..1100 {
        let store = on.worker.clone();
        let line = json!(number);
        lines.spawn(async move { store.log(made.id, token, "log".into(), line).await });
    }
    while let Some(line) = lines.join_next().await {
        line??;
    }
    let last = on.worker.log(made.id, token, "log".into(), json!("last")).await?;
    let events = on.server.events(made.id, EventId(0), usize::MAX).await?;
    expect_eq!(events.len(), 1000);
    expect!(
        events.windows(2).all(|pair| pair[1].id.0 == pair[0].id.0 + 1),
        "positions are not in a row"
    );
    expect_eq!(events.last().map(|event| event.id), Some(last));
    let tail = on.server.events(made.id, EventId(last.0 - 5), 3).await?;
    let positions: Vec<u64> = tail.iter().map(|event| event.id.0).collect();
    expect_eq!(positions, [last.0 - 4, last.0 - 3, last.0 - 2]);
    expect!(on.server.events(made.id, last, 10).await?.is_empty(), "events after the last");
    Ok(())
}

async fn waiting_for_an_event_ends_when_it_comes(on: Handles) -> Verdict {
    let made = on.server.enqueue(new(Kind::Train)).await?;
    let Claim { token, .. } = claim(&*on.worker, 1, LONG).await?;
    let begun = Instant::now();
    on.server.wait_for_event(made.id, EventId(0), PATIENCE).await?;
    let seen = on.server.events(made.id, EventId(0), 100).await?;
    let last = seen.last().map_or(EventId(0), |event| event.id);
    let store = on.server.clone();
    let waits = tokio::spawn(async move { store.wait_for_event(made.id, last, PATIENCE).await });
    tokio::time::sleep(SHORT).await;
    on.worker.log(made.id, token, "log".into(), json!("hello")).await?;
    waits.await??;
    expect!(begun.elapsed() < PATIENCE, "not woken");
    Ok(())
}

async fn waiting_for_work_ends_when_it_comes(on: Handles) -> Verdict {
    expect!(on.worker.claim(claimant(1, LONG)).await?.is_none(), "a fresh store has work");
    let begun = Instant::now();
    let store = on.worker.clone();
    let waits = tokio::spawn(async move { claim_soon(&*store, 2).await });
    tokio::time::sleep(SHORT).await;
    let made = on.server.enqueue(new(Kind::Train)).await?;
    let claimed = waits.await??;
    expect_eq!(claimed.map(|claim| claim.task.id), Some(made.id));
    expect!(begun.elapsed() < PATIENCE, "not woken");
    Ok(())
}

async fn work_that_came_before_the_wait_is_not_missed(on: Handles) -> Verdict {
    expect!(on.worker.claim(claimant(1, LONG)).await?.is_none(), "a fresh store has work");
    on.server.enqueue(new(Kind::Train)).await?;
    let begun = Instant::now();
    on.worker.wait_for_work(PATIENCE).await?;
    expect!(begun.elapsed() < PATIENCE, "waited beside a ready task");
    Ok(())
}

async fn waiting_for_work_ends_when_a_delay_does(on: Handles) -> Verdict {
    let delay = 5 * SHORT;
    let made = on.server.enqueue(NewTask { delay, ..new(Kind::Train) }).await?;
    let begun = Instant::now();
    let claimed = claim_soon(&*on.worker, 1).await?;
    expect_eq!(claimed.map(|claim| claim.task.id), Some(made.id));
    expect!(begun.elapsed() < PATIENCE, "not woken");
    Ok(())
}

async fn waits_end_with_their_patience(on: Handles) -> Verdict {
    let made = on.server.enqueue(NewTask { delay: LONG, ..new(Kind::Train) }).await?;
    while on.worker.claim(claimant(1, LONG)).await?.is_some() {}
    let begun = Instant::now();
    // A change that it has not looked for yet may end the first wait at once.
    on.worker.wait_for_work(SHORT).await?;
    on.worker.wait_for_work(SHORT).await?;
    on.server.wait_for_event(made.id, EventId(u64::MAX), SHORT).await?;
    expect!(begun.elapsed() < PATIENCE, "a wait took {:?}", begun.elapsed());
    Ok(())
}

async fn lists_are_filtered_and_paged(on: Handles) -> Verdict {
    let mut made = Vec::new();
    for (kind, dataset) in [
        (Kind::Train, Some(1)),
        (Kind::Import, Some(1)),
        (Kind::Train, Some(2)),
        (Kind::Train, None),
    ] {
        made.push(on.server.enqueue(NewTask::new(kind, dataset, Value::Null)).await?);
    }
    claim(&*on.worker, 1, LONG).await?;
    let all = Filter::default();
    let cases = [
        (all.clone(), vec![3, 2, 1, 0]),
        (Filter { kind: Some(Kind::Train), ..all.clone() }, vec![3, 2, 0]),
        (Filter { dataset: Some(1), ..all.clone() }, vec![1, 0]),
        (Filter { state: Some(State::Running), ..all.clone() }, vec![0]),
        (Filter { state: Some(State::Queued), dataset: Some(1), ..all.clone() }, vec![1]),
        (Filter { before: Some(made[0].created), ..all.clone() }, vec![]),
    ];
    for (filter, expected) in cases {
        let words = format!("{filter:?}");
        let found: Vec<TaskId> =
            on.server.tasks(filter, None, 10).await?.iter().map(|task| task.id).collect();
        let expected: Vec<TaskId> = expected.into_iter().map(|at: usize| made[at].id).collect();
        expect!(found == expected, "{words} finds {found:?}, expected {expected:?}");
    }
    let page = on.server.tasks(all.clone(), None, 2).await?;
    let next = on.server.tasks(all, Some(page[1].id), 2).await?;
    let ids: Vec<TaskId> = page.iter().chain(&next).map(|task| task.id).collect();
    expect_eq!(ids, [made[3].id, made[2].id, made[1].id, made[0].id]);
    Ok(())
}

async fn only_ended_tasks_are_removed(on: Handles) -> Verdict {
    let made = on.server.enqueue(new(Kind::Train)).await?;
    let early = on.server.remove(made.id).await.err();
    expect!(matches!(early, Some(Error::State { .. })), "removing a live task: {early:?}");
    on.server.cancel(made.id).await?;
    on.server.remove(made.id).await?;
    let gone = on.worker.task(made.id).await.err();
    expect!(matches!(gone, Some(Error::UnknownTask(_))), "after removal: {gone:?}");
    let next = on.server.enqueue(new(Kind::Train)).await?;
    expect!(next.id > made.id, "the number {} was given again", made.id);
    Ok(())
}

async fn ended_tasks_are_forgotten_by_age(on: Handles) -> Verdict {
    let ended = on.server.enqueue(new(Kind::Train)).await?;
    on.server.cancel(ended.id).await?;
    let live = on.server.enqueue(new(Kind::Train)).await?;
    let long_ago = Timestamp::now().saturating_sub(LONG)?;
    expect_eq!(on.server.forget_ended(long_ago).await?, 0);
    let soon = Timestamp::now().saturating_add(LONG)?;
    expect_eq!(on.server.forget_ended(soon).await?, 1);
    let left = on.server.tasks(Filter::default(), None, 10).await?;
    expect_eq!(left.iter().map(|task| task.id).collect::<Vec<_>>(), [live.id]);
    Ok(())
}

async fn workers_are_visible(on: Handles) -> Verdict {
    let info = WorkerInfo {
        id: WorkerId("worker".into()),
        host: "host".into(),
        pid: 42,
        version: "0.1.0".into(),
        kinds: vec![Kind::Train],
        slots: 1,
        features: vec!["simd:avx2".into()],
        tasks: vec![],
        last_seen: Timestamp::UNIX_EPOCH,
    };
    on.worker.register_worker(info.clone()).await?;
    on.worker.register_worker(info.clone()).await?;
    let made = on.server.enqueue(new(Kind::Train)).await?;
    claim(&*on.worker, 1, LONG).await?;
    let listed = on.server.workers().await?;
    expect_eq!(listed.len(), 1);
    let age = Timestamp::now().duration_since(listed[0].last_seen);
    expect!(age.as_secs() < 60, "last seen {age} ago");
    let last_seen = listed[0].last_seen;
    expect_eq!(listed[0], WorkerInfo { tasks: vec![made.id], last_seen, ..info.clone() });
    on.worker.remove_worker(info.id).await?;
    expect!(on.server.workers().await?.is_empty(), "a worker that left is listed");
    Ok(())
}

async fn the_store_answers(on: Handles) -> Verdict {
    on.server.ping().await?;
    on.worker.ping().await?;
    Ok(())
}
