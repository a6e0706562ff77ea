//! Git sources and the artifact store.
//!
//! Read [`git::fetch`] first: it turns a URL and a reference into a revision and a tree. [`Store`] keeps trees as
//! artifacts, [`router`] serves them, [`Downloader`] gets those of others. What to fetch and when is decided elsewhere.

mod blocking;
mod download;
pub mod git;
mod secret;
mod server;
mod store;

pub use blocking::blocking;
pub use download::{DownloadError, DownloadOptions, Downloader};
pub use secret::Secret;
pub use server::{router, serve};
pub use store::{Retention, Slot, Store, StoreError, Stored};
