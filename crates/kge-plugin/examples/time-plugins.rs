//! Times the plugins of this repository: loading, calls of 1,024 rows beside the same crate
//! compiled natively with products by the same kernels, and gradients derived beside those by hand.
//! Names of models say which; all, if there are none. `make plugins` first.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use kge_kernels::product::{
    add_left_by_right, add_left_transposed_by_right, left_by_right_transposed,
};
use kge_model::{Direction, HyperParameters, QueryBatch, QueryGradient, ScoringModel as _};
use kge_plugin::{Host, HostConfig, Plugin, toolchain};
use kge_plugin_sdk::Scoring;

const BATCH: usize = 1024;
const RELATIONS: usize = 237;
const RUNS: usize = 51;

fn main() -> Result<(), Box<dyn Error>> {
    println!("ms of one call of {BATCH} rows, one thread; median of {RUNS}");
    kge_plugin_sdk::linalg::multiply_by(product);
    if named("two-ways") {
        two_ways()?;
    }
    time::<transe::TransE>("transe", 256)?;
    time::<distmult::DistMult>("distmult", 256)?;
    time::<complex::ComplEx>("complex", 128)?;
    time::<cp::Cp>("cp", 128)?;
    time::<simple::SimplE>("simple", 128)?;
    time::<hole::HolE>("hole", 256)?;
    time::<rotate::RotatE>("rotate", 128)?;
    time::<quate::QuatE>("quate", 64)?;
    time::<pairre::PairRe>("pairre", 256)?;
    time::<mure::MuRe>("mure", 256)?;
    time::<transh::TransH>("transh", 256)?;
    time::<transd::TransD>("transd", 128)?;
    time::<rescal::Rescal>("rescal", 128)?;
    time::<transr::TransR>("transr", 128)?;
    time::<tucker::TuckEr>("tucker", 128)?;
    time::<conve::ConvE>("conve", 200)
}

/// Whether a name was asked for.
fn named(name: &str) -> bool {
    let mut names = std::env::args().skip(1).peekable();
    names.peek().is_none() || names.any(|asked| asked == name)
}

/// What the host does for `linalg.matmul`.
fn product(a: &[f32], b: &[f32], [m, k, n]: [usize; 3], transposed: [bool; 2]) -> Vec<f32> {
    let mut product = vec![0.0; m * n];
    match transposed {
        [false, false] => add_left_by_right(a, b, &mut product, k),
        [false, true] => left_by_right_transposed(a, b, &mut product, k),
        [true, false] => add_left_transposed_by_right(a, b, &mut product, k),
        [true, true] => unreachable!("no model of this repository multiplies so"),
    }
    product
}

/// The same models, their gradients derived and by hand, in one component.
fn two_ways() -> Result<(), Box<dyn Error>> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/two-ways");
    let out = tempfile::tempdir()?;
    let component = std::fs::read(&toolchain::build(&source, out.path())?[0])?;
    let plugin = Host::new(HostConfig::default())?.load(&component)?;
    for (number, name) in (0_u32..).zip(["TransE", "DistMult", "ComplEx"]) {
        let mut times = Vec::new();
        for derived in [0.0, 1.0] {
            let given =
                [("model".to_owned(), number.into()), ("derived".to_owned(), derived)].into();
            times.push(sandboxed(&plugin, 256, &given)?);
        }
        let ((hand_query, hand_vjp), (query, vjp)) = (times[0], times[1]);
        println!(
            "{name:<10} query by hand {hand_query:.3}, derived {query:.3} ({:.2}); \
             query-vjp by hand {hand_vjp:.3}, derived {vjp:.3} ({:.2})",
            query / hand_query,
            vjp / hand_vjp
        );
    }
    Ok(())
}

fn time<M: Scoring>(name: &str, dim: usize) -> Result<(), Box<dyn Error>> {
    if !named(name) {
        return Ok(());
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins/components");
    let bytes = std::fs::read(path.join(format!("{name}.wasm")))?;
    let cache = tempfile::tempdir()?;
    let host = || Host::new(HostConfig { cache: Some(cache.path().into()), ..Default::default() });
    let cold = milliseconds(1, || host().and_then(|host| host.load(&bytes)).map(drop))?;
    let warm_host = host()?;
    let warm = milliseconds(21, || warm_host.load(&bytes).map(drop))?;
    let plugin = warm_host.load(&bytes)?;
    let defaults = HyperParameters::new();
    let (query, vjp) = sandboxed(&plugin, dim, &defaults)?;
    let has_shared = !plugin.configure(dim, &defaults)?.layout().shared.is_empty();

    let runs = if has_shared { 3 } else { RUNS };
    let native = kge_plugin_sdk::timing::calls::<M>(dim, (BATCH, BATCH), RELATIONS, runs);
    let [native_query, native_vjp] = native.ok_or("plain loops multiplied")?;
    println!(
        "{name:<10} dim {dim}: query {query:.3}, native {native_query:.3} ({:.2} of its speed); \
         query-vjp {vjp:.3}, native {native_vjp:.3} ({:.2}); \
         {} KiB, load compiled {cold:.0}, cached {warm:.2}",
        native_query / query,
        native_vjp / vjp,
        bytes.len() >> 10
    );
    Ok(())
}

/// Milliseconds of `query` and of `query-vjp` in the sandbox.
fn sandboxed(
    plugin: &Plugin,
    dim: usize,
    given: &HyperParameters,
) -> Result<(f64, f64), Box<dyn Error>> {
    let model = plugin.configure(dim, given)?;
    let layout = model.layout();
    let relation_of = relation_of();
    let batch = QueryBatch {
        direction: Direction::Tail,
        anchors: &wave(BATCH * layout.entity_width, 0.0),
        relations: &wave(RELATIONS * layout.relation_width, 1.0),
        relation_of: &relation_of,
        context: &[],
    };
    let d_query = wave(BATCH * layout.query_width, 2.0);
    let mut session = model.session()?;
    let sizes = layout.shared.iter().map(|tensor| tensor.shape.iter().product());
    let shared: Vec<_> = sizes.map(|size| wave(size, 3.0)).collect();
    if !shared.is_empty() {
        session.set_shared(&shared)?;
    }
    let (mut rows, mut gradient) = (Vec::new(), QueryGradient::default());
    let runs = if shared.is_empty() { RUNS } else { 3 };
    let query = milliseconds(runs, || session.query(&batch, &mut rows))?;
    let vjp = milliseconds(runs, || session.query_vjp(&batch, &d_query, &mut gradient))?;
    Ok((query, vjp))
}

fn relation_of() -> Vec<u32> {
    (0..BATCH).map(|row| (row * 31 % RELATIONS) as u32).collect()
}

fn wave(count: usize, phase: f32) -> Vec<f32> {
    (0..count).map(|i| (i as f32 * 0.7 + phase).sin()).collect()
}

/// The median of some runs.
fn milliseconds<E>(runs: usize, mut run: impl FnMut() -> Result<(), E>) -> Result<f64, E> {
    let mut times = Vec::with_capacity(runs);
    for _ in 0..runs {
        let start = Instant::now();
        run()?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[runs / 2])
}
