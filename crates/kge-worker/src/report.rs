//! The bridge from a numeric thread to its heartbeats: a cancel flag one way, progress the other.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use kge_jobs::Progress;
use tokio::sync::Notify;

/// Shared by a job and the slot that holds its lease.
pub(crate) struct Reporter {
    cancel: AtomicBool,
    state: Mutex<State>,
    urgent: Notify,
}

struct State {
    progress: Option<Progress>,
    fresh: bool,
    step: u64,
    stepped: Instant,
}

impl Reporter {
    pub(crate) fn new() -> Self {
        let state = State { progress: None, fresh: false, step: 0, stepped: Instant::now() };
        Self { cancel: AtomicBool::new(false), state: Mutex::new(state), urgent: Notify::new() }
    }

    /// What a numeric thread reads between batches.
    pub(crate) fn cancel_flag(&self) -> &AtomicBool {
        &self.cancel
    }

    /// Asks the job to stop at its next batch.
    pub(crate) fn stop(&self) {
        self.cancel.store(true, Ordering::Relaxed);
    }

    pub(crate) fn stopping(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }

    /// Replaces the progress not yet sent. The newest counts; the queue never holds up the job.
    pub(crate) fn progress(&self, progress: Progress) {
        let mut state = self.lock();
        if progress.step != state.step || state.progress.is_none() {
            state.step = progress.step;
            state.stepped = Instant::now();
        }
        state.progress = Some(progress);
        state.fresh = true;
    }

    /// As [`progress`](Self::progress), sent at once: a finished epoch.
    pub(crate) fn milestone(&self, progress: Progress) {
        self.progress(progress);
        self.urgent.notify_one();
    }

    /// Says what the job does now, where there is nothing to count.
    pub(crate) fn phase(&self, message: &str) {
        let mut progress = self.lock().progress.clone().unwrap_or_default();
        progress.step += 1;
        progress.message = Some(message.into());
        self.milestone(progress);
    }

    /// Progress not sent yet.
    pub(crate) fn take(&self) -> Option<Progress> {
        let mut state = self.lock();
        let fresh = std::mem::take(&mut state.fresh);
        if fresh { state.progress.clone() } else { None }
    }

    /// How long the step has stood still.
    pub(crate) fn still_for(&self) -> Duration {
        self.lock().stepped.elapsed()
    }

    /// Returns at the next milestone.
    pub(crate) async fn milestone_reached(&self) {
        self.urgent.notified().await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_sent_once_and_the_newest_wins() {
        let reporter = Reporter::new();
        assert_eq!(reporter.take(), None);
        reporter.progress(Progress { step: 1, ..Progress::default() });
        reporter.progress(Progress { step: 2, ..Progress::default() });
        assert_eq!(reporter.take().map(|p| p.step), Some(2));
        assert_eq!(reporter.take(), None);
    }

    #[test]
    fn a_repeated_step_is_no_sign_of_life() {
        let reporter = Reporter::new();
        reporter.progress(Progress { step: 1, ..Progress::default() });
        let before = reporter.lock().stepped;
        reporter.progress(Progress { step: 1, ..Progress::default() });
        assert_eq!(reporter.lock().stepped, before);
        reporter.phase("evaluating");
        assert_ne!(reporter.lock().stepped, before);
    }
}
