//! Counts the allocations of a request.

use crate::{Counting, Instance, Measured, Subject, Visitor, drive, request};

/// Number of requests whose allocations are counted.
const TIMES: u64 = 10_000;

/// The allocations of a request, in a program whose allocator is [`Counting`].
#[must_use]
pub fn allocations(subject: Subject, instance: &Instance) -> f64 {
    subject.show(instance, Allocations(&subject.authorization(instance)))
}

struct Allocations<'a>(&'a str);

impl Visitor for Allocations<'_> {
    type Output = f64;

    fn visit<S: Measured + Clone + Send + 'static>(self, mut service: S) -> f64 {
        let request = request(self.0);
        drive(&mut service, &request, TIMES);
        let before = Counting::allocations();
        drive(&mut service, &request, TIMES);
        (Counting::allocations() - before) as f64 / TIMES as f64
    }
}
