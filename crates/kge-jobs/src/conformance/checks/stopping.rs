//! Cancelling and pausing.

use super::*;

pub(super) async fn cancelling_a_waiting_task_ends_it_at_once(on: Handles) -> Verdict {
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

pub(super) async fn cancelling_a_running_task_tells_its_holder(on: Handles) -> Verdict {
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

pub(super) async fn a_cancelled_task_is_not_tried_again(on: Handles) -> Verdict {
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

pub(super) async fn cancelling_reaches_children(on: Handles) -> Verdict {
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

pub(super) async fn waiting_for_cancel_ends_when_the_lease_is_lost(on: Handles) -> Verdict {
    let made = on.server.enqueue(new(Kind::Train)).await?;
    let Claim { token, .. } = claim(&*on.worker, 1, LONG).await?;
    let stop = on.worker.wait_for_cancel(made.id, token, SHORT).await?;
    expect!(!stop, "told to stop for no reason");
    on.worker.hand_back(made.id, token).await?;
    let stop = on.worker.wait_for_cancel(made.id, token, PATIENCE).await?;
    expect!(stop, "a lost lease goes on");
    Ok(())
}

pub(super) async fn a_paused_kind_is_not_handed_out(on: Handles) -> Verdict {
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
