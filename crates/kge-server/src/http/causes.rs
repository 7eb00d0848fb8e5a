//! What the layers below say, as problems.

use super::{Problem, kind};

impl From<kge_catalog::Error> for Problem {
    fn from(error: kge_catalog::Error) -> Self {
        use kge_catalog::Error;
        let words = error.to_string();
        match error {
            Error::Unknown { what, name, nearest } => {
                Self::unknown(what, &name, nearest.as_deref())
            }
            Error::NameTaken { .. } => Self::new(&kind::NAME_TAKEN, words),
            Error::Invalid { what, reason } => match what {
                "name" => Self::field("/name", reason),
                _ => Self::new(&kind::INVALID_PARAMETER, words),
            },
            Error::InUse { .. } => Self::new(&kind::CONFLICT, words),
            Error::Changed { .. } => Self::new(&kind::PRECONDITION_FAILED, words),
            Error::Contended { .. } => Self::new(&kind::UNAVAILABLE, words),
            Error::Graph(error) => error.into(),
            error => Self::internal(&error),
        }
    }
}

impl From<kge_graph::Error> for Problem {
    fn from(error: kge_graph::Error) -> Self {
        match &error {
            kge_graph::Error::Inexpressible { .. } => {
                Self::new(&kind::UNPROCESSABLE, error.to_string())
            }
            _ if error.is_input() => Self::new(&kind::MALFORMED_BODY, error.to_string()),
            _ => Self::internal(&error),
        }
    }
}

impl From<kge_jobs::Error> for Problem {
    fn from(error: kge_jobs::Error) -> Self {
        use kge_jobs::Error;
        let words = error.to_string();
        match error {
            Error::UnknownTask(id) => Self::unknown("task", &id.to_string(), None),
            Error::State { .. } | Error::LeaseLost(_) => Self::new(&kind::CONFLICT, words),
            Error::Unavailable { .. } | Error::Refused { .. } | Error::Version { .. } => {
                Self::new(&kind::UNAVAILABLE, words)
            }
        }
    }
}

impl From<kge_search::Error> for Problem {
    fn from(error: kge_search::Error) -> Self {
        use kge_search::Error;
        let words = error.to_string();
        match error {
            Error::Direction { .. } | Error::Model(kge_model::Error::Unsupported { .. }) => {
                Self::new(&kind::UNPROCESSABLE, words)
            }
            Error::Width { .. } => Self::field("/entity/value", words),
            _ => Self::new(&kind::MODEL_FAILED, words),
        }
    }
}
