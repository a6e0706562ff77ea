//! The integration suite: every case runs against the embedded API server and against a real kube-apiserver, with the
//! engine as a process of its own and repositories on a real Git server.

mod bed;
mod charts;
mod clients;
mod commands;
mod corpus;
mod drift;
mod failures;
mod faults;
mod fields;
mod life;
mod passes;
mod remotes;
mod takeover;
mod tenancy;
mod testdata;
mod trouble;
mod up;
mod watching;

/// Defines a module with one test for each case and ground.
macro_rules! on_both_grounds {
    ($($case:ident),+ $(,)?) => {
        mod embedded {
            $(#[test] fn $case() { super::$case(crate::bed::Ground::Embedded); })+
        }
        mod real {
            $(#[test] fn $case() { super::$case(crate::bed::Ground::Real); })+
        }
    };
}
pub(crate) use on_both_grounds;
