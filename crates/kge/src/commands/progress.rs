//! Progress: a bar on a terminal, plain lines elsewhere, both on standard error.

use std::{io::IsTerminal, sync::Mutex};

use indicatif::{ProgressBar, ProgressStyle};
use kge_embed::Progress;

/// Shows how far training or evaluation is.
pub(super) struct Meter {
    bar: Option<ProgressBar>,
    name: &'static str,
    spoken: Mutex<Option<usize>>,
}

impl Meter {
    pub(super) fn new(name: &'static str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(1);
            if let Ok(style) = ProgressStyle::with_template("{prefix} {wide_bar} {msg} {eta}") {
                bar.set_style(style);
            }
            bar.set_prefix(name);
            bar
        });
        Self { bar, name, spoken: Mutex::new(None) }
    }

    pub(super) fn show(&self, progress: &Progress) {
        let finished = progress.finished_epoch.as_ref().map(|epoch| {
            let mrr = epoch.validation.as_ref().map(|v| format!(", valid MRR {:.4}", v.both.mrr));
            format!(
                "epoch {} of {}: loss {:.4}, {:.0} triples/s{}",
                progress.epoch,
                progress.epochs,
                epoch.loss,
                epoch.triples_per_second,
                mrr.unwrap_or_default()
            )
        });
        match (&self.bar, finished) {
            (Some(bar), finished) => {
                bar.set_length((progress.epochs.max(1) * progress.batches) as u64);
                bar.set_position(progress.step);
                if let Some(message) = finished {
                    bar.set_message(message);
                }
            }
            (None, Some(message)) => eprintln!("{}: {message}", self.name),
            (None, None) => self.tenths(progress),
        }
    }

    /// A line each tenth of what has no epochs.
    fn tenths(&self, progress: &Progress) {
        if progress.epochs > 0 || progress.batches == 0 {
            return;
        }
        let tenth = progress.batch * 10 / progress.batches;
        if let Ok(mut spoken) = self.spoken.lock()
            && *spoken != Some(tenth)
        {
            *spoken = Some(tenth);
            eprintln!("{}: {} %", self.name, tenth * 10);
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
