//! Times the plugins of this repository: loading, and calls at 1024 x 256 beside the same crate
//! compiled natively. `make plugins` first.

use std::error::Error;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use kge_model::{Direction, QueryBatch, QueryGradient, ScoringModel as _};
use kge_plugin::{Host, HostConfig};
use kge_plugin_sdk::Model;

const BATCH: usize = 1024;
const WIDTH: usize = 256;
const RELATIONS: usize = 237;

fn main() -> Result<(), Box<dyn Error>> {
    time::<complex::ComplEx>("complex", WIDTH / 2)?;
    time::<distmult::DistMult>("distmult", WIDTH)?;
    time::<transe::TransE>("transe", WIDTH)
}

fn time<M: Model>(name: &str, dim: usize) -> Result<(), Box<dyn Error>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins/components");
    let bytes = std::fs::read(path.join(format!("{name}.wasm")))?;
    let cache = tempfile::tempdir()?;
    let host = || Host::new(HostConfig { cache: Some(cache.path().into()), ..Default::default() });
    let cold = milliseconds(1, || host().and_then(|host| host.load(&bytes)).map(drop))?;
    let warm_host = host()?;
    let warm = milliseconds(20, || warm_host.load(&bytes).map(drop))?;
    println!("{name}: load compiled {cold:.1} ms, cached {warm:.2} ms");

    let sandboxed = warm_host.load(&bytes)?.configure(dim, &Default::default())?;
    let native = M::configure(dim, &Default::default())?;
    let wave = |rows: usize, phase: f32| -> Vec<f32> {
        (0..rows * WIDTH).map(|i| (i as f32 * 0.7 + phase).sin()).collect()
    };
    let (anchors, relations, d_query) = (wave(BATCH, 0.0), wave(RELATIONS, 1.0), wave(BATCH, 2.0));
    let relation_of: Vec<u32> = (0..BATCH).map(|i| (i * 31 % RELATIONS) as u32).collect();
    let batch = QueryBatch {
        direction: Direction::Tail,
        anchors: &anchors,
        relations: &relations,
        relation_of: &relation_of,
        context: &[],
    };
    let mut session = sandboxed.session()?;
    let (mut rows, mut gradient) = (Vec::new(), QueryGradient::default());
    let query = milliseconds(200, || session.query(&batch, &mut rows))?;
    let vjp = milliseconds(200, || session.query_vjp(&batch, &d_query, &mut gradient))?;

    let tail = kge_plugin_sdk::Direction::Tail;
    let relation = |of: u32| of as usize * WIDTH..(of as usize + 1) * WIDTH;
    let native_query = milliseconds(200, || {
        let mut rows = vec![0.0; BATCH * WIDTH];
        for (i, &of) in relation_of.iter().enumerate() {
            let row = i * WIDTH..(i + 1) * WIDTH;
            native.query(tail, &anchors[row.clone()], &relations[relation(of)], &mut rows[row]);
        }
        black_box(&rows);
        Ok::<_, kge_model::Error>(())
    })?;
    let native_vjp = milliseconds(200, || {
        let mut d_anchors = vec![0.0; BATCH * WIDTH];
        let mut d_relations = vec![0.0; RELATIONS * WIDTH];
        for (i, &of) in relation_of.iter().enumerate() {
            let row = i * WIDTH..(i + 1) * WIDTH;
            native.query_vjp(
                tail,
                &anchors[row.clone()],
                &relations[relation(of)],
                &d_query[row.clone()],
                &mut d_anchors[row],
                &mut d_relations[relation(of)],
            );
        }
        black_box((&d_anchors, &d_relations));
        Ok::<_, kge_model::Error>(())
    })?;
    println!("  query     {query:.3} ms, native {native_query:.3} ms");
    println!("  query-vjp {vjp:.3} ms, native {native_vjp:.3} ms");
    Ok(())
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
