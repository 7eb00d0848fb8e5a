//! Seconds of an epoch of ComplEx by tranz on a CPU, with all entities as candidates.
//!
//!     tranz-epoch [BATCH] < train.tsv
//!
//! Softmax both ways of each triple, 256 floats a row, N3 and, as tranz has no other optimiser,
//! AdamW, by its `train_kge` on Burn's own backend (flex). Prints a JSON line.

use std::io::BufRead;
use std::time::Instant;

use burn::tensor::Device;
use tranz::burn_train::{BurnModelType, BurnTrainConfig, train_kge_seeded};
use tranz::dataset::{Dataset, Triple};

fn main() {
    let batch_size = std::env::args().nth(1).map_or(1024, |size| size.parse().expect("a number"));
    let lines = std::io::stdin().lock().lines().map(|line| line.expect("text"));
    let triples = lines.map(|line| match line.split('\t').collect::<Vec<_>>()[..] {
        [head, relation, tail] => Triple::new(head, relation, tail),
        _ => panic!("not a triple: {line}"),
    });
    let data = Dataset::new(triples.collect(), Vec::new(), Vec::new()).into_interned();
    let config = BurnTrainConfig {
        dim: 128,
        label_smoothing: 0.0,
        lr: 1e-3,
        // A third of it counts: 0.05, as in fb15k-237-complex.
        n3_reg: 0.15,
        batch_size,
        epochs: 1,
        log_interval: 0,
        ..BurnTrainConfig::default()
    };
    let began = Instant::now();
    let trained = train_kge_seeded(
        &data.train,
        data.num_entities(),
        data.num_relations(),
        BurnModelType::ComplEx,
        &config,
        &Device::flex(),
        1,
    );
    let seconds = began.elapsed().as_secs_f64();
    assert!(trained.losses.iter().all(|loss| loss.is_finite()), "it diverged");
    let what = format!("ComplEx, 1vsAll, {batch_size} triples a batch");
    println!(
        r#"{{"peer": "tranz", "version": "0.9.0", "what": "{what}", "epoch_seconds": {seconds}}}"#
    );
}
