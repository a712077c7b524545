//! Counts the reasons for which credentials are malformed.

use super::stripes::Stripes;
use crate::credentials::MalformedReason;

#[derive(Debug, Default)]
pub(crate) struct MalformedCounts(Stripes<{ MalformedReason::ALL.len() }>);

impl MalformedCounts {
    pub(crate) fn count(&self, reason: MalformedReason) {
        self.0.count(reason as usize);
    }

    pub(crate) fn all(&self) -> Box<[(MalformedReason, u64)]> {
        MalformedReason::ALL.iter().map(|reason| (*reason, self.0.total(*reason as usize))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn o2_every_reason_has_its_cell_and_its_name() {
        let counts = MalformedCounts::default();
        for (at, reason) in MalformedReason::ALL.iter().copied().enumerate() {
            assert_eq!(reason as usize, at);
            (0..=at).for_each(|_| counts.count(reason));
        }
        assert!(counts.all().iter().enumerate().all(|(at, (_, count))| *count == at as u64 + 1));
        let mut names: Vec<_> = MalformedReason::ALL.iter().map(|reason| reason.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), MalformedReason::ALL.len());
    }
}
