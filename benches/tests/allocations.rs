//! Checks that a hit allocates only what the request's extensions need.

use tower_clerk_benches::{Counting, Instance, Measured, Subject, Visitor, drive, request};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const TIMES: u64 = 10_000;

struct Count<'a>(&'a str);

impl Visitor for Count<'_> {
    type Output = f64;

    fn visit<S: Measured + Clone + Send + 'static>(self, mut service: S) -> f64 {
        let request = request(self.0);
        drive(&mut service, &request, TIMES);
        let before = Counting::allocations();
        drive(&mut service, &request, TIMES);
        (Counting::allocations() - before) as f64 / TIMES as f64
    }
}

#[test]
fn a_hit_allocates_no_more_than_the_extensions_need() {
    let instance = Instance::warm();
    let count = |subject: Subject| subject.show(&instance, Count(&subject.authorization(&instance)));
    let floor = count(Subject::InsertArc);
    let of_keys = [Subject::ApiKeyHit, Subject::HitBesideKeys];
    let others = [Subject::Hit, Subject::HitKeep, Subject::HitOrganization, Subject::HitGuard];
    for subject in others.into_iter().chain(of_keys) {
        // moka occasionally allocates, for many reads at once.
        let more = count(subject) - floor;
        assert!((0.0..0.05).contains(&more), "{}: {more} more allocations", subject.name());
    }
}
