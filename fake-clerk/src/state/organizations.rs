//! Organizations, indexed by id and slug, and memberships.

use std::collections::{BTreeSet, HashMap};

use tokio::time::Instant;

use crate::accounts::FakeOrganization;
use crate::clock::Now;

#[derive(Clone)]
pub(crate) struct Membership {
    pub(crate) id: String,
    pub(crate) organization: String,
    pub(crate) role: String,
    pub(crate) created: Instant,
    pub(crate) updated: Instant,
}

pub(crate) struct Organization {
    pub(crate) about: FakeOrganization,
    pub(crate) created: Instant,
    pub(crate) updated: Instant,
    /// The ids of the members.
    pub(crate) members: BTreeSet<String>,
}

impl Organization {
    pub(crate) fn has_role(&self, role: &str) -> bool {
        self.about.roles.iter().any(|(key, _)| key == role)
    }
}

/// Whether a text can be a slug: lower-case letters, digits and dashes.
pub(crate) fn is_slug(text: &str) -> bool {
    let is_of_slug = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !text.is_empty() && text.chars().all(is_of_slug)
}

#[derive(Default)]
pub(crate) struct Organizations {
    by_id: HashMap<String, Organization>,
    /// Ids by slug.
    by_slug: HashMap<String, String>,
}

impl Organizations {
    /// Adds an organization. It replaces one with the same id, and keeps its members. Returns whether it replaced one.
    pub(crate) fn add(&mut self, about: FakeOrganization, now: Now) -> bool {
        let (id, slug) = (about.id.clone(), about.slug.clone());
        let former = self.by_id.remove(&id);
        if let Some(former) = &former {
            self.by_slug.remove(&former.about.slug);
        }
        let replaces = former.is_some();
        let members = former.map(|former| former.members).unwrap_or_default();
        self.by_id
            .insert(id.clone(), Organization { about, created: now.instant, updated: now.instant, members });
        self.by_slug.insert(slug, id);
        replaces
    }

    pub(crate) fn remove(&mut self, id: &str) -> Option<Organization> {
        let organization = self.by_id.remove(id)?;
        self.by_slug.remove(&organization.about.slug);
        Some(organization)
    }

    /// Gives an organization another slug.
    pub(crate) fn set_slug(&mut self, id: &str, slug: String) {
        let Some(organization) = self.by_id.get_mut(id) else { return };
        self.by_slug.remove(&organization.about.slug);
        organization.about.slug.clone_from(&slug);
        self.by_slug.insert(slug, id.to_owned());
    }

    /// Returns all organizations in arbitrary order.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Organization> {
        self.by_id.values()
    }

    pub(crate) fn all_mut(&mut self) -> impl Iterator<Item = &mut Organization> {
        self.by_id.values_mut()
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
