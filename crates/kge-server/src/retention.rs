//! Ended tasks are forgotten after a while; what they made stays.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};

use crate::app::App;

/// How often it is looked at most.
const RARELY: Duration = Duration::from_secs(3600);

/// Forgets tasks that ended longer ago than `keep`, until the server stops.
pub(crate) async fn forget_ended(app: Arc<App>, keep: Duration) {
    let age = SignedDuration::try_from(keep).unwrap_or(SignedDuration::MAX);
    let pause = keep.clamp(Duration::from_secs(1), RARELY);
    loop {
        // Nothing is older than time itself.
        let before = Timestamp::now().checked_sub(age).unwrap_or(Timestamp::MIN);
        match app.jobs.forget_ended(before).await {
            Ok(0) => {}
            Ok(tasks) => tracing::info!(tasks, "ended tasks were forgotten"),
            Err(error) => tracing::warn!(%error, "ended tasks were not forgotten"),
        }
        tokio::select! {
            () = app.stopping.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}
