//! Progress: a bar on a terminal, plain lines elsewhere, both on standard error.

use std::{
    io::{self, IsTerminal, Read},
    sync::Mutex,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use kge_embed::Progress;

/// What is over sooner needs no lines about it.
const SOON: Duration = Duration::from_secs(2);

/// Shows how far training, evaluation or an import is.
pub(super) struct Meter {
    bar: Option<ProgressBar>,
    name: &'static str,
    spoken: Mutex<Option<u64>>,
    began: Instant,
}

impl Meter {
    pub(super) fn new(name: &'static str) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(1);
            if let Ok(style) = ProgressStyle::with_template("{prefix} {wide_bar} {msg} {eta}") {
                bar.set_style(style);
            }
            bar.set_prefix(name);
            bar
        });
        Self { bar, name, spoken: Mutex::new(None), began: Instant::now() }
    }

    /// Shows how much of `total` bytes is read.
    pub(super) fn bytes(&self, read: u64, total: u64) {
        match &self.bar {
            Some(bar) => {
                bar.set_length(total);
                bar.set_position(read);
            }
            None if self.began.elapsed() > SOON => self.tenth(read, total),
            None => {}
        }
    }

    /// Passes a file's bytes on, and shows that they passed: `before` of `total` did earlier.
    pub(super) fn watch<R: Read>(&self, file: R, before: u64, total: u64) -> Watched<'_, R> {
        Watched { meter: self, file, read: before, total }
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
        if progress.epochs == 0 {
            self.tenth(progress.batch as u64, progress.batches as u64);
        }
    }

    fn tenth(&self, done: u64, total: u64) {
        let Some(tenth) = (done * 10).checked_div(total) else { return };
        if let Ok(mut spoken) = self.spoken.lock()
            && *spoken != Some(tenth)
        {
            *spoken = Some(tenth);
            eprintln!("{}: {} %", self.name, tenth * 10);
        }
    }
}

/// A file whose reading is shown.
pub(super) struct Watched<'m, R> {
    meter: &'m Meter,
    file: R,
    read: u64,
    total: u64,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.file.read(buffer)?;
        self.read += bytes as u64;
        self.meter.bytes(self.read, self.total);
        Ok(bytes)
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
