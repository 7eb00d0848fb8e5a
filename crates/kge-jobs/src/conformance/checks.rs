//! The list of checks, and the few steps that they share.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Check, Handles, Verdict};
use crate::{
    Claim, Claimant, Error, Event, EventId, Failure, FencingToken, Filter, Heartbeat,
    HeartbeatAnswer, JobStore, Kind, Needs, NewTask, Progress, RETRY_BASE, State, TaskId, Unmet,
    WorkerId, WorkerInfo,
};

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

mod claiming;
mod endings;
mod keeping;
mod stopping;
mod waiting;

macro_rules! checks {
    ($($part:ident::$name:ident),* $(,)?) => {
        /// Every behaviour that a job store has to show.
        pub const CHECKS: &[Check] = &[
            $(Check { name: stringify!($name), run: |handles| Box::pin($part::$name(handles)) }),*
        ];
    };
}

checks![
    claiming::a_new_task_is_queued_and_found,
    claiming::an_unknown_task_is_named,
    claiming::the_highest_priority_is_claimed_first_then_the_oldest,
    claiming::only_the_claimants_kinds_are_handed_out,
    claiming::needs_must_all_be_offered,
    claiming::what_keeps_a_claimant_from_tasks_is_told,
    claiming::a_task_is_handed_out_once,
    claiming::many_claimants_share_without_overlap,
    claiming::a_nonce_gives_the_same_live_claim,
    claiming::tokens_grow_and_are_at_least_the_clock,
    endings::completing_ends_the_task_with_its_result,
    endings::a_stale_token_changes_nothing,
    endings::a_heartbeat_extends_the_lease_and_carries_progress,
    endings::a_delayed_task_waits_for_its_time,
    endings::a_retryable_failure_is_delayed_then_tried_again,
    endings::a_failure_of_the_user_is_not_retried,
    endings::attempts_run_out,
    endings::an_expired_lease_is_reaped,
    endings::a_claim_takes_back_expired_leases,
    endings::leases_that_run_out_fail_the_task_with_its_history,
    endings::handing_back_costs_no_attempt,
    stopping::cancelling_a_waiting_task_ends_it_at_once,
    stopping::cancelling_a_running_task_tells_its_holder,
    stopping::a_cancelled_task_is_not_tried_again,
    stopping::cancelling_reaches_children,
    stopping::waiting_for_cancel_ends_when_the_lease_is_lost,
    stopping::a_paused_kind_is_not_handed_out,
    waiting::every_transition_is_an_event,
    waiting::the_event_stream_is_ordered_and_bounded,
    waiting::waiting_for_an_event_ends_when_it_comes,
    waiting::waiting_for_work_ends_when_it_comes,
    waiting::work_that_came_before_the_wait_is_not_missed,
    waiting::waiting_for_work_ends_when_a_delay_does,
    waiting::waits_end_with_their_patience,
    keeping::lists_are_filtered_and_paged,
    keeping::only_ended_tasks_are_removed,
    keeping::ended_tasks_are_forgotten_by_age,
    keeping::workers_are_visible,
    keeping::the_store_answers,
];

/// A lease that outlives the check.
const LONG: Duration = Duration::from_secs(60);
/// A lease that is over before the next step but one.
const SHORT: Duration = Duration::from_millis(20);
/// The longest that something which is due may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

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
