//! What ranking counts: better and equal candidates, and the best few.

use std::{cmp::Ordering, collections::BinaryHeap};

/// How many candidates stand before a target, and how many beside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Candidates with a higher score.
    pub better: usize,
    /// Other candidates with the same score.
    pub equal: usize,
}

impl Standing {
    /// The realistic rank, from 1: the mean of the best and the worst place among equals
    /// (Berrendorf et al. 2020).
    pub fn rank(self) -> f64 {
        1.0 + self.better as f64 + self.equal as f64 / 2.0
    }
}

/// Where `target` stands among `scores`, one a candidate, when the candidates in `left_out` do not
/// count. `left_out` is sorted, without repetition; the target never counts.
///
/// # Panics
/// If the target or a left-out candidate has no score.
pub fn standing(scores: &[f32], target: usize, left_out: &[u32]) -> Standing {
    let bar = scores[target];
    let (mut better, mut equal) = pulp::Arch::new().dispatch(
        #[inline(always)]
        || {
            let (mut better, mut equal) = (0_u64, 0_u64);
            // Counters of 32 bits vectorise; a block keeps them from overflowing.
            for block in scores.chunks(1 << 20) {
                let (mut b, mut e) = (0_u32, 0_u32);
                for &score in block {
                    b += u32::from(score > bar);
                    e += u32::from(score == bar);
                }
                better += u64::from(b);
                equal += u64::from(e);
            }
            (better as usize, equal as usize)
        },
    );
    let mut forget = |candidate: usize| {
        better -= usize::from(scores[candidate] > bar);
        equal -= usize::from(scores[candidate] == bar);
    };
    left_out.iter().map(|&c| c as usize).filter(|&c| c != target).for_each(&mut forget);
    forget(target);
    Standing { better, equal }
}

/// A candidate with its score; greater is better, and of equals the lower id.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scored {
    /// The candidate.
    pub candidate: u32,
    /// Its score.
    pub score: f32,
}

impl Eq for Scored {}

impl Ord for Scored {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then(other.candidate.cmp(&self.candidate))
    }
}

impl PartialOrd for Scored {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The `k` best candidates, best first; of equal scores the lower id comes first.
pub fn top_k(scores: impl IntoIterator<Item = (u32, f32)>, k: usize) -> Vec<Scored> {
    let mut worst_first = BinaryHeap::with_capacity(k.min(1 << 16) + 1);
    for (candidate, score) in scores {
        let scored = std::cmp::Reverse(Scored { candidate, score });
        if worst_first.len() < k {
            worst_first.push(scored);
        } else if let Some(mut worst) = worst_first.peek_mut()
            && scored < *worst
        {
            *worst = scored;
        }
    }
    worst_first.into_sorted_vec().into_iter().map(|std::cmp::Reverse(scored)| scored).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standings_read_like_a_table() {
        let scores = [0.5, 0.9, 0.5, 0.1, 0.5, 0.7];
        for (target, left_out, better, equal, rank) in [
            (0, &[][..], 2, 2, 4.0),
            (0, &[1], 1, 2, 3.0),
            (0, &[0, 1, 2, 4, 5], 0, 0, 1.0),
            (1, &[], 0, 0, 1.0),
            (3, &[], 5, 0, 6.0),
        ] {
            let found = standing(&scores, target, left_out);
            assert_eq!(found, Standing { better, equal }, "target {target}");
            assert_eq!(found.rank(), rank);
        }
    }

    #[test]
    fn the_best_come_first_and_ties_go_to_the_lower_id() {
        let scores = [0.5, 0.9, 0.5, 0.1, 0.9, 0.7];
        let best = |k| -> Vec<u32> {
            let scores = scores.iter().enumerate().map(|(i, &s)| (i as u32, s));
            top_k(scores, k).iter().map(|s| s.candidate).collect()
        };
        assert_eq!(best(0), []);
        assert_eq!(best(4), [1, 4, 5, 0]);
        assert_eq!(best(100), [1, 4, 5, 0, 2, 3]);
    }
}
