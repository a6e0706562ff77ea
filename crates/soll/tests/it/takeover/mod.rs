//! Clusters that others have kept before us, and that others keep after us: nothing of what runs there is touched.

mod cluster;
mod controller;
mod migration;
mod recorded;
