//! The macro that makes a model a component.

/// Exports a [`Model`](crate::Model) as a component; on targets other than wasm32 it only makes it
/// [`Scoring`](crate::Scoring), so that a model crate also compiles natively.
///
/// - `export_model!(DistMult)`: the model is [`Forward`](crate::Forward), its gradients derived.
/// - `export_model!(TransH, projects candidates)`: so too, with its own
///   [`candidate`](crate::Forward::candidate).
/// - `export_model!(TransE, by hand)`: the model is [`ByHand`](crate::ByHand).
#[macro_export]
macro_rules! export_model {
    ($model:ident) => {
        $crate::export_model!(@scoring $model, forward, false);
        $crate::export_model!(@component $model, model);
    };
    ($model:ident, projects candidates) => {
        $crate::export_model!(@scoring $model, forward, true);
        $crate::export_model!(@component $model, projecting);
    };
    ($model:ident, by hand) => {
        $crate::export_model!(@scoring $model, by_hand, false);
        $crate::export_model!(@component $model, model);
    };
    (@scoring $model:ident, $way:ident, $projects:literal) => {
        impl $crate::Scoring for $model {
            const PROJECTS_CANDIDATES: bool = $projects;

            fn queries(&self, layout: &$crate::Layout, batch: &$crate::Batch<'_>) -> Vec<f32> {
                $crate::$way::queries(self, layout, batch)
            }

            fn queries_vjp(
                &self,
                layout: &$crate::Layout,
                batch: &$crate::Batch<'_>,
                d_queries: &[f32],
            ) -> $crate::Gradients {
                $crate::$way::queries_vjp(self, layout, batch, d_queries)
            }

            fn candidates(&self, layout: &$crate::Layout, batch: &$crate::Batch<'_>) -> Vec<f32> {
                $crate::$way::candidates(self, layout, batch)
            }

            fn candidates_vjp(
                &self,
                layout: &$crate::Layout,
                batch: &$crate::Batch<'_>,
                d_candidates: &[f32],
            ) -> $crate::Gradients {
                $crate::$way::candidates_vjp(self, layout, batch, d_candidates)
            }
        }
    };
    (@native $model:ident) => {
        #[cfg(not(target_arch = "wasm32"))]
        #[doc(hidden)]
        pub fn kge_plugin_time_natively() {
            $crate::timing::time::<$model>();
        }
    };
    (@component $model:ident, model) => {
        $crate::export_model!(@native $model);
        #[cfg(target_arch = "wasm32")]
        mod exported {
            use $crate::guest::exports::kge::model::scoring;

            type Exported = $crate::guest::Component<super::$model>;
            scoring::__export_kge_model_scoring_0_1_0_cabi!(Exported with_types_in scoring);
        }
    };
    (@component $model:ident, projecting) => {
        $crate::export_model!(@native $model);
        #[cfg(target_arch = "wasm32")]
        mod exported {
            type Exported = $crate::guest::Component<super::$model>;
            $crate::guest::export!(Exported with_types_in $crate::guest);
        }
    };
}
