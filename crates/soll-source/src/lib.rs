//! Git sources and the artifact store
