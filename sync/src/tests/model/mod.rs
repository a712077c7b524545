//! Random histories of an instance, and deliveries in any order (rules Y1-Y3).
//!
//! The history is made at the stand-in, under a paused clock, in which each change has a millisecond of its own. It is then told
//! to the mirror on a real clock, as the database needs.

mod history;
mod random;

use std::collections::{HashMap, HashSet};

pub(crate) use self::history::{History, Step};
pub(crate) use self::random::Random;
use super::*;
use crate::kind::Kind;
use crate::record::Record;
use crate::support::each;

/// The states that Clerk ever told of each object, and the objects whose deletion the mirror was told.
struct Model {
    states: HashMap<(Kind, String), HashSet<(i64, String)>>,
    deleted: HashSet<(Kind, String)>,
}

impl Model {
    fn of(history: &History) -> Self {
        let mut states: HashMap<(Kind, String), HashSet<(i64, String)>> = HashMap::new();
        let shown = history.steps.iter().flat_map(Step::objects);
        for (kind, json) in shown {
            let record = Record::read(kind, &json).unwrap();
            states.entry((kind, record.id)).or_default().insert((record.version, record.hash));
        }
        Self { states, deleted: HashSet::new() }
    }

    /// Compares all rows with what may be there.
    async fn check(&self, mirror: &Mirror) {
        for kind in Kind::ALL {
            let table = kind.table();
            let ids = mirror.texts(&format!("SELECT id FROM {table} WHERE deleted_at IS NULL")).await;
            let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
            for head in mirror.heads(kind, &ids).await.unwrap() {
                let key = (kind, head.id.clone());
                assert!(!self.deleted.contains(&key), "{key:?} is back after its deletion was applied");
                // An empty hash: its parent is deleted, and its content erased.
                let is_state = self.states[&key].contains(&(head.version, head.hash.clone()));
                assert!(
                    head.hash.is_empty() || is_state,
                    "{key:?} holds a state that Clerk never had: {head:?}"
                );
            }
        }
        let pairs = "SELECT user_id || organization_id FROM clerk_memberships";
        let pairs = mirror.texts(pairs).await;
        let distinct: HashSet<&String> = pairs.iter().collect();
        assert_eq!(pairs.len(), distinct.len(), "no one is a member twice");
        let covered = "SELECT COUNT(*) FROM clerk_memberships m WHERE EXISTS \
            (SELECT 1 FROM clerk_mirror_users u WHERE u.id = m.user_id AND u.deleted_at IS NOT NULL) OR EXISTS \
            (SELECT 1 FROM clerk_mirror_organizations o WHERE o.id = m.organization_id AND o.deleted_at IS NOT NULL)";
        assert_eq!(mirror.number(covered).await, 0, "no one is a member of what is deleted");
    }

    /// Tells the mirror one step of the history.
    async fn tell(&mut self, mirror: &Mirror, step: &Step) -> Outcome {
        match step {
            Step::Event { id, event_type, at, body } => {
                let message = Message { id, event_type, at: *at, instance: Some(INSTANCE), json: body };
                let outcome = mirror.apply_event(message).await.unwrap();
                assert_ne!(outcome, Outcome::Quarantined, "{event_type}");
                if let (Some(kind), true) = (Kind::of_event(event_type), event_type.ends_with(".deleted")) {
                    self.deleted.insert((kind, step.object_id()));
                }
                outcome
            }
            Step::List { kind, read_at, entries } => {
                let entries: Vec<&str> = entries.iter().map(String::as_str).collect();
                let applied = mirror.apply_page(*kind, *read_at, &entries, None).await.unwrap();
                assert_eq!(applied.unfit, 0);
                Outcome::Applied
            }
        }
    }
}

/// The live rows of a view, comparable with what Clerk shows.
async fn rows_of(mirror: &Mirror, kind: Kind) -> Vec<(String, i64, String)> {
    let ids = mirror.texts(&format!("SELECT id FROM {} ORDER BY id", kind.view())).await;
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let heads = mirror.heads(kind, &ids).await.unwrap();
    heads.into_iter().map(|head| (head.id, head.version, head.hash)).collect()
}

/// The state of an instance in the same form.
fn shown(history: &History, kind: Kind) -> Vec<(String, i64, String)> {
    let of_kind = history.last.iter().filter(|(of, _)| *of == kind);
    let mut rows: Vec<_> = of_kind
        .map(|(kind, json)| Record::read(*kind, json).unwrap())
        .map(|record| (record.id, record.version, record.hash))
        .collect();
    rows.sort();
    rows
}

#[tokio::test]
async fn y2_whatever_is_lost_late_or_twice_no_row_holds_a_state_that_clerk_never_had_or_comes_back() {
    for seed in 0..4 {
        let history = History::make(seed);
        each(async |database| {
            let mut random = Random::new(seed);
            let mut deliveries = history.steps.clone();
            deliveries.retain(|_| !random.percent(15));
            let twice: Vec<Step> = deliveries.iter().filter(|_| random.percent(20)).cloned().collect();
            deliveries.extend(twice);
            random.shuffle(&mut deliveries);
            let (mut model, mirror) = (Model::of(&history), mirror(database).await);
            for (at, step) in deliveries.iter().enumerate() {
                model.tell(&mirror, step).await;
                if at % 40 == 0 {
                    model.check(&mirror).await;
                }
            }
            model.check(&mirror).await;
        })
        .await;
    }
}

#[tokio::test]
async fn y2_where_nothing_is_lost_the_mirror_ends_as_clerk_whatever_the_order() {
    for seed in 10..14 {
        let history = History::make(seed);
        each(async |database| {
            let mut random = Random::new(seed);
            let mut deliveries = history.steps.clone();
            let twice: Vec<Step> = deliveries.iter().filter(|_| random.percent(20)).cloned().collect();
            deliveries.extend(twice);
            random.shuffle(&mut deliveries);
            let (mut model, mirror) = (Model::of(&history), mirror(database).await);
            for step in &deliveries {
                model.tell(&mirror, step).await;
            }
            model.check(&mirror).await;
            for kind in Kind::ALL {
                assert_eq!(rows_of(&mirror, kind).await, shown(&history, kind), "{kind}, seed {seed}");
            }
        })
        .await;
    }
}
