//! A fixed pool of threads that works through numbered blocks.
//!
//! Blocks are claimed in order by whichever thread is free; results are written to places that
//! belong to the block, so scheduling never shows in them. The calling thread works too.

use std::{
    num::NonZeroUsize,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread::JoinHandle,
};

use crate::gather::prefetch;

type Panic = Box<dyn std::any::Any + Send>;

/// A fixed number of threads for numeric work.
pub struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    /// One round at a time.
    round: Mutex<()>,
}

struct Shared {
    state: Mutex<State>,
    started: Condvar,
    ended: Condvar,
    /// The next block of the round; set back between rounds, while every thread waits.
    next: AtomicUsize,
}

#[derive(Default)]
struct State {
    generation: u64,
    round: Option<Round>,
    busy: usize,
    panic: Option<Panic>,
    closing: bool,
}

#[derive(Clone, Copy)]
struct Round {
    work: Work,
    blocks: usize,
}

/// The round's function, its lifetime erased.
#[derive(Clone, Copy)]
struct Work(*const (dyn Fn(usize, usize) + Sync));

// SAFETY: the pointee is `Sync`, and `Pool::run` keeps it alive until every thread is done.
unsafe impl Send for Work {}

/// A pointer that blocks may share because each writes its own part.
#[derive(Clone, Copy)]
pub(crate) struct SharedMut<T>(*mut T);

// SAFETY: used only where blocks write disjoint elements; see each use.
unsafe impl<T: Send> Send for SharedMut<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for SharedMut<T> {}

impl<T> SharedMut<T> {
    pub(crate) fn new(slice: &mut [T]) -> Self {
        Self(slice.as_mut_ptr())
    }

