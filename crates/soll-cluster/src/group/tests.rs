#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use tokio::task::JoinHandle;

use super::*;
use crate::testing::Objects;

const SHARDS: usize = 8;
const JOINT: &str = "kustomize-controller-leader-election";
const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/flux-system/leases";

fn options(identity: &str) -> GroupOptions {
    GroupOptions {
        namespace: "flux-system".to_owned(),
        name: "soll".to_owned(),
        identity: identity.to_owned(),
        shards: SHARDS,
        address: None,
        joint: vec![JOINT.to_owned()],
        duration: Duration::from_secs(35),
        renew_deadline: Duration::from_secs(30),
        retry_period: Duration::from_secs(5),
    }
}

/// What was begun and ended, and what is under way.
#[derive(Default)]
struct Desk {
    said: Mutex<Vec<String>>,
    busy: Mutex<Vec<usize>>,
}

impl Work for Desk {
    fn begin(&self, shards: &[usize]) {
        self.said.lock().unwrap().push(format!("begin {shards:?}"));
    }

    fn is_idle(&self, shard: usize) -> bool {
        !self.busy.lock().unwrap().contains(&shard)
    }

    fn end(&self, shard: usize) {
        self.said.lock().unwrap().push(format!("end {shard}"));
    }
}

struct Member {
    standing: watch::Receiver<Standing>,
    desk: Arc<Desk>,
    stop: CancellationToken,
    task: JoinHandle<GroupEnd>,
}

impl Member {
    fn start(objects: &Objects, options: GroupOptions) -> Self {
        let group = Group::new(&objects.cluster(), options);
        let (standing, desk, stop) = (group.standing(), Arc::new(Desk::default()), CancellationToken::new());
        let (work, shutdown) = (Arc::clone(&desk), stop.clone());
        let task = tokio::spawn(async move { group.run(&*work, shutdown).await });
        Self { standing, desk, stop, task }
    }

    fn named(objects: &Objects, identity: &str) -> Self {
        Self::start(objects, options(identity))
    }

    fn writable(&self) -> Vec<usize> {
        (0..SHARDS).filter(|shard| self.standing.borrow().holds(*shard, JOINT)).collect()
    }
}

/// Lets time pass; at no moment two members may write to one shard. Returns how many shards each has in the end, and for how
/// long a shard was nobody's at most.
async fn pass(seconds: u64, members: &[&Member]) -> (Vec<usize>, Duration) {
    let (mut longest, mut since) = (Duration::ZERO, vec![Instant::now(); SHARDS]);
    for _ in 0..seconds * 20 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let writable: Vec<Vec<usize>> = members.iter().map(|member| member.writable()).collect();
        for (shard, since) in since.iter_mut().enumerate() {
            let writers = writable.iter().filter(|writable| writable.contains(&shard)).count();
            assert!(writers <= 1, "{writers} members may write to shard {shard}: {writable:?}");
            if writers == 1 {
                *since = Instant::now();
            }
            longest = longest.max(since.elapsed());
        }
    }
    (members.iter().map(|member| member.writable().len()).collect(), longest)
}

#[tokio::test(start_paused = true)]
async fn shards_are_divided_evenly_and_handed_over_when_members_come_and_go() {
    let objects = Objects::default();
    let a = Member::named(&objects, "a");
    assert_eq!(pass(12, &[&a]).await.0, [8]);
    let b = Member::named(&objects, "b");
    let c = Member::named(&objects, "c");
    let (shares, longest) = pass(30, &[&a, &b, &c]).await;
    assert_eq!(shares, [3, 3, 2]);
    assert!(longest <= Duration::from_secs(11), "who comes is given its share at once: {longest:?}");

    b.task.abort();
    let (shares, longest) = pass(60, &[&a, &c, &b]).await;
    assert_eq!(shares, [4, 4, 0]);
    assert!(longest >= Duration::from_secs(1), "what a dead member had is nobody's until its lease has run out");
    assert!(longest <= Duration::from_secs(35 + 6), "and not for much longer: {longest:?}");
    assert!(objects.get(&format!("{LEASES}/soll-member-b")).is_none(), "the lease of the dead is gone");

    c.stop.cancel();
    let (shares, longest) = pass(12, &[&a, &c]).await;
    assert_eq!(shares, [8, 0]);
    assert!(longest <= Duration::from_secs(6), "who ends gives back at once: {longest:?}");
    assert_eq!(c.task.await.unwrap(), GroupEnd::Released);
}

#[tokio::test(start_paused = true)]
async fn what_leaves_is_finished_first() {
    let objects = Objects::default();
    let a = Member::named(&objects, "a");
    pass(12, &[&a]).await;
    *a.desk.busy.lock().unwrap() = vec![6];
    let b = Member::named(&objects, "b");
    assert_eq!(pass(20, &[&a, &b]).await.0, [5, 3]);
    assert!(!a.standing.borrow().may_begin(6, JOINT), "nothing more is begun");
    assert!(a.standing.borrow().holds(6, JOINT), "what runs may be finished");
    a.desk.busy.lock().unwrap().clear();
    assert_eq!(pass(12, &[&a, &b]).await.0, [4, 4]);

    *a.desk.busy.lock().unwrap() = vec![3];
    let c = Member::named(&objects, "c");
    let (shares, longest) = pass(60, &[&a, &b, &c]).await;
    assert_eq!(shares, [3, 3, 2], "what never ends is given away all the same");
    assert!(longest <= Duration::from_secs(11), "{longest:?}");
    let said = a.desk.said.lock().unwrap().join("; ");
    assert!(said.starts_with("begin [0, 1, 2, 3, 4, 5, 6, 7]; end "), "{said}");
}

