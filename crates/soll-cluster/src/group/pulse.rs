//! Signs of life: the lease of a member.

use tokio::sync::watch;
use tokio::time::Instant;

use super::{GroupEnd, GroupOptions, Standing};
use crate::lease::Record;

/// Makes our lease and renews it. Returns when others may have taken us for dead.
pub(super) async fn keep(mut record: Record, options: &GroupOptions, standing: &watch::Sender<Standing>) -> GroupEnd {
    let mut until: Option<Instant> = None;
    loop {
        // Others count from when they see it, which is after we asked.
        let asked = Instant::now();
        let renewed = match record.take().await {
            // An earlier answer was lost on its way: the name is nobody else's.
            Err(error) if error.is_conflict() => match record.look().await {
                Ok(_) if record.lease().is_some() => record.take().await,
                Ok(_) => Err(error),
                Err(error) => Err(error),
            },
            renewed => renewed,
        };
        // What comes when others may have acted on our death already comes too late, and makes nothing good.
        let too_late = until.is_some_and(|until| Instant::now() >= until);
        match renewed {
            Ok(()) if !too_late => {
                until = Some(asked + options.duration);
                standing.send_modify(|standing| standing.until = until);
            }
            Ok(()) => return GroupEnd::Lost(options.member()),
            Err(error) => {
                tracing::warn!(lease = options.member(), %error, "cannot make or renew the lease");
                let given_up =
                    until.is_some_and(|until| Instant::now() + options.duration >= until + options.renew_deadline);
                if given_up || (until.is_some() && error.is_not_found()) {
                    return GroupEnd::Lost(options.member());
                }
            }
        }
        tokio::time::sleep(options.retry_period).await;
    }
}
