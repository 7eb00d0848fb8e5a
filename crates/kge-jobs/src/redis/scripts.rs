//! The scripts, one a transition: each runs alone, so each is one step.

use fred::types::scripts::Script;

macro_rules! scripts {
    ($($name:ident),* $(,)?) => {
        /// Every script, by the name of its file.
        pub(super) struct Scripts {
            $(pub(super) $name: Script),*
        }

        impl Scripts {
            pub(super) fn new() -> Self {
                Self {
                    $($name: script(include_str!(concat!("scripts/", stringify!($name), ".lua")))),*
                }
            }
        }
    };
}

scripts![
    cancel, claim, due, end, enqueue, events, forget, glance, heartbeat, leave, list, log, look,
    open, pause, paused, ping, reap, register, remove, unmet, workers,
];

fn script(body: &str) -> Script {
    Script::from_lua(format!("{}{body}", include_str!("scripts/prelude.lua")))
}
