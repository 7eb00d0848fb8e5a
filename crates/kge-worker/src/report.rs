//! The bridge from a numeric thread to its heartbeats: a cancel flag one way, progress the other.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use kge_jobs::Progress;
use tokio::sync::Notify;

/// Milestones that may wait for the queue.
const MILESTONES: usize = 64;

/// Shared by a job and the slot that holds its lease.
pub(crate) struct Reporter {
    cancel: AtomicBool,
    state: Mutex<State>,
    urgent: Notify,
}

struct State {
    /// The newest, sent or not.
    progress: Option<Progress>,
    fresh: bool,
    /// Those that must be seen each, oldest first.
    milestones: VecDeque<Progress>,
    step: u64,
    stepped: Instant,
}

impl State {
    fn step_to(&mut self, step: u64) {
        if step != self.step || self.progress.is_none() {
            self.step = step;
            self.stepped = Instant::now();
        }
    }
}

impl Reporter {
    pub(crate) fn new() -> Self {
        let state = State {
            progress: None,
            fresh: false,
            milestones: VecDeque::new(),
            step: 0,
            stepped: Instant::now(),
        };
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

    /// Replaces the progress not yet sent: the newest counts, and the queue never holds up the
    /// job. Metrics stay until others come.
    pub(crate) fn progress(&self, mut progress: Progress) {
        let mut state = self.lock();
        if let (true, Some(last)) = (progress.metrics.is_empty(), &state.progress) {
            progress.metrics.clone_from(&last.metrics);
        }
        state.step_to(progress.step);
        state.progress = Some(progress);
        state.fresh = true;
    }

    /// Progress that is sent at once and never replaced, a finished epoch; of more than
    /// [`MILESTONES`] that wait, the oldest are given up.
    pub(crate) fn milestone(&self, progress: Progress) {
        let mut state = self.lock();
        state.step_to(progress.step);
        state.progress = Some(progress.clone());
        state.fresh = false;
        if state.milestones.len() == MILESTONES {
            state.milestones.pop_front();
        }
        state.milestones.push_back(progress);
        drop(state);
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
        if let Some(milestone) = state.milestones.pop_front() {
            if !state.milestones.is_empty() {
                self.urgent.notify_one();
            }
            return Some(milestone);
        }
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
    fn milestones_are_sent_each_and_in_order() {
        let reporter = Reporter::new();
        let at = |step| Progress { step, ..Progress::default() };
        reporter.milestone(at(1));
        reporter.milestone(Progress { metrics: [("loss".into(), 2.5)].into(), ..at(2) });
        reporter.progress(at(3));
        assert_eq!(reporter.take().map(|p| p.step), Some(1));
        assert_eq!(reporter.take().map(|p| p.step), Some(2));
        let last = reporter.take().unwrap();
        assert_eq!((last.step, last.metrics["loss"]), (3, 2.5));
        assert_eq!(reporter.take(), None);
        (0..100).for_each(|step| reporter.milestone(at(step)));
        assert_eq!(reporter.take().map(|p| p.step), Some(100 - MILESTONES as u64));
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
