//! Descriptions of organizations, to be added to a stand-in.

use crate::ids;

/// An organization to be added to a [`FakeClerk`](crate::FakeClerk).
///
/// It has Clerk's two default roles, `org:admin` and `org:member`, without permissions of the application's own
/// until [`role`](Self::role) gives them some.
///
/// ```
/// use fake_clerk::{FakeClerk, FakeOrganization, FakeUser};
///
/// let clerk = FakeClerk::builder().empty().build();
/// clerk.add_user(FakeUser::new("jane@example.com").password("correct horse"));
/// clerk.add_organization(FakeOrganization::new("acme").role("org:admin", ["org:invoices:read"]));
/// clerk.add_member("jane@example.com", "acme", "org:admin");
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct FakeOrganization {
    pub(crate) id: String,
    pub(crate) slug: String,
    pub(crate) name: String,
    /// Key and permissions.
    pub(crate) roles: Vec<(String, Vec<String>)>,
    pub(crate) plan: Option<String>,
    pub(crate) features: Vec<String>,
}

impl FakeOrganization {
    /// An organization with a slug, which is its name too.
    pub fn new(slug: impl Into<String>) -> Self {
        let slug = slug.into();
        Self {
            id: ids::random("org"),
            name: slug.clone(),
            slug,
            roles: vec![("org:admin".to_owned(), Vec::new()), ("org:member".to_owned(), Vec::new())],
            plan: None,
            features: Vec::new(),
        }
    }

    /// Sets the id, which is random otherwise.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = id.into();
        self
    }

    /// Sets the name that people see.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets the permissions of a role, both written as Clerk writes them: `org:admin`, `org:invoices:read`.
    pub fn role<I>(mut self, key: impl Into<String>, permissions: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let key = key.into();
        self.roles.retain(|(known, _)| *known != key);
        self.roles.push((key, permissions.into_iter().map(Into::into).collect()));
        self
    }

    /// Sets the plan the organization pays for: `pla` of its tokens.
    pub fn plan(mut self, plan: impl Into<String>) -> Self {
        self.plan = Some(plan.into());
        self
    }

    /// Adds a feature that no permission names: `o:…` in `fea` of version 2 tokens.
    pub fn feature(mut self, feature: impl Into<String>) -> Self {
        self.features.push(feature.into());
        self
    }
}
