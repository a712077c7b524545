//! Checks that a hit allocates only what the request's extensions need.

use tower_clerk_benches::{Counting, Instance, Subject, allocations};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_hit_allocates_no_more_than_the_extensions_need() {
    let instance = Instance::warm();
    let count = |subject: Subject| allocations(subject, &instance);
    let floor = count(Subject::InsertArc);
    let of_keys = [Subject::ApiKeyHit, Subject::HitBesideKeys];
    let others = [Subject::Hit, Subject::HitKeep, Subject::HitOrganization, Subject::HitGuard];
    for subject in others.into_iter().chain(of_keys) {
        // moka occasionally allocates, for many reads at once.
        let more = count(subject) - floor;
        assert!((0.0..0.05).contains(&more), "{}: {more} more allocations", subject.name());
    }
}
