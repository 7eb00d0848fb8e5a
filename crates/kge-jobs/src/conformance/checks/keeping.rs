//! Lists, removal, workers: the house-keeping.

use super::*;

pub(super) async fn lists_are_filtered_and_paged(on: Handles) -> Verdict {
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

pub(super) async fn only_ended_tasks_are_removed(on: Handles) -> Verdict {
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

pub(super) async fn ended_tasks_are_forgotten_by_age(on: Handles) -> Verdict {
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

pub(super) async fn workers_are_visible(on: Handles) -> Verdict {
    let info = WorkerInfo {
        id: WorkerId("worker".into()),
        host: "host".into(),
        pid: 42,
        version: "0.1.0".into(),
        kinds: vec![Kind::Train],
        slots: 1,
        features: vec!["simd:avx2".into()],
        lacks: vec!["plugin:1f".into()],
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

pub(super) async fn the_store_answers(on: Handles) -> Verdict {
    on.server.ping().await?;
    on.worker.ping().await?;
    Ok(())
}
