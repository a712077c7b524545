//! Organizations, indexed by id and slug, and memberships.

use std::collections::HashMap;

use tokio::time::Instant;

use crate::accounts::FakeOrganization;
use crate::clock::Now;

#[derive(Clone)]
pub(crate) struct Membership {
    pub(crate) id: String,
    pub(crate) organization: String,
    pub(crate) role: String,
    pub(crate) created: Instant,
}

pub(crate) struct Organization {
    pub(crate) about: FakeOrganization,
    pub(crate) created: Instant,
    pub(crate) members: usize,
}

#[derive(Default)]
pub(crate) struct Organizations {
    by_id: HashMap<String, Organization>,
    /// Ids by slug.
    by_slug: HashMap<String, String>,
}

impl Organizations {
    /// Adds an organization. It replaces one with the same id, and keeps its members.
    pub(crate) fn add(&mut self, about: FakeOrganization, now: Now) {
        let (id, slug) = (about.id.clone(), about.slug.clone());
        let former = self.by_id.remove(&id);
        if let Some(former) = &former {
            self.by_slug.remove(&former.about.slug);
        }
        let members = former.map_or(0, |former| former.members);
        self.by_id.insert(id.clone(), Organization { about, created: now.instant, members });
        self.by_slug.insert(slug, id);
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Organization> {
        self.by_id.get(id)
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut Organization> {
        self.by_id.get_mut(id)
    }

    /// Returns the id of an organization named by id or slug.
    pub(crate) fn id_of(&self, organization: &str) -> Option<String> {
        match self.by_id.get(organization) {
            Some(found) => Some(found.about.id.clone()),
            None => self.by_slug.get(organization).cloned(),
        }
    }
}
