use std::time::Duration;

use soll_cluster::{Contender, LeaseEnd, LeaseOptions, LeaseState};
use tokio_util::sync::CancellationToken;

use crate::support::{Bed, on_both};

on_both! {
async fn a_lease_on_a_real_server_passes_from_one_to_the_next(kind) {
    let bed = Bed::new(kind, "lease").await;
    let options = |identity: &str| LeaseOptions {
        retry_period: Duration::from_millis(200),
        ..LeaseOptions::new(&bed.namespace, "leader", identity)
    };
    let (stop_first, stop_second) = (CancellationToken::new(), CancellationToken::new());
    let first = Contender::new(&bed.cluster, options("a"));
    let mut state = first.state();
    let first = tokio::spawn(first.run(stop_first.clone()));
    state.wait_for(LeaseState::is_held).await.unwrap();
    // It is renewed: what is held moves on.
    let LeaseState::Held { until } = state.borrow().clone() else { panic!("held") };
    state.wait_for(|state| matches!(state, LeaseState::Held { until: later } if *later > until)).await.unwrap();

    let second = Contender::new(&bed.cluster, options("b"));
    let mut state = second.state();
    let second = tokio::spawn(second.run(stop_second.clone()));
    state.wait_for(|state| *state == LeaseState::Waiting { holder: Some("a".to_owned()) }).await.unwrap();
    stop_first.cancel();
    assert_eq!(first.await.unwrap(), LeaseEnd::Released);
    state.wait_for(LeaseState::is_held).await.unwrap();
    stop_second.cancel();
    assert_eq!(second.await.unwrap(), LeaseEnd::Released);
}
}