#[tokio::test(start_paused = true)]
async fn who_divides_otherwise_is_refused_and_who_is_dead_is_not_asked() {
    let objects = Objects::default();
    let a = Member::named(&objects, "a");
    pass(12, &[&a]).await;
    let b = Member::start(&objects, GroupOptions { shards: 4, ..options("b") });
    let misfit = Misfit { other: "a".to_owned(), reason: MisfitReason::Shards { theirs: "8".to_owned(), ours: 4 } };
    assert_eq!(b.task.await.unwrap(), GroupEnd::Refused(misfit));
    assert_eq!(pass(12, &[&a]).await.0, [8], "who was first goes on");

    a.task.abort();
    let c = Member::start(&objects, GroupOptions { shards: 4, ..options("c") });
    assert_eq!(pass(30, &[&a, &c]).await.0[1], 0, "who is dead may still be alive");
    assert_eq!(pass(20, &[&c]).await.0, [4]);
    assert!(objects.get(&format!("{LEASES}/soll-shard-7")).is_none(), "there is no such shard any more");
}

#[tokio::test(start_paused = true)]
async fn two_that_come_at_once_and_divide_otherwise_do_not_both_work() {
    let objects = Objects::default();
    let a = Member::named(&objects, "a");
    let b = Member::start(&objects, GroupOptions { shards: 4, ..options("b") });
    let (shares, _) = pass(60, &[&a, &b]).await;
    assert!(shares.contains(&0), "{shares:?}");
}

#[tokio::test(start_paused = true)]
async fn an_address_is_nobody_elses() {
    let objects = Objects::default();
    let at = |identity: &str, address: &str| GroupOptions { address: Some(address.to_owned()), ..options(identity) };
    let a = Member::start(&objects, at("a", "10.0.0.1:9090"));
    let b = Member::start(&objects, at("b", "10.0.0.2:9090"));
    assert_eq!(pass(30, &[&a, &b]).await.0, [4, 4]);
    let c = Member::start(&objects, at("c", "10.0.0.2:9090"));
    let misfit = Misfit { other: "b".to_owned(), reason: MisfitReason::Address("10.0.0.2:9090".to_owned()) };
    assert_eq!(c.task.await.unwrap(), GroupEnd::Refused(misfit));
}

#[tokio::test(start_paused = true)]
async fn the_joint_lease_outlives_each_member_and_ends_with_the_last() {
    let objects = Objects::default();
    let holder = || objects.get(&format!("{LEASES}/{JOINT}")).and_then(|lease| holder(&lease).map(str::to_owned));
    let a = Member::named(&objects, "a");
    let b = Member::named(&objects, "b");
    pass(30, &[&a, &b]).await;
    assert_eq!(holder().as_deref(), Some("soll"));

    // Flux waits for its lease, and does not get it when a member dies, nor when one ends.
    let flux = LeaseOptions::new("flux-system", JOINT, "flux");
    let flux = crate::Contender::new(&objects.cluster(), flux);
    let (stop_flux, state) = (CancellationToken::new(), flux.state());
    let flux = tokio::spawn(flux.run(stop_flux.clone()));
    a.task.abort();
    let c = Member::named(&objects, "c");
    pass(90, &[&a, &b, &c]).await;
    b.stop.cancel();
    assert_eq!(pass(60, &[&b, &c]).await.0, [0, 8]);
    assert!(!state.borrow().is_held());

    c.stop.cancel();
    assert_eq!(c.task.await.unwrap(), GroupEnd::Released);
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert!(state.borrow().is_held(), "the last one has given it back");

    // And back: the group waits for it.
    let d = Member::named(&objects, "d");
    assert_eq!(pass(60, &[&d]).await.0, [0]);
    stop_flux.cancel();
    flux.await.unwrap();
    assert_eq!(pass(12, &[&d]).await.0, [8]);
}

#[tokio::test(start_paused = true)]
async fn who_cannot_renew_gives_up_before_others_take_over() {
    let objects = Objects::default();
    let a = Member::named(&objects, "a");
    pass(12, &[&a]).await;
    let before = Instant::now();
    objects.refuse_all();
    let GroupEnd::Lost(lease) = a.task.await.unwrap() else { panic!("it is lost") };
    assert!([JOINT, "soll-member-a"].contains(&lease.as_str()), "{lease}");
    assert!(before.elapsed() <= Duration::from_secs(35), "{:?}", before.elapsed());
    assert_eq!(*a.standing.borrow(), Standing::default());
}

#[tokio::test(start_paused = true)]
async fn a_joint_lease_that_lapsed_is_not_the_groups_again() {
    let objects = Objects::default();
    let a = Member::named(&objects, "a");
    pass(12, &[&a]).await;
    let before = Instant::now();
    // Made, and not waited for; what follows from that takes longer than the lease lasts.
    objects.answer_late(JOINT, Duration::from_secs(16));
    tokio::time::sleep(Duration::from_secs(22)).await;
    objects.answer_late(JOINT, Duration::from_secs(14));
    let ended = tokio::time::timeout(Duration::from_secs(120), a.task).await.expect("it does not go on");
    assert_eq!(ended.unwrap(), GroupEnd::Lost(JOINT.to_owned()));
    assert!(before.elapsed() <= Duration::from_secs(35), "{:?}", before.elapsed());
}

#[tokio::test(start_paused = true)]
async fn who_is_robbed_of_a_shard_stops() {
    let objects = Objects::default();
    let a = Member::named(&objects, "a");
    pass(12, &[&a]).await;
    let mut robber = Record::new(&objects.cluster(), &options("robber").lease("soll-shard-2".to_owned(), "robber"));
    robber.look().await.unwrap();
    robber.take().await.unwrap();
    assert_eq!(a.task.await.unwrap(), GroupEnd::Lost("soll-shard-2".to_owned()));
}
