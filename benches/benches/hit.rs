//! Measures the time of a hit, next to the bare service and to alternatives.

use criterion::{Criterion, criterion_group, criterion_main};
use tower_clerk_benches::{Instance, Measured, Subject, Visitor, drive, request};

struct Bench<'a> {
    criterion: &'a mut Criterion,
    subject: Subject,
    authorization: String,
}

impl Visitor for Bench<'_> {
    type Output = ();

    fn visit<S: Measured + Clone + Send + 'static>(self, mut service: S) {
        let request = request(&self.authorization);
        self.criterion
            .bench_function(self.subject.name(), |bencher| bencher.iter(|| drive(&mut service, &request, 1)));
    }
}

fn hits(criterion: &mut Criterion) {
    let instance = Instance::warm();
    let _entered = instance.runtime().enter();
    for subject in Subject::ALL {
        let authorization = subject.authorization(&instance);
        subject.show(&instance, Bench { criterion, subject, authorization });
    }
}

criterion_group!(benches, hits);
criterion_main!(benches);
