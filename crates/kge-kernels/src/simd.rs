//! Which vector instructions the kernels use: the widest that the CPU has, or fewer when told.
//!
//! `KGE_SIMD=portable` or `KGE_SIMD=avx2` forces a lower path. Results are the same bytes either
//! way; the lower paths are there to be tested, and for CPUs that lie about themselves.

use std::sync::OnceLock;

use pulp::{Arch, Simd, WithSimd};

/// The instructions every kernel of this process dispatches to.
pub(crate) fn arch() -> Arch {
    #[cfg(test)]
    if let Some(path) = FORCED.get() {
        return path;
    }
    static ARCH: OnceLock<Arch> = OnceLock::new();
    *ARCH.get_or_init(|| {
        let forced = std::env::var("KGE_SIMD");
        forced.ok().and_then(|name| named(&name)).unwrap_or_default()
    })
}

/// Runs loops that are compiled for every path. `work` is a closure marked `#[inline(always)]`,
/// called by `FnMut`: the detour by `FnOnce` would compile its body for no vectors at all.
#[inline(always)]
pub(crate) fn vectorise<R>(work: impl FnMut() -> R) -> R {
    struct Run<F>(F);

    impl<R, F: FnMut() -> R> WithSimd for Run<F> {
        type Output = R;

        #[inline(always)]
        fn with_simd<S: Simd>(mut self, _: S) -> R {
            (self.0)()
        }
    }

    arch().dispatch(Run(work))
}

fn named(name: &str) -> Option<Arch> {
    match name {
        "portable" => Some(Arch::Scalar),
        #[cfg(target_arch = "x86_64")]
        "avx2" => pulp::x86::V3::try_new().map(Arch::V3),
        _ => None,
    }
}

/// The SIMD level the kernels run at, for provenance.
pub fn level() -> &'static str {
    match arch() {
        #[cfg(target_arch = "x86_64")]
        Arch::V3(_) => "avx2+fma",
        #[cfg(target_arch = "x86_64")]
        Arch::V4(_) => "avx512",
        _ => "portable",
    }
}

#[cfg(test)]
thread_local! {
    static FORCED: std::cell::Cell<Option<Arch>> = const { std::cell::Cell::new(None) };
}

/// Runs `work` with the kernels of this thread on one path.
#[cfg(test)]
pub(crate) fn on<T>(path: Arch, work: impl FnOnce() -> T) -> T {
    FORCED.set(Some(path));
    let done = work();
    FORCED.set(None);
    done
}

/// Every path that this CPU can run, for tests that compare them.
#[cfg(test)]
pub(crate) fn paths() -> Vec<Arch> {
    let mut paths = vec![Arch::Scalar];
    paths.extend(named("avx2"));
    #[cfg(target_arch = "x86_64")]
    paths.extend(pulp::x86::V4::try_new().map(Arch::V4));
    paths
}
