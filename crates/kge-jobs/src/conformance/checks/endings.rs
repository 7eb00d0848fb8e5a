//! How attempts end: results, failures, lost leases, hand-backs.

use super::*;

pub(super) async fn completing_ends_the_task_with_its_result(on: Handles) -> Verdict {
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

pub(super) async fn a_stale_token_changes_nothing(on: Handles) -> Verdict {
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

pub(super) async fn a_heartbeat_extends_the_lease_and_carries_progress(on: Handles) -> Verdict {
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

pub(super) async fn a_delayed_task_waits_for_its_time(on: Handles) -> Verdict {
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

pub(super) async fn a_retryable_failure_is_delayed_then_tried_again(on: Handles) -> Verdict {
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

pub(super) async fn a_failure_of_the_user_is_not_retried(on: Handles) -> Verdict {
    on.server.enqueue(new(Kind::Train)).await?;
    let Claim { task, token, .. } = claim(&*on.worker, 1, LONG).await?;
    let failed = on.worker.fail(task.id, token, failure(false)).await?;
    expect_eq!(failed.state, State::Failed);
    expect_eq!(failed.error, Some(failure(false)));
    expect!(failed.finished.is_some(), "failed and not finished");
    Ok(())
}

pub(super) async fn attempts_run_out(on: Handles) -> Verdict {
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

pub(super) async fn an_expired_lease_is_reaped(on: Handles) -> Verdict {
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

pub(super) async fn a_claim_takes_back_expired_leases(on: Handles) -> Verdict {
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

pub(super) async fn leases_that_run_out_fail_the_task_with_its_history(on: Handles) -> Verdict {
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

pub(super) async fn handing_back_costs_no_attempt(on: Handles) -> Verdict {
    let made = on.server.enqueue(NewTask { max_attempts: 2, ..new(Kind::Train) }).await?;
    for nonce in 1..=3 {
        let claim = claim(&*on.worker, nonce, LONG).await?;
        let back = on.worker.hand_back(made.id, claim.token).await?;
        expect_eq!(back.state, State::Queued);
        let how = back.attempts.last().and_then(|last| last.end.as_ref()).map(|end| &*end.how);
        expect_eq!(how, Some("handed back"));
    }
    for (nonce, left) in [(4, true), (5, false)] {
        let Some(claim) = claim_soon(&*on.worker, nonce).await? else {
            return Err("the attempts are used up".into());
        };
        let failed = on.worker.fail(made.id, claim.token, failure(true)).await?;
        expect!(failed.state.is_final() != left, "it is {} with an attempt: {left}", failed.state);
    }
    Ok(())
}
