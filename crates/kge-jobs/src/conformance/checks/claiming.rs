//! Making tasks and claiming them.

use super::*;

pub(super) async fn a_new_task_is_queued_and_found(on: Handles) -> Verdict {
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

pub(super) async fn an_unknown_task_is_named(on: Handles) -> Verdict {
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

pub(super) async fn the_highest_priority_is_claimed_first_then_the_oldest(on: Handles) -> Verdict {
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

pub(super) async fn only_the_claimants_kinds_are_handed_out(on: Handles) -> Verdict {
    on.server.enqueue(new(Kind::Export)).await?;
    let train = on.server.enqueue(new(Kind::Train)).await?;
    expect_eq!(claim(&*on.worker, 1, LONG).await?.task.id, train.id);
    expect!(on.worker.claim(claimant(2, LONG)).await?.is_none(), "an export was handed out");
    Ok(())
}

pub(super) async fn needs_must_all_be_offered(on: Handles) -> Verdict {
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

pub(super) async fn what_keeps_a_claimant_from_tasks_is_told(on: Handles) -> Verdict {
    for (kind, features) in [
        (Kind::Train, vec![]),
        (Kind::Train, vec!["engine:1"]),
        (Kind::Train, vec!["engine:2", "plugin:a"]),
        (Kind::Train, vec!["plugin:a", "engine:2"]),
        (Kind::Train, vec!["engine:1", "plugin:b"]),
        (Kind::Import, vec!["engine:2"]),
        (Kind::Export, vec!["engine:2"]),
    ] {
        let features = features.into_iter().map(str::to_owned).collect();
        on.server.enqueue(NewTask { needs: Needs { features }, ..new(kind) }).await?;
    }
    on.server.pause(Kind::Import, true).await?;
    let unmet = |features: &[&str]| {
        let features = features.iter().map(|&word| word.to_owned()).collect();
        on.worker.unmet(vec![Kind::Train, Kind::Import], features)
    };
    let lacks = |lacking: &[&str], tasks| Unmet {
        kind: Kind::Train,
        lacking: lacking.iter().map(|&word| word.to_owned()).collect(),
        tasks,
    };
    let seen = unmet(&["engine:1"]).await?;
    expect_eq!(seen, [lacks(&["engine:2", "plugin:a"], 2), lacks(&["plugin:b"], 1)]);
    expect_eq!(unmet(&["engine:1", "engine:2", "plugin:a", "plugin:b"]).await?, []);
    // What is handed out keeps nobody from anything.
    let offers = ["engine:2", "plugin:a"].map(str::to_owned).to_vec();
    for nonce in 0..3 {
        let claimant = Claimant { features: offers.clone(), ..claimant(nonce, LONG) };
        expect!(on.worker.claim(claimant).await?.is_some(), "nothing for nonce {nonce}");
    }
    let seen = unmet(&["engine:1"]).await?;
    expect_eq!(seen, [lacks(&["plugin:b"], 1)]);
    Ok(())
}

pub(super) async fn a_task_is_handed_out_once(on: Handles) -> Verdict {
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

pub(super) async fn many_claimants_share_without_overlap(on: Handles) -> Verdict {
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

pub(super) async fn a_nonce_gives_the_same_live_claim(on: Handles) -> Verdict {
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

pub(super) async fn tokens_grow_and_are_at_least_the_clock(on: Handles) -> Verdict {
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