    /// The elements `[start, start + len)`.
    ///
    /// # Safety
    /// They lie in the slice this was made from, which is still borrowed, and nobody else uses
    /// them meanwhile.
    #[allow(clippy::mut_from_ref)]
    pub(crate) unsafe fn slice(&self, start: usize, len: usize) -> &mut [T] {
        // SAFETY: the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(start), len) }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic in a block is carried to the caller by hand; the state itself stays whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pool {
    /// A pool of this many threads, the calling one included.
    ///
    /// # Panics
    /// If the system refuses a thread.
    pub fn new(threads: NonZeroUsize) -> Self {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            started: Condvar::new(),
            ended: Condvar::new(),
            next: AtomicUsize::new(0),
        });
        let workers = (1..threads.get())
            .map(|thread| {
                let shared = Arc::clone(&shared);
                std::thread::Builder::new()
                    .name(format!("kge-numeric-{thread}"))
                    .spawn(move || shared.work(thread))
                    .expect("the system gives a thread")
            })
            .collect();
        Self { shared, workers, round: Mutex::new(()) }
    }

    /// The number of threads, the calling one included.
    pub fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Calls `work(block, thread)` once for each block and returns when all are done.
    ///
    /// # Panics
    /// With the first block's panic, if one panics.
    pub fn run(&self, blocks: usize, work: &(dyn Fn(usize, usize) + Sync)) {
        if blocks <= 1 || self.workers.is_empty() {
            (0..blocks).for_each(|block| work(block, 0));
            return;
        }
        let _one_at_a_time = lock(&self.round);
        // SAFETY: only the lifetime changes; this function does not return, not even by a panic,
        // before `busy` is 0 again and no thread holds the pointer.
        let work_everywhere = Work(unsafe {
            std::mem::transmute::<
                *const (dyn Fn(usize, usize) + Sync + '_),
                *const (dyn Fn(usize, usize) + Sync + 'static),
            >(work)
        });
        let round = Round { work: work_everywhere, blocks };
        self.shared.next.store(0, Ordering::Relaxed);
        {
            let mut state = lock(&self.shared.state);
            state.generation += 1;
            state.round = Some(round);
            state.busy = self.workers.len();
        }
        self.shared.started.notify_all();
        let here = round.drain(&self.shared.next, 0);
        let mut state = lock(&self.shared.state);
        while state.busy > 0 {
            state = self.shared.ended.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.round = None;
        let panic = state.panic.take().or(here.err());
        drop(state);
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }

    /// Calls `work(index, chunk, thread)` for each chunk of `length` elements of `data`; the last
    /// one may be shorter.
    ///
    /// # Panics
    /// If `length` is 0, or as [`run`](Self::run).
    pub fn chunks<T: Send>(
        &self,
        data: &mut [T],
        length: usize,
        work: impl Fn(usize, &mut [T], usize) + Sync,
    ) {
        assert!(length > 0, "chunks of no elements");
        let total = data.len();
        let data = SharedMut::new(data);
        self.run(total.div_ceil(length), &|block, thread| {
            let start = block * length;
            // SAFETY: chunks of different blocks do not overlap, and each block runs once.
            let chunk = unsafe { data.slice(start, length.min(total - start)) };
            work(block, chunk, thread);
        });
    }

    /// Calls `work(index, rows, states)` for each block of so many rows of two matrices of equally
    /// many; the last block may hold fewer.
    ///
    /// # Panics
    /// If the matrices differ in their number of rows, or as [`run`](Self::run).
    pub fn blocks(
        &self,
        (rows, width): (&mut [f32], usize),
        (states, state_width): (&mut [f32], usize),
        block: usize,
        work: impl Fn(usize, &mut [f32], &mut [f32]) + Sync,
    ) {
        let count = rows.len() / width;
        assert_eq!(rows.len(), count * width, "rows are [{count}, {width}]");
        assert_eq!(states.len(), count * state_width, "states are [{count}, {state_width}]");
        let (rows, states) = (SharedMut::new(rows), SharedMut::new(states));
        self.run(count.div_ceil(block), &|index, _| {
            let start = index * block;
            let length = block.min(count - start);
            // SAFETY: blocks do not overlap, and lie in both matrices as asserted.
            let (rows, states) = unsafe {
                (
                    rows.slice(start * width, length * width),
                    states.slice(start * state_width, length * state_width),
                )
            };
            work(index, rows, states);
        });
    }

    /// Calls `work(index, row, state, thread)` for row `ids[index]` of two matrices of equally
    /// many rows, in blocks of rows.
    ///
    /// # Panics
    /// If `ids` is not strictly increasing or names a row that is not there, or as
    /// [`run`](Self::run).
    pub fn rows(
        &self,
        ids: &[u32],
        (rows, width): (&mut [f32], usize),
        (states, state_width): (&mut [f32], usize),
        work: impl Fn(usize, &mut [f32], &mut [f32], usize) + Sync,
    ) {
        const BLOCK: usize = 64;
        assert!(ids.is_sorted_by(|a, b| a < b), "row ids increase");
        let end = ids.last().map_or(0, |&last| last as usize + 1);
        assert!(end * width <= rows.len(), "row {end} of the first matrix");
        assert!(end * state_width <= states.len(), "row {end} of the second matrix");
        let (rows, states) = (SharedMut::new(rows), SharedMut::new(states));
        self.run(ids.len().div_ceil(BLOCK), &|block, thread| {
            // SAFETY: ids differ, so no two rows overlap; all lie inside, as asserted; and a block
            // works on its own rows, one after the other.
            let of = |id: u32| unsafe {
                let id = id as usize;
                (rows.slice(id * width, width), states.slice(id * state_width, state_width))
            };
            let ids = ids.iter().enumerate().skip(block * BLOCK).take(BLOCK);
            let mut ahead = ids.clone().skip(1);
            for (index, &id) in ids {
                if let Some((_, &later)) = ahead.next() {
                    let (row, state) = of(later);
                    prefetch(row);
                    prefetch(state);
                }
                let (row, state) = of(id);
                work(index, row, state, thread);
            }
        });
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        lock(&self.shared.state).closing = true;
        self.shared.started.notify_all();
        for worker in self.workers.drain(..) {
            // A worker catches its blocks' panics, so joining finds none.
            let _ = worker.join();
        }
    }
}

impl Shared {
    fn work(&self, thread: usize) {
        let mut seen = 0;
        loop {
            let round = {
                let mut state = lock(&self.state);
                loop {
                    if state.closing {
                        return;
                    }
                    match &state.round {
                        Some(round) if state.generation != seen => {
                            seen = state.generation;
                            break *round;
                        }
                        _ => {
                            state =
                                self.started.wait(state).unwrap_or_else(PoisonError::into_inner);
                        }
                    }
                }
            };
            let outcome = round.drain(&self.next, thread);
            let mut state = lock(&self.state);
            if let Err(panic) = outcome {
                state.panic.get_or_insert(panic);
            }
            state.busy -= 1;
            if state.busy == 0 {
                self.ended.notify_all();
            }
        }
    }
}

impl Round {
    fn drain(&self, next: &AtomicUsize, thread: usize) -> Result<(), Panic> {
        // SAFETY: `Pool::run` waits for every thread before the function goes out of scope.
        let work = unsafe { &*self.work.0 };
        catch_unwind(AssertUnwindSafe(|| {
            loop {
                let block = next.fetch_add(1, Ordering::Relaxed);
                if block >= self.blocks {
                    return;
                }
                work(block, thread);
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(threads: usize) -> Pool {
        Pool::new(NonZeroUsize::new(threads).unwrap())
    }

    #[test]
    fn every_block_runs_once() {
        for threads in 1..=4 {
            let pool = pool(threads);
            for blocks in [0, 1, 2, 7, 100] {
                let mut seen = vec![0; blocks * 3];
                pool.chunks(&mut seen, 3, |index, chunk, thread| {
                    assert!(thread < threads);
                    chunk.iter_mut().for_each(|x| *x += index + 1);
                });
                let expected: Vec<_> = (0..blocks * 3).map(|i| i / 3 + 1).collect();
                assert_eq!(seen, expected);
            }
        }
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_goes_on() {
        let pool = pool(3);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            pool.run(50, &|block, _| assert!(block != 17, "block seventeen"));
        }));
        assert!(outcome.is_err());
        let done = AtomicUsize::new(0);
        pool.run(50, &|_, _| {
            done.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(done.into_inner(), 50);
    }
}
