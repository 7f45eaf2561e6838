//! The model file.

use crate::{Explanation, Logistic, Model, Trees};
use tidegate_behavior::schema::Features;

/// Any model that a file can hold.
#[derive(Clone, Debug, PartialEq)]
pub enum AnyModel {
    /// Boosted trees.
    Trees(Trees),
    /// Logistic regression.
    Logistic(Logistic),
}

impl Model for AnyModel {
    fn score_one(&self, features: &Features) -> f32 {
        match self {
            Self::Trees(model) => model.score_one(features),
            Self::Logistic(model) => model.score_one(features),
        }
    }

    fn margin(&self, features: &Features) -> f32 {
        match self {
            Self::Trees(model) => model.margin(features),
            Self::Logistic(model) => model.margin(features),
        }
    }

    fn explain(&self, features: &Features) -> Explanation {
        match self {
            Self::Trees(model) => model.explain(features),
            Self::Logistic(model) => model.explain(features),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Trees(model) => model.kind(),
            Self::Logistic(model) => model.kind(),
        }
    }
}
