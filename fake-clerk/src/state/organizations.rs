//! Organizations, indexed by id and slug, and memberships.

use std::collections::{BTreeMap, HashMap};

use tokio::time::Instant;

use crate::accounts::FakeOrganization;
use crate::clock::Now;

#[derive(Clone)]
pub(crate) struct Membership {
    /// A sequence number among all memberships.
    pub(crate) number: usize,
    pub(crate) id: String,
    pub(crate) organization: String,
    pub(crate) role: String,
    pub(crate) created: Instant,
    pub(crate) updated: Instant,
}

pub(crate) struct Organization {
    /// A sequence number among all organizations.
    number: usize,
    pub(crate) about: FakeOrganization,
    pub(crate) created: Instant,
    pub(crate) updated: Instant,
    /// The ids of the members, by the numbers of their memberships.
    pub(crate) members: BTreeMap<usize, String>,
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
    /// Ids in the order in which the organizations were added.
    by_number: BTreeMap<usize, String>,
    /// Number of organizations ever added.
    added: usize,
}

/// All memberships.
#[derive(Default)]
pub(crate) struct Memberships {
    /// Users and organizations in the order in which the memberships were added.
    by_number: BTreeMap<usize, (String, String)>,
    /// Number of memberships ever added.
    added: usize,
}

impl Memberships {
    /// Adds a membership, and returns its number.
    pub(crate) fn add(&mut self, user: &str, organization: &str) -> usize {
        self.added += 1;
        self.by_number.insert(self.added, (user.to_owned(), organization.to_owned()));
        self.added
    }

    pub(crate) fn remove(&mut self, number: usize) {
        self.by_number.remove(&number);
    }

    pub(crate) fn len(&self) -> usize {
        self.by_number.len()
    }

    /// Returns the users and organizations of all memberships, oldest first.
    pub(crate) fn oldest_first(&self) -> impl DoubleEndedIterator<Item = (&str, &str)> {
        self.by_number.values().map(|(user, organization)| (&**user, &**organization))
    }
}

impl Organizations {
    /// Adds an organization. It replaces one with the same id, and keeps its members. Returns whether it replaced one.
    pub(crate) fn add(&mut self, about: FakeOrganization, now: Now) -> bool {
        let (id, slug) = (about.id.clone(), about.slug.clone());
        let former = self.by_id.remove(&id);
        if let Some(former) = &former {
            self.by_slug.remove(&former.about.slug);
            self.by_number.remove(&former.number);
        }
        let replaces = former.is_some();
        let members = former.map(|former| former.members).unwrap_or_default();
        self.added += 1;
        let number = self.added;
        let organization =
            Organization { number, about, created: now.instant, updated: now.instant, members };
        self.by_id.insert(id.clone(), organization);
        self.by_number.insert(number, id.clone());
        self.by_slug.insert(slug, id);
        replaces
    }

    pub(crate) fn remove(&mut self, id: &str) -> Option<Organization> {
        let organization = self.by_id.remove(id)?;
        self.by_slug.remove(&organization.about.slug);
        self.by_number.remove(&organization.number);
        Some(organization)
    }

    /// Gives an organization another slug.
    pub(crate) fn set_slug(&mut self, id: &str, slug: String) {
        let Some(organization) = self.by_id.get_mut(id) else { return };
        self.by_slug.remove(&organization.about.slug);
        organization.about.slug.clone_from(&slug);
        self.by_slug.insert(slug, id.to_owned());
    }

    /// Returns all organizations, oldest first.
    pub(crate) fn oldest_first(&self) -> impl DoubleEndedIterator<Item = &Organization> {
        self.by_number.values().filter_map(|id| self.by_id.get(id))
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
