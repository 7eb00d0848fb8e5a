//! What can go wrong between a component's bytes and a scoring model.

use std::path::PathBuf;

/// One error for loading, configuring and building plugins.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine did not start, or its configuration does not fit this machine.
    #[error("the WebAssembly engine did not start: {0}")]
    Engine(String),
    /// The component is larger than the host compiles.
    #[error("plugin of {found} bytes is larger than the {limit} bytes this host accepts")]
    TooLarge {
        /// Bytes of the component.
        found: usize,
        /// Bytes that are accepted.
        limit: usize,
    },
    /// There is more code in the component than the host compiles.
    #[error("plugin {0}")]
    Code(String),
    /// The bytes are no component, or use a feature that the host does not allow.
    #[error("not a plugin: {0}")]
    NotAComponent(String),
    /// The component imports something.
    #[error("plugin imports {import}, which this host does not offer")]
    Import {
        /// The import's name.
        import: String,
    },
    /// The component does not export the contract in a version the host knows.
    #[error("plugin does not export {expected}; it exports {found}")]
    Export {
        /// The interface the host looks for.
        expected: &'static str,
        /// What there is instead.
        found: String,
    },
    /// A field of `describe` or `layout` is not what the contract says.
    #[error("{plugin}: {function}: {field} {reason}")]
    Field {
        /// The plugin's name, or `plugin` before it has told it.
        plugin: String,
        /// `describe` or `layout`.
        function: &'static str,
        /// The field's path: `shared[0].shape`.
        field: String,
        /// What is wrong, and what is allowed.
        reason: String,
    },
    /// The model refused or failed.
    #[error(transparent)]
    Model(#[from] kge_model::Error),
    /// A directory of plugins cannot be read.
    #[error("cannot read the plugins in {}: {source}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A plugin could not be built from its source.
    #[error("{0}")]
    Build(String),
}
