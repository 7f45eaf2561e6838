//! Writes the seeds of `model_file` anew, as the schema of features of this version asks for:
//! `cargo run --no-default-features --example seeds`.

use std::path::Path;
use tidegate_behavior::schema::COUNT;
use tidegate_models::file::{AnyModel, save};
use tidegate_models::trees::{EXIT_STEP, Exit, Node};
use tidegate_models::{Calibration, Logistic, TrainingSet, Trees};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let split =
        |feature, threshold| Node::Split { feature, threshold, left: 1, right: 2, value: 0.25 };
    let tree =
        |feature, threshold| vec![split(feature, threshold), Node::Leaf(-1.0), Node::Leaf(1.5)];
    let forest: Vec<_> = (0..20).flat_map(|_| [tree(3, 0.5), tree(7, -2.0)]).collect();
    let exits = vec![Exit { trees: EXIT_STEP, below: -3.5 }];
    let trees = Trees::new(0.5, &forest, Calibration::default())?.with_exits(exits)?;
    let mut set = TrainingSet::default();
    set.push([0.0; COUNT], false, 1.0, 0);
    set.push([1.0; COUNT], true, 1.0, 1);
    let logistic = Logistic::train(&set, 1, 1)?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds/model_file");
    std::fs::write(folder.join("trees"), save(&AnyModel::Trees(trees), "seed")?)?;
    std::fs::write(folder.join("logistic"), save(&AnyModel::Logistic(Box::new(logistic)), "")?)?;
    Ok(())
}
