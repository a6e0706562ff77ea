//! What people read when something goes wrong: six failures, each through a patch, a generator and a substitution, as
//! the status, the event, the terminal and JSON tell them. The texts stand in `failures/told/`, and are the same on both
//! grounds; `UPDATE_EXPECT=1` writes them anew.

mod cases;
mod telling;

use crate::bed::Ground;
use crate::on_both_grounds;
use cases::Case;

/// One test for each case; its name is that of its golden file.
macro_rules! cases {
    ($($case:ident),+ $(,)?) => {
        on_both_grounds!($($case),+);
        $(fn $case(ground: Ground) { telling::check(ground, &Case { name: stringify!($case), ..cases::$case() }); })+
    };
}

cases!(
    broken_yaml_by_patch,
    broken_yaml_by_generator,
    broken_yaml_by_substitution,
    unknown_field_by_patch,
    unknown_field_by_generator,
    unknown_field_by_substitution,
    missing_base_by_patch,
    missing_base_by_generator,
    missing_base_by_substitution,
    immutable_change_by_patch,
    immutable_change_by_generator,
    immutable_change_by_substitution,
    forbidden_namespace_by_patch,
    forbidden_namespace_by_generator,
    forbidden_namespace_by_substitution,
    image_never_ready_by_patch,
    image_never_ready_by_generator,
    image_never_ready_by_substitution,
    broken_yaml_by_secret,
    refused_value_of_secret,
    secret_of_wrong_type,
);
