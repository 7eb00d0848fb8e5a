//! Events, and the waits that end with them.

use super::*;

pub(super) async fn every_transition_is_an_event(on: Handles) -> Verdict {
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

pub(super) async fn the_event_stream_is_ordered_and_bounded(on: Handles) -> Verdict {
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

pub(super) async fn waiting_for_an_event_ends_when_it_comes(on: Handles) -> Verdict {
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

pub(super) async fn waiting_for_work_ends_when_it_comes(on: Handles) -> Verdict {
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

pub(super) async fn work_that_came_before_the_wait_is_not_missed(on: Handles) -> Verdict {
    expect!(on.worker.claim(claimant(1, LONG)).await?.is_none(), "a fresh store has work");
    on.server.enqueue(new(Kind::Train)).await?;
    let begun = Instant::now();
    on.worker.wait_for_work(PATIENCE).await?;
    expect!(begun.elapsed() < PATIENCE, "waited beside a ready task");
    Ok(())
}

pub(super) async fn waiting_for_work_ends_when_a_delay_does(on: Handles) -> Verdict {
    let delay = 5 * SHORT;
    let made = on.server.enqueue(NewTask { delay, ..new(Kind::Train) }).await?;
    let begun = Instant::now();
    let claimed = claim_soon(&*on.worker, 1).await?;
    expect_eq!(claimed.map(|claim| claim.task.id), Some(made.id));
    expect!(begun.elapsed() < PATIENCE, "not woken");
    Ok(())
}

pub(super) async fn waits_end_with_their_patience(on: Handles) -> Verdict {
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
